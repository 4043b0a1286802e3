"""File slack: what lies behind a stream's end in the blocks that are its own.

On NTFS it begins where what was ever written ends: behind its initialised size a stream reads as zeros, and its clusters may hold
anything.

Slack that is all zero is counted, not listed: most of it is, and it would double the listing. What stands in an MFT entry behind a
resident file is no file slack and not listed; neither is the slack of compressed files, whose blocks hold something else than their
bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.base import Content, Entry, Recovery
from forensics.filesystems.ntfs_initialised import InitialisedSizes
from forensics.filesystems.pieces import PiecesStream

if TYPE_CHECKING:
    from forensics.filesystems.allocation.unallocated_runs import Run
    from forensics.filesystems.tsk_stream import Attribute
    from forensics.sleuthkit import OpenFilesystem

SLACK = "slack"
"""Stream name of the slack of the default data; that of a named stream is its name, a colon and this."""
_LOOKED_AT = 1 << 20  # slack larger than this, space reserved in advance, is listed without a look
# Of these, TSK states more blocks than the file has: all the direct ones of an inode, a whole block where it has fragments.
_ENDS_WITH_ITS_LAST_BLOCK = ("ext2", "ext3", "ext4", "ufs1", "ufs1b", "ufs2")


class FileSlack:
    """The slack of the files of one filesystem.

    Attributes:
        zero_slacks: how many were all zero, and so not listed.
        zero_bytes: how many bytes those had.
    """

    def __init__(self, filesystem: OpenFilesystem) -> None:
        self._filesystem = filesystem
        self._initialised = InitialisedSizes(filesystem) if filesystem.name == "ntfs" else None
        self.zero_slacks = self.zero_bytes = 0

    def entry_of(self, entry: Entry, attribute: Attribute) -> Entry | None:
        """The slack of an allocated stream as an entry; None where it has none, or only zeros.

        Raises:
            StreamReadError: TSK cannot say where the stream lies.
        """
        if entry.recovery is not Recovery.ALLOCATED or entry.content is not Content.READ or entry.address is None:
            return None
        runs = self.runs_of(entry.address.metadata_address, attribute)
        size = sum(length for _, length in runs)
        if not runs:
            return None
        if size <= _LOOKED_AT and self._is_zero(runs):
            self.zero_slacks += 1
            self.zero_bytes += size
            return None
        return replace(
            entry,
            stream=f"{entry.stream}:{SLACK}" if entry.stream else SLACK,
            address=replace(entry.address, slack=True),
            recovery=Recovery.SLACK,
            size=size,
            start_byte=runs[0][0] if len(runs) == 1 else None,
        )

    def runs_of(self, metadata_address: int, attribute: Attribute) -> tuple[Run, ...]:
        """Where the slack of the attribute, one of the file at the address, lies in the volume.

        Raises:
            StreamReadError: TSK cannot say.
        """
        if attribute.is_resident or attribute.is_compressed:
            return ()
        filesystem = self._filesystem
        block = filesystem.block_size
        last = -(-attribute.size // block) * block if filesystem.name in _ENDS_WITH_ITS_LAST_BLOCK else None
        written = attribute.size if self._initialised is None else self._initialised.size_of(metadata_address, attribute)
        return block_runs(filesystem, attribute, written, last)

    def open_stream(self, metadata_address: int, attribute: Attribute) -> PiecesStream:
        """The bytes of the slack; raises as runs_of does, and where there is none."""
        runs = self.runs_of(metadata_address, attribute)
        if not runs:
            message = "the stream has no slack"
            raise StreamReadError(message)
        return PiecesStream(self._filesystem.volume, runs)

    def _is_zero(self, runs: tuple[Run, ...]) -> bool:
        """Whether there are only zeros; what cannot be read is not known to be."""
        stream = PiecesStream(self._filesystem.volume, runs)
        try:
            data = stream.read_at(0, stream.size)
        except StreamReadError:
            return False
        return data.count(0) == len(data)


def block_runs(filesystem: OpenFilesystem, attribute: Attribute, first: int, last: int | None) -> tuple[Run, ...]:
    """Where the bytes `[first : last]` of the attribute's blocks lie in the volume, holes left out; None is the end of its blocks.

    Raises:
        StreamReadError: TSK cannot say.
    """
    pieces: list[Run] = []
    position = 0
    for run in attribute.runs():
        size = run.blocks * filesystem.block_size
        skip = max(0, first - position)
        end = size if last is None else min(size, last - position)
        position += size
        if run.first is None or skip >= end:
            continue
        start = filesystem.first_block_byte + run.first * filesystem.block_size + skip
        length = end - skip
        if pieces and sum(pieces[-1]) == start:
            start, before = pieces.pop()
            length += before
        pieces.append((start, length))
    return tuple(pieces)
