"""7z: the header at the end that the one at the start points to, both by their CRC-32 (7-Zip, 7zFormat.txt)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_HEAD_BYTES = 32
_MOST_HEADER = 64 << 20


class SevenZip:
    """7z archives."""

    name = "7z"
    signatures = (b"7z\xbc\xaf\x27\x1c",)
    signature_offset = 0
    max_bytes = 64 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The archive; one whose end is not there counts, cut at the end of the space."""
        window = Window(source, start, self.max_bytes)
        head = window.unpack("<6s2sI20s", 0)
        if head is None or zlib.crc32(head[3]) != head[2]:
            return None
        offset, size, crc = window.unpack("<QQI", 12) or (0, 0, 0)
        end = _HEAD_BYTES + offset + size
        if end > window.size:
            return Measured(length=window.size, validated=False, extension="7z", why="end of the space")
        if size > _MOST_HEADER:
            return Measured(length=end, validated=False, extension="7z", why="end header too long to be checked")
        holds = zlib.crc32(window.read(_HEAD_BYTES + offset, size)) == crc
        return Measured(length=end, validated=holds, extension="7z", why="both headers' checksums" if holds else "end header damaged")
