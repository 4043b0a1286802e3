"""Windows event logs: files and single chunks, by their checksums (libevtx documentation, "Windows XML Event Log format")."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_HEADER_BYTES, _CHUNK_BYTES = 4096, 65536
_CHUNK = b"ElfChnk\x00"


class EvtxFile:
    """Event log files; the chunks of valid ones are not carved again by themselves."""

    name = "evtx"
    signatures = (b"ElfFile\x00",)
    signature_offset = 0
    max_bytes = 4 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The file: its header, and the chunks that follow it."""
        window = Window(source, start, self.max_bytes)
        head = window.read(0, 128)
        if len(head) < 128 or zlib.crc32(head[:120]) != int.from_bytes(head[124:128], "little"):  # noqa: PLR2004 - the header
            return None
        stated, chunks = int.from_bytes(head[42:44], "little"), 0
        while is_chunk(window, _HEADER_BYTES + chunks * _CHUNK_BYTES):
            chunks += 1
        if not chunks:
            return None
        length = _HEADER_BYTES + chunks * _CHUNK_BYTES
        return Measured(length=length, validated=chunks >= stated, extension="evtx", why=f"{chunks} chunks, {stated} stated")


class EvtxChunk:
    """Chunks without their file: 64 KiB of event records that stand by themselves."""

    name = "evtx chunk"
    signatures = (_CHUNK,)
    signature_offset = 0
    max_bytes = _CHUNK_BYTES

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The chunk, if its header's checksum holds."""
        window = Window(source, start, self.max_bytes)
        if not is_chunk(window, 0):
            return None
        records = window.read(512, int.from_bytes(window.read(48, 4), "little") - 512)
        holds = zlib.crc32(records) == int.from_bytes(window.read(52, 4), "little") and bool(records)
        return Measured(
            length=window.size, validated=holds, extension="evtxchunk", why="checksums of header and records" if holds else "checksum"
        )


def is_chunk(window: Window, at: int) -> bool:
    """Whether a chunk whose header's checksum holds stands there, whole."""
    head = window.read(at, 512)
    if len(head) < 512 or not head.startswith(_CHUNK) or at + _CHUNK_BYTES > window.size:  # noqa: PLR2004 - the header
        return False
    return zlib.crc32(head[:120] + head[128:512]) == int.from_bytes(head[124:128], "little")
