"""The tables of a DMG ("blkx"), which its property list holds: which chunk has which sectors.

A table's checksum is the CRC-32 of its range without the chunks that are to be ignored. Rules enforced here: chunks lie inside the
table's range and the disk, and not over each other. What a table should list and does not is a chunk of its own, NOT_LISTED.
"""

from __future__ import annotations

import plistlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.boundary import attempt
from forensics.containers.dmg_chunks import COMMENT, END, NOT_LISTED, SECTOR_BYTES, Chunk, why_not_read
from forensics.errors import ImageError
from forensics.exhibit import shown

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

_MISH = struct.Struct(">4sIQQQII24xII128sI")
_CHUNK = struct.Struct(">IIQQQQ")
_MAX_CHUNKS = 8_000_000
_CRC32 = 2


@dataclass(frozen=True, slots=True)
class Table:
    """The range of one table, and the CRC-32 that it states of it; None where it states none."""

    start: int
    size: int
    crc: int | None

    @property
    def end(self) -> int:
        """Where it ends in the media."""
        return self.start + self.size


def read_tables(file: SourceFile, plist: bytes, size: int) -> tuple[list[Chunk], list[Table]]:
    """All chunks, and all tables, each in the order of the media of `size` bytes.

    Raises:
        ImageError: they cannot be.
    """
    blocks: list[bytes] = []

    def parse() -> None:
        # plistlib refuses entity declarations by itself.
        stored = plistlib.loads(plist, fmt=plistlib.FMT_XML)
        blocks.extend(bytes(one["Data"]) for one in stored["resource-fork"]["blkx"])

    error = attempt(parse)
    if error is not None:
        message = f"{shown(file.path)}: the property list of the DMG cannot be read: {type(error).__name__}: {error}"
        raise ImageError(message) from error
    chunks: list[Chunk] = []
    tables = []
    for block in blocks:
        table, own = _read_table(file, block)
        tables.append(table)
        chunks.extend(own)
        if len(chunks) > _MAX_CHUNKS:
            message = f"{shown(file.path)}: the DMG lists more than {_MAX_CHUNKS} chunks"
            raise ImageError(message)
    chunks.sort(key=lambda chunk: chunk.start)
    tables.sort(key=lambda table: table.start)
    for what, ranges in (("chunk", chunks), ("table", tables)):
        position = 0
        for one in ranges:
            if one.start < position or one.end > size:
                message = f"{shown(file.path)}: a {what} of the DMG at byte {one.start} lies over another one or behind the end of the disk"
                raise ImageError(message)
            position = one.end
    return chunks, tables


def _read_table(file: SourceFile, block: bytes) -> tuple[Table, list[Chunk]]:
    if len(block) < _MISH.size or not block.startswith(b"mish"):
        message = f"{shown(file.path)}: a table of the DMG is cut off"
        raise ImageError(message)
    _, _, first, count, begin, _, _, crc_type, _, crc, number = _MISH.unpack_from(block)
    if _MISH.size + number * _CHUNK.size > len(block):
        message = f"{shown(file.path)}: a table of the DMG states {number} chunks and is too short for them"
        raise ImageError(message)
    table = Table(first * SECTOR_BYTES, count * SECTOR_BYTES, int.from_bytes(crc[:4], "big") if crc_type == _CRC32 else None)
    chunks = []
    for index in range(number):
        type_, _, sector, length, at, stored = _CHUNK.unpack_from(block, _MISH.size + index * _CHUNK.size)
        if type_ == END:
            break
        if type_ == COMMENT or not length:
            continue
        chunk = Chunk((first + sector) * SECTOR_BYTES, length * SECTOR_BYTES, type_, begin + at, stored)
        why = why_not_read(chunk) or ("lies outside its table" if chunk.end > table.end else "")
        if why:
            message = f"{shown(file.path)}: a chunk of the DMG with {chunk.size} bytes from byte {chunk.start} on {why}, which is not read"
            raise ImageError(message)
        chunks.append(chunk)
    return table, _completed(table, sorted(chunks, key=lambda chunk: chunk.start))


def _completed(table: Table, chunks: list[Chunk]) -> list[Chunk]:
    """The chunks, and those that the table's range says are missing."""
    complete, position = [], table.start
    for chunk in chunks:
        if chunk.start > position:
            complete.append(Chunk(position, chunk.start - position, NOT_LISTED, 0, 0))
        complete.append(chunk)
        position = max(position, chunk.end)
    if position < table.end:
        complete.append(Chunk(position, table.end - position, NOT_LISTED, 0, 0))
    return complete
