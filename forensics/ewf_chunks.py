"""The chunks of an EWF image: where each lies, and its bytes with their checksum checked on every read.

A chunk is stored deflated (its zlib stream ends in an Adler-32) or plain and followed by an Adler-32. A table section lists the
chunks before it; its entries have a checksum of their own and a copy in the section table2.

References: Expert Witness Compression Format specification, "Table section", "Table2 section", "Chunks of data".
"""

from __future__ import annotations

import struct
import zlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forensics.errors import ImageReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from forensics.ewf_sections import Section, SegmentChain
    from forensics.exhibit import SourceFile

TABLE_HEADER = struct.Struct("<IIQII")
_CHECKED = TABLE_HEADER.size - 4
_CHECKSUM = struct.Struct("<I")
_ENTRY_BYTES = 4
_COMPRESSED = 0x8000_0000
# A deflated chunk is at most a little larger than the chunk; what is beyond that is another chunk's.
_DEFLATE_MARGIN = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTable:
    """One table section: `count` chunks from index `first` on, whose entries stand in `copies` (table, table2)."""

    file: SourceFile
    first: int
    count: int
    base: int
    copies: tuple[int, ...]
    areas: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ChunkPlaces:
    """Where a table's chunks lie: chunk i is `file[starts[i] : ends[i]]`, deflated or plain."""

    starts: Sequence[int]
    ends: Sequence[int]
    deflated: Sequence[int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The data of a chunk, and what is wrong with it; "" where its checksum holds. Damaged data is as stored, or empty."""

    data: bytes | memoryview
    fault: str = ""


def find_tables(file: SourceFile, chain: SegmentChain, first: int) -> list[ChunkTable]:
    """The chunk tables of a segment in order, the first chunk being number `first`; nothing is read but their headers.

    Raises:
        ImageReadError: neither a table's header nor that of its copy passes its checksum.
    """
    areas = tuple((section.data_start, section.data_end) for section in chain.all_of("sectors"))
    tables: list[ChunkTable] = []
    for at, section in enumerate(chain.sections):
        if section.kind != "table":
            continue
        following = chain.sections[at + 1] if at + 1 < len(chain.sections) else None
        candidates = [section] + ([following] if following is not None and following.kind == "table2" else [])
        headers = [(one, _table_header(file, one)) for one in candidates]
        good = [(one.data_start + TABLE_HEADER.size, header) for one, header in headers if header is not None]
        if not good:
            message = f"{file.name}: the chunk table at byte {section.offset} is damaged, and so is its copy"
            raise ImageReadError(message)
        count, base = good[0][1]
        copies = tuple(start for start, header in good if header == (count, base))
        own = (section.data_start, section.data_end)  # EnCase 1 and SMART keep the chunks inside the table section
        tables.append(ChunkTable(file=file, first=first, count=count, base=base, copies=copies, areas=(*areas, own)))
        first += count
    return tables


def load_places(table: ChunkTable) -> ChunkPlaces:
    """Where the table's chunks lie, from the first of its copies whose checksum holds.

    Raises:
        ImageReadError: none holds, or the entries contradict each other.
    """
    why = ""
    for start in table.copies:
        raw = table.file.read_at(start, table.count * _ENTRY_BYTES + _CHECKSUM.size)
        entries, stored = raw[: table.count * _ENTRY_BYTES], raw[table.count * _ENTRY_BYTES :]
        if len(entries) < table.count * _ENTRY_BYTES:
            why = "it is cut off"
        elif _entries_hold(table, start, entries, stored):
            return _places(table, entries)
        else:
            why = "its entries fail their checksum"
    message = f"{table.file.name}: the table of chunks {table.first} to {table.first + table.count - 1} cannot be used: {why}"
    raise ImageReadError(message)


def read_chunks(table: ChunkTable, places: ChunkPlaces, start: int, stop: int, sizes: Sequence[int]) -> list[Chunk]:
    """The table's chunks `start` to `stop`, exclusive, each of the size in bytes that `sizes` expects of it."""
    low, high = min(places.starts[start:stop]), max(places.ends[start:stop])
    if high - low <= 2 * sum(sizes) + _DEFLATE_MARGIN:
        # They lie together, as writers leave them: one read for all.
        whole = memoryview(table.file.read_at(low, high - low))
        stored = [whole[places.starts[i] - low : places.ends[i] - low] for i in range(start, stop)]
    else:
        stored = [
            memoryview(table.file.read_at(places.starts[i], min(places.ends[i] - places.starts[i], 2 * size + _DEFLATE_MARGIN)))
            for i, size in zip(range(start, stop), sizes, strict=True)
        ]
    return [
        inflate_chunk(one, size) if places.deflated[i] else plain_chunk(one, size)
        for i, one, size in zip(range(start, stop), stored, sizes, strict=True)
    ]


def _table_header(file: SourceFile, section: Section) -> tuple[int, int] | None:
    raw = file.read_at(section.data_start, TABLE_HEADER.size)
    if len(raw) < TABLE_HEADER.size or zlib.adler32(raw[:_CHECKED]) != _CHECKSUM.unpack(raw[_CHECKED:])[0]:
        return None
    count, _, base, _, _ = TABLE_HEADER.unpack(raw)
    if section.data_start + TABLE_HEADER.size + count * _ENTRY_BYTES > section.data_end:
        return None
    return count, base


def _entries_hold(table: ChunkTable, start: int, entries: bytes, stored: bytes) -> bool:
    """Whether the checksum behind the entries holds; SMART and the first EWF writers left it out, and chunks begin there."""
    if len(stored) == _CHECKSUM.size and zlib.adler32(entries) == _CHECKSUM.unpack(stored)[0]:
        return True
    first: int = _CHECKSUM.unpack_from(entries)[0] & ~_COMPRESSED
    return table.base + first == start + len(entries)


def _places(table: ChunkTable, entries: bytes) -> ChunkPlaces:
    raw = np.frombuffer(entries, dtype="<u4").astype(np.int64)
    offsets = raw & ~_COMPRESSED
    deflated = (raw & _COMPRESSED) != 0
    # EnCase 6.7 writes segments over 2 GiB: from the chunk whose offset passes 2**31 on, the top bit belongs to the offset
    # and the chunks are plain (specification, "Table section", EnCase 6.7.1).
    falls = np.flatnonzero(np.diff(offsets) <= 0)
    if falls.size:
        turn = int(falls[0]) + 1
        offsets[turn:] = raw[turn:]
        deflated[turn:] = False
    starts = offsets + table.base
    last = int(starts[-1])
    end = next((stop for start, stop in table.areas if start <= last < stop), 0)
    ends = np.append(starts[1:], end)
    if bool((ends <= starts).any()) or int(starts[0]) < 0 or int(ends[-1]) > table.file.size:
        message = f"{table.file.name}: the table of chunks {table.first} to {table.first + table.count - 1} contradicts itself"
        raise ImageReadError(message)
    return ChunkPlaces(_compact(starts), _compact(ends), deflated.tobytes())


def _compact(values: npt.NDArray[np.int64]) -> array[int]:
    """8 bytes a value; a list takes five times that, and a table may have millions."""
    return array("q", values.tobytes())


def inflate_chunk(stored: memoryview, size: int) -> Chunk:
    """The chunk of that size in bytes whose zlib stream, with its Adler-32, is at the start of what is stored."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stored, size + 1)
        if len(data) >= size and not inflater.eof:
            data += inflater.decompress(inflater.unconsumed_tail, 1)  # reads the Adler-32 behind the data
    except zlib.error as error:
        return Chunk(b"", f"does not inflate ({error})")
    if not inflater.eof or len(data) < size:
        return Chunk(data[:size], "inflates to less or more than a chunk")
    return Chunk(data[:size])


def plain_chunk(stored: memoryview, size: int) -> Chunk:
    """The chunk of that size in bytes which is stored as it is, an Adler-32 behind it."""
    data = stored[:size]
    if len(stored) < size + _CHECKSUM.size:
        return Chunk(data, "is stored shorter than a chunk")
    for at in (size, len(stored) - _CHECKSUM.size):
        # The last chunk of the media may be stored at its full size, padded; then its checksum covers the padding.
        if zlib.adler32(stored[:at]) == _CHECKSUM.unpack(stored[at : at + _CHECKSUM.size])[0]:
            return Chunk(data)
    return Chunk(data, "fails its checksum")
