"""A collection of files as dissect.target sees it: each file is opened through our reader, and nothing else is.

The second owner file of dissect.target: it makes the filesystem that dissect reads, where dissect_source.py runs dissect over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dissect.target.filesystem import VirtualFilesystem

from forensics.artifacts.dissect_source import open_filesystem_source
from forensics.errors import ImageReadError, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, ListingLimits
from forensics.logical.collection import recognise
from forensics.source import SourceStream

if TYPE_CHECKING:
    from forensics.artifacts.dissect_source import ArtifactSource
    from forensics.filesystems.base import FilesystemReader, Stream, StreamAddress

_LIMITS = ListingLimits(orphans=0, orphan_bytes=0)


class _File:
    """The content of one file, opened when it is first read."""

    def __init__(self, reader: FilesystemReader, address: StreamAddress, size: int) -> None:
        self._reader, self._address = reader, address
        self._stream: Stream | None = None
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of it."""
        try:
            if self._stream is None:
                self._stream = self._reader.open_stream(self._address)
            return self._stream.read_at(offset, length)
        except StreamReadError as error:
            raise ImageReadError(str(error)) from error


def open_logical_source(reader: FilesystemReader) -> ArtifactSource:
    """The collection, ready for artifact functions.

    Raises:
        ForensicsError: dissect cannot open it.
    """
    entries = [one for one in reader.iter_entries(_LIMITS) if isinstance(one, Entry) and not one.stream]
    collection = recognise(entry.path for entry in entries)
    mounts: dict[str, VirtualFilesystem] = {}
    for entry in entries:
        place = collection.place(entry.path)
        if place is None or not place[1]:
            continue
        point, path = place
        if point not in mounts:
            mounts[point] = VirtualFilesystem(case_sensitive=point == "/")
        name = path.decode("utf-8", "surrogateescape")
        if entry.kind is Kind.DIRECTORY:
            mounts[point].makedirs(name)
        elif entry.kind is Kind.LINK and entry.link_target and point == "/":
            mounts[point].symlink(entry.link_target, name)
        elif entry.content is Content.READ and entry.address is not None:
            mounts[point].map_file_fh(name, SourceStream(_File(reader, entry.address, entry.size or 0)))
    return open_filesystem_source(sorted(mounts.items()), f"a collection ({collection.tool})")
