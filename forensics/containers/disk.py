"""One reader over what dissect.hypervisor opens: bounded, cached, never short without saying so.

The owner file of dissect.hypervisor. Each format's module checks the file first and says in which units the disk is stored;
here only one unit, or a part of one, is asked for at a time, because the library reads wrong bytes across units (VDI: whatever lies
behind the first block; VHDX: what lies behind the block when the read starts inside it) or fails (VMDK: in the last grain). What comes back
short, because the file is cut off, is an error and never zeros.

What is refused before the library sees it: any disk that needs another disk (backing file, parent, data file), so that no name
inside evidence makes us open a file of this computer.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from dissect.hypervisor.disk.qcow2 import QCow2
from dissect.hypervisor.disk.vdi import VDI
from dissect.hypervisor.disk.vhd import VHD
from dissect.hypervisor.disk.vhdx import VHDX
from dissect.hypervisor.disk.vmdk import SparseDisk
from dissect.hypervisor.exceptions import Error as HypervisorError

from forensics.block_cache import BlockCache
from forensics.errors import ImageError, ImageReadError
from forensics.exhibit import shown
from forensics.media import iter_salvaged
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.exhibit import SourceFile
    from forensics.media import MediaBlock

    # The disk's bytes at an offset, of a length; both in bytes.
    ReadDisk = Callable[[int, int], bytes]

# Everything that the library's readers were seen to raise on damaged or crafted disks.
FAILURES = (
    HypervisorError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
MAX_UNIT_BYTES = 2 * 1024 * 1024
_SECTOR_BYTES = 512
_L2_CACHE_BYTES = 16 * 1024 * 1024
_L2_ENTRY_BYTES = 40  # an int in a list


class DiskReader:
    """The media of a virtual disk, read unit by unit. Threads may share it; they take turns."""

    def __init__(self, read: ReadDisk, *, size: int, unit: int) -> None:
        """`read` gives the disk's bytes; `size` and `unit` are bytes; it is never asked to cross a multiple of `unit`."""
        self._read = read
        self._size = size
        self._unit = unit
        self._cache = BlockCache()
        self._lock = Lock()

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `media[offset : offset + length]`.

        Raises:
            ImageReadError: the container does not give all of them; the message names the bytes of the media.
        """
        parts = []
        while length > 0:
            index, skip = divmod(offset, self._unit)
            part = self._read_unit(index)[skip : skip + length]
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes in order; what the container does not give as zeros, and named."""
        return iter_salvaged(self.read_at, self._size)

    def _read_unit(self, index: int) -> bytes:
        kept = self._cache.get(index)
        if kept is not None:
            return kept
        start = index * self._unit
        length = min(self._unit, self._size - start)
        where = f"bytes {start} to {start + length - 1} of the media"
        try:
            with self._lock:
                data = self._read(start, length)
        except ImageReadError as error:
            message = f"{where} cannot be read: {error}"
            raise ImageReadError(message) from error
        except FAILURES as error:
            message = f"{where} cannot be read: the container is damaged there ({type(error).__name__}: {error})"
            raise ImageReadError(message) from error
        if len(data) != length:
            message = f"{where} cannot be read: the container gives {len(data)} of {length} bytes; it is cut off or damaged"
            raise ImageReadError(message)
        self._cache.put(index, data)
        return data


def open_qcow2(file: SourceFile) -> ReadDisk:
    """The disk of a QCOW2 file that needs no other file."""

    def opened() -> ReadDisk:
        disk = QCow2(SourceStream(file))
        # The library keeps 128 level-2 tables, whatever their size: over a gigabyte with clusters of 2 MiB.
        kept = max(4, min(128, _L2_CACHE_BYTES // (disk.l2_size * _L2_ENTRY_BYTES)))
        disk.l2_table = lru_cache(kept)(disk.l2_table.__wrapped__)
        return _of_stream(disk.open())

    return _translated(file, opened)


def open_vmdk(file: SourceFile) -> ReadDisk:
    """One sparse VMDK extent. Not the library's whole VMDK: that wants a parent's identifier in every extent, and would open a parent."""
    return _translated(file, lambda: _of_sectors(SparseDisk(SourceStream(file)), _SECTOR_BYTES))


def open_vhd(file: SourceFile) -> ReadDisk:
    """The disk of a fixed or dynamic VHD."""
    return _translated(file, lambda: _of_sectors(VHD(SourceStream(file)).disk, _SECTOR_BYTES))


def open_vhdx(file: SourceFile, sector_size: int) -> ReadDisk:
    """The disk of a VHDX without parent; its sectors have that many bytes."""
    return _translated(file, lambda: _of_sectors(VHDX(SourceStream(file)), sector_size))


def open_vdi(file: SourceFile) -> ReadDisk:
    """The disk of a VDI without parent."""
    return _translated(file, lambda: _of_stream(VDI(SourceStream(file)).open()))


def unit_of(block_size: int) -> int:
    """The largest unit to read at once from a disk stored in blocks of that size in bytes: the block, or an even part of it."""
    unit = block_size
    while unit > MAX_UNIT_BYTES and unit % 2 == 0:
        unit //= 2
    return unit


def _of_stream(stream: Any) -> ReadDisk:
    def read(offset: int, length: int) -> bytes:
        stream.seek(offset)
        return bytes(stream.read(length))

    return read


def _of_sectors(disk: Any, sector_size: int) -> ReadDisk:
    """Not through the disk's own stream: that rounds up to 8 KiB and then asks for what lies behind the end."""

    def read(offset: int, length: int) -> bytes:
        first, end = offset // sector_size, -(-(offset + length) // sector_size)
        data = bytes(disk.read_sectors(first, end - first))
        return data[offset - first * sector_size :][:length]

    return read


def _translated(file: SourceFile, opened: Callable[[], ReadDisk]) -> ReadDisk:
    try:
        return opened()
    except ImageReadError as error:
        message = f"{shown(file.path)}: {error}"
        raise ImageError(message) from error
    except FAILURES as error:
        message = f"{shown(file.path)}: the container cannot be opened: it is damaged ({type(error).__name__}: {error})"
        raise ImageError(message) from error
