"""ISO base media files — MP4, MOV, HEIC, AVIF — by their boxes (ISO/IEC 14496-12, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_BOXES = frozenset(b"ftyp moov mdat free skip wide meta moof mfra sidx ssix uuid styp pdin udta emsg prft".split())
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "heic"),
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    b"qt  ": "mov",
    b"M4A ": "m4a",
    b"M4V ": "m4v",
}
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
        extension = _BRANDS.get(first[2], "3gp" if first[2].startswith((b"3gp", b"3g2")) else "mp4")
        at, seen, is_open = 0, set(), False
        while (head := window.unpack(">I4s", at)) is not None:
            size, kind = head
            least = _HEAD
            if size == 1:
                size, least = (window.unpack(">Q", at + _HEAD) or (0,))[0], _LONG_HEAD
            if kind not in _BOXES or size < least or at + size > window.size:
                is_open = kind in _BOXES  # it is cut off, or says that it reaches to the end of the file, wherever that is
                break
            at += size
            seen.add(kind)
        if len(seen) < 2:  # noqa: PLR2004 - more than the list of brands
            return None
        is_whole = not is_open and b"mdat" in seen and bool(seen & {b"moov", b"meta", b"moof"})
        return Measured(length=at, validated=is_whole, extension=extension, why="last box" if is_whole else f"no whole box at byte {at}")
