"""One pass through a compressed stream: a byte range of a file -> blocks, whatever the method.

A decoder is any object with `decompress(data, max_length)`, `eof`, `needs_input` and `unused_data`, as bz2, lzma and zstd have
them; those of other shapes are wrapped. Memory stays at a block of each side and the decoder's own window.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

from forensics.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

BLOCK_BYTES = 256 * 1024
_SIGNATURE_BYTES = 16


class Decoder(Protocol):
    """Decompresses one stream."""

    @property
    def eof(self) -> bool:
        """Whether the stream's end has been reached."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without further input."""

    @property
    def unused_data(self) -> bytes:
        """What was put in and lies behind the stream's end."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """The next bytes, at most `max_length`."""


class Inflater:
    """A Decoder of Deflate (RFC 1951), bare or in zlib's or gzip's form."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        """Whether the stream's end has been reached."""
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without further input."""
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What was put in and lies behind the stream's end."""
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """The next bytes, at most `max_length`."""
        return self._inner.decompress(self._inner.unconsumed_tail + data, max(max_length, 0))


def decode(source: Iterator[bytes], decoder: Decoder) -> Iterator[bytes]:
    """The bytes of one stream, in blocks of at most BLOCK_BYTES.

    Raises:
        ArchiveError: the source ends before the stream does. A decoder's own errors pass.
    """
    while not decoder.eof:
        data = next(source, b"") if decoder.needs_input else b""
        ended = decoder.needs_input and not data
        block = decoder.decompress(data, BLOCK_BYTES)
        if block:
            yield block
        elif not decoder.eof and (ended or not data):
            message = "the compressed data end too early"
            raise ArchiveError(message)


def read_range(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """The bytes `file[start:end]`, in blocks.

    The file is sought before each block, so that others may read it in between.

    Raises:
        ArchiveError: the file ends before.
    """
    while start < end:
        file.seek(start)
        block = file.read(min(BLOCK_BYTES, end - start))
        if not block:
            message = f"{end - start} bytes are missing at byte {start}"
            raise ArchiveError(message)
        start += len(block)
        yield block


def decode_all(file: BinaryIO, size: int, new: Callable[[], Decoder], is_next: Callable[[bytes], bool]) -> Iterator[tuple[bytes, int]]:
    """The blocks of `Streams`, each with 0, and at last an empty one with the offset behind the last stream.

    Raises:
        ArchiveError: a stream ends too early. A decoder's own errors pass.
    """
    streams = Streams(file, size, new, is_next)
    for block in streams.blocks():
        yield block, 0
    yield b"", streams.end or 0


class Streams:
    """The streams of one kind that stand one behind the other in a file, as gzip, bzip2, xz and zstd allow.

    Zeros between streams and behind the last are padding (xz 2.2, and the blocks of tapes).

    Attributes:
        end: offset of the first byte behind the last stream and its padding; None until all of it has been read.
    """

    def __init__(self, file: BinaryIO, size: int, new: Callable[[], Decoder], is_next: Callable[[bytes], bool]) -> None:
        """Of `file`, `size` bytes long; `new` makes a stream's decoder, `is_next` tells by its first bytes whether one begins."""
        self._file, self._size, self._new, self._is_next = file, size, new, is_next
        self._fed = 0
        self.end: int | None = None

    def blocks(self) -> Iterator[bytes]:
        """What all the streams hold, in blocks.

        Raises:
            ArchiveError: one of them ends too early. A decoder's own errors pass.
        """
        start = 0
        while True:
            self._fed = 0
            decoder = self._new()
            yield from decode(self._counted(start), decoder)
            start = self._skip_zeros(start + self._fed - len(decoder.unused_data))
            self._file.seek(start)
            if start >= self._size or not self._is_next(self._file.read(_SIGNATURE_BYTES)):
                self.end = start
                return

    def _counted(self, start: int) -> Iterator[bytes]:
        for block in read_range(self._file, start, self._size):
            self._fed += len(block)
            yield block

    def _skip_zeros(self, start: int) -> int:
        for block in read_range(self._file, start, self._size):
            rest = block.lstrip(b"\0")
            if rest:
                return start + len(block) - len(rest)
            start += len(block)
        return start
