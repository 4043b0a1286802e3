"""Where a content lies in its volume, for what lies there in pieces: unallocated space, slack, and what is carved from them."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise


class Pieces:
    """Consecutive pieces of a content and where in the volume each starts: (first byte, length), in the content's order."""

    def __init__(self, runs: tuple[tuple[int, int], ...]) -> None:
        self.runs = runs
        self._starts = (0, *accumulate(size for _, size in runs))

    def volume_offset(self, offset: int) -> int | None:
        """Where byte `offset` of the content lies in the volume; None if no piece holds it."""
        found = self._piece(offset)
        return None if found is None else self.runs[found[0]][0] + offset - found[1]

    def is_broken(self, offset: int, length: int) -> bool:
        """Whether `content[offset : offset + length]` runs over a seam between pieces that do not follow each other in the volume."""
        runs = self.part(offset, length).runs
        return sum(size for _, size in runs) != length or any(start + size != after for (start, size), (after, _) in pairwise(runs))

    def part(self, offset: int, length: int) -> Pieces:
        """The pieces of `content[offset : offset + length]`."""
        runs = []
        while length > 0 and (found := self._piece(offset)) is not None:
            start, size = self.runs[found[0]]
            skip = offset - found[1]
            take = min(size - skip, length)
            runs.append((start + skip, take))
            offset, length = offset + take, length - take
        return Pieces(tuple(runs))

    def _piece(self, offset: int) -> tuple[int, int] | None:
        """Number of the piece that holds the byte, and where in the content that piece starts."""
        number = bisect_right(self._starts, offset) - 1
        return (number, self._starts[number]) if 0 <= number < len(self.runs) else None


NOWHERE = Pieces(())
"""Of a content whose place in the volume is not stated."""
