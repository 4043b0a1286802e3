"""ISO base media files — MP4, MOV, HEIC, AVIF — by their boxes (ISO/IEC 14496-12, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_BOXES = frozenset(
    (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"meta", b"moof", b"mfra", b"sidx", b"uuid", b"styp", b"pdin", b"udta", b"emsg")
)
_BRANDS = {b"heic": "heic", b"heix": "heic", b"mif1": "heic", b"msf1": "heic", b"avif": "avif", b"qt  ": "mov", b"M4A ": "m4a"}
_LONG_HEAD, _HEAD = 16, 8


class IsoMedia:
    """MP4 and MOV films, HEIC and AVIF images."""

    name = "isobmff"
    signatures = (b"ftyp",)
    signature_offset = 4
    max_bytes = 64 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The file; valid when the box that describes the media and the one that holds them are whole."""
        window = Window(source, start, self.max_bytes)
        first = window.unpack(">I4s4s", 0)
        if first is None or not 8 <= first[0] <= 1024 or not first[2].isascii():  # noqa: PLR2004 - a list of brands
            return None
        extension = _BRANDS.get(first[2], "mp4")
        at, seen = 0, set()
        while (head := window.unpack(">I4s", at)) is not None:
            size, kind = head
            least = _HEAD
            if size == 1:
                size, least = (window.unpack(">Q", at + _HEAD) or (0,))[0], _LONG_HEAD
            if kind not in _BOXES or size < least or at + size > window.size:
                break
            at += size
            seen.add(kind)
        if len(seen) < 2:  # noqa: PLR2004 - more than the list of brands
            return None
        is_whole = b"mdat" in seen and bool(seen & {b"moov", b"meta", b"moof"})
        return Measured(length=at, validated=is_whole, extension=extension, why="last box" if is_whole else f"no box at byte {at}")
