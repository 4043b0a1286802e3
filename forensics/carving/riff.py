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
    max_bytes = 64 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The file; one that breaks off counts if its first chunk is whole."""
        window = Window(source, start, self.max_bytes)
        head = window.unpack("<4sI4s", 0)
        if head is None or head[2] not in _FORMS:
            return None
        extension = _FORMS[head[2]]
        at, is_whole, chunks = _behind_chunks(window, 0)
        while is_whole and extension == "avi" and _is_continued(window, at):
            behind, is_whole, _ = _behind_chunks(window, at)
            at = behind if is_whole else at
        if not chunks:
            return None
        why = "stated length, chunks fit" if is_whole else f"broken at byte {at}"
        return Measured(length=at, validated=is_whole, extension=extension, why=why)


def _is_continued(window: Window, at: int) -> bool:
    """Whether another gigabyte of a film follows (OpenDML AVI file format extensions, version 1.02)."""
    head = window.unpack("<4sI4s", at)
    return head is not None and head[0] == b"RIFF" and head[2] == b"AVIX"


def _behind_chunks(window: Window, start: int) -> tuple[int, bool, int]:
    """Where the chunks of the list end, whether that is where the list says, and how many there are."""
    head = window.unpack("<4sI", start)
    end = start + 8 + (head[1] if head else 0)
    at, chunks = start + _HEAD_BYTES, 0
    while at + 8 <= min(end, window.size):
        kind, length = window.unpack("<4sI", at) or (b"", 0)
        behind = at + 8 + length
        if not set(kind) <= _PRINTABLE or behind > min(end, window.size):
            break
        # Some writers leave out the byte that makes the last chunk even, and state the length without it.
        at, chunks = min(behind + (length & 1), end), chunks + 1
    return min(at, window.size), bool(chunks) and at == end <= window.size, chunks
