"""What a library reads of a volume, bounded: structures that hold each other would have it read for ever.

A library that follows what evidence states, from block to block, ends when it has read more than any filesystem that was made needs for
one inode or one directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from dissect.util.stream import RunlistStream

from forensics.errors import StreamReadError
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forensics.source import ByteSource

_MOST_BYTES = 1 << 26
_MOST_NAMES = 10_000_000
_T = TypeVar("_T")


class BoundedStream(SourceStream):
    """A volume as a file object that gives at most 64 MiB between two calls of `renew`."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__(source)
        self._left = _MOST_BYTES

    def renew(self) -> None:
        """Begins anew to count: the library is asked for something else."""
        self._left = _MOST_BYTES

    def _read(self, offset: int, length: int) -> bytes:
        self._left -= length
        if self._left < 0:
            message = f"more than {_MOST_BYTES >> 20} MiB of the volume would be read to find it: its blocks lead to each other"
            raise StreamReadError(message)
        return super()._read(offset, length)


class BoundedContent:
    """A content that a library gives as a file object over a bounded stream."""

    def __init__(self, disk: BoundedStream, file: Any, size: int, first_byte: int = 0) -> None:
        """`first_byte`: where in the volume the library's block 0 lies."""
        self._disk, self._file, self._first_byte = disk, file, first_byte
        self.size = size

    def places(self) -> list[tuple[int, int]]:
        """See Placed. Of a content that the library unpacks it does not say."""
        if not isinstance(self._file, RunlistStream):
            return []
        unit = int(self._file.block_size)
        return [(self._first_byte + int(first) * unit, int(count) * unit) for first, count in self._file.runlist if first is not None]

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes, as many as the library gives at once at most; GuardedStream makes errors of fewer."""
        self._disk.renew()
        self._file.seek(offset)
        return bytes(self._file.read(min(length, _MOST_BYTES >> 1)))


def counted(names: Iterable[_T]) -> Iterator[_T]:
    """The names of a directory, up to ten million.

    Raises:
        StreamReadError: there are more.
    """
    for number, name in enumerate(names):
        if number >= _MOST_NAMES:
            message = f"the directory has more than {_MOST_NAMES} names; the rest is not listed"
            raise StreamReadError(message)
        yield name
