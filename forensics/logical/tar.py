"""Tar as logical evidence: every member a row, also those of one name that follow each other; any member's content at any time."""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.logical.pieces import Piece, PieceStream
from forensics.logical.tar_index import TarMember, TarScan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
    from forensics.source import ByteSource

_NO_CONTENT, _SPARSE, _LINKED = -1, -2, -3


class TarReader:
    """Lists a tar. A member's metadata address is its number in stored order, from 1.

    A hard link is a row with its target's content; its target is the last member of that name before it, as when the archive is unpacked.
    """

    filesystem = "tar"

    def __init__(self, source: ByteSource, found: tuple[Problem, ...] = ()) -> None:
        """Of the archive, unpacked; `found` was found wrong while it was."""
        self._source, self._found = source, found
        self._starts, self._sizes = array("q"), array("q")
        self._sparse: dict[int, tuple[Piece, ...]] = {}
        self._targets: dict[int, int] = {}
        self._is_indexed = False

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every member; a Problem for each part of the archive that could not be listed."""
        del limits  # they are for orphans
        yield from self._found
        self._index()
        for found in TarScan(self._source).members():
            if not isinstance(found, TarMember):
                yield found
                continue
            member = found.member
            if found.hard_link is not None:
                target = self._targets.get(member.number)
                has_content = target is not None and self._starts[target - 1] != _NO_CONTENT
                member = replace(member, size=self._sizes[target - 1] if has_content and target else None, has_content=has_content)
                if target is None:
                    what, why = "a hard link has no content here", "no member before it has the name that it links to"
                    yield member.problem("link-target-missing", what, why, "look for the file in other parts of the collection")
            yield member.entry()

    def open_stream(self, address: StreamAddress) -> PieceStream:
        """The content of the member of that number.

        Raises:
            StreamReadError: there is none.
        """
        self._index()
        number = address.metadata_address
        number = self._targets.get(number, number)
        start = self._starts[number - 1] if 0 < number <= len(self._starts) else _NO_CONTENT
        if start in (_NO_CONTENT, _LINKED):
            message = f"member {address.metadata_address} of the archive has no content"
            raise StreamReadError(message)
        size = self._sizes[number - 1]
        if start == _SPARSE:
            return PieceStream(self._source, size, self._sparse[number])
        return PieceStream(self._source, size, (Piece(0, size, start),) if size else ())

    def _index(self) -> None:
        """Notes where each content lies; the names only of what hard links lead to, in a second pass where there are any."""
        if self._is_indexed:
            return
        wanted: dict[int, bytes] = {}
        for found in TarScan(self._source).members():
            if isinstance(found, TarMember):
                self._take(found)
                if found.hard_link is not None:
                    wanted[found.member.number] = _plain(found.hard_link)
        if wanted:
            self._resolve(wanted)
        self._is_indexed = True

    def _take(self, found: TarMember) -> None:
        self._sizes.append(found.member.size or 0)
        if found.hard_link is not None:
            self._starts.append(_LINKED)
        elif found.pieces is None:
            self._starts.append(_NO_CONTENT)
        elif not found.member.size:
            self._starts.append(0)
        elif len(found.pieces) == 1 and found.pieces[0].length == found.member.size:
            self._starts.append(found.pieces[0].position)
        else:
            self._starts.append(_SPARSE)
            self._sparse[found.member.number] = found.pieces

    def _resolve(self, wanted: dict[int, bytes]) -> None:
        names = set(wanted.values())
        known: dict[bytes, int] = {}
        for found in TarScan(self._source).members():
            if not isinstance(found, TarMember):
                continue
            number, name = found.member.number, _plain(found.member.path)
            target = known.get(wanted[number]) if number in wanted else None
            if target is not None:
                self._targets[number] = target
            if name in names and (found.hard_link is None or target is not None):
                known[name] = number if target is None else target


def _plain(path: bytes) -> bytes:
    """A path without what does not tell it from another: "./" and "/" at its start, "/" at its end."""
    return path.removeprefix(b"./").strip(b"/")
