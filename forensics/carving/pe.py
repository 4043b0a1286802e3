"""Windows programs: sections and certificates by the headers (Microsoft, "PE Format")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_MOST_SECTIONS = 96
_CERTIFICATES = {0x10B: 128, 0x20B: 144}  # optional header's magic -> where in it the certificates' directory stands
_CERTIFICATES_INDEX, _SYMBOL_BYTES = 4, 18
_LIBRARY = 0x2000


class Pe:
    """Windows programs and libraries."""

    name = "pe"
    signatures = (b"MZ",)
    signature_offset = 0
    max_bytes = 1 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The program up to the end of its last section, its symbols or its certificates; what else is appended is not found."""
        window = Window(source, start, self.max_bytes)
        at = (window.unpack("<I", 60) or (0,))[0]
        if not 64 <= at <= 4096 or window.read(at, 4) != b"PE\0\0":  # noqa: PLR2004 - behind the DOS header
            return None
        head = window.unpack("<HHIIIHH", at + 4)
        magic = (window.unpack("<H", at + 24) or (0,))[0]
        if head is None or not 0 < head[1] <= _MOST_SECTIONS or magic not in _CERTIFICATES:
            return None
        end = table = at + 24 + head[5]
        for index in range(head[1]):
            section = window.unpack("<II", table + 40 * index + 16)
            if section is None:
                return None
            size, place = section
            end = max(end, place + size if size else 0)
        end = _behind_certificates(window, at + 24, _CERTIFICATES[magic], _behind_symbols(window, head[3], head[4], end))
        if end > self.max_bytes:
            return None
        extension = "dll" if head[6] & _LIBRARY else "exe"
        if end > window.size:
            return Measured(length=window.size, validated=False, extension=extension, why="end of the space")
        return Measured(length=end, validated=True, extension=extension, why="end of sections, symbols and certificates")


def _behind_symbols(window: Window, place: int, count: int, end: int) -> int:
    """The end with the symbol table and the strings behind it, as GNU's linker leaves them."""
    if not place or not count:
        return end
    strings = place + _SYMBOL_BYTES * count
    return max(end, strings + int.from_bytes(window.read(strings, 4), "little"))


def _behind_certificates(window: Window, optional: int, directory: int, end: int) -> int:
    """The end with the certificates, which may stand behind appended data, as installers have them."""
    (directories,) = window.unpack("<I", optional + directory - 36) or (0,)
    place, size = window.unpack("<II", optional + directory) or (0, 0)
    if directories <= _CERTIFICATES_INDEX or not size or place < end:
        return end
    length, revision, kind = window.unpack("<IHH", place) or (size, 0x200, 2)
    return place + size if 8 <= length <= size and revision in (0x100, 0x200) and 1 <= kind <= 4 else end  # noqa: PLR2004 - WIN_CERT_*
