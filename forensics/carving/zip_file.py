"""ZIP, and the documents that are one: the end record whose central directory lies where it says (PKWARE APPNOTE, 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END_BYTES, _CENTRAL_BYTES, _LOCAL_BYTES = 22, 46, 30
_METHODS = frozenset((0, 1, 6, 8, 9, 12, 14, 93, 95, 98, 99))
_MOST_ENTRIES = 65535
_MEANINGS = (
    (b"word/", "docx"),
    (b"xl/", "xlsx"),
    (b"ppt/", "pptx"),
    (b"AndroidManifest.xml", "apk"),
    (b"META-INF/MANIFEST.MF", "jar"),
    (b"content.xml", "odt"),
)


class Zip:
    """ZIP archives, Office and OpenDocument files, Java and Android packages."""

    name = "zip"
    signatures = (_LOCAL,)
    signature_offset = 0
    max_bytes = 256 << 20

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The archive; one without a right end record counts as far as its whole members reach."""
        window = Window(source, start, self.max_bytes)
        head = window.unpack("<4sHHHHHIIIHH", 0)
        if head is None or head[3] not in _METHODS or not 0 < head[9] <= 1024 or head[1] > 100:  # noqa: PLR2004 - bounds of sense
            return None
        at = 0
        while (at := window.find(_END, at)) >= 0:
            record = window.unpack("<4sHHHHIIH", at)
            if record is None:
                break
            count, size, offset, comment = record[4], record[5], record[6], record[7]
            behind = at + _END_BYTES + comment
            if offset + size == at and count and behind <= window.size and window.read(offset, 4) == _CENTRAL:
                names = _names(window, offset, count)
                extension = next((ending for prefix, ending in _MEANINGS if any(name.startswith(prefix) for name in names)), "zip")
                return Measured(length=behind, validated=len(names) == count, extension=extension, why="central directory, end record")
            at += 4
        reach = _members(window)
        return Measured(length=reach, validated=False, extension="zip", why="members, no end record") if reach else None


def _names(window: Window, at: int, count: int) -> list[bytes]:
    names = []
    for _ in range(min(count, _MOST_ENTRIES)):
        head = window.unpack("<4s24xHHH12x", at)
        if head is None or head[0] != _CENTRAL:
            break
        names.append(window.read(at + _CENTRAL_BYTES, head[1]))
        at += _CENTRAL_BYTES + head[1] + head[2] + head[3]
    return names


def _members(window: Window) -> int:
    at = reach = 0
    while (head := window.unpack("<4sHHHHHIIIHH", at)) is not None and head[0] == _LOCAL:
        behind = at + _LOCAL_BYTES + head[9] + head[10] + head[7]
        if head[2] & 8 or behind > window.size or behind <= at:  # the size follows the data: it is not known
            break
        at = reach = behind
    return reach
