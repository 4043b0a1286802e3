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
_TAG_BYTES = 128  # ID3v1
_LEAST_FRAMES = 12  # a sync word of 11 bits stands everywhere; twelve that chain with equal settings do not


class Mp3:
    """MP3 sounds."""

    name = "mp3"
    signatures = (b"ID3\x02", b"ID3\x03", b"ID3\x04", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")
    signature_offset = 0
    max_bytes = 1 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The sound up to where the chain of frames ends; valid if a tag ends it, or its first frame states that length."""
        window = Window(source, start, self.max_bytes)
        first = _behind_tag(window.read(0, 10))
        if first is None:
            return None
        stated = _stated_bytes(window, first)
        at, frames, settings = first, 0, None
        while at - first != stated:
            head = window.read(at, 4)
            length = _frame(head)
            if length is None or settings not in (None, (head[1], head[2] & 0x0C)) or at + length > window.size:
                break
            settings, at, frames = (head[1], head[2] & 0x0C), at + length, frames + 1
        if frames < _LEAST_FRAMES:
            return None
        if window.read(at, 3) == b"TAG" and at + _TAG_BYTES <= window.size:
            return Measured(length=at + _TAG_BYTES, validated=True, extension="mp3", why=f"{frames} frames and a tag")
        if at - first == stated:
            return Measured(length=at, validated=True, extension="mp3", why=f"{frames} frames, of the length that the first states")
        return Measured(length=at, validated=False, extension="mp3", why=f"{frames} frames")


def _behind_tag(head: bytes) -> int | None:
    """Where the first frame stands: behind the tag, if there is one; None if its header makes no sense."""
    if not head.startswith(b"ID3"):
        return 0
    if len(head) < 10 or any(byte & 0x80 for byte in head[6:10]):  # noqa: PLR2004 - the tag's header
        return None
    has_footer = head[3] == 4 and head[5] & 0x10  # noqa: PLR2004 - ID3v2.4, 3.4
    return (20 if has_footer else 10) + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])


def _stated_bytes(window: Window, at: int) -> int | None:
    """Bytes of all frames, as the encoder put them into the first one (Xing, LAME "Info", or Fraunhofer "VBRI"); None if it did not."""
    head = window.read(at, 4)
    if _frame(head) is None:
        return None
    if window.read(at + 36, 4) == b"VBRI":
        return _number(window, at + 46)
    is_first_version, is_mono = head[1] >> 3 & 3 == 3, head[3] >> 6 == 3  # noqa: PLR2004 - MPEG 1, one channel
    side = (17 if is_mono else 32) if is_first_version else (9 if is_mono else 17)
    kind, flags = window.unpack(">4sI", at + 4 + side) or (b"", 0)
    if kind not in (b"Xing", b"Info") or not flags & 2:
        return None
    return _number(window, at + 12 + side + (4 if flags & 1 else 0))


def _number(window: Window, at: int) -> int | None:
    raw = window.read(at, 4)
    return int.from_bytes(raw, "big") if len(raw) == 4 else None  # noqa: PLR2004 - a whole number


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
