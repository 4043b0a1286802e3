"""DMG (Apple UDIF): chunks of a disk, each stored, left out or compressed by itself, listed in tables that a property list holds.

References:
    Apple publishes no specification; the structures are those of hdiutil's resource "blkx" as libmodi's documentation describes them
    ("Mac OS disk image types", UDIF).
"""

from __future__ import annotations

import bz2
import lzma
import plistlib
import struct
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from dissect.util.compression import lzfse

from forensics.block_cache import BlockCache
from forensics.boundary import attempt
from forensics.errors import ImageError, ImageReadError, SegmentMissingError
from forensics.exhibit import Container, shown
from forensics.media import Damage, Media, MediaBlock, iter_salvaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.exhibit import SourceFile

_KOLY = struct.Struct(">4sIII QQQQQ II 16x II 128x QQ 120x II 128x IQ 12x")
_MISH = struct.Struct(">4sIQQQII24xII128sI")
_CHUNK = struct.Struct(">IIQQQQ")
_SECTOR_BYTES = 512
_MAX_PLIST_BYTES = 256 << 20
_MAX_CHUNKS = 16_000_000
_MAX_CHUNK_BYTES = 64 << 20  # hdiutil writes 1 MiB at the most
_MAX_SECTORS = 1 << 46
_CRC32 = 2
_ZERO, _RAW, _IGNORE, _COMMENT, _END = 0, 1, 2, 0x7FFFFFFE, 0xFFFFFFFF
_ADC, _ZLIB, _BZIP2, _LZFSE, _LZMA = 0x80000004, 0x80000005, 0x80000006, 0x80000007, 0x80000008
_COMPRESSED = (_ADC, _ZLIB, _BZIP2, _LZFSE, _LZMA)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """`media[start : start + size]`, kept in `file[at : at + length]`."""

    start: int
    size: int
    type: int
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class _Table:
    """The range of one table, and the CRC-32 that it states of it; None where it states none."""

    start: int
    size: int
    crc: int | None


class DmgReader:
    """The media of a DMG. Ranges that no table has are zeros, as hdiutil gives them."""

    def __init__(self, file: SourceFile, chunks: list[_Chunk], tables: list[_Table], size: int, data_start: int) -> None:
        self._file, self._chunks, self._tables, self._size, self._data_start = file, chunks, tables, size, data_start
        self._starts = [chunk.start for chunk in chunks]
        self._cache = BlockCache()

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the media.

        Raises:
            ImageReadError: a chunk is damaged.
        """
        end, parts = offset + length, []
        while offset < end:
            index = bisect_right(self._starts, offset) - 1
            chunk = self._chunks[index] if index >= 0 else None
            if chunk is None or offset >= chunk.start + chunk.size:
                following = self._starts[index + 1] if index + 1 < len(self._starts) else end
                parts.append(bytes(min(end, following) - offset))
            else:
                take = min(end, chunk.start + chunk.size) - offset
                parts.append(self._read_chunk(index, chunk, offset - chunk.start, take))
            offset += len(parts[-1])
        return b"".join(parts)

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes in order; what cannot be read as zeros, and named; a range whose checksum fails is named at its end."""
        ends = {table.start + table.size: table for table in self._tables if table.crc is not None}
        cuts = sorted({0, self._size, *(table.start for table in ends.values()), *ends})
        for first, last in pairwise(cuts):
            crc, is_damaged = 0, False
            for block in iter_salvaged(lambda at, length, first=first: self.read_at(first + at, length), last - first):  # type: ignore[misc]
                crc = zlib.crc32(block.data, crc)
                damage = tuple(_moved(one, first) for one in block.damage)
                is_damaged = is_damaged or bool(damage)
                yield MediaBlock(block.data, damage)
            table = ends.get(last)
            if table is not None and table.start == first and not is_damaged and crc != table.crc:
                why = f"its CRC-32 is {crc:08x}, the image states {table.crc:08x}"
                yield MediaBlock(b"", (Damage(start_byte=first, size_bytes=table.size, code="chunk-checksum", why=why),))

    def _read_chunk(self, index: int, chunk: _Chunk, skip: int, length: int) -> bytes:
        if chunk.type in (_ZERO, _IGNORE):
            return bytes(length)
        if chunk.type == _RAW:
            data = self._file.read_at(self._data_start + chunk.at + skip, length)
            if len(data) != length:
                message = f"bytes {chunk.start + skip} to {chunk.start + skip + length - 1} of the media are behind the end of the file"
                raise ImageReadError(message)
            return data
        kept = self._cache.get(index)
        if kept is None:
            kept = self._unpacked(chunk)
            self._cache.put(index, kept)
        return kept[skip : skip + length]

    def _unpacked(self, chunk: _Chunk) -> bytes:
        where = f"bytes {chunk.start} to {chunk.start + chunk.size - 1} of the media"
        stored = self._file.read_at(self._data_start + chunk.at, chunk.length)
        found: list[bytes] = []
        error = attempt(lambda: found.append(_unpack(chunk.type, stored, chunk.size)))
        if error is not None or len(stored) != chunk.length:
            message = f"{where} cannot be read: the chunk is damaged or cut off ({error or 'the file ends in it'})"
            raise ImageReadError(message) from error
        if len(found[0]) != chunk.size:
            message = f"{where} cannot be read: the chunk unpacks to {len(found[0])} bytes where {chunk.size} should be"
            raise ImageReadError(message)
        return found[0]


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
        message = f"{shown(file.path)}: its DMG trailer states {sectors} sectors and a property list at byte {xml_offset}, which cannot be"
        raise ImageError(message)
    size = sectors * _SECTOR_BYTES
    chunks, tables = _read_tables(file, file.read_at(xml_offset, xml_length), size)
    return Media(
        container=Container.DMG,
        size=size,
        files=(file,),
        reader=DmgReader(file, chunks, tables, size, data_start),
    )


def _read_tables(file: SourceFile, plist: bytes, size: int) -> tuple[list[_Chunk], list[_Table]]:
    blocks: list[bytes] = []

    def parse() -> None:
        # plistlib refuses entity declarations by itself.
        stored = plistlib.loads(plist, fmt=plistlib.FMT_XML)
        blocks.extend(bytes(one["Data"]) for one in stored["resource-fork"]["blkx"])

    error = attempt(parse)
    if error is not None:
        message = f"{shown(file.path)}: the property list of the DMG cannot be read: {type(error).__name__}: {error}"
        raise ImageError(message) from error
    chunks: list[_Chunk] = []
    tables = []
    for block in blocks:
        table, own = _read_table(file, block)
        tables.append(table)
        chunks.extend(own)
        if len(chunks) > _MAX_CHUNKS:
            message = f"{shown(file.path)}: the DMG lists more than {_MAX_CHUNKS} chunks"
            raise ImageError(message)
    chunks.sort(key=lambda chunk: chunk.start)
    position = 0
    for chunk in chunks:
        if chunk.start < position or chunk.start + chunk.size > size:
            message = f"{shown(file.path)}: a chunk of the DMG at byte {chunk.start} lies over another one or behind the end of the disk"
            raise ImageError(message)
        position = chunk.start + chunk.size
    return chunks, tables


def _read_table(file: SourceFile, block: bytes) -> tuple[_Table, list[_Chunk]]:
    if len(block) < _MISH.size or not block.startswith(b"mish"):
        message = f"{shown(file.path)}: a table of the DMG is cut off"
        raise ImageError(message)
    _, _, first, count, _, _, _, crc_type, _, crc, number = _MISH.unpack_from(block)
    if _MISH.size + number * _CHUNK.size > len(block):
        message = f"{shown(file.path)}: a table of the DMG states {number} chunks and is too short for them"
        raise ImageError(message)
    chunks = []
    for index in range(number):
        type_, _, sector, length, at, stored = _CHUNK.unpack_from(block, _MISH.size + index * _CHUNK.size)
        if type_ == _END:
            break
        if type_ == _COMMENT or not length:
            continue
        chunk = _Chunk((first + sector) * _SECTOR_BYTES, length * _SECTOR_BYTES, type_, at, stored)
        if type_ not in (_ZERO, _IGNORE, _RAW, *_COMPRESSED) or (type_ in _COMPRESSED and chunk.size > _MAX_CHUNK_BYTES):
            message = f"{shown(file.path)}: a chunk of the DMG is of type {type_:#x} and {chunk.size} bytes, which is not read"
            raise ImageError(message)
        chunks.append(chunk)
    stated = int.from_bytes(crc[:4], "big") if crc_type == _CRC32 else None
    return _Table(first * _SECTOR_BYTES, count * _SECTOR_BYTES, stated), chunks


def _unpack(type_: int, stored: bytes, size: int) -> bytes:
    if type_ == _ZLIB:
        return zlib.decompressobj().decompress(stored, size)
    if type_ == _BZIP2:
        return bz2.BZ2Decompressor().decompress(stored, size)
    if type_ == _LZMA:
        return lzma.LZMADecompressor(memlimit=256 << 20).decompress(stored, size)
    if type_ == _LZFSE:
        return bytes(lzfse.decompress(stored))
    return _unpack_adc(stored, size)


def _unpack_adc(stored: bytes, size: int) -> bytes:
    """Apple Data Compression: literals, and copies of 3 to 67 bytes from what came before."""
    data, at = bytearray(), 0
    while at < len(stored) and len(data) < size:
        code = stored[at]
        if code & 0x80:
            count = (code & 0x7F) + 1
            data += stored[at + 1 : at + 1 + count]
            at += 1 + count
            continue
        if code & 0x40:
            count, distance, step = (code & 0x3F) + 4, int.from_bytes(stored[at + 1 : at + 3], "big"), 3
        else:
            count, distance, step = ((code >> 2) & 0xF) + 3, (code & 3) << 8 | stored[at + 1], 2
        start = len(data) - distance - 1
        if start < 0:
            message = "a copy from before the start"
            raise ValueError(message)
        for index in range(count):  # it may copy what it has just written
            data.append(data[start + index])
        at += step
    return bytes(data[:size])


def _moved(damage: Damage, by: int) -> Damage:
    return Damage(start_byte=damage.start_byte + by, size_bytes=damage.size_bytes, code=damage.code, why=damage.why, chunks=damage.chunks)
