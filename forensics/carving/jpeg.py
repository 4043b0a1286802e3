"""JPEG: markers from start to end of image, through the entropy-coded data (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_FILL, _EOI, _SOS, _TEM = 0xFF, 0xD9, 0xDA, 0x01
_RESTART = range(0xD0, 0xD8)
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # in a scan neither a byte that is escaped, nor a fill byte, nor a restart
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LENGTHLESS = frozenset((*_RESTART, _TEM))
_LEAST_BYTES = 128


class Jpeg:
    """JPEG images."""

    name = "jpeg"
    signatures = tuple(b"\xff\xd8\xff" + bytes([marker]) for marker in (*range(0xE0, 0xF0), 0xDB, 0xC0, 0xC2, 0xC4, 0xFE))
    signature_offset = 0
    max_bytes = 256 << 20

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The image; one that breaks off counts if a frame and a scan had begun, because viewers show what is there of it."""
        window = Window(source, start, self.max_bytes)
        at, has_frame, has_scan = 2, False, False
        why = "end of the space"
        while True:
            raw = window.read(at, 4)
            if len(raw) < 2:  # noqa: PLR2004 - a marker
                break
            if raw[0] != _FILL or raw[1] in (0x00, 0xD8):
                why = f"structure broken at byte {at}"
                break
            marker = raw[1]
            if marker == _FILL:
                at += 1
            elif marker == _EOI:
                ended = has_frame and has_scan
                return Measured(length=at + 2, validated=ended, extension="jpg", why="end of image marker") if ended else None
            elif marker in _LENGTHLESS:
                at += 2
            else:
                length = int.from_bytes(raw[2:4], "big")
                if length < 2 or at + 2 + length > window.size:  # noqa: PLR2004 - the length counts itself
                    why = f"structure broken at byte {at}"
                    break
                has_frame = has_frame or marker in _FRAMES
                at += 2 + length
                if marker == _SOS:
                    has_scan = True
                    at = _behind_scan(window, at)
        return (
            Measured(length=min(at, window.size), validated=False, extension="jpg", why=why)
            if has_frame and has_scan and at >= _LEAST_BYTES
            else None
        )


def _behind_scan(window: Window, at: int) -> int:
    """Where the first marker behind entropy-coded data stands; the end of the window if there is none."""
    found = window.search(_MARKER, 2, at)
    return found if found >= 0 else window.size
