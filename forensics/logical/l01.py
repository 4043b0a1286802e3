"""L01 and Lx01 (EnCase logical evidence) through libewf, with the digests that they state of each file.

One of the two owner files of libewf-python; the other reads disks.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyewf

from forensics.boundary import attempt
from forensics.errors import FilesystemError, StreamReadError
from forensics.filesystems.base import Kind, Times
from forensics.logical.l01_chunks import CheckedSegment
from forensics.logical.library_file import LibraryFile
from forensics.logical.member import LONGEST_NAME, MAXIMUM_MEMBERS, Member, container_problem
from forensics.source import SourceSlice
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.errors import Problem
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
    from forensics.source import ByteSource

_DEEPEST = 1000
_ADVICE = "open it with the tool that made it and compare"


class L01Reader:
    """Lists an L01. An entry's metadata address is its number, a folder before what is in it, from 1."""

    filesystem = "l01"

    def __init__(self, source: ByteSource, sizes: Sequence[int]) -> None:
        """Opens it; `sizes` are the lengths of its segments, whose bytes follow each other in `source`.

        Raises:
            FilesystemError: it is damaged, or a segment is missing.
        """
        starts = (0, *accumulate(sizes[:-1]))
        self._handle = pyewf.handle()
        places = enumerate(zip(starts, sizes, strict=True), start=1)
        self._segments = [CheckedSegment(SourceSlice(source, start, size), number) for number, (start, size) in places]
        error = attempt(lambda: self._handle.open_file_objects(self._segments))
        if error is not None:
            message = f"libewf cannot open it: {error}"
            raise FilesystemError(message) from error
        self._entries: list[tuple[bytes, Any]] = []
        self._failures: list[Problem] = []
        for segment in self._segments:
            segment.find_chunks()
            if segment.failure:
                what = "damaged parts of the image cannot be told: they read as zeros; only files with a stated digest are checked"
                self._failures.append(container_problem("checksums-not-checked", what, segment.failure, _ADVICE))
        self._list()

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every entry; a Problem for what could not be listed."""
        del limits  # they are for orphans
        yield from self._failures
        for number, (path, entry) in enumerate(self._entries, start=1):
            size = int(entry.get_size() or 0)
            # The library has no flag for folders: what has others in it and no content is one.
            is_folder = size == 0 and int(entry.get_number_of_sub_file_entries()) > 0
            times = Times(
                created=_time(entry, "creation_time"),
                modified=_time(entry, "modification_time"),
                accessed=_time(entry, "access_time"),
                metadata_changed=_time(entry, "entry_modification_time"),
            )
            kind = Kind.DIRECTORY if is_folder else Kind.FILE
            has_size = size if kind is Kind.FILE else None
            yield Member(number=number, path=path, kind=kind, size=has_size, times=times, has_content=not is_folder).entry()

    def open_stream(self, address: StreamAddress) -> LibraryFile:
        """The content of the entry of that number.

        Raises:
            StreamReadError: there is none.
        """
        if not 0 < address.metadata_address <= len(self._entries):
            message = f"there is no entry {address.metadata_address} in the image"
            raise StreamReadError(message)
        entry = self._entries[address.metadata_address - 1][1]
        stated = {"md5": _digest(entry, "md5"), "sha1": _digest(entry, "sha1")}
        return LibraryFile(entry, int(entry.get_size() or 0), {name: value for name, value in stated.items() if value})

    def _list(self) -> None:
        waiting: list[tuple[Any, bytes, int]] = []

        def begin() -> None:
            root = self._handle.get_root_file_entry()
            if root is not None:
                waiting.append((root, b"", 0))

        self._note(attempt(begin))
        while waiting and len(self._entries) < MAXIMUM_MEMBERS:
            folder, path, depth = waiting.pop()
            below: list[tuple[Any, bytes, int]] = []

            def take(folder: Any = folder, path: bytes = path, depth: int = depth, below: list[tuple[Any, bytes, int]] = below) -> None:
                for index in range(int(folder.get_number_of_sub_file_entries())):
                    entry = folder.get_sub_file_entry(index)
                    name = (entry.get_name() or "").encode("utf-8", "surrogatepass")
                    own = path + b"/" + name if path else name
                    self._entries.append((own[:LONGEST_NAME], entry))
                    if depth < _DEEPEST and len(own) <= LONGEST_NAME:
                        below.append((entry, own, depth + 1))

            self._note(attempt(take))
            waiting.extend(reversed(below))

    def _note(self, error: Exception | None) -> None:
        if error is not None:
            what = "some entries of the image could not be listed"
            self._failures.append(container_problem("listing-damaged", what, str(error), _ADVICE))


def _time(entry: Any, name: str) -> Any:
    """The time of that name in nanoseconds; the library gives seconds since 1970."""
    value: list[Any] = []
    attempt(lambda: value.append(getattr(entry, f"get_{name}_as_integer")()))
    return from_unix(int(value[0]), 0) if value and value[0] else None


def _digest(entry: Any, algorithm: str) -> str:
    value: list[Any] = []
    attempt(lambda: value.append(getattr(entry, f"get_hash_value_{algorithm}")()))
    return str(value[0]).strip("\0").lower() if value and value[0] else ""
