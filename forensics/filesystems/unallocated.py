"""The unallocated space of a filesystem as items, each with an address from which any process finds its bytes again.

An item begins where the one before it ended and takes run after run, in the order of the volume, until it has ITEM_BYTES; it never
has more than LONGEST_RUN. Only a run longer than LONGEST_RUN is cut, so that a file that was in one piece is whole in one item, if
its run is no longer than that. What an item is depends on its first byte and the filesystem's bitmaps alone: hence its address. With
it the bitmap is looked at from there, not from its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from forensics.errors import StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, Recovery, StreamAddress, Times
from forensics.filesystems.pieces import PiecesStream
from forensics.filesystems.raw_space import UNALLOCATED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.allocation.unallocated_runs import Allocation, Run
    from forensics.source import ByteSource

ITEM_BYTES = 64 << 20
LONGEST_RUN = 1 << 30
VOLUME_SLACK = b"$VolumeSlack"
"""Folder, made up, for what lies behind the filesystem's end inside its volume."""
UNALLOCATED_TYPE = -1
"""Attribute type of an item of unallocated space; its metadata address is its first block as TSK counts, its identifier its number."""
VOLUME_SLACK_TYPE = -2
"""Attribute type of a piece of volume slack; its addresses likewise, marked as slack."""
SPACE_TYPES = (UNALLOCATED_TYPE, VOLUME_SLACK_TYPE)


class Blocks(Protocol):
    """Where a filesystem's blocks lie in its volume."""

    @property
    def volume(self) -> ByteSource:
        """The volume."""

    @property
    def volume_bytes(self) -> int | None:
        """Its size; None where it is not known."""

    @property
    def first_block_byte(self) -> int:
        """First byte of block 0, counted from the start of the volume."""

    @property
    def block_size(self) -> int:
        """Bytes a block."""

    @property
    def block_count(self) -> int:
        """How many blocks there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeBlocks:
    """Blocks that begin where their volume does; see Blocks."""

    volume: ByteSource
    volume_bytes: int | None
    block_size: int
    block_count: int
    first_block_byte: int = 0


def gather(allocation: Allocation, start_byte: int, item_bytes: int, longest_run: int) -> tuple[Run, ...]:
    """The runs of the item that begins at `start_byte`, or at the first unallocated byte behind it; none where there are no more."""
    runs: list[Run] = []
    taken = 0
    for start, size in allocation.iter_unallocated(longest_run, start_byte):
        if runs and taken + size > longest_run:
            break
        runs.append((start, size))
        taken += size
        if taken >= item_bytes:
            break
    return tuple(runs)


class UnallocatedSpace:
    """Items of unallocated space, and pieces of what lies behind the filesystem."""

    def __init__(
        self, filesystem: Blocks, allocation: Allocation | None, item_bytes: int = ITEM_BYTES, longest_run: int = LONGEST_RUN
    ) -> None:
        self._filesystem, self._allocation = filesystem, allocation
        self._item_bytes, self._longest_run = item_bytes, longest_run

    def iter_entries(self) -> Iterator[Entry]:
        """One entry an item, in the order of the volume; then one a piece behind the filesystem."""
        number = 0
        runs = self._gather(0)
        while runs:
            number += 1
            yield self._entry(UNALLOCATED, UNALLOCATED_TYPE, number, runs)
            runs = self._gather(sum(runs[-1]))
        for number, run in enumerate(self._iter_behind(), start=1):
            yield self._entry(VOLUME_SLACK, VOLUME_SLACK_TYPE, number, (run,))

    def runs_of(self, address: StreamAddress) -> tuple[Run, ...]:
        """Where the item lies in its volume: (first byte, bytes), in order.

        Raises:
            StreamReadError: there is no such item.
        """
        start = self._filesystem.first_block_byte + address.metadata_address * self._filesystem.block_size
        if address.attribute_type == UNALLOCATED_TYPE:
            runs = self._gather(start) if address.metadata_address >= 0 else ()
        else:
            number = address.attribute_id - 1
            runs = tuple(run for at, run in enumerate(self._iter_behind()) if at == number)
        if not runs or self._block(runs[0]) != address.metadata_address:
            message = f"there is no unallocated space at block {address.metadata_address}"
            raise StreamReadError(message)
        return runs

    def open_stream(self, address: StreamAddress) -> PiecesStream:
        """The bytes of the item; raises as runs_of does."""
        return PiecesStream(self._filesystem.volume, self.runs_of(address))

    def _gather(self, start_byte: int) -> tuple[Run, ...]:
        return () if self._allocation is None else gather(self._allocation, start_byte, self._item_bytes, self._longest_run)

    def _iter_behind(self) -> Iterator[Run]:
        """What the volume has behind the filesystem, where the volume's size is known."""
        filesystem = self._filesystem
        if filesystem.volume_bytes is None:
            return
        end = filesystem.first_block_byte + filesystem.block_count * filesystem.block_size
        if self._allocation is not None:
            end = max(end, self._allocation.end_byte)
        for start in range(end, filesystem.volume.size, self._longest_run):
            yield start, min(self._longest_run, filesystem.volume.size - start)

    def _block(self, run: Run) -> int:
        return (run[0] - self._filesystem.first_block_byte) // self._filesystem.block_size

    def _entry(self, folder: bytes, attribute_type: int, number: int, runs: tuple[Run, ...]) -> Entry:
        return Entry(
            path=folder + b"/%09d" % number,
            stream="",
            address=StreamAddress(self._block(runs[0]), attribute_type, number, slack=attribute_type == VOLUME_SLACK_TYPE),
            metadata_address=self._block(runs[0]),
            kind=Kind.VIRTUAL,
            link_target=None,
            name_allocated=None,
            metadata_allocated=None,
            recovery=Recovery.UNALLOCATED if attribute_type == UNALLOCATED_TYPE else Recovery.SLACK,
            content=Content.READ,
            size=sum(size for _, size in runs),
            times=Times(),
            name_times=None,
            owner=None,
            group=None,
            mode=None,
            links=None,
            sequence=None,
            start_byte=runs[0][0] if len(runs) == 1 else None,
        )
