"""Bytes at an offset: what an image, a volume inside it, and what is unlocked or assembled from volumes have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dissect.util.stream import AlignedStream

if TYPE_CHECKING:
    from forensics.media import MediaReader


class ByteSource(Protocol):
    """Some bytes that can be read at any offset, in any order, by one thread at a time."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `source[offset : offset + length]`, short only at the end.

        Raises:
            ImageReadError: some of them are damaged or cannot be read. Never zeros instead.
        """


class MediaSource:
    """The media of a container reader as a byte source."""

    def __init__(self, reader: MediaReader, size: int) -> None:
        self._reader = reader
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the media, short only at its end."""
        length = min(length, self.size - offset)
        return self._reader.read_at(offset, length) if length > 0 else b""


class SourceSlice:
    """The bytes `source[start : start + size]`; what the slice has beyond the end of the source is not there."""

    def __init__(self, source: ByteSource, start: int, size: int) -> None:
        self._source = source
        self._start = start
        self.size = max(0, min(size, source.size - start))

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `slice[offset : offset + length]`, short only at its end."""
        length = min(length, self.size - offset)
        return self._source.read_at(self._start + offset, length) if length > 0 else b""


class SourceStream(AlignedStream):  # type: ignore[misc]  # dissect.util is untyped
    """A byte source as a seekable binary file object, for libraries that ask for one. Each user takes one of its own.

    A read of damaged bytes raises ImageReadError. It has no `name`, so that no library can look for files beside it.
    """

    def __init__(self, source: ByteSource) -> None:
        super().__init__(source.size)
        self._source = source

    def _read(self, offset: int, length: int) -> bytes:
        return self._source.read_at(offset, length)
