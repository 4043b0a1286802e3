"""The runs of unallocated units of a filesystem, and whether given bytes are allocated."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from forensics.errors import ImageReadError, StreamReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from forensics.filesystems.allocation.block_map import BlockMap, Geometry

WINDOW_UNITS = 1 << 18  # units looked at together: 1 GiB of 4 KiB clusters, 256 KiB of memory; a multiple of 8
_KEPT_WINDOWS = 64
_MOST_UNREADABLE = 1000  # unreadable parts that are told apart; more are joined to the last

Run = tuple[int, int]
"""First byte in the volume, and number of bytes."""


class Allocation:
    """The allocation of a filesystem, read window by window, so that its size costs time and no memory."""

    def __init__(self, blocks: BlockMap) -> None:
        self._blocks = blocks
        self._geometry = blocks.geometry
        self._windows: OrderedDict[int, NDArray[np.bool_] | None] = OrderedDict()
        self._unreadable: dict[int, tuple[int, int, str]] = {}

    @property
    def geometry(self) -> Geometry:
        """Where the filesystem's units lie in its volume."""
        return self._geometry

    @property
    def end_byte(self) -> int:
        """Where the filesystem ends in its volume."""
        return self._geometry.end_byte

    def in_use(self, number: int, count: int) -> NDArray[np.bool_]:
        """For each of the first `count` units of window `number` whether it is allocated, or may be because that cannot be read."""
        flags = np.zeros(count, dtype=np.bool_)
        within = min(count, self._geometry.units - number * WINDOW_UNITS)
        if within > 0:
            window = self._window(number)
            flags[:within] = True if window is None else window[:within]
        return flags

    def unreadable(self) -> tuple[tuple[int, int, str], ...]:
        """What of the volume no allocation is known for, as far as it was looked at: first byte, bytes, why; in order."""
        return tuple(self._unreadable[start] for start in sorted(self._unreadable))

    def iter_unallocated(self, longest_bytes: int, start_byte: int = 0) -> Iterator[Run]:
        """The unallocated runs from `start_byte` on, in order; a longer one comes in pieces.

        What the filesystem has behind its last unit is unallocated, too. A part whose allocation cannot be read is left out, and
        kept for `unreadable`.

        Args:
            longest_bytes: the longest piece; a run is cut at its multiples, rounded down to whole units.
            start_byte: 0, or the start of a piece that was given before; it is the first of what comes then.
        """
        geometry = self._geometry
        longest = max(1, longest_bytes // geometry.unit_bytes) * geometry.unit_bytes
        begun = length = 0
        for start, size in self._free(start_byte):
            if length and start != begun + length:
                yield begun, length
                length = 0
            if not length:
                begun = start
            length += size
            while length >= longest:
                yield begun, longest
                begun, length = begun + longest, length - longest
        if length:
            yield begun, length

    def is_allocated(self, start_byte: int, size_bytes: int) -> bool | None:
        """Whether any unit of the bytes is allocated; None where that cannot be read or is not in the filesystem's units."""
        geometry = self._geometry
        if size_bytes <= 0 or start_byte < geometry.first_byte:
            return None
        first = (start_byte - geometry.first_byte) // geometry.unit_bytes
        last = (start_byte + size_bytes - 1 - geometry.first_byte) // geometry.unit_bytes
        if last >= geometry.units:
            return None
        known = True
        for number in range(first // WINDOW_UNITS, last // WINDOW_UNITS + 1):
            window = self._window(number)
            if window is None:
                known = False
            elif window[max(0, first - number * WINDOW_UNITS) : last + 1 - number * WINDOW_UNITS].any():
                return True
        return False if known else None

    def _free(self, start_byte: int) -> Iterator[Run]:
        """Unallocated runs, not joined over windows."""
        geometry = self._geometry
        # A piece that the volume's end cuts ends inside a unit: what follows it begins with the next.
        first = -(-max(0, start_byte - geometry.first_byte) // geometry.unit_bytes)
        for number in range(first // WINDOW_UNITS, -(-geometry.units // WINDOW_UNITS)):
            window = self._window(number)
            if window is None:
                continue
            base = number * WINDOW_UNITS
            free = np.zeros(len(window) + 2, dtype=np.int8)
            free[1:-1] = ~window
            free[: max(0, first - base) + 1] = 0
            edges = np.flatnonzero(np.diff(free)).tolist()
            for begin, end in zip(edges[::2], edges[1::2], strict=True):
                start = geometry.first_byte + (base + begin) * geometry.unit_bytes
                size = min((end - begin) * geometry.unit_bytes, geometry.end_byte - start)
                if size > 0:
                    yield start, size
        behind = max(start_byte, geometry.first_byte + geometry.units * geometry.unit_bytes)
        if behind < geometry.end_byte:
            yield behind, geometry.end_byte - behind

    def _window(self, number: int) -> NDArray[np.bool_] | None:
        """Allocation of the units of a window; None where it cannot be read."""
        if number in self._windows:
            self._windows.move_to_end(number)
            return self._windows[number]
        first = number * WINDOW_UNITS
        count = min(WINDOW_UNITS, self._geometry.units - first)
        window: NDArray[np.bool_] | None = None
        try:
            window = self._blocks.allocated(first, count)
        except (ImageReadError, StreamReadError) as error:
            self._note(first, count, str(error))
        self._windows[number] = window
        if len(self._windows) > _KEPT_WINDOWS:
            self._windows.popitem(last=False)
        return window

    def _note(self, first: int, count: int, why: str) -> None:
        start = self._geometry.first_byte + first * self._geometry.unit_bytes
        size = count * self._geometry.unit_bytes
        if len(self._unreadable) >= _MOST_UNREADABLE and start not in self._unreadable:
            last = max(self._unreadable)
            start, size, why = last, self._unreadable[last][1] + size, self._unreadable[last][2]
        self._unreadable[start] = (start, size, why)
