"""Unix programs: sections and segments by the headers (System V ABI, "ELF header")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_MOST_HEADERS = 4096


class Elf:
    """ELF programs, libraries and object files."""

    name = "elf"
    signatures = tuple(b"\x7fELF" + bytes([bits, order, 1]) for bits in (1, 2) for order in (1, 2))
    signature_offset = 0
    max_bytes = 4 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The file up to the end of its section headers or its last section or segment."""
        window = Window(source, start, self.max_bytes)
        ident = window.read(0, 16)
        if len(ident) < 16:  # noqa: PLR2004 - e_ident
            return None
        order, is_64 = "<" if ident[5] == 1 else ">", ident[4] == 2  # noqa: PLR2004 - ELFCLASS64
        head = window.unpack(order + ("HHIQQQIHHHHHH" if is_64 else "HHIIIIIHHHHHH"), 16)
        if head is None or head[2] != 1 or head[8] not in (0, 56 if is_64 else 32) or head[10] not in (0, 64 if is_64 else 40):
            return None
        segments, sections = (head[4], head[9], head[8]), (head[5], head[11], head[10])
        end = max(place + count * size for place, count, size in (segments, sections) if count) if head[9] or head[11] else 0
        if not end or head[9] > _MOST_HEADERS or head[11] > _MOST_HEADERS:
            return None
        for index in range(head[11]):
            section = window.unpack(order + ("4xI16xQQ" if is_64 else "4xI8xII"), sections[0] + index * sections[2])
            if section is not None and section[0] != 8:  # noqa: PLR2004 - SHT_NOBITS has no bytes in the file
                end = max(end, section[1] + section[2])
        for index in range(head[9]):
            segment = window.unpack(order + ("8xQ16xQ" if is_64 else "4xI8xI"), segments[0] + index * segments[2])
            if segment is not None:
                end = max(end, segment[0] + segment[1])
        if end > window.size:
            return Measured(length=window.size, validated=False, extension="elf", why="end of the space") if end <= self.max_bytes else None
        return Measured(length=end, validated=True, extension="elf", why="end of sections and segments")
