"""SQLite: page size and count by the database header (sqlite.org, "Database File Format", 1.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_TREES = (0x05, 0x0D)  # the first page is of the table of the schema (1.6): interior or leaf


class Sqlite:
    """SQLite databases."""

    name = "sqlite"
    signatures = (b"SQLite format 3\x00",)
    signature_offset = 0
    max_bytes = 64 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The database; valid when its last page is there, and its first is a table of the schema."""
        window = Window(source, start, self.max_bytes)
        head = window.unpack(">HBBBBBBII", 16)
        if head is None:
            return None
        size = 65536 if head[0] == 1 else head[0]
        changes, count = head[7], head[8]
        valid_for = (window.unpack(">I", 92) or (0,))[0]
        kind = window.read(100, 1)
        if size < 512 or size & (size - 1) or head[4:7] != (64, 32, 32) or not kind or kind[0] not in _TREES:  # noqa: PLR2004 - smallest page
            return None
        if not count or changes != valid_for:  # written by a version that did not keep the count
            return Measured(length=min(size, window.size), validated=False, extension="sqlite", why="number of pages not stated")
        length = size * count
        if length > window.size:
            return Measured(length=window.size, validated=False, extension="sqlite", why="end of the space")
        return Measured(length=length, validated=True, extension="sqlite", why="stated number of pages")
