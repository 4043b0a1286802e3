"""MP3: a chain of frames, behind an ID3 tag or by itself (ISO/IEC 11172-3, 2.4.2.3; id3.org, ID3v2.3 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_RATES = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_FREQUENCIES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000)}
_LEAST_FRAMES = 12  # a sync word of 11 bits stands everywhere; twelve that chain with equal settings do not


class Mp3:
    """MP3 sounds."""

    name = "mp3"
    signatures = (b"ID3\x02", b"ID3\x03", b"ID3\x04", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")
    signature_offset = 0
    max_bytes = 1 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The sound up to where the chain of frames ends."""
        window = Window(source, start, self.max_bytes)
        head = window.read(0, 10)
        at = 0
        if head.startswith(b"ID3"):
            if len(head) < 10 or any(byte & 0x80 for byte in head[6:10]):  # noqa: PLR2004 - the tag's header
                return None
            at = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        frames, settings = 0, None
        while (length := _frame(window.read(at, 4))) is not None:
            found = window.read(at + 1, 1)[0], window.read(at + 2, 1)[0] & 0x0C
            if (settings not in (None, found)) or at + length > window.size:
                break
            settings, at, frames = found, at + length, frames + 1
        if frames < _LEAST_FRAMES:
            return None
        if window.read(at, 3) == b"TAG" and at + 128 <= window.size:
            return Measured(length=at + 128, validated=True, extension="mp3", why=f"{frames} frames and a tag")
        return Measured(length=at, validated=head.startswith(b"ID3"), extension="mp3", why=f"{frames} frames")


def _frame(head: bytes) -> int | None:
    """Length of the frame of layer III; None where none stands."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # noqa: PLR2004 - sync, and layer III
        return None
    version = head[1] >> 3 & 3
    rate, frequency = head[2] >> 4, head[2] >> 2 & 3
    if version not in _RATES or not 0 < rate < 15 or frequency == 3:  # noqa: PLR2004 - values without meaning
        return None
    factor = 144 if version == 3 else 72  # noqa: PLR2004 - MPEG 1
    return factor * _RATES[version][rate] * 1000 // _FREQUENCIES[version][frequency] + (head[2] >> 1 & 1)
