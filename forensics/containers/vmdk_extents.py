"""The extents of a VMDK: flat, sparse in three formats, or zeros without a file; and their joining.

References: VMware Virtual Disk Format 1.1, "Hosted sparse extent header", "ESX Server sparse extent header"; QEMU block/vmdk.c,
VMDKSESparseConstHeader and VMDKSESparseVolatileHeader.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from forensics.containers.disk import MAX_UNIT_BYTES, DiskReader, open_vmdk, unit_of
from forensics.containers.vmdk_descriptor import SECTOR_BYTES
from forensics.errors import ImageError, UnsupportedImageError
from forensics.exhibit import shown
from forensics.media import iter_salvaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.containers.vmdk_descriptor import Extent
    from forensics.exhibit import SourceFile
    from forensics.media import MediaBlock, MediaReader
    from forensics.source import ByteSource

FLAT, SPARSE, ZERO = ("FLAT", "VMFS"), ("SPARSE", "VMFSSPARSE", "SESPARSE"), ("ZERO",)
_HOSTED = struct.Struct("<4sIIQQQQIQQ")  # magic, version, flags, capacity, grain, descriptor, its size, entries, two directories
_COWD = struct.Struct("<4sIIIIII")  # magic, version, flags, capacity, grain, directory, its entries
_SESPARSE = struct.Struct("<18Q")
_HOSTED_MAGIC, _COWD_MAGIC, _SESPARSE_MAGIC = b"KDMV", b"COWD", b"\xbe\xba\xfe\xca\0\0\0\0"
_DESCRIPTOR_SIZE_OFFSET = 36  # in a hosted sparse header
_SESPARSE_VOLATILE, _SESPARSE_DIRECTORY_SIZE = 10, 17  # which of the fields
_REPLAY_OFFSET = 24  # of replay_journal in the volatile header, bytes
_FOOTER_OFFSET = 1024  # from the end
_AT_THE_END = 2**64 - 1
_MAX_SECTORS, _MAX_GRAIN_SECTORS = 1 << 48, MAX_UNIT_BYTES // SECTOR_BYTES * 64
_MAX_TABLE_ENTRIES, _MAX_DIRECTORY_ENTRIES = 4096, 1 << 22  # the library holds both in memory; 64 TiB take 2^22 entries
_COWD_TABLE_ENTRIES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseHeader:
    """Capacity, grain, the embedded descriptor's place and size (0 if there is none), and where copies of the header lie; bytes."""

    size: int
    grain: int
    descriptor_at: int = 0
    descriptor_size: int = 0
    copies: tuple[int, ...] = ()


class ZeroReader:
    """An extent of zeros without a file."""

    def __init__(self, size: int) -> None:
        self._size = size

    def read_at(self, _offset: int, length: int) -> bytes:
        """That many zeros, as the descriptor states."""
        return bytes(length)

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All of them."""
        return iter_salvaged(self.read_at, self._size)


class ExtentReader:
    """Extents, one after the other."""

    def __init__(self, readers: Sequence[MediaReader], sizes: Sequence[int]) -> None:
        self._readers = tuple(readers)
        self._starts = (0, *accumulate(sizes))

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `media[offset : offset + length]`.

        Raises:
            ImageReadError: an extent does not give all of them.
        """
        parts = []
        while length > 0:
            index = bisect_right(self._starts, offset) - 1
            part = self._readers[index].read_at(offset - self._starts[index], min(length, self._starts[index + 1] - offset))
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes in order; what an extent does not give as zeros, and named."""
        return iter_salvaged(self.read_at, self._starts[-1])


def extent_reader(file: SourceFile, extent: Extent, parent: ByteSource | None, cache_bytes: int) -> MediaReader:
    """One extent in its file; `parent` is the same range of the disk of which it is a snapshot.

    Raises:
        UnsupportedImageError: a sparse extent was not closed cleanly.
        ImageError: the file does not hold what is stated, or is damaged.
    """
    if extent.kind in FLAT:
        if extent.start_byte + extent.size > file.size:
            message = f"{shown(file.path)}: is cut off: the VMDK descriptor states {extent.size} bytes, {file.size} are there"
            raise ImageError(message)
        start = extent.start_byte
        return DiskReader(
            lambda offset, length: file.read_at(start + offset, length), size=extent.size, unit=MAX_UNIT_BYTES, cache_bytes=cache_bytes
        )
    header = sparse_header(file)
    if header.size < extent.size:
        message = f"{shown(file.path)}: the VMDK descriptor states {extent.size} bytes, the extent itself {header.size}"
        raise ImageError(message)
    return sparse_reader(file, header, parent, cache_bytes)


def sparse_reader(file: SourceFile, header: SparseHeader, parent: ByteSource | None, cache_bytes: int) -> DiskReader:
    """A sparse extent over the same range of its parent's disk, or over zeros."""
    patches = {}
    if header.descriptor_size:
        # The library would decode the descriptor as UTF-8 and fail; it is read here, and not needed there.
        patches = {place + _DESCRIPTOR_SIZE_OFFSET: bytes(8) for place in header.copies}
    return DiskReader(open_vmdk(file, patches, parent), size=header.size, unit=unit_of(header.grain), cache_bytes=cache_bytes)


def sparse_header(file: SourceFile) -> SparseHeader:
    """What the header of a sparse extent states, checked so that the library can be given the file.

    Raises:
        UnsupportedImageError: it was not closed cleanly.
        ImageError: it states what cannot be.
    """
    raw = file.read_at(0, SECTOR_BYTES).ljust(SECTOR_BYTES, b"\0")
    if raw.startswith(_COWD_MAGIC):
        _, _, _, capacity, grain, _, directory = _COWD.unpack_from(raw)
        return _checked(file, capacity, grain, table=_COWD_TABLE_ENTRIES, directory=directory)
    if raw.startswith(_SESPARSE_MAGIC):
        fields = _SESPARSE.unpack_from(raw)
        volatile = file.read_at(fields[_SESPARSE_VOLATILE] * SECTOR_BYTES + _REPLAY_OFFSET, 8)
        if any(volatile):
            message = f"{shown(file.path)}: was not closed cleanly: its journal is not replayed here; let ESXi open it once in a copy"
            raise UnsupportedImageError(message)
        table, directory = (fields[number] * SECTOR_BYTES // 8 for number in (4, _SESPARSE_DIRECTORY_SIZE))
        return _checked(file, fields[2], fields[3], table=table, directory=directory)
    capacity, grain, at, length, directory = _hosted(file, 0)
    copies: tuple[int, ...] = (0,)
    if directory == _AT_THE_END:  # the library then goes by the copy in the footer
        copies = (0, max(0, file.size - _FOOTER_OFFSET))
        _hosted(file, copies[-1])
    return SparseHeader(size=capacity, grain=grain, descriptor_at=at * SECTOR_BYTES, descriptor_size=length * SECTOR_BYTES, copies=copies)


def _hosted(file: SourceFile, place: int) -> tuple[int, int, int, int, int]:
    """Capacity and grain in bytes, the descriptor's place and size in sectors, and the place of the grain directory in sectors."""
    raw = file.read_at(place, _HOSTED.size)
    if not raw.startswith(_HOSTED_MAGIC) or len(raw) < _HOSTED.size:
        message = f"{shown(file.path)}: is no sparse extent of a VMDK, or lost the copy of its header at the end"
        raise ImageError(message)
    _, _, _, capacity, grain, at, length, table, _, directory = _HOSTED.unpack(raw)
    checked = _checked(file, capacity, grain, table=table, directory=-(-capacity // max(1, table * grain)))
    return checked.size, checked.grain, at, length, directory


def _checked(file: SourceFile, capacity: int, grain: int, *, table: int, directory: int) -> SparseHeader:
    if not (0 < capacity < _MAX_SECTORS and 0 < grain <= _MAX_GRAIN_SECTORS):
        message = f"{shown(file.path)}: its VMDK header states {capacity} sectors in grains of {grain}, which cannot be"
        raise ImageError(message)
    if not (0 < table <= _MAX_TABLE_ENTRIES and 0 < directory <= _MAX_DIRECTORY_ENTRIES) or directory * table * grain < capacity:
        message = f"{shown(file.path)}: its VMDK header states {directory} grain tables of {table} entries, which cannot be"
        raise ImageError(message)
    return SparseHeader(size=capacity * SECTOR_BYTES, grain=grain * SECTOR_BYTES)
