"""One compressed file that holds no archive: its content as the only entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.base import Kind
from forensics.logical.member import Member
from forensics.logical.pieces import PieceStream, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
    from forensics.source import ByteSource


class SingleReader:
    """Lists the one content of a compressed file, under the file's own name without its last suffix."""

    def __init__(self, source: ByteSource, name: bytes, packing: str, found: tuple[Problem, ...] = ()) -> None:
        """Of the content, unpacked; `found` was found wrong while it was."""
        self.filesystem = packing
        self._source, self._name, self._found = source, name, found

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """The one entry."""
        del limits  # they are for orphans
        yield from self._found
        yield Member(number=1, path=self._name, kind=Kind.FILE, size=self._source.size, has_content=True).entry()

    def open_stream(self, address: StreamAddress) -> PieceStream:
        """The content.

        Raises:
            StreamReadError: another was asked for.
        """
        if address.metadata_address != 1:
            message = f"there is no member {address.metadata_address} in a compressed file"
            raise StreamReadError(message)
        return whole(self._source, 0, self._source.size)
