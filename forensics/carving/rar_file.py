"""RAR 4 and 5: blocks by their header checksums up to the end block (RARLAB, "RAR 5.0 archive format" and technote.txt)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_RAR4, _RAR5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_MOST_HEADER = 2 << 20


class Rar:
    """RAR archives."""

    name = "rar"
    signatures = (_RAR4, _RAR5)
    signature_offset = 0
    max_bytes = 64 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The archive; one that breaks off counts if one block of it is whole."""
        window = Window(source, start, self.max_bytes)
        is_new = window.read(0, 8) == _RAR5
        at, blocks = (8 if is_new else 7), 0
        while (block := (_block5 if is_new else _block4)(window, at)) is not None:
            length, is_end = block
            if at + length > window.size or length <= 0:
                break
            at, blocks = at + length, blocks + 1
            if is_end:
                return Measured(length=at, validated=True, extension="rar", why="end block, header checksums right")
        return Measured(length=at, validated=False, extension="rar", why=f"no block at byte {at}") if blocks else None


def _block4(window: Window, at: int) -> tuple[int, bool] | None:
    head = window.unpack("<HBHH", at)
    if head is None or head[3] < 7:  # noqa: PLR2004 - the header itself
        return None
    crc, kind, flags, size = head
    if zlib.crc32(window.read(at + 2, size - 2)) & 0xFFFF != crc:
        return None
    added = (window.unpack("<I", at + 7) or (0,))[0] if flags & 0x8000 else 0
    if kind in (0x74, 0x7A) and flags & 0x100:
        added += (window.unpack("<I", at + 32) or (0,))[0] << 32
    return size + added, kind == 0x7B  # noqa: PLR2004 - end of archive


def _block5(window: Window, at: int) -> tuple[int, bool] | None:
    crc = window.unpack("<I", at)
    size, behind = _vint(window, at + 4)
    if crc is None or not 0 < size <= _MOST_HEADER:
        return None
    if zlib.crc32(window.read(at + 4, behind - at - 4 + size)) != crc[0]:
        return None
    kind, position = _vint(window, behind)
    flags, position = _vint(window, position)
    if flags & 1:
        _, position = _vint(window, position)
    data = _vint(window, position)[0] if flags & 2 else 0
    return behind + size + data - at, kind == 5  # noqa: PLR2004 - end of archive


def _vint(window: Window, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(window.read(at, 10)):
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, at + index + 1
    return 0, at
