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
_MOST_TABLES = 1 << 17
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
        tables, first_directory = _tables(window, sector), (window.unpack("<I", 48) or (0,))[0]
        last = -1
        for number, table in enumerate(tables):
            raw = window.read((table + 1) * sector, sector)
            if len(raw) < sector:
                return Measured(length=window.size, validated=False, extension="ole", why="end of the space")
            entries = struct.unpack(f"<{sector // 4}I", raw)
            used = [index for index, entry in enumerate(entries) if entry != _FREE]
            last = number * len(entries) + used[-1] if used else last
        directory = window.read((first_directory + 1) * sector, sector)
        if last < 0 or "Root Entry".encode("utf-16-le") not in directory:
            return None
        length = (last + 2) * sector
        extension = next((ending for name, ending in _MEANINGS if name.encode("utf-16-le") in directory), "ole")
        if length > window.size:
            return Measured(length=window.size, validated=False, extension=extension, why="end of the space")
        return Measured(length=length, validated=True, extension=extension, why="last sector in use")


def _tables(window: Window, sector: int) -> list[int]:
    """Numbers of the sectors that hold the allocation table."""
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
    return [table for table in tables[: min(stated, _MOST_TABLES)] if table < _LAST_SECTOR]
