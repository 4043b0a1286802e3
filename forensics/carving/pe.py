"""Windows programs: sections and certificates by the headers (Microsoft, "PE Format")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_MOST_SECTIONS = 96
_CERTIFICATES = {0x10B: 128, 0x20B: 144}  # optional header's magic -> where in it the certificates' directory stands
_LIBRARY = 0x2000


class Pe:
    """Windows programs and libraries."""

    name = "pe"
    signatures = (b"MZ",)
    signature_offset = 0
    max_bytes = 1 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The program up to the end of its last section or its certificates."""
        window = Window(source, start, self.max_bytes)
        at = (window.unpack("<I", 60) or (0,))[0]
        if not 64 <= at <= 4096 or window.read(at, 4) != b"PE\0\0":  # noqa: PLR2004 - behind the DOS header
            return None
        head = window.unpack("<HHIIIHHH", at + 4)
        if head is None or not 0 < head[1] <= _MOST_SECTIONS or (head[6] not in _CERTIFICATES | {0x10B: 1, 0x20B: 1} and not head[5]):
            return None
        optional, characteristics = head[5], head[6]
        magic = (window.unpack("<H", at + 24) or (0,))[0]
        if magic not in _CERTIFICATES:
            return None
        end = table = at + 24 + optional
        for index in range(head[1]):
            section = window.unpack("<II", table + 40 * index + 16)
            if section is None:
                return None
            size, place = section
            end = max(end, place + size if size else 0)
        certificates = window.unpack("<II", at + 24 + _CERTIFICATES[magic])
        if certificates and certificates[0] == end and certificates[1]:
            end += certificates[1]
        extension = "dll" if characteristics & _LIBRARY else "exe"
        if end > window.size:
            return Measured(length=window.size, validated=False, extension=extension, why="end of the space")
        return Measured(length=end, validated=True, extension=extension, why="end of the last section")
