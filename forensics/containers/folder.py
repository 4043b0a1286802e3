"""A folder of files as an exhibit: its media is the contents of its regular files, one after the other.

Their order is the byte order of their paths inside the folder, so that the media's digest can be had by hand:

    cd FOLDER && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum

Rules enforced here: no symbolic link inside the folder is followed, neither as a file nor as a part of a path, also not one that takes
a file's or a folder's place while it is read; a FIFO, socket or device is never opened; a file that is no longer what was found when
the folder was looked through is an error and not other bytes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import ImageError, ImageReadError
from forensics.exhibit import Container, SourceFile, shown
from forensics.media import Media
from forensics.names import display_path
from forensics.raw import RawReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONLY_FOLDERS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ONLY_FILES = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MOST_ENTRIES = 20_000_000
_DEEPEST = 1000


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """What lies in the folder under one path.

    Attributes:
        path: path inside the folder, "/" between names.
        status: what lstat(2) gives.
        link_target: where a symbolic link points; None for others.
        failure: why a folder could not be listed, or was not entered; "" else.
    """

    path: bytes
    status: os.stat_result
    link_target: bytes | None = None
    failure: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.status.st_mode)


@dataclass(frozen=True, slots=True)
class FolderListing:
    """Everything in a folder, in the byte order of the paths.

    Attributes:
        root: the folder.
        entries: what is in it.
    """

    root: Path
    entries: tuple[FolderEntry, ...]

    @property
    def fingerprint(self) -> str:
        """Equal for two looks at a folder if nothing in it changed between them: names, kinds, sizes, times of the last change."""
        digest = hashlib.sha256()
        for entry in self.entries:
            status = entry.status
            seen = (entry.path, status.st_mode, status.st_size if entry.is_file else 0, status.st_mtime_ns if entry.is_file else 0)
            digest.update(repr(seen).encode())
        return digest.hexdigest()


class FolderFile(SourceFile):
    """One regular file of the folder, opened for each read and closed again, since there may be more than a process can hold open."""

    def __init__(self, root: Path, entry: FolderEntry) -> None:
        self.path = root / os.fsdecode(entry.path)
        self.name = display_path(entry.path)[0]
        self.size = entry.status.st_size
        self.mtime_ns = entry.status.st_mtime_ns
        self._descriptor = None
        self._identity = (entry.status.st_dev, entry.status.st_ino)
        self._root, self._relative = root, entry.path

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with open_beneath(self._root, self._relative, _ONLY_FILES) as descriptor:
            self._check(descriptor)
            yield descriptor
            self._check(descriptor)

    def _check(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != self._identity or not stat.S_ISREG(status.st_mode):
            message = f"{self.name}: another file has taken its place since the folder was looked through"
            raise ImageReadError(message)
        if (status.st_size, status.st_mtime_ns) != (self.size, self.mtime_ns):
            message = f"{self.name}: was changed since the folder was looked through; what was read of it may be of two states"
            raise ImageReadError(message)


def open_folder(path: Path) -> Media:
    """The media that the files of the folder make.

    Raises:
        ImageError: the folder cannot be looked through, or no file in it has any content.
    """
    listing = scan_folder(path)
    files = tuple(FolderFile(path, entry) for entry in listing.entries if entry.is_file)
    size = sum(file.size for file in files)
    if not size:
        message = f"{shown(path)}: no file in this folder has any content, so there is nothing to process"
        raise ImageError(message)
    return Media(
        container=Container.FOLDER,
        size=size,
        files=files,
        reader=RawReader(files),
        header_values={"files": str(len(files)), "entries": str(len(listing.entries))},
    )


def scan_folder(path: Path) -> FolderListing:
    """Everything in the folder, nothing of it opened but folders.

    Raises:
        ImageError: the folder itself cannot be listed, or holds more than can be listed.
    """
    found: list[FolderEntry] = []
    waiting: list[tuple[bytes, frozenset[tuple[int, int]]]] = [(b"", frozenset())]
    while waiting:
        folder, above = waiting.pop()
        try:
            with open_beneath(path, folder, ONLY_FOLDERS) as descriptor:
                status = os.fstat(descriptor)
                inside = list(_list(descriptor, folder))
        except OSError as error:
            if not folder:
                message = f"{shown(path)}: the folder cannot be listed: {error.strerror}"
                raise ImageError(message) from error
            _fail(found, folder, f"it cannot be listed: {error.strerror}")
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in above or len(above) >= _DEEPEST:
            _fail(found, folder, "it is mounted inside itself" if identity in above else f"it lies {_DEEPEST} folders deep")
            continue
        found += inside
        waiting += [(one.path, above | {identity}) for one in inside if stat.S_ISDIR(one.status.st_mode)]
        if len(found) > MOST_ENTRIES:
            message = f"{shown(path)}: holds more than {MOST_ENTRIES} entries; give its parts as exhibits of their own"
            raise ImageError(message)
    return FolderListing(path, tuple(sorted(found, key=lambda entry: entry.path)))


@contextmanager
def open_beneath(root: Path, relative: bytes, flags: int) -> Iterator[int]:
    """A descriptor of what lies under a path inside the folder; no part of the path is followed as a symbolic link.

    Raises:
        OSError: it cannot be opened, or a part of the path is a link.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # the folder itself is what the examiner named
    try:
        *folders, last = relative.split(b"/") if relative else (b".",)
        for name, how in (*((name, ONLY_FOLDERS) for name in folders), (last, flags)):
            below = os.open(name, how, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _list(descriptor: int, folder: bytes) -> Iterator[FolderEntry]:
    for text in os.listdir(descriptor):
        name = os.fsencode(text)
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        target = os.readlink(name, dir_fd=descriptor) if stat.S_ISLNK(status.st_mode) else None
        yield FolderEntry(folder + b"/" + name if folder else name, status, target)


def _fail(found: list[FolderEntry], folder: bytes, why: str) -> None:
    """Notes at the entry of a folder why nothing in it is listed."""
    at = next(index for index in range(len(found) - 1, -1, -1) if found[index].path == folder)
    found[at] = FolderEntry(folder, found[at].status, None, why)
