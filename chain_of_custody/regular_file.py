"""Opening files of a case without being led elsewhere: no link is followed, nothing blocks, only regular files are read.

A log replaced by a link, or a FIFO put among the tables, must be seen as such and must not make anybody wait.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from chain_of_custody.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
BLOCK_BYTES = 1 << 20


@contextlib.contextmanager
def open_folder(parts: Path, *names: str) -> Iterator[int]:
    """A descriptor of the folder `parts/name/…`; links are followed in `parts`, which the caller chose, never in `names`.

    Raises:
        FileNotFoundError: there is no such folder.
        FormatError: E_FILE_KIND if a name is a link or no folder.
    """
    descriptor = os.open(parts, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            deeper = open_subfolder(name, descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def open_subfolder(name: str | bytes, folder: int) -> int:
    """A descriptor of the folder `name` in an open folder; the caller closes it.

    Raises:
        FileNotFoundError: there is no such name.
        FormatError: E_FILE_KIND if it is a link or no folder.
    """
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise FormatError(code="E_FILE_KIND", why=f"{os.fsdecode(name)} is a link or no folder") from error
        raise


@contextlib.contextmanager
def open_regular(name: str | bytes, folder: int) -> Iterator[BinaryIO]:
    """A regular file in an open folder, for reading.

    Raises:
        FileNotFoundError: there is no such name.
        FormatError: E_FILE_KIND if it is a link or no regular file.
    """
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        # ENXIO is what a socket gives.
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise FormatError(code="E_FILE_KIND", why=f"{os.fsdecode(name)} is a link or no regular file") from error
        raise
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise FormatError(code="E_FILE_KIND", why=f"{os.fsdecode(name)} is no regular file")
        yield stream


def read_regular(name: str | bytes, folder: int, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes.

    Raises:
        FormatError: E_FILE_KIND for a link or special file, E_FILE_SIZE for a larger one.
    """
    with open_regular(name, folder) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise FormatError(code="E_FILE_SIZE", why=f"{os.fsdecode(name)} is larger than {limit} bytes")
    return data


def digest_regular(name: str | bytes, folder: int) -> str:
    """The SHA-256 of a regular file, hex.

    Raises:
        FormatError: E_FILE_KIND for a link or special file.
    """
    digest = hashlib.sha256()
    with open_regular(name, folder) as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_once(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Writes a file whole or not at all, synced; an existing file is kept, and must be equal.

    Raises:
        FileExistsError: there is a file of that name with other bytes.
        OSError: the disk is full, or the folder may not be written.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            _move_unless_there(temporary, path)
        except FileExistsError:
            if path.is_symlink() or path.read_bytes() != data:
                raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _move_unless_there(temporary: Path, path: Path) -> None:
    # link(2) fails where the name exists, which rename(2) would replace.
    try:
        os.link(temporary, path)
    except PermissionError:
        # exFAT and FAT, on which cases are carried about, have no links (EPERM). The log's lock keeps other writers away.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path)) from None
        temporary.rename(path)


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replaces a file atomically, synced: after a crash it holds the old bytes or the new."""
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes names that were added to or removed from a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
