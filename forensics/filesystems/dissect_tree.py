"""Filesystems as dissect.target lists them: VMFS, and those that TSK reads too, to be held against it or where it refuses one.

dissect finds files by their paths. So an inode's number is what dissect says it is, for people; what finds it again, also in another
process, is a digest of its path, 62 bits of it in the two parts of a stream's address beside the number. A process that is asked for a
digest which it has not met walks the folders until it does. Named streams and what is deleted are not listed.
"""

from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING, Any

from dissect.target.exceptions import FileNotFoundError  # noqa: A004 - dissect's own
from dissect.target.filesystems.extfs import ExtFilesystem
from dissect.target.filesystems.fat import FatFilesystem
from dissect.target.filesystems.ffs import FfsFilesystem
from dissect.target.filesystems.ntfs import NtfsFilesystem
from dissect.target.filesystems.vmfs import VmfsFilesystem
from dissect.target.volumes.vmfs import VmfsVolumeSystem

from forensics.errors import StreamReadError
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name, kind_of_mode
from forensics.source import SourceStream
from forensics.timestamps import OutOfRange, from_unix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource

_HALF_BITS = 31
_MOST_PATHS = 10_000_000
_LONGEST_LINK = 65_536
_ROOT_PATH = "/"


class DissectTree:
    """A filesystem of dissect.target as inodes."""

    def __init__(self, name: str, filesystem: Any) -> None:
        self.filesystem = name
        self._fs = filesystem
        self._paths: dict[int, str] = {}
        self.root = self._address(_ROOT_PATH, self._fs.get(_ROOT_PATH))

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode says."""
        entry = self._entry(inode.space)
        try:
            found = entry.lstat()
        except FileNotFoundError:  # what dissect says of a file of NTFS that has no default data
            return Inode(kind=_kind(entry, 0), size=0)
        kind = _kind(entry, int(found.st_mode))
        streams: tuple[InodeStream, ...] = ()
        if kind is Kind.FILE:
            streams = (InodeStream(name="", address=_stream_address(inode), size=int(found.st_size)),)
        return Inode(
            kind=kind,
            size=int(found.st_size) if kind is Kind.FILE else None,
            times=Times(
                modified=_time(found, "st_mtime"),
                accessed=_time(found, "st_atime"),
                metadata_changed=_time(found, "st_ctime"),
                created=_time(found, "st_birthtime"),
            ),
            owner=int(found.st_uid),
            group=int(found.st_gid),
            mode=int(found.st_mode),
            links=int(found.st_nlink),
            link_target=_encoded(str(entry.readlink())[:_LONGEST_LINK]) if kind is Kind.LINK else None,
            streams=streams,
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name | str]:
        """The names in a directory; a text for one whose entry dissect cannot read."""
        path = self._paths[directory.space]
        above = self._numbers_above(path)
        for child in self._fs.get(path).scandir():
            name = str(child.name)
            if name in (".", ".."):
                continue
            entry = child.get()
            address = self._address(_below(path, name), entry)
            if address.number in above and entry.is_dir(follow_symlinks=False):
                yield f"{name!a} is a folder that holds this one"
                continue
            yield Name(_encoded(name), address)

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress]:
        """None: dissect finds files through names only."""
        del named
        return iter(())

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""
        entry = self._entry(address.attribute_type << _HALF_BITS | address.attribute_id)
        return _FileStream(entry.open(), int(entry.lstat().st_size))

    def _numbers_above(self, path: str) -> set[int]:
        """The inodes of a folder and of all that it lies in, where they have numbers."""
        names = path.strip("/").split("/")
        folders = {"/" + "/".join(names[:count]) for count in range(len(names) + 1)}
        return {_number(self._fs.get(one)) for one in folders} - {0}

    def _address(self, path: str, entry: Any) -> InodeAddress:
        digest = int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()[:8], "big") >> 2
        if len(self._paths) < _MOST_PATHS:
            self._paths[digest] = path
        return InodeAddress(_number(entry), digest)

    def _entry(self, digest: int) -> Any:
        """The entry whose path has the digest; looked for where this process has not met it."""
        waiting = [] if digest in self._paths else [self.root]
        entered: set[InodeAddress] = set()
        while waiting and digest not in self._paths:
            directory = waiting.pop()
            entered.add(directory)
            below = [name.inode for name in self.iter_names(directory) if isinstance(name, Name) and name.inode not in entered]
            waiting += [one for one in below if self._fs.get(self._paths[one.space]).is_dir(follow_symlinks=False)]
        if digest not in self._paths:
            message = "dissect lists no file with this address"
            raise StreamReadError(message)
        return self._fs.get(self._paths[digest])


class _FileStream:
    """A content as dissect gives it."""

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes, short at the end."""
        self._file.seek(offset)
        data: bytes = self._file.read(max(0, min(length, self.size - offset)))
        return data


def open_with(name: str, kind: Callable[[Any], Any]) -> Callable[[ByteSource], DissectTree]:
    """What opens a source with that filesystem of dissect's, under that name."""
    return lambda source: DissectTree(name, kind(SourceStream(source)))


def _open_vmfs(file: Any) -> Any:
    """The filesystem in the first volume of VMware's own volume manager, inside which every VMFS lies."""
    return VmfsFilesystem(VmfsVolumeSystem(file).volumes[0])


EXT, NTFS, FAT = open_with("ext", ExtFilesystem), open_with("ntfs", NtfsFilesystem), open_with("fat", FatFilesystem)
FFS, VMFS = open_with("ufs", FfsFilesystem), open_with("vmfs", _open_vmfs)


def _number(entry: Any) -> int:
    """What dissect says is the inode's number; 0 where it says none."""
    try:
        return int(entry.lstat().st_ino)
    except FileNotFoundError:
        return 0


def _kind(entry: Any, mode: int) -> Kind:
    """By the mode, and where dissect makes up none, by what the entry says it is."""
    if stat.S_IFMT(mode):
        return kind_of_mode(mode)
    if entry.is_symlink():
        return Kind.LINK
    return Kind.DIRECTORY if entry.is_dir(follow_symlinks=False) else Kind.FILE


def _time(found: Any, name: str) -> int | OutOfRange | None:
    """Nanoseconds since 1970; None where dissect has none."""
    exact = getattr(found, f"{name}_ns", None)
    value = getattr(found, name, None)
    total = int(exact) if exact else int(value * 1_000_000_000) if value else 0
    return from_unix(*divmod(total, 1_000_000_000))


def _stream_address(inode: InodeAddress) -> StreamAddress:
    return StreamAddress(inode.number, inode.space >> _HALF_BITS, inode.space & (1 << _HALF_BITS) - 1)


def _below(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"


def _encoded(name: str) -> bytes:
    """The name's bytes: as dissect decoded them, or UTF-16's lone halves as NTFS has them."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")
