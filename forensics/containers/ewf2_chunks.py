"""The chunks of an EWF 2 image: where each lies, and its bytes with their checksum checked on every read.

A chunk is compressed (its stream ends in a checksum of its own), a pattern of 8 bytes repeated, or plain and followed by an
Adler-32.

References: Expert Witness Compression Format 2 specification, "Sector data", "Sector table".
"""

from __future__ import annotations

import bz2
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.containers.ewf2_sections import Compression, SectionKind
from forensics.errors import ImageError, ImageReadError
from forensics.ewf_chunks import Chunk, inflate_chunk, plain_chunk
from forensics.exhibit import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.containers.ewf2_sections import Segment2

TABLE_HEADER = struct.Struct("<QI4xI12x")
ENTRY = struct.Struct("<QII")
_HEADER_CHECKED = 16
_CHECKSUM = struct.Struct("<I")
_COMPRESSED, _CHECKSUMED, _PATTERN = 1, 2, 4
_PATTERN_BYTES = 8
# A compressed chunk is at most a little larger than the chunk.
_MARGIN = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorTable:
    """One sector table: `count` chunks from index `first` on, their entries as `file[start : start + 16 * count]`."""

    segment: Segment2
    first: int
    count: int
    start: int


def find_sector_tables(segment: Segment2) -> list[SectorTable]:
    """The segment's sector tables in order; nothing is read but their headers.

    Raises:
        ImageError: a header fails its checksum or states more than its section holds.
    """
    tables = []
    for section in segment.all_of(SectionKind.TABLE):
        raw = segment.file.read_at(section.start, TABLE_HEADER.size)
        where = f"{shown(segment.file.path)}: the sector table at byte {section.start}"
        if len(raw) < TABLE_HEADER.size or zlib.adler32(raw[:_HEADER_CHECKED]) != TABLE_HEADER.unpack(raw)[2]:
            message = f"{where} fails its checksum. Use another copy of the image."
            raise ImageError(message)
        first, count, _ = TABLE_HEADER.unpack(raw)
        start = section.start + TABLE_HEADER.size
        if start + count * ENTRY.size + _CHECKSUM.size > section.end:
            message = f"{where} states {count} chunks, more than its section holds"
            raise ImageError(message)
        tables.append(SectorTable(segment=segment, first=first, count=count, start=start))
    return tables


def load_entries(table: SectorTable) -> bytes:
    """The table's entries, 16 bytes each.

    Raises:
        ImageReadError: they fail their checksum.
    """
    size = table.count * ENTRY.size
    raw = table.segment.file.read_at(table.start, size + _CHECKSUM.size)
    if len(raw) < size + _CHECKSUM.size or zlib.adler32(raw[:size]) != _CHECKSUM.unpack(raw[size:])[0]:
        last = table.first + table.count - 1
        message = f"{table.segment.file.name}: the table of chunks {table.first} to {last} cannot be used: its entries fail their checksum"
        raise ImageReadError(message)
    return raw[:size]


def read_entry_chunks(table: SectorTable, entries: bytes, start: int, stop: int, sizes: Sequence[int]) -> list[Chunk]:
    """The table's chunks `start` to `stop`, exclusive, each of the size in bytes that `sizes` expects of it.

    Raises:
        ImageReadError: the system cannot read the file.
    """
    places = list(ENTRY.iter_unpack(entries[start * ENTRY.size : stop * ENTRY.size]))
    return [_read_chunk(table.segment, (offset, length, flags), size) for (offset, length, flags), size in zip(places, sizes, strict=True)]


def _read_chunk(segment: Segment2, place: tuple[int, int, int], size: int) -> Chunk:
    offset, stored_size, flags = place
    if flags & _COMPRESSED and flags & _PATTERN:
        return Chunk((offset.to_bytes(_PATTERN_BYTES, "little") * (size // _PATTERN_BYTES + 1))[:size])
    if offset + stored_size > segment.file.size or stored_size > 2 * size + _MARGIN:
        return Chunk(b"", f"is stated as {stored_size} bytes at byte {offset} of {segment.file.name}, where they are not")
    if flags & _COMPRESSED:
        stored = memoryview(segment.file.read_at(offset, stored_size))
        return _unbzip(stored, size) if segment.compression is Compression.BZIP2 else inflate_chunk(stored, size)
    if flags & _CHECKSUMED:
        # Some writers count the checksum into the stored size, some do not.
        return plain_chunk(memoryview(segment.file.read_at(offset, max(stored_size, size + _CHECKSUM.size))), size)
    data = segment.file.read_at(offset, min(stored_size, size))
    return Chunk(data, "" if len(data) == size else "is stored shorter than a chunk")


def _unbzip(stored: memoryview, size: int) -> Chunk:
    decompressor = bz2.BZ2Decompressor()
    try:
        data = decompressor.decompress(stored, size + 1)
        if len(data) >= size and not decompressor.eof:
            data += decompressor.decompress(b"", 1)  # reads the checksum behind the data
    except OSError as error:
        return Chunk(b"", f"does not decompress ({error})")
    if not decompressor.eof or len(data) < size:
        return Chunk(data[:size], "decompresses to less or more than a chunk")
    return Chunk(data[:size])
