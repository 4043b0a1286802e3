"""gzip: inflated to its end, where CRC-32 and length are checked (RFC 1952)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_BLOCK = 4 << 10  # where data break off is known as exactly as this
_MOST_OUTPUT = 8 << 30
_LEAST_OUTPUT = 512


class Gzip:
    """gzip files of one member."""

    name = "gzip"
    signatures = tuple(b"\x1f\x8b\x08" + bytes([flags]) for flags in (0, 8, 4, 12, 16, 24))
    signature_offset = 0
    max_bytes = 4 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The file; one that breaks off counts if half a KiB came out of it."""
        window = Window(source, start, self.max_bytes)
        decoder, at, out = zlib.decompressobj(31), 0, 0
        try:
            while not decoder.eof and out < _MOST_OUTPUT:
                block = decoder.unconsumed_tail
                if not block:
                    block = window.read(at, _BLOCK)
                    at += len(block)
                if not block:
                    break
                out += len(decoder.decompress(block, 1 << 20))
        except zlib.error:
            return None if out < _LEAST_OUTPUT else Measured(length=at, validated=False, extension="gz", why="the data break off")
        if decoder.eof:
            return Measured(length=at - len(decoder.unused_data), validated=True, extension="gz", why="checksum and length right")
        why = "end of the space" if out < _MOST_OUTPUT else f"more than {_MOST_OUTPUT} bytes come out of it"
        return Measured(length=at, validated=False, extension="gz", why=why) if out >= _LEAST_OUTPUT else None
