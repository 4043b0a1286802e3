"""A stream whose bytes lie in pieces of its volume: unallocated space, slack."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, StreamReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.filesystems.allocation.unallocated_runs import Run
    from forensics.source import ByteSource


class PiecesStream:
    """The bytes of the runs, one after the other."""

    def __init__(self, volume: ByteSource, runs: Sequence[Run]) -> None:
        self._volume, self._runs = volume, runs
        self._offsets = list(accumulate((size for _, size in runs), initial=0))
        self.size = self._offsets.pop()

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: they cannot be read.
        """
        length = min(length, self.size - offset)
        parts = []
        number = bisect_right(self._offsets, offset) - 1
        while length > 0:
            start, size = self._runs[number]
            within = offset - self._offsets[number]
            part = self._read(start + within, min(length, size - within))
            parts.append(part)
            offset, length, number = offset + len(part), length - len(part), number + 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read(self, start: int, length: int) -> bytes:
        try:
            data = self._volume.read_at(start, length)
        except ImageReadError as error:
            raise StreamReadError(str(error)) from error
        if len(data) < length:
            message = f"the volume ends at byte {start + len(data)}, before the block does"
            raise StreamReadError(message)
        return data
