"""PDF: the last end-of-file marker whose cross-reference offset points into the file (ISO 32000-1, 7.5.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_END = b"%%EOF"
_REFERENCE = re.compile(rb"startxref\s+(\d{1,12})\s*$")
_TABLE = re.compile(rb"\s*(?:xref|\d+\s+\d+\s+obj)")
_UPDATE = re.compile(rb"[\s\0]*(?:\d+\s+\d+\s+obj|xref\s|%(?!PDF-))")
_FARTHEST = 128 << 20  # an end marker is looked for so far behind the beginning or the last valid one


class Pdf:
    """PDF documents."""

    name = "pdf"
    signatures = (b"%PDF-1.", b"%PDF-2.")
    signature_offset = 0
    max_bytes = 1 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The document with all revisions that follow one another; without a right reference it ends at its first marker, not valid."""
        window = Window(source, start, self.max_bytes)
        at, first, valid = 0, 0, 0
        while (at := window.find(_END, at, valid + _FARTHEST)) >= 0:
            behind = at + len(_END)
            first = first or behind
            if _refers(window, at, valid):
                valid = behind
                if _UPDATE.match(window.read(valid, 64)) is None:
                    break
            at = behind
        if not valid and window.find(b"%PDF-", 5, first) >= 0:
            return None  # cut off before another document, whose end marker that is
        if not first:
            return None
        line_end = window.read(valid or first, 2)
        length = (valid or first) + (2 if line_end == b"\r\n" else 1 if line_end[:1] in (b"\n", b"\r") else 0)
        if valid:
            return Measured(length=length, validated=True, extension="pdf", why="end marker, cross-reference inside")
        return Measured(length=length, validated=False, extension="pdf", why="end marker, no cross-reference that leads inside")


def _refers(window: Window, end: int, previous: int) -> bool:
    """Whether the marker's reference leads to a table behind the previous revision (an update appends its own: 7.5.6).

    That of an equal document behind this one, counted from here, leads into this one.
    """
    before = window.read(max(0, end - 64), min(64, end))
    found = _REFERENCE.search(before)
    if found is None:
        return False
    target = int(found[1])
    return previous < target < end and _TABLE.match(window.read(target, 32)) is not None
