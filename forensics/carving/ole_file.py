"""OLE compound files — old Office documents, messages, installers — by their allocation table ([MS-CFB] 2.2, 2.3)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_FREE, _LAST_SECTOR = 0xFFFFFFFF, 0xFFFFFFFA
_LITTLE_ENDIAN = 0xFFFE
_IN_HEADER = 109
_OF_TABLE = 0xFFFFFFFD  # [MS-CFB] 2.1: a sector of the allocation table is marked so in it
_MOST_TABLES, _MOST_DIRECTORY = 1 << 17, 64
_MEANINGS = (
    ("WordDocument", "doc"),
    ("Workbook", "xls"),
    ("Book", "xls"),
    ("PowerPoint Document", "ppt"),
    ("__properties_version1.0", "msg"),
)


class Ole:
    """OLE compound files."""

    name = "ole"
    signatures = (bytes.fromhex("d0cf11e0a1b11ae1"),)
    signature_offset = 0
    max_bytes = 4 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The file up to its last sector in use; valid when its table and its directory are there."""
        window = Window(source, start, self.max_bytes)
        head = window.unpack("<HHH", 26)
        if head is None or head[1] != _LITTLE_ENDIAN or (head[0], head[2]) not in ((3, 9), (4, 12)):
            return None
        sector = 1 << head[2]
        tables, is_whole = _tables(window, sector)
        per_table = sector // 4
        own = {table: table // per_table for table in tables}
        last, is_marked = -1, all(number < len(tables) for number in own.values())
        for number, table in enumerate(tables):
            raw = window.read((table + 1) * sector, sector)
            if len(raw) < sector:
                is_whole = False
                break
            entries = struct.unpack(f"<{per_table}I", raw)
            is_marked = is_marked and all(entries[one % per_table] == _OF_TABLE for one, where in own.items() if where == number)
            used = next((index for index in range(per_table - 1, -1, -1) if entries[index] != _FREE), None)
            last = number * per_table + used if used is not None else last
        if not is_whole:
            return Measured(length=window.size, validated=False, extension="ole", why="end of the space")
        directory = _directory(window, sector, tables)
        if last < 0 or "Root Entry".encode("utf-16-le") not in directory:
            return None
        length = (last + 2) * sector
        extension = next((ending for name, ending in _MEANINGS if name.encode("utf-16-le") in directory), "ole")
        if length > window.size:
            return Measured(length=window.size, validated=False, extension=extension, why="end of the space")
        why = "last sector in use" if is_marked else "last sector in use; the allocation table does not hold its own sectors"
        return Measured(length=length, validated=is_marked, extension=extension, why=why)


def _directory(window: Window, sector: int, tables: list[int]) -> bytes:
    """The first sectors of the directory, along the allocation table."""
    found, following = b"", (window.unpack("<I", 48) or (_FREE,))[0]
    for _ in range(_MOST_DIRECTORY):
        if following >= _LAST_SECTOR or following // (sector // 4) >= len(tables):
            break
        found += window.read((following + 1) * sector, sector)
        number, index = divmod(following, sector // 4)
        following = (window.unpack("<I", (tables[number] + 1) * sector + index * 4) or (_FREE,))[0]
    return found


def _tables(window: Window, sector: int) -> tuple[list[int], bool]:
    """Numbers of the sectors that hold the allocation table, and whether there are as many as stated."""
    (stated,) = window.unpack("<I", 44) or (0,)
    tables = list(window.unpack(f"<{_IN_HEADER}I", 76) or ())
    following, seen = (window.unpack("<I", 68) or (_FREE,))[0], set()
    while following < _LAST_SECTOR and following not in seen and len(tables) < min(stated, _MOST_TABLES):
        seen.add(following)
        raw = window.read((following + 1) * sector, sector)
        if len(raw) < sector:
            break
        *more, following = struct.unpack(f"<{sector // 4}I", raw)
        tables += more
    found = [table for table in tables[: min(stated, _MOST_TABLES)] if table < _LAST_SECTOR]
    return found, len(found) == stated
