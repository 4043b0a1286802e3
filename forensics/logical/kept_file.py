"""Files of ours that one process of a run writes once and all read: what an exhibit's container gives only from front to back.

They lie in the run's own folder under names made of the container's bytes, never of a name in it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from forensics.errors import FilesystemError, ImageReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.source import ByteSource

_SAMPLED_BYTES = 64 * 1024
_RESERVE_BYTES = 256 << 20
# Beyond the first number of bytes, more than so many times what it was made of is a bomb and no collection.
_FREE_BYTES, _RATIO = 4 << 30, 2_000


class FileSource:
    """A file of ours as a byte source."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._descriptor).st_size

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `file[offset : offset + length]`, short only at its end.

        Raises:
            ImageReadError: the system cannot read them.
        """
        parts, length = [], min(length, self.size - offset)
        while length > 0:
            try:
                part = os.pread(self._descriptor, length, offset)
            except OSError as error:
                message = f"the unpacked copy cannot be read at byte {offset}: {error.strerror}"
                raise ImageReadError(message) from error
            if not part:
                message = f"the unpacked copy ends at byte {offset} of {self.size}"
                raise ImageReadError(message)
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def is_out_of_proportion(size: int, packed: int) -> bool:
    """Whether a content of `size` bytes out of `packed` bytes is made to exhaust a reader."""
    return size > _FREE_BYTES and size > _RATIO * packed


def kept(source: ByteSource, spool: Path, kind: str, write: Callable[[BinaryIO, BinaryIO], None]) -> tuple[Path, Path]:
    """A file made of the container and the notes beside it, made now if they are not there.

    One process makes them while others wait; one that dies lets the next one in.

    Args:
        source: the container.
        spool: the folder in which they lie.
        kind: what they hold, as a part of their names.
        write: writes the file, and then the notes.

    Raises:
        FilesystemError: there is no room, or the folder cannot be written to.
        ImageReadError: the container cannot be read.
    """
    target = spool / f"{kind}-{_fingerprint(source)}"
    notes = target.with_suffix(".notes")
    try:
        with target.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not notes.exists():
                with _replacing(target) as file, _replacing(notes) as about:
                    write(file, about)
    except OSError as error:
        message = f"the container could not be unpacked into {spool}: {error.strerror}; make room there and run again"
        raise FilesystemError(message) from error
    return target, notes


def write_block(file: BinaryIO, block: bytes) -> None:
    """Writes on; a block of zeros as a hole that takes no room. The file is to be cut to its length when all is written.

    Raises:
        OSError: the disk would be nearly full.
    """
    if block.count(0) == len(block):
        file.seek(len(block), os.SEEK_CUR)
        return
    status = os.fstatvfs(file.fileno())
    if status.f_bavail * status.f_frsize < len(block) + _RESERVE_BYTES:
        raise OSError(errno.ENOSPC, f"less than {_RESERVE_BYTES >> 20} MiB would be left free")
    file.write(block)


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the target's name once it is whole."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix="unpacking-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _fingerprint(source: ByteSource) -> str:
    digest = hashlib.sha256(str(source.size).encode())
    for start in sorted({0, source.size // 2, max(0, source.size - _SAMPLED_BYTES)}):
        digest.update(source.read_at(start, _SAMPLED_BYTES))
    return digest.hexdigest()[:32]
