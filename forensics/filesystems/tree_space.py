"""The space of a volume that a tree of inodes is listed from: what is in no file, and what its map calls free."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forensics.boundary import attempt
from forensics.errors import ForensicsError, Problem, Stage, StreamReadError
from forensics.filesystems.unallocated import SPACE_TYPES
from forensics.filesystems.unowned import UNOWNED_TYPE, OwnedBlocks, Placed, iter_unowned_entries, open_unowned
from forensics.filesystems.unowned import runs_of as unowned_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.filesystems.base import Entry, Stream, StreamAddress
    from forensics.filesystems.unallocated import UnallocatedSpace
    from forensics.source import ByteSource


@dataclass(slots=True, kw_only=True)
class TreeSpace:
    """What is listed of a volume's space with one tree.

    Attributes:
        volume: the volume.
        unit_bytes: size of the blocks that streams begin at, for finding what is in no file; 0 where volumes share the blocks.
        begin_free: finds the unallocated space; None where no map of it is read.
    """

    volume: ByteSource
    unit_bytes: int = 0
    begin_free: Callable[[], UnallocatedSpace] | None = None
    _free: list[UnallocatedSpace] = field(default_factory=list, init=False, repr=False)

    def nothing_owned(self) -> OwnedBlocks | None:
        """The blocks of the volume, for `own`; None where it is not found out which are in no file."""
        return OwnedBlocks(self.unit_bytes, self.volume.size) if self.unit_bytes else None

    def iter_entries(self, owned: OwnedBlocks | None) -> Iterator[Entry | Problem]:
        """What is in no file, then what is unallocated."""
        if owned is not None:
            yield from iter_unowned_entries(owned)
        if self.begin_free is not None:
            found: list[UnallocatedSpace] = []
            failure = attempt(lambda: found.append(self._open_free()))
            for space in found:
                yield from space.iter_entries()
            if failure is not None:
                what = "which blocks are unallocated is not known: no unallocated space is listed"
                yield Problem(stage=Stage.FILESYSTEM, code="allocation-not-known", what=what, why=_words(failure))

    def holds(self, address: StreamAddress) -> bool:
        """Whether the address is one of space."""
        return address.attribute_type == UNOWNED_TYPE or (self.begin_free is not None and address.attribute_type in SPACE_TYPES)

    def runs_of(self, address: StreamAddress) -> tuple[tuple[int, int], ...]:
        """Where an item lies in the volume; raises anything where there is none."""
        return unowned_runs(self.volume, address) if address.attribute_type == UNOWNED_TYPE else self._open_free().runs_of(address)

    def open_stream(self, address: StreamAddress) -> Stream:
        """The bytes of an item; raises anything where there is none."""
        return open_unowned(self.volume, address) if address.attribute_type == UNOWNED_TYPE else self._open_free().open_stream(address)

    def _open_free(self) -> UnallocatedSpace:
        if not self._free:
            if self.begin_free is None:
                message = "no map of the volume's free blocks is read"
                raise StreamReadError(message)
            self._free.append(self.begin_free())
        return self._free[0]


def own(stream: Stream, owned: OwnedBlocks) -> None:
    """Takes the blocks of a stream as its own, if it knows them."""
    for start, size in stream.places() if isinstance(stream, Placed) else ():
        owned.add(start, size)


def _words(failure: Exception) -> str:
    return str(failure) if isinstance(failure, ForensicsError) else f"{type(failure).__name__}: {failure}"
