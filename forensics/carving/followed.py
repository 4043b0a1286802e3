"""A space as the kinds follow files in it: what that costs is bounded by a multiple of the space's size.

A space that is full of beginnings would otherwise be read through again for each of them, and given out again as a file for each.
The bound grows as the search goes on, so that a part of the space that is made so does not use up what the rest needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import ImageReadError

if TYPE_CHECKING:
    from forensics.carving.base import Carved
    from forensics.source import ByteSource

_AT_LEAST, _A_BYTE, _A_BYTE_PASSED = 16 << 20, 4, 8
_STEP = 32  # what a step along a structure costs, in bytes: as much as it does in time
_PIECE = 4 << 10


class AllowanceSpentError(Exception):
    """Following files has cost as much as it may so far. Belongs to one place of the search, which notes it."""


class Followed:
    """The source, with a count of what is read of it for files that turn out not to be valid.

    Altogether no more than 12 times its size and 16 MiB are read for them or given out as such files.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._base, self._block = 0, b""
        self._left, self._passed, self._spent = _AT_LEAST + _A_BYTE * source.size, 0, 0
        self.size = source.size

    @property
    def is_whole(self) -> bool:
        """Whether nothing was met that cannot be read, since the file was begun."""
        return self.size == self._source.size

    def begin(self, start: int, base: int, block: bytes) -> None:
        """Begins with the file at `start`; the bytes from `base` on are read already."""
        self._base, self._block = base, block
        self._left += _A_BYTE_PASSED * (start - self._passed)
        self._passed, self._spent = start, 0
        self.size = self._source.size

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `source[offset : offset + length]`, short at the end.

        Raises:
            AllowanceSpentError: no more may be read for this file.
            ImageReadError: some of them cannot be read; the source then ends before them, until another file is begun.
        """
        length = max(0, min(length, self.size - offset))
        self.charge(length)
        if self._base <= offset and offset + length <= self._base + len(self._block):
            return self._block[offset - self._base : offset - self._base + length]
        try:
            return self._source.read_at(offset, length)
        except ImageReadError:
            if offset >= self._passed:
                self.size = self._readable_end(offset, length)
            raise

    def step(self) -> None:
        """Counts a step along a structure."""
        self.charge(_STEP)

    def charge(self, cost: int) -> None:
        """Counts a cost in bytes.

        Raises:
            AllowanceSpentError: it is more than is left.
        """
        self._spent += cost
        if self._spent > self._left:
            raise AllowanceSpentError

    def settle(self, carved: Carved | None) -> None:
        """Ends with the file: what a valid one cost is not counted, what another one did is, and its length too.

        Raises:
            AllowanceSpentError: it is longer than what is left.
        """
        if carved is not None and carved.validated:
            self._spent = 0
        elif carved is not None:
            self.charge(carved.length)
        self._left -= self._spent
        self._spent = 0

    def give_up(self) -> None:
        """Ends with a file that cost too much: what was read for it is gone, but never more than there was."""
        self._left -= min(self._spent, self._left)
        self._spent = 0

    def _readable_end(self, offset: int, length: int) -> int:
        for at in range(offset, offset + length, _PIECE):
            try:
                self._source.read_at(at, min(_PIECE, offset + length - at))
            except ImageReadError:
                return at
        return offset
