"""Decoders of ZIP's compression methods. The owner file of inflate64.

References: APPNOTE.TXT 6.3.10, 4.4.5 for the numbers, 5.8 for LZMA.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Any

import inflate64

from forensics.errors import ArchiveError
from forensics.expansion.decoding import BLOCK_BYTES, Decoder, Inflater, decode
from forensics.expansion.zstandard import zstd_decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STORED, _LZMA = 0, 14
_LARGEST_DECODER_BYTES = 1 << 30
# What a step of Deflate64 puts out is not bounded by the library, but by what is put in: some 1,000 to 1.
_DEFLATE64_STEP = 1024
_OTHERS = {1: "Shrink", 2: "Reduce", 3: "Reduce", 4: "Reduce", 5: "Reduce", 6: "Implode", 96: "JPEG", 97: "WavPack", 98: "PPMd"}


class _Inflater64:
    """A Decoder of Deflate64."""

    def __init__(self) -> None:
        self._inner: Any = inflate64.Inflater()
        self._waiting, self._ready = b"", b""
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        """Whether the stream's end has been reached."""
        return bool(self._inner.eof) and not self._ready

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without further input."""
        return not self._waiting and not self._ready

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """The next bytes, at most `max_length`."""
        self._waiting += data
        while self._waiting and not self._ready and not self._inner.eof:
            step, self._waiting = self._waiting[:_DEFLATE64_STEP], self._waiting[_DEFLATE64_STEP:]
            self._ready = self._inner.inflate(step)
        block, self._ready = self._ready[:max_length], self._ready[max_length:]
        return block


_DECODERS: dict[int, Callable[[], Decoder]] = {
    8: lambda: Inflater(-zlib.MAX_WBITS),
    9: _Inflater64,
    12: bz2.BZ2Decompressor,
    93: zstd_decoder,
    95: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LARGEST_DECODER_BYTES),
}


def why_unsupported(method: int) -> str:
    """Why members of the method are not read; "" if they are."""
    if method in (_STORED, _LZMA) or method in _DECODERS:
        return ""
    return f"its compression method {method} ({_OTHERS.get(method, 'unknown')}) is not read here"


def unpacked(source: Iterator[bytes], method: int, size: int | None) -> Iterator[bytes]:
    """The content of a member of a supported method, in blocks.

    Args:
        source: what is stored, decrypted.
        method: compression method.
        size: bytes of the content; None where that is not stated.

    Raises:
        ArchiveError: it ends too early. A decoder's own errors pass.
    """
    if method == _STORED:
        return source
    if method == _LZMA:
        return _lzma_blocks(source, size)
    return decode(source, _DECODERS[method]())


def _lzma_blocks(source: Iterator[bytes], size: int | None) -> Iterator[bytes]:
    """What an LZMA stream holds: version, length of the properties, properties, data (5.8.8). It may lack a mark of its end."""
    head = b""
    while len(head) < 9 and (block := next(source, b"")):  # noqa: PLR2004 - all of the above
        head += block
    if len(head) < 9 or head[2:4] != b"\5\0":  # noqa: PLR2004
        message = "the LZMA header is cut off or damaged"
        raise ArchiveError(message)
    properties, dictionary = struct.unpack_from("<BI", head, 4)
    if dictionary > _LARGEST_DECODER_BYTES:
        message = f"the LZMA dictionary would take {dictionary} bytes of memory"
        raise ArchiveError(message)
    position, rest = divmod(properties, 45)
    literal_position, literal_context = divmod(rest, 9)
    how = {"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), "lc": literal_context, "lp": literal_position, "pb": position}
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[how])
    left = size
    data: bytes = head[9:]
    while not decoder.eof and (left is None or left > 0):
        given = data
        block = decoder.decompress(given, BLOCK_BYTES if left is None else min(BLOCK_BYTES, left))
        if block:
            left = None if left is None else left - len(block)
            yield block
        data = (next(source, b"")) if decoder.needs_input else b""
        if not block and not given and not data:
            message = "the compressed data end too early"
            raise ArchiveError(message)
