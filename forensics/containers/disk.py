"""One reader over every virtual disk, and those that dissect.hypervisor reads: bounded, cached, never short without saying so.

The owner file of dissect.hypervisor. Each format's module checks the file first and says in which units the disk is stored; here
only one unit, or a part of one, is asked for at a time, because the library reads wrong bytes across units (VDI: whatever lies behind
the first block) or fails (VMDK: in the last grain). What comes back short, because the file is cut off, is an error and never zeros.

The library never opens a file: it is given streams. What it does not do right with parents is done here instead: a QCOW2 gets its
backing file after its header was read, because the library would take a raw one for QCOW2 by its first bytes; a VMDK grain that was
unmapped is zeros and not the parent's. VHD (no parents in the library), VHDX (it opens parents by path), Parallels and ASIF
(tables without bound in memory; unknown states taken for data) are read in modules of their own.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from dissect.hypervisor.disk.qcow2 import QCow2
from dissect.hypervisor.disk.vdi import VDI
from dissect.hypervisor.disk.vmdk import SparseDisk
from dissect.hypervisor.exceptions import Error as HypervisorError

from forensics.block_cache import CACHE_BYTES, BlockCache
from forensics.errors import ImageError, ImageReadError
from forensics.exhibit import shown
from forensics.media import iter_salvaged
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from forensics.exhibit import SourceFile
    from forensics.media import MediaBlock
    from forensics.source import ByteSource

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
_L2_ENTRY_BYTES = 40  # an int in a list
_MARKER, _SIZE = struct.Struct("<QI"), struct.Struct("<I")  # a compressed grain's address and size, or its size alone
_EMBEDDED_ADDRESS = 1 << 17
_UNMAPPED = 1  # the first nibble of an SESparse grain table's entry


class DiskReader:
    """The media of a virtual disk, read unit by unit. Threads may share it; they take turns."""

    def __init__(self, read: ReadDisk, *, size: int, unit: int, cache_bytes: int = CACHE_BYTES) -> None:
        """`read` gives the disk's bytes; `size` and `unit` are bytes; it is never asked to cross a multiple of `unit`."""
        self._read = read
        self._size = size
        self._unit = unit
        self._cache = BlockCache(cache_bytes)
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


class _Patched:
    """A file as if other bytes stood at some places of it."""

    def __init__(self, file: SourceFile, patches: Mapping[int, bytes]) -> None:
        self._file = file
        self._patches = patches
        self.size = file.size

    def read_at(self, offset: int, length: int) -> bytes:
        data = bytearray(self._file.read_at(offset, length))
        for place, patch in self._patches.items():
            start, end = max(offset, place), min(offset + len(data), place + len(patch))
            if start < end:
                data[start - offset : end - offset] = patch[start - place : end - place]
        return bytes(data)


class _GrainDisk(SparseDisk):  # type: ignore[misc]  # dissect.hypervisor is untyped
    """A sparse extent in which an unmapped grain (SESparse) is zeros; the library reads the parent there, where VMware and QEMU do not."""

    def _lookup_grain(self, grain: int) -> int:
        if self.is_sesparse:
            directory, entry = divmod(grain, self._grain_table_size)
            table = self._lookup_grain_table(directory)
            if table and table[entry] >> 60 == _UNMAPPED:
                return 1  # the library's sign for zeros
        return int(super()._lookup_grain(grain))

    def _read_compressed_grain(self, sector: int) -> bytes:
        """Not more than a grain, whatever the stored size and the compressed data state; the library has no bound."""
        embedded = self.header.flags & _EMBEDDED_ADDRESS
        grain_bytes = self.header.grain_size * _SECTOR_BYTES
        self.fh.seek(sector * _SECTOR_BYTES)
        header = self.fh.read(_MARKER.size if embedded else _SIZE.size)
        stored = (_MARKER.unpack(header)[1]) if embedded else _SIZE.unpack(header)[0]
        return zlib.decompressobj().decompress(self.fh.read(min(stored, 2 * grain_bytes + _SECTOR_BYTES)), grain_bytes)


class _Sectors:
    """A byte source as the library asks a VMDK's parent for it."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source

    def read_sectors(self, sector: int, count: int) -> bytes:
        return self._source.read_at(sector * _SECTOR_BYTES, count * _SECTOR_BYTES)


def open_qcow2(
    file: SourceFile, head: bytes, *, data: ByteSource | None = None, backing: ByteSource | None = None, cache_bytes: int = CACHE_BYTES
) -> ReadDisk:
    """The disk of a QCOW2 file that is read as if it began with `head`, which states no backing file.

    Args:
        file: it holds the tables.
        head: header as the library understands it.
        data: what holds the clusters; None if the file itself does.
        backing: what is read where no cluster is; None for zeros.
        cache_bytes: how much of its tables may be kept.
    """

    def opened() -> ReadDisk:
        disk = QCow2(SourceStream(_Patched(file, {0: head})), data_file=_beneath(data))
        disk.backing_file = _beneath(backing)
        # The library keeps 128 level-2 tables, whatever their size: over a gigabyte with clusters of 2 MiB.
        kept = max(1, min(128, cache_bytes // 2 // (disk.l2_size * _L2_ENTRY_BYTES)))
        disk.l2_table = lru_cache(kept)(disk.l2_table.__wrapped__)
        return _of_stream(disk.open())

    return _translated(file, opened)


def open_vmdk(file: SourceFile, patches: Mapping[int, bytes], parent: ByteSource | None = None) -> ReadDisk:
    """One sparse VMDK extent, as if those bytes stood at those places of it, over the same range of its parent's disk.

    Not the library's whole VMDK: that wants a parent's identifier in every extent, and would open a parent by its path.
    """

    def opened() -> ReadDisk:
        return _of_sectors(_GrainDisk(SourceStream(_Patched(file, patches)), parent=_Sectors(parent) if parent else None))

    return _translated(file, opened)


def open_vdi(file: SourceFile, parent: ByteSource | None = None) -> ReadDisk:
    """The disk of a VDI, over its parent's."""
    return _translated(file, lambda: _of_stream(VDI(SourceStream(file), _beneath(parent)).open()))


def unit_of(block_size: int) -> int:
    """The largest unit to read at once from a disk stored in blocks of that size in bytes: the block, or an even part of it."""
    unit = block_size
    while unit > MAX_UNIT_BYTES and unit % 2 == 0:
        unit //= 2
    return unit


def by_block(read: Callable[[int, int, int], bytes], block_size: int) -> ReadDisk:
    """Reads cut at the borders of blocks: `read` is asked for a block's index, an offset inside the block and a length."""

    def read_disk(offset: int, length: int) -> bytes:
        parts = []
        while length > 0:
            index, skip = divmod(offset, block_size)
            part = min(length, block_size - skip)
            parts.append(read(index, skip, part))
            offset += part
            length -= part
        return b"".join(parts)

    return read_disk


def _beneath(source: ByteSource | None) -> SourceStream | None:
    """A stream that asks for no sector more than it is asked for, so that what is damaged below costs nothing beside it."""
    if source is None:
        return None
    stream = SourceStream(source)
    stream.align = _SECTOR_BYTES
    return stream


def _of_stream(stream: Any) -> ReadDisk:
    def read(offset: int, length: int) -> bytes:
        stream.seek(offset)
        return bytes(stream.read(length))

    return read


def _of_sectors(disk: Any) -> ReadDisk:
    """Not through the disk's own stream: that rounds up to 8 KiB and then asks for what lies behind the end."""

    def read(offset: int, length: int) -> bytes:
        first, end = offset // _SECTOR_BYTES, -(-(offset + length) // _SECTOR_BYTES)
        data = bytes(disk.read_sectors(first, end - first))
        return data[offset - first * _SECTOR_BYTES :][:length]

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
