"""AFF4-L (logical evidence in an AFF4 volume), with the digests that it states of each file.

References:
    Schatz, "AFF4-L: A Scalable Open Logical Evidence Container", DFRWS USA 2019.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from forensics.containers.aff4_streams import open_stream_of
from forensics.containers.aff4_volume import AFF4, TYPE, Aff4Volume
from forensics.errors import FilesystemError, ImageError, ImageReadError, StreamReadError
from forensics.filesystems.base import Kind, Times
from forensics.logical.member import Member
from forensics.timestamps import OutOfRange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
    from forensics.source import ByteSource

_FOLDER = "FolderImage"
_DIGITS = re.compile(r"(\.\d{6})\d+")  # Python's datetime has microseconds


class Aff4File:
    """The content of one file of an AFF4-L volume.

    Attributes:
        size: bytes of it.
        stated: digests that the volume states.
    """

    def __init__(self, source: ByteSource, stated: dict[str, str]) -> None:
        self._source = source
        self.size, self.stated = source.size, stated

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: they are damaged.
        """
        try:
            return self._source.read_at(offset, min(length, self.size - offset)) if offset < self.size else b""
        except ImageReadError as error:
            raise StreamReadError(str(error)) from error

    def checksum_failure(self) -> str:
        """Nothing: what the volume states are digests."""
        return ""


class Aff4LogicalReader:
    """Lists an AFF4-L volume. An entry's metadata address is its number in the order of the paths, from 1."""

    filesystem = "aff4-l"

    def __init__(self, source: ByteSource) -> None:
        """Opens it.

        Raises:
            FilesystemError: it is damaged, or holds no file.
        """
        self._source = source
        try:
            self._volume = Aff4Volume(source, "the container")
        except ImageError as error:
            raise FilesystemError(str(error)) from error
        named = [(self._path(subject), subject) for kind in ("FileImage", "FolderImage") for subject in self._volume.subjects(kind)]
        self._entries = sorted(set(named))
        if not self._entries:
            message = "the AFF4 volume states no file and no folder"
            raise FilesystemError(message)

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every file and folder that the volume states."""
        del limits  # they are for orphans
        for number, (path, subject) in enumerate(self._entries, start=1):
            is_folder = AFF4 + _FOLDER in self._volume.graph[subject].get(TYPE, ())
            yield Member(
                number=number,
                path=path,
                kind=Kind.DIRECTORY if is_folder else Kind.FILE,
                size=self._volume.number(subject, "size"),
                times=Times(
                    created=self._time(subject, "birthTime"),
                    modified=self._time(subject, "lastWritten"),
                    accessed=self._time(subject, "lastAccessed"),
                    metadata_changed=self._time(subject, "recordChanged"),
                ),
                has_content=not is_folder,
            ).entry()

    def open_stream(self, address: StreamAddress) -> Aff4File:
        """The content of the file of that number.

        Raises:
            StreamReadError: there is none, or it is damaged.
        """
        if not 0 < address.metadata_address <= len(self._entries):
            message = f"there is no entry {address.metadata_address} in the volume"
            raise StreamReadError(message)
        subject = self._entries[address.metadata_address - 1][1]
        try:
            return Aff4File(open_stream_of(self._volume, self._source, subject), self._volume.digests(subject))
        except (ImageError, ImageReadError) as error:
            raise StreamReadError(str(error)) from error

    def _path(self, subject: str) -> bytes:
        stated = self._volume.value(subject, "originalFileName") or subject.removeprefix(self._volume.urn)
        return stated.replace("\\", "/").removeprefix("./").lstrip("/").encode("utf-8", "surrogatepass")

    def _time(self, subject: str, predicate: str) -> int | OutOfRange | None:
        stated = self._volume.value(subject, predicate)
        if not stated:
            return None
        try:
            moment = datetime.fromisoformat(_DIGITS.sub(r"\1", stated))
        except ValueError:
            return OutOfRange(f"AFF4 time {stated[:60]}")
        if moment.tzinfo is None:
            return OutOfRange(f"AFF4 time without a zone {stated[:60]}")
        return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
