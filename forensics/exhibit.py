"""The files of an exhibit, opened so that nothing can write to them, and what they say of themselves.

Rules enforced here: a source is a regular file (a FIFO, socket, device or folder is refused before it is opened, so nothing
blocks); it is opened O_RDONLY; its name is escaped wherever it is shown; a file that is exchanged or shortened while it is
read is noticed. A symbolic link is followed where the examiner names it, and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from forensics.errors import ImageError, ImageNotFoundError, ImageReadError, UnsupportedImageError
from forensics.names import display_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NOT_REGULAR = (
    (stat.S_ISDIR, "is a folder", "give the image file inside it"),
    (stat.S_ISFIFO, "is a FIFO, not a file", "save the stream to a file first"),
    (stat.S_ISSOCK, "is a socket, not a file", "give an image file"),
    (stat.S_ISBLK, "is a block device, not an image", "make an image of it first"),
    (stat.S_ISCHR, "is a character device, not a file", "give an image file"),
)


class Container(StrEnum):
    """The formats of exhibit that are read; those from AD1 on hold files and not a disk, and their media is the file itself."""

    RAW = "raw"
    SPLIT_RAW = "split raw"
    EWF = "ewf"
    QCOW2 = "qcow2"
    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    VDI = "vdi"
    PARALLELS = "parallels"
    ASIF = "asif"
    EWF2 = "ewf2"
    AFF4 = "aff4"
    DMG = "dmg"
    SPARSE_IMAGE = "sparse image"
    AD1 = "ad1"
    L01 = "l01"
    AFF4_LOGICAL = "aff4-l"
    TAR = "tar"
    ZIP = "zip"
    WIM = "wim"
    FOLDER = "folder"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One file of an image: its name as text with acting characters escaped, its path, its size in bytes."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedDigests:
    """The digests of the media that the image stores, lower-case hex; None where it stores none."""

    md5: str | None = None
    sha1: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """Size in bytes and time of last change in nanoseconds of each segment, in order: equal states, nothing written."""

    sizes: tuple[int, ...]
    mtimes_ns: tuple[int, ...]


def shown(path: Path) -> str:
    """The path as one line of text in which no character acts."""
    return display_path(os.fsencode(path))[0]


class SourceFile:
    """One open file of an exhibit. Reads are positional, so threads may share it.

    Attributes:
        path: where it lies.
        name: its name as text, escaped.
        size: its size in bytes when it was opened.
    """

    def __init__(self, path: Path, *, named: bool = True) -> None:
        """Opens the file.

        Args:
            path: where it lies.
            named: whether the examiner named it; one that was found beside a named one must not be a symbolic link.

        Raises:
            ImageNotFoundError: there is none.
            UnsupportedImageError: it was only found, and is a symbolic link.
            ImageError: it is no regular file, or cannot be opened.
        """
        self.path = path
        self.name = display_path(os.fsencode(path.name))[0]
        if not named:
            _check_no_link(path)
        _check_regular(path, _status(path))
        self._descriptor: int | None = _open(path, 0 if named else os.O_NOFOLLOW)
        status = os.fstat(self._descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns

    @property
    def segment(self) -> Segment:
        """This file as a segment."""
        return Segment(name=self.name, path=self.path, size=self.size)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: equal for two names of one file."""
        return self._identity

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `file[offset : offset + length]`, short only at the end of the file.

        Raises:
            ImageReadError: the system cannot read them, or the file is no longer what was opened.
        """
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        try:
            with self._opened() as descriptor:
                data = os.pread(descriptor, length, offset)
                while len(data) < length:
                    more = os.pread(descriptor, length - len(data), offset + len(data))
                    if not more:
                        message = f"{self.name}: ends at byte {offset + len(data)}; it became shorter while it was read"
                        raise ImageReadError(message)
                    data += more
        except OSError as error:
            message = f"{self.name}: bytes {offset} to {offset + length - 1} cannot be read: {error.strerror}"
            raise ImageReadError(message) from error
        return data

    def release(self) -> None:
        """Closes the file; later reads open it anew. For sets of more segments than a process may hold open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def _opened(self) -> Iterator[int]:
        if self._descriptor is not None:
            yield self._descriptor
            return
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) != self._identity:
                message = f"{self.name}: another file has taken its place since the image was opened"
                raise ImageReadError(message)
            yield descriptor
        finally:
            os.close(descriptor)


def read_state(paths: tuple[Path, ...]) -> SourceState:
    """The state of the files as they lie there now.

    Raises:
        ImageError: one of them is no longer there.
    """
    found = [_status(path) for path in paths]
    return SourceState(sizes=tuple(one.st_size for one in found), mtimes_ns=tuple(one.st_mtime_ns for one in found))


def read_fingerprint(paths: tuple[Path, ...]) -> str:
    """SHA-256 over size, inode and times of the last change of content and of inode of each file, in order; hex.

    Raises:
        ImageError: one of them is no longer there.
    """
    found = [_status(path) for path in paths]
    seen = [(one.st_size, one.st_ino, one.st_mtime_ns, one.st_ctime_ns) for one in found]
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        why = "is a symbolic link to nothing" if path.is_symlink() else "there is no such file"
        message = f"{shown(path)}: {why}"
        raise ImageNotFoundError(message) from error
    except NotADirectoryError as error:
        message = f"{shown(path)}: there is no such file; a part of the path is no folder"
        raise ImageNotFoundError(message) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        message = f"{shown(path)}: cannot be looked at: {getattr(error, 'strerror', None) or error}"
        raise ImageError(message) from error


def _check_regular(path: Path, status: os.stat_result) -> None:
    for is_kind, what, advice in _NOT_REGULAR:
        if is_kind(status.st_mode):
            message = f"{shown(path)}: {what}; {advice}"
            raise ImageError(message)
    if status.st_size == 0:
        message = f"{shown(path)}: is empty (0 bytes)"
        raise ImageError(message)


def _check_no_link(path: Path) -> None:
    if path.is_symlink():
        message = (
            f"{shown(path)}: is a symbolic link, and nothing outside the folder of an image is opened because something in it points "
            "there; put the file itself into the folder"
        )
        raise UnsupportedImageError(message)


def _open(path: Path, flags: int) -> int:
    try:
        # O_NONBLOCK: should a FIFO have taken the file's place since it was looked at, opening still returns at once.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except OSError as error:
        message = f"{shown(path)}: cannot be opened for reading: {error.strerror}"
        raise ImageError(message) from error
    try:
        _check_regular(path, os.fstat(descriptor))
    except ImageError:
        os.close(descriptor)
        raise
    return descriptor
