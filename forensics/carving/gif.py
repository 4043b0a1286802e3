"""GIF: blocks from the header to the trailer (CompuServe, "Graphics Interchange Format", version 89a)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_HEADER_BYTES, _IMAGE_BYTES = 13, 10
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B


class Gif:
    """GIF images."""

    name = "gif"
    signatures = (b"GIF87a", b"GIF89a")
    signature_offset = 0
    max_bytes = 256 << 20

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The image; one that breaks off counts if one picture of it is whole."""
        window = Window(source, start, self.max_bytes)
        head = window.read(0, _HEADER_BYTES)
        if len(head) < _HEADER_BYTES:
            return None
        at, images = _HEADER_BYTES + _table_bytes(head[10]), 0
        while True:
            kind = window.read(at, 1)
            if kind == bytes([_TRAILER]) and images:
                return Measured(length=at + 1, validated=True, extension="gif", why="trailer")
            behind = _behind(window, at, kind[0]) if kind else None
            if behind is None:
                break
            images += kind[0] == _IMAGE
            at = behind
        return Measured(length=at, validated=False, extension="gif", why=f"structure broken at byte {at}") if images else None


def _behind(window: Window, at: int, kind: int) -> int | None:
    if kind == _EXTENSION:
        return _behind_blocks(window, at + 2)
    if kind != _IMAGE:
        return None
    head = window.read(at, _IMAGE_BYTES)
    if len(head) < _IMAGE_BYTES:
        return None
    return _behind_blocks(window, at + _IMAGE_BYTES + _table_bytes(head[9]) + 1)


def _behind_blocks(window: Window, at: int) -> int | None:
    while True:
        size = window.read(at, 1)
        if not size:
            return None
        if not size[0]:
            return at + 1
        at += 1 + size[0]


def _table_bytes(packed: int) -> int:
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0
