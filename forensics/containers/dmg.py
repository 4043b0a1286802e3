"""DMG (Apple UDIF): chunks of a disk, each stored, left out or compressed by itself, listed in tables that a property list holds.

References:
    Apple publishes no specification; the structures are those of hdiutil's resource "blkx" as libmodi's documentation describes them
    ("Mac OS disk image types", UDIF).
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from forensics.block_cache import BlockCache
from forensics.boundary import attempt
from forensics.containers.dmg_chunks import IGNORE, NOT_LISTED, RAW, SECTOR_BYTES, ZERO, unpack_chunk
from forensics.containers.dmg_tables import read_tables
from forensics.errors import ImageError, ImageReadError, Problem, SegmentMissingError, Stage
from forensics.exhibit import Container, shown
from forensics.media import Damage, Media, MediaBlock, iter_salvaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.containers.dmg_chunks import Chunk
    from forensics.containers.dmg_tables import Table
    from forensics.exhibit import SourceFile

_KOLY = struct.Struct(">4sIII QQQQQ II 16x II 128x QQ 120x II 128x IQ 12x")
_MAX_PLIST_BYTES = 256 << 20
_MAX_SECTORS = 1 << 46
_MOST_PROBLEMS = 100
_MOST_FAILURES = 64


class DmgReader:
    """The media of a DMG. Ranges that no table has are zeros, as hdiutil gives them; opening it says where they are."""

    def __init__(self, file: SourceFile, chunks: list[Chunk], tables: list[Table], size: int, data_start: int) -> None:
        self._file, self._chunks, self._tables, self._size, self._data_start = file, chunks, tables, size, data_start
        self._starts = [chunk.start for chunk in chunks]
        self._ignored = [chunk for chunk in chunks if chunk.type == IGNORE]
        self._cache = BlockCache()
        self._failures: dict[int, str] = {}

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the media.

        Raises:
            ImageReadError: a chunk is damaged.
        """
        end, parts = offset + length, []
        while offset < end:
            index = bisect_right(self._starts, offset) - 1
            chunk = self._chunks[index] if index >= 0 else None
            if chunk is None or offset >= chunk.end:
                following = self._starts[index + 1] if index + 1 < len(self._starts) else end
                parts.append(bytes(min(end, following) - offset))
            else:
                parts.append(self._read_chunk(index, chunk, offset - chunk.start, min(end, chunk.end) - offset))
            offset += len(parts[-1])
        return b"".join(parts)

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes in order; what cannot be read as zeros, and named; a range whose checksum fails is named at its end."""
        ends = {table.end: table for table in self._tables if table.crc is not None}
        cuts = sorted({0, self._size, *(table.start for table in ends.values()), *ends})
        for first, last in pairwise(cuts):
            crc, is_damaged, position = 0, False, first
            for block in iter_salvaged(lambda at, length, first=first: self.read_at(first + at, length), last - first):  # type: ignore[misc]
                crc = self._checksum(block.data, position, crc)
                position += len(block.data)
                damage = tuple(_moved(one, first) for one in block.damage)
                is_damaged = is_damaged or bool(damage)
                yield MediaBlock(block.data, damage)
            table = ends.get(last)
            if table is not None and table.start == first and not is_damaged and crc != table.crc:
                why = f"its CRC-32 is {crc:08x}, the image states {table.crc:08x}"
                yield MediaBlock(b"", (Damage(start_byte=first, size_bytes=table.size, code="chunk-checksum", why=why),))

    def _checksum(self, data: bytes, start: int, crc: int) -> int:
        """The CRC-32 goes on over `data`, which is `media[start : …]`; hdiutil leaves the chunks out that are to be ignored."""
        view, position, end = memoryview(data), start, start + len(data)
        for index in range(bisect_right(self._ignored, start, key=lambda chunk: chunk.end), len(self._ignored)):
            chunk = self._ignored[index]
            if chunk.start >= end:
                break
            crc = zlib.crc32(view[position - start : max(position, chunk.start) - start], crc)
            position = min(end, chunk.end)
        return zlib.crc32(view[position - start :], crc)

    def _read_chunk(self, index: int, chunk: Chunk, skip: int, length: int) -> bytes:
        if chunk.type in (ZERO, IGNORE):
            return bytes(length)
        if chunk.type == NOT_LISTED:
            message = f"bytes {chunk.start} to {chunk.end - 1} of the media are in no chunk, although their table says that it has them"
            raise ImageReadError(message)
        if chunk.type == RAW:
            data = self._file.read_at(self._data_start + chunk.at + skip, length)
            if len(data) != length:
                message = f"bytes {chunk.start + skip} to {chunk.start + skip + length - 1} of the media are behind the end of the file"
                raise ImageReadError(message)
            return data
        kept = self._cache.get(index)
        if kept is None:
            kept = self._unpacked(index, chunk)
            self._cache.put(index, kept)
        return kept[skip : skip + length]

    def _unpacked(self, index: int, chunk: Chunk) -> bytes:
        if index not in self._failures:
            stored = self._file.read_at(self._data_start + chunk.at, chunk.length)
            found: list[bytes] = []
            error = attempt(lambda: found.append(unpack_chunk(chunk.type, stored, chunk.size)))
            if error is None and len(stored) == chunk.length:
                return found[0]
            if len(self._failures) >= _MOST_FAILURES:
                self._failures.clear()
            # Kept, because what can be saved around a damaged chunk is read in small parts, and the decoders are slow.
            self._failures[index] = "the file ends in it" if len(stored) != chunk.length else str(error)
        where = f"bytes {chunk.start} to {chunk.end - 1} of the media"
        message = f"{where} cannot be read: the chunk is damaged or cut off ({self._failures[index]})"
        raise ImageReadError(message)


def open_dmg(file: SourceFile) -> Media:
    """The media of a DMG in one file.

    Raises:
        SegmentMissingError: it is one of several segments.
        ImageError: its trailer or its tables cannot be.
    """
    raw = file.read_at(file.size - _KOLY.size, _KOLY.size)
    koly = _KOLY.unpack(raw)
    data_start, segment_count = koly[5], koly[10]
    xml_offset, xml_length, sectors = koly[13], koly[14], koly[18]
    if segment_count > 1:
        message = f"{shown(file.path)}: is segment {koly[9]} of {segment_count} of a DMG; join them with hdiutil and give the whole"
        raise SegmentMissingError(message)
    if xml_offset + xml_length > file.size or not 0 < xml_length <= _MAX_PLIST_BYTES or not 0 < sectors <= _MAX_SECTORS:
        message = (
            f"{shown(file.path)}: its DMG trailer states {sectors} sectors and a property list of {xml_length} bytes at byte {xml_offset}, "
            "which cannot be"
        )
        raise ImageError(message)
    size = sectors * SECTOR_BYTES
    chunks, tables = read_tables(file, file.read_at(xml_offset, xml_length), size)
    return Media(
        container=Container.DMG,
        size=size,
        files=(file,),
        reader=DmgReader(file, chunks, tables, size, data_start),
        problems=tuple(_not_listed(tables, size)),
    )


def _not_listed(tables: Sequence[Table], size: int) -> list[Problem]:
    """The ranges of the disk that are in no table."""
    edges = [(0, 0), *((table.start, table.end) for table in tables), (size, size)]
    gaps = [(before[1], after[0]) for before, after in pairwise(edges) if before[1] < after[0]]
    return [
        Problem(
            stage=Stage.IMAGE,
            code="dmg-range-not-listed",
            what=f"Bytes {start} to {end - 1} of the disk are in no table of the image; they are given as zeros.",
            why="the tool that made the image left them out, or a table was lost",
            advice="Open the image with hdiutil and compare.",
            start_byte=start,
            size_bytes=end - start,
        )
        for start, end in gaps[:_MOST_PROBLEMS]
    ]


def _moved(damage: Damage, by: int) -> Damage:
    return Damage(start_byte=damage.start_byte + by, size_bytes=damage.size_bytes, code=damage.code, why=damage.why, chunks=damage.chunks)
