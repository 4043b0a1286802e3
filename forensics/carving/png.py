"""PNG: chunks with their CRC-32, from IHDR to IEND (W3C, "Portable Network Graphics", 5.3)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRC_BYTES, _HEAD_BYTES = 4, 8


class Png:
    """PNG images."""

    name = "png"
    signatures = (_SIGNATURE,)
    signature_offset = 0
    max_bytes = 512 << 20

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The image; one that breaks off counts if its header chunk is whole."""
        window = Window(source, start, self.max_bytes)
        at, chunks = len(_SIGNATURE), 0
        while (head := window.unpack(">I4s", at)) is not None:
            length, kind = head
            end = at + _HEAD_BYTES + length + _CRC_BYTES
            if (chunks == 0) != (kind == b"IHDR") or not kind.isalpha() or end > window.size or not _holds(window, at, length):
                break
            at, chunks = end, chunks + 1
            if kind == b"IEND":
                return Measured(length=at, validated=True, extension="png", why="end chunk, all checksums right")
        return Measured(length=at, validated=False, extension="png", why=f"structure broken at byte {at}") if chunks else None


def _holds(window: Window, at: int, length: int) -> bool:
    crc, position, end = 0, at + 4, at + _HEAD_BYTES + length
    while position < end:
        block = window.read(position, min(1 << 20, end - position))
        if not block:
            return False
        crc = zlib.crc32(block, crc)
        position += len(block)
    return window.unpack(">I", end) == (crc,)
