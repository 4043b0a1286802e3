"""Whether the blocks of deleted streams belong to something else by now, as NIST's deleted file recovery specification asks.

NIST CFTT, Active File Identification & Deleted File Recovery Tool Specification 1.1, DFR-CR-02 to 04: a recovered object has only
blocks that the residual metadata names, and the examiner can tell where they were reused.

True: a block of it is allocated now. False: none is, and no other deleted file that was listed claims one of them. None: two deleted
files claim the same block, and which of them wrote to it last is not known; or the metadata names not all of its blocks.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.errors import Problem, Stage, StreamReadError
from forensics.filesystems.file_slack import block_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.allocation.unallocated_runs import Allocation, Run
    from forensics.filesystems.base import Entry
    from forensics.filesystems.tsk_stream import Attribute
    from forensics.sleuthkit import OpenFilesystem

_MOST_HELD = 200_000  # entries kept until all claims are known
_MOST_CLAIMS = 1_000_000  # runs


class DeletedBlocks:
    """Takes the deleted streams of a listing, and gives them back judged: at once, or at its end where another may claim their blocks."""

    def __init__(self, filesystem: OpenFilesystem, allocation: Allocation, most_held: int = _MOST_HELD) -> None:
        self._filesystem, self._allocation, self._most_held = filesystem, allocation, most_held
        self._held: list[tuple[Entry, tuple[Run, ...]]] = []
        self._starts, self._ends, self._owners = array("q"), array("q"), array("q")
        self._not_compared = 0

    def take(self, entry: Entry, attribute: Attribute) -> Iterator[Entry]:
        """The entry with its verdict, unless it is held back."""
        runs, verdict = self._judge(attribute)
        if runs and entry.metadata_address is not None:
            self._claim(entry.metadata_address, runs)
        if verdict is not False:
            yield replace(entry, overwritten=verdict)
        elif len(self._held) < self._most_held and not self._not_compared:
            self._held.append((entry, runs))
        else:
            self._not_compared += 1
            yield entry

    def settle(self) -> Iterator[Entry | Problem]:
        """The entries that were held back, in the order in which they came, and a Problem if not all could be compared."""
        contested = self._contested() if not self._not_compared else None
        for entry, runs in self._held:
            is_known = contested is not None and not any((entry.metadata_address, start) in contested for start, _ in runs)
            yield replace(entry, overwritten=False if is_known else None)
        if self._not_compared:
            yield Problem(
                stage=Stage.FILESYSTEM,
                code="overwritten-not-known",
                what="it is not known of all deleted files whether others overwrote them",
                why=f"the blocks of more than {self._most_held} deleted files, or more than {_MOST_CLAIMS} runs, were not compared",
                advice="see the blocks of a file that matters with istat",
            )
        self._held.clear()

    def _judge(self, attribute: Attribute) -> tuple[tuple[Run, ...], bool | None]:
        """The runs of the attribute, and whether any is allocated."""
        if attribute.is_resident or attribute.size <= 0:
            return (), None
        block = self._filesystem.block_size
        try:
            listed = attribute.runs()
            runs = block_runs(self._filesystem, attribute, 0, -(-attribute.size // block) * block)
        except StreamReadError:
            return (), None
        verdicts = {self._allocation.is_allocated(start, size) for start, size in runs}
        if True in verdicts:
            return runs, True
        # A deleted FAT entry names its first cluster only. Where the clusters behind it are allocated, TSK takes the next free ones.
        is_guess = "fat" in self._filesystem.name and len(runs) > 1
        is_whole = attribute.is_compressed or sum(run.blocks for run in listed) * block >= attribute.size
        return runs, False if runs and is_whole and not is_guess and None not in verdicts else None

    def _claim(self, owner: int, runs: tuple[Run, ...]) -> None:
        if len(self._starts) + len(runs) > _MOST_CLAIMS:
            self._not_compared += 1
            return
        for start, size in runs:
            self._starts.append(start)
            self._ends.append(start + size)
            self._owners.append(owner)

    def _contested(self) -> set[tuple[int | None, int]]:
        """The claims that meet another owner's, as (owner, first byte)."""
        starts, ends, owners = self._starts, self._ends, self._owners
        order = sorted(range(len(starts)), key=starts.__getitem__)
        contested: set[tuple[int | None, int]] = set()
        # The farthest end so far, and the farthest of anybody else; a claim that starts before an end of another's meets it.
        end = other_end = owner = -1
        for claim in order:
            mine, start = owners[claim], starts[claim]
            if start < (end if owner != mine else other_end):
                contested.add((mine, start))
            if mine == owner:
                end = max(end, ends[claim])
            elif ends[claim] > end:
                end, owner, other_end = ends[claim], mine, end
            elif ends[claim] > other_end:
                other_end = ends[claim]
        # Likewise backwards: the nearest start behind, and the nearest of anybody else.
        near = other_near = 1 << 62
        owner = -1
        for claim in reversed(order):
            mine, start = owners[claim], starts[claim]
            if ends[claim] > (near if owner != mine else other_near):
                contested.add((mine, start))
            if mine != owner:
                other_near, owner = near, mine
            near = start
        return contested
