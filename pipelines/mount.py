"""An exhibit as folders and files, read-only, through FUSE, for as long as this process runs. The owner file of mfusepy.

Everything is listed before anything is shown, so that what could not be listed is told at once. The kernel is asked to refuse writing,
running programs and device files; a content that cannot be read whole is an input/output error, never zeros and never a shorter file.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.boundary import attempt
from forensics.disks import open_disks
from forensics.names import display_path, escape_text
from forensics.survey import survey
from forensics.volume_tree import VolumeTree
from pipelines.errors import PipelineError
from pipelines.mount_listing import PROBLEMS, fill
from pipelines.mount_tree import MountTree, Node, Shows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from forensics.credentials import Credential
    from forensics.filesystems.base import Stream
    from forensics.found_volume import Survey
    from pipelines.mount_tree import Named

_DEVICE = Path("/dev/fuse")
_OPTIONS = {
    **dict.fromkeys(("foreground", "nothreads", "ro", "nosuid", "nodev", "noexec", "default_permissions", "kernel_cache"), True),
    **dict.fromkeys(("fsname", "subtype"), "evidex"),
    **dict.fromkeys(("attr_timeout", "entry_timeout", "negative_timeout"), 3600),  # seconds; nothing ever changes
}


def require_fuse() -> ModuleType:
    """The library, where it, libfuse and the kernel's device are there.

    Raises:
        PipelineError: one of them is missing; the message says which, and what to install.
    """
    try:
        import mfusepy  # here, because it fails without libfuse
    except OSError as error:
        message = (
            f"the library libfuse is missing, which `evidex mount` needs ({error}); "
            "install it: Debian, Ubuntu and Fedora have it in the package fuse3, macOS as macFUSE"
        )
        raise PipelineError(message) from error
    if sys.platform == "linux" and not _DEVICE.is_char_device():
        message = (
            f"{_DEVICE} is missing, which `evidex mount` needs; load the kernel's module (modprobe fuse), or give the container the device"
        )
        raise PipelineError(message)
    if sys.platform == "linux" and os.geteuid() != 0 and not (shutil.which("fusermount3") or shutil.which("fusermount")):
        message = "the program fusermount is missing, with which who is not root mounts; install the package fuse3"
        raise PipelineError(message)
    library: ModuleType = mfusepy
    return library


def check_mount_point(folder: Path) -> Path:
    """The folder by its whole path.

    Raises:
        PipelineError: it is not an empty folder.
    """
    try:
        is_empty = next(folder.iterdir(), None) is None
        resolved = folder.resolve()
        str(resolved).encode()
    except OSError as error:
        message = f"{folder} cannot be mounted on: {error.strerror}; name an empty folder that is there"
        raise PipelineError(message) from error
    except UnicodeEncodeError as error:
        message = f"{display_path(os.fsencode(folder))[0]} cannot be mounted on: its name is not UTF-8"
        raise PipelineError(message) from error
    if not is_empty:
        message = f"{folder} is not empty; name an empty folder, because what is in it would be hidden"
        raise PipelineError(message)
    return resolved


def mount(images: tuple[Path, ...], folder: Path, credentials: tuple[Credential, ...], say: Callable[[str], None]) -> bool:
    """Shows the exhibit in the folder until it is unmounted; whether everything could be opened and listed.

    Args:
        images: the exhibit's images; one a disk.
        folder: an empty folder.
        credentials: what may be tried on locked volumes.
        say: takes each line for the person who waits.

    Raises:
        PipelineError: FUSE is not there, or does not mount; the folder is not empty; the list of files cannot be kept.
        ForensicsError: the images cannot be opened.
    """
    library, target = require_fuse(), check_mount_point(folder)
    with open_disks(images) as disks, tempfile.TemporaryDirectory(prefix="evidex-") as name:
        spool = Path(name)
        found = survey(disks, spool=spool, credentials=credentials)
        volumes = VolumeTree(disks, credentials, spool, found.nodes)
        with MountTree(spool) as tree:
            problems = fill(tree, found, volumes, disks.problems())

            def announce() -> None:
                for line in _announcements(found, folder, problems.count):
                    say(line)

            operations = _Operations(tree, volumes, announce)
            try:
                library.FUSE(operations, str(target), **_OPTIONS)
            except RuntimeError as error:
                message = f"{folder} could not be mounted (code {error} of libfuse, which has said why); may this user mount, and here?"
                raise PipelineError(message) from error
        return problems.count == 0


def _announcements(found: Survey, folder: Path, problems: int) -> Iterator[str]:
    for one in found.volumes:
        if one.encrypted:
            yield escape_text(f"volume {one.volume} is locked: {one.reason}")
    if problems:
        yield f"{problems} problems: {folder / PROBLEMS} says which"
    yield f"mounted on {folder}, read-only, until Ctrl-C here or `fusermount -u {folder}`"


class _RefusalError(OSError):
    """The answer to an operation that cannot be done."""

    def __init__(self, number: int) -> None:
        super().__init__(number, os.strerror(number))


def _answering(operation: Callable[..., Any]) -> Callable[..., Any]:
    """The operation, in which whatever readers raise over an entry is an input/output error of that entry."""

    @wraps(operation)
    def answered(*arguments: Any) -> Any:
        answer: list[Any] = []
        failure = attempt(lambda: answer.append(operation(*arguments)), passing=(_RefusalError,))
        if failure is not None:
            raise _RefusalError(errno.EIO) from failure
        return answer[0]

    return answered


class _Operations:
    """What mfusepy calls, by name, for the kernel."""

    use_ns = True
    """Times are nanoseconds."""

    def __init__(self, tree: MountTree, volumes: VolumeTree, on_mounted: Callable[[], None]) -> None:
        self._tree, self._volumes, self._on_mounted = tree, volumes, on_mounted
        self._user, self._group = os.getuid(), os.getgid()
        self._opened: dict[int, Stream] = {}
        self._handles = 0

    def init(self, path: str) -> None:
        """The kernel shows the folder from now on."""
        del path
        attempt(self._on_mounted)  # nobody may be there to read it

    @_answering
    def getattr(self, path: str, handle: int | None = None) -> dict[str, int]:
        """What `stat` says of a path."""
        del handle
        return self._facts(self._find(path).node)

    @_answering
    def readdir(self, path: str, handle: int) -> Iterator[tuple[str, dict[str, int] | None, int]]:
        """The names in a folder; what each is shows when it is asked for."""
        del handle
        listed = self._tree.children(self._find(path).number)
        return chain(((".", None, 0), ("..", None, 0)), ((one.name, {"st_mode": _mode(one.node)}, 0) for one in listed))

    @_answering
    def open(self, path: str, flags: int) -> int:
        """A handle on a file's content."""
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise _RefusalError(errno.EROFS)
        node = self._find(path).node
        if node.shows is Shows.LOST:
            raise _RefusalError(errno.EIO)
        self._handles += 1
        self._opened[self._handles] = self._stream(node)
        return self._handles

    @_answering
    def read(self, path: str, length: int, offset: int, handle: int) -> bytes:
        """Bytes of a content, as many as were asked for unless it ends."""
        node, stream = self._find(path).node, self._opened[handle]
        end = stream.size if node.size is None else node.size
        parts, missing = [], min(length, end - offset)
        while missing > 0:
            part = stream.read_at(offset, missing)[:missing]
            if not part:  # fewer would be shown as zeros, or as the end of the file
                raise _RefusalError(errno.EIO)
            parts.append(part)
            offset, missing = offset + len(part), missing - len(part)
        return b"".join(parts)

    @_answering
    def release(self, path: str, handle: int) -> None:
        """Lets a content go."""
        del path, self._opened[handle]

    def _find(self, path: str) -> Named:
        found = self._tree.find(path)
        if found is None:
            raise _RefusalError(errno.ENOENT)
        return found

    def _stream(self, node: Node) -> Stream:
        if node.address is None:
            return _Text(node.text or b"")
        return self._volumes.reader(node.volume).open_stream(node.address)

    def _facts(self, node: Node) -> dict[str, int]:
        size = node.size
        if size is None:
            size = self._stream(node).size if node.shows is Shows.STREAM else 0
        return {
            "st_mode": _mode(node),
            "st_nlink": 1,  # of a folder: that how many are in it is not counted
            "st_uid": self._user,
            "st_gid": self._group,
            "st_size": 0 if node.shows is Shows.FOLDER else size,
            "st_blocks": -(-size // 512),
            "st_mtime": node.modified,
            "st_atime": node.accessed,
            "st_ctime": node.changed,
        }


class _Text:
    """A content of ours."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of it."""
        return self._content[offset : offset + length]


def _mode(node: Node) -> int:
    """Who mounts may read all, whatever the evidence says; nobody may write, and no program has its owner's rights."""
    if node.shows is Shows.FOLDER:
        return stat.S_IFDIR | 0o555
    return stat.S_IFREG | 0o444 | ((node.mode or 0) & 0o111)
