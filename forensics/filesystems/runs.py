"""A stream whose bytes lie in pieces of its volume, with holes between them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forensics.source import ByteSource


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """`length` bytes of the stream from `start`, which lie at byte `place` of the volume; zeros where that is None."""

    start: int
    length: int
    place: int | None


class RunStream:
    """A stream made of runs; what no run covers reads as zeros, as holes do."""

    def __init__(self, source: ByteSource, runs: Iterable[Run], size: int) -> None:
        self._source = source
        self._runs = sorted(run for run in runs if run.place is not None)
        self._starts = [run.start for run in self._runs]
        self.size = size

    def places(self) -> Iterator[tuple[int, int]]:
        """See Placed."""
        return ((run.place, run.length) for run in self._runs if run.place is not None)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: a run lies beyond the end of the volume.
        """
        end = min(offset + length, self.size)
        parts = []
        number = max(0, bisect_right(self._starts, offset) - 1)
        while offset < end:
            while number < len(self._runs) and self._runs[number].start + self._runs[number].length <= offset:
                number += 1
            run = self._runs[number] if number < len(self._runs) else None
            if run is None or offset < run.start:
                hole = min(end, run.start if run else end) - offset
                parts.append(bytes(hole))
                offset += hole
                continue
            parts.append(self._piece(run, offset, min(end, run.start + run.length) - offset))
            offset += len(parts[-1])
        return b"".join(parts)

    def _piece(self, run: Run, offset: int, length: int) -> bytes:
        place = (run.place or 0) + offset - run.start
        data = self._source.read_at(place, length)
        if len(data) < length:
            message = f"its bytes from {offset} lie at byte {place} of the volume, which ends at {self._source.size}"
            raise StreamReadError(message)
        return data


class BytesStream:
    """A stream whose bytes are at hand."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def places(self) -> tuple[tuple[int, int], ...]:
        """See Placed: none, it is part of its metadata."""
        return ()

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end."""
        return self._data[offset : offset + length] if length > 0 else b""
