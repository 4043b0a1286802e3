"""RIFF files — WebP, AVI, WAV — by their stated length and chunks (Microsoft, "Multimedia Programming Interface", 1991)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_FORMS = {b"WEBP": "webp", b"AVI ": "avi", b"WAVE": "wav"}
_HEAD_BYTES = 12
_PRINTABLE = frozenset(range(0x20, 0x7F))


class Riff:
    """WebP images, AVI films, WAV sounds."""

    name = "riff"
    signatures = (b"RIFF",)
    signature_offset = 0
    max_bytes = 4 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The file; one that breaks off counts if its first chunk is whole."""
        window = Window(source, start, self.max_bytes)
        head = window.unpack("<4sI4s", 0)
        if head is None or head[2] not in _FORMS:
            return None
        extension, end = _FORMS[head[2]], head[1] + 8
        at, chunks = _HEAD_BYTES, 0
        while at + 8 <= min(end, window.size):
            kind, length = window.unpack("<4sI", at) or (b"", 0)
            behind = at + 8 + length + (length & 1)
            if not set(kind) <= _PRINTABLE or behind > window.size:
                break
            at, chunks = behind, chunks + 1
        if chunks and at >= end:
            return Measured(
                length=min(max(end, at), window.size), validated=at - end <= 1, extension=extension, why="stated length, chunks fit"
            )
        return Measured(length=min(at, window.size), validated=False, extension=extension, why=f"broken at byte {at}") if chunks else None
