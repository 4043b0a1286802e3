"""What of a volume no listed stream has and no map calls free, as items.

The filesystem's own structures (tables of inodes, journals, trees), blocks marked bad, clusters in use that no file's chain leads to, and
what folders that cannot be read would lead to; where a filesystem's map of free blocks is not read, its free space, too. So what is
listed, what is unallocated and this make up the volume, whatever is damaged in it. Deleted streams have nothing of their own: their
blocks are free, or another's, or in use by nobody.

A block of which a listed stream has a part is that stream's. An item's address is its first byte and its length.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from forensics.errors import Problem, Stage, StreamReadError
from forensics.filesystems.allocation.unallocated_runs import WINDOW_UNITS
from forensics.filesystems.base import Content, Entry, Kind, Recovery, StreamAddress, Times
from forensics.filesystems.pieces import PiecesStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from forensics.filesystems.allocation.unallocated_runs import Allocation, Run
    from forensics.source import ByteSource

UNOWNED = b"$InNoFile"
"""Folder, made up, in which the items are listed."""
UNOWNED_TYPE = -4
"""Attribute type of an item; its metadata address is its first byte in the volume, its identifier how many bytes it has."""
LONGEST_ITEM = 1 << 30
MOST_ITEMS = 100_000
_WINDOW_BYTES = WINDOW_UNITS // 8


@runtime_checkable
class Placed(Protocol):
    """A stream that knows where its bytes lie."""

    def places(self) -> Iterable[Run]:
        """First byte in the volume, and number of bytes, of each piece; nothing for holes and for what is part of the metadata."""


class OwnedBlocks:
    """Which blocks of a volume listed streams have; memory grows with what they have, one bit a block.

    Attributes:
        first_byte: first byte of block 0, counted from the start of the volume.
        unit_bytes: size of a block.
        end_byte: where the filesystem ends.
    """

    def __init__(self, unit_bytes: int, end_byte: int, first_byte: int = 0) -> None:
        self.unit_bytes, self.end_byte, self.first_byte = unit_bytes, end_byte, min(first_byte, end_byte)
        self.units = -(-(self.end_byte - self.first_byte) // unit_bytes)
        self._windows: dict[int, bytearray] = {}
        self._whole: set[int] = set()
        self._before: list[Run] = []  # what of the bytes before block 0 is owned

    def add(self, start_byte: int, size_bytes: int) -> None:
        """Takes bytes of the volume as owned; what is not in the filesystem is left out."""
        end_byte = min(start_byte + size_bytes, self.end_byte)
        start_byte = max(start_byte, 0)
        if start_byte >= end_byte:
            return
        if start_byte < self.first_byte:
            self._before.append((start_byte, min(end_byte, self.first_byte) - start_byte))
            start_byte = self.first_byte
        first = (start_byte - self.first_byte) // self.unit_bytes
        end = -(-(end_byte - self.first_byte) // self.unit_bytes)
        while first < end:
            number = first // WINDOW_UNITS
            base = number * WINDOW_UNITS
            self._add(number, first - base, min(end - base, WINDOW_UNITS))
            first = base + WINDOW_UNITS

    def iter_unowned(self, allocation: Allocation | None = None, longest_bytes: int = LONGEST_ITEM) -> Iterator[Run]:
        """The runs that are not owned, in order, a longer one in pieces.

        Args:
            allocation: leaves out what is unallocated by it; its blocks are these blocks. What it cannot say of is not left out.
            longest_bytes: the longest piece.
        """
        begun = length = 0
        for start, size in chain(self._runs_before(), self._runs(allocation)):
            if length and start != begun + length:
                yield begun, length
                length = 0
            if not length:
                begun = start
            length += size
            while length >= longest_bytes:
                yield begun, longest_bytes
                begun, length = begun + longest_bytes, length - longest_bytes
        if length:
            yield begun, length

    def _add(self, number: int, first: int, end: int) -> None:
        """Marks blocks `[first : end]` of a window."""
        if number in self._whole:
            return
        if first == 0 and end == WINDOW_UNITS:
            self._whole.add(number)
            self._windows.pop(number, None)
            return
        window = self._windows.get(number)
        if window is None:
            window = self._windows[number] = bytearray(_WINDOW_BYTES)
        low, high = first >> 3, (end - 1) >> 3
        head, tail = 0xFF << (first & 7) & 0xFF, 0xFF >> (7 - (end - 1 & 7))
        if low == high:
            window[low] |= head & tail
            return
        window[low] |= head
        window[high] |= tail
        if high - low > 1:
            window[low + 1 : high] = b"\xff" * (high - low - 1)

    def _runs_before(self) -> Iterator[Run]:
        """Runs before block 0 that are not owned."""
        position = 0
        for start, size in sorted(self._before):
            if start > position:
                yield position, start - position
            position = max(position, start + size)
        if position < self.first_byte:
            yield position, self.first_byte - position

    def _runs(self, allocation: Allocation | None) -> Iterator[Run]:
        """Runs of blocks that are not owned, not joined over windows."""
        for number in range(-(-self.units // WINDOW_UNITS)):
            count = min(WINDOW_UNITS, self.units - number * WINDOW_UNITS)
            unowned = self._unowned(number, count)
            if unowned is None:
                continue
            if allocation is not None:
                unowned &= allocation.in_use(number, count)
            edges = np.flatnonzero(np.diff(np.concatenate(([False], unowned, [False])).view(np.int8))).tolist()
            for begin, end in zip(edges[::2], edges[1::2], strict=True):
                start = self.first_byte + (number * WINDOW_UNITS + begin) * self.unit_bytes
                yield start, min((end - begin) * self.unit_bytes, self.end_byte - start)

    def _unowned(self, number: int, count: int) -> NDArray[np.bool_] | None:
        if number in self._whole:
            return None
        window = self._windows.get(number)
        if window is None:
            return np.ones(count, dtype=np.bool_)
        bits = np.unpackbits(np.frombuffer(window, dtype=np.uint8), count=count, bitorder="little")
        unowned: NDArray[np.bool_] = bits == 0
        return unowned


def iter_unowned_entries(owned: OwnedBlocks, allocation: Allocation | None = None) -> Iterator[Entry | Problem]:
    """An entry for each run that iter_unowned gives; a Problem for what is left where there are more than MOST_ITEMS."""
    left = left_bytes = 0
    for number, (start, size) in enumerate(owned.iter_unowned(allocation), start=1):
        if number > MOST_ITEMS:
            left, left_bytes = left + 1, left_bytes + size
            continue
        yield _entry(number, start, size)
    if left:
        yield Problem(
            stage=Stage.FILESYSTEM,
            code="too-many-pieces",
            what=f"{left} more pieces of the volume that are in no file, {left_bytes} bytes, are not listed",
            why=f"at most {MOST_ITEMS} are",
            advice="search the whole volume as raw space: --reader VOLUME=raw",
        )


def runs_of(volume: ByteSource, address: StreamAddress) -> tuple[Run, ...]:
    """Where an item lies.

    Raises:
        StreamReadError: the volume does not have those bytes.
    """
    start, size = address.metadata_address, address.attribute_id
    if start < 0 or size <= 0 or start + size > volume.size:
        message = f"the volume has no {size} bytes at byte {start}"
        raise StreamReadError(message)
    return ((start, size),)


def open_unowned(volume: ByteSource, address: StreamAddress) -> PiecesStream:
    """The bytes of an item; raises as runs_of does."""
    return PiecesStream(volume, runs_of(volume, address))


def _entry(number: int, start: int, size: int) -> Entry:
    return Entry(
        path=UNOWNED + b"/%09d" % number,
        stream="",
        address=StreamAddress(start, UNOWNED_TYPE, size),
        metadata_address=start,
        kind=Kind.VIRTUAL,
        link_target=None,
        name_allocated=None,
        metadata_allocated=None,
        recovery=Recovery.UNOWNED,
        content=Content.READ,
        size=size,
        times=Times(),
        name_times=None,
        owner=None,
        group=None,
        mode=None,
        links=None,
        sequence=None,
        start_byte=start,
    )
