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
_MOST_ENTRIES = 1 << 20
_LOCATOR_BYTES, _NO_ROOM = 20, 0xFFFFFFFF
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
            count, size, offset, end = _directory(window, at, *record[4:7])
            behind = at + _END_BYTES + record[7]
            if offset + size == end and count and behind <= window.size and window.read(offset, 4) == _CENTRAL:
                extension, is_whole = _entries(window, offset, count)
                why = "central directory, end record" if is_whole else "end record; an entry of the directory leads to no member"
                return Measured(length=behind, validated=is_whole, extension=extension, why=why)
            at += 4
        reach = _members(window)
        return Measured(length=reach, validated=False, extension="zip", why="members, no end record") if reach else None


def _directory(window: Window, at: int, count: int, size: int, offset: int) -> tuple[int, int, int, int]:
    """Entries, size and place of the directory, and where it must end; from the long record where the short one has no room (4.3.14)."""
    if count != 0xFFFF and _NO_ROOM not in (size, offset):  # noqa: PLR2004 - 4.4.1.4
        return count, size, offset, at
    locator = window.unpack("<4s4xQ", at - _LOCATOR_BYTES)
    if locator is None or locator[0] != b"PK\x06\x07":
        return count, size, offset, at
    long = window.unpack("<4s28xQQQ", locator[1])
    return (long[1], long[2], long[3], locator[1]) if long is not None and long[0] == b"PK\x06\x06" else (count, size, offset, at)


def _entries(window: Window, at: int, count: int) -> tuple[str, bool]:
    """What the entries of the directory make of the archive, and whether all are there and lead to members."""
    places, meant = [], len(_MEANINGS)
    for _ in range(min(count, _MOST_ENTRIES)):
        head = window.unpack("<4s24xHHH8xI", at)
        if head is None or head[0] != _CENTRAL:
            break
        name = window.read(at + _CENTRAL_BYTES, head[1])
        meant = min(meant, next((index for index, (prefix, _) in enumerate(_MEANINGS) if name.startswith(prefix)), meant))
        places.append(head[4])
        at += _CENTRAL_BYTES + head[1] + head[2] + head[3]
    leads = all(place == _NO_ROOM or window.read(place, 4) == _LOCAL for place in sorted(places))
    return _MEANINGS[meant][1] if meant < len(_MEANINGS) else "zip", leads and len(places) == count


def _members(window: Window) -> int:
    at = reach = 0
    while (head := window.unpack("<4sHHHHHIIIHH", at)) is not None and head[0] == _LOCAL:
        behind = at + _LOCAL_BYTES + head[9] + head[10] + head[7]
        if head[2] & 8 or behind > window.size or behind <= at:  # the size follows the data: it is not known
            break
        at = reach = behind
    return reach
