"""Space in which no filesystem is known — gaps, swap, damaged and unknown volumes — as items that get the one pass and are carved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, Recovery, StreamAddress, Times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.filesystems.base import ListingLimits
    from forensics.source import ByteSource

ITEM_BYTES = 1 << 30
UNALLOCATED = b"$Unallocated"
"""Folder, made up, in which the space is listed that no file has."""


class RangeStream:
    """The bytes `source[start : start + size]` as a stream."""

    def __init__(self, source: ByteSource, start: int, size: int) -> None:
        self._source, self._start = source, start
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: they cannot be read.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        try:
            return self._source.read_at(self._start + offset, length)
        except ImageReadError as error:
            raise StreamReadError(str(error)) from error


class RawSpaceReader:
    """Lists a volume or gap as pieces of raw space, one after the other.

    A piece's metadata address is its number, from 1; its attribute type and identifier are 0.
    """

    def __init__(self, source: ByteSource, filesystem: str = "raw") -> None:
        self._source = source
        self.filesystem = filesystem

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """One entry a piece of ITEM_BYTES, the last one shorter."""
        del limits  # raw space is what was asked for
        for number, start in enumerate(range(0, self._source.size, ITEM_BYTES), start=1):
            yield Entry(
                path=UNALLOCATED + b"/%09d" % number,
                stream="",
                address=StreamAddress(number, 0, 0),
                metadata_address=number,
                kind=Kind.VIRTUAL,
                link_target=None,
                name_allocated=None,
                metadata_allocated=None,
                recovery=Recovery.UNALLOCATED,
                content=Content.READ,
                size=min(ITEM_BYTES, self._source.size - start),
                times=Times(),
                name_times=None,
                owner=None,
                group=None,
                mode=None,
                links=None,
                sequence=None,
                start_byte=start,
            )

    def open_stream(self, address: StreamAddress) -> RangeStream:
        """The piece of that number.

        Raises:
            StreamReadError: there is none.
        """
        start = (address.metadata_address - 1) * ITEM_BYTES
        if not 0 <= start < self._source.size:
            message = f"there is no piece {address.metadata_address} of raw space"
            raise StreamReadError(message)
        return RangeStream(self._source, start, min(ITEM_BYTES, self._source.size - start))

    def runs_of(self, address: StreamAddress) -> tuple[tuple[int, int], ...]:
        """Where the piece lies in its volume: (first byte, length), in order."""
        start = (address.metadata_address - 1) * ITEM_BYTES
        return ((start, min(ITEM_BYTES, self._source.size - start)),)
