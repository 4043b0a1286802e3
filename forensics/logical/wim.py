"""WIM (Windows Imaging) as logical evidence: a folder an image, with the SHA-1 that the WIM states of each content.

The owner file of dissect.archive.

References:
    Microsoft, "Windows Imaging File Format (WIM)", 2007.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dissect.archive.wim import WIM

from forensics.boundary import attempt
from forensics.errors import FilesystemError, StreamReadError
from forensics.filesystems.base import Kind, Times
from forensics.logical.library_file import LibraryFile
from forensics.logical.member import MAXIMUM_MEMBERS, Member, container_problem
from forensics.names import display_path
from forensics.source import SourceStream
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
    from forensics.source import ByteSource

_DEEPEST = 1000
_NO_HASH = bytes(20)
_ADVICE = "list the WIM with another tool and compare"


class WimReader:
    """Lists a WIM. An entry's metadata address is its number in the order of the folders, image by image, from 1."""

    filesystem = "wim"

    def __init__(self, source: ByteSource) -> None:
        """Opens it.

        Raises:
            FilesystemError: it is damaged, or of a variant that is not read (spanned, solid).
        """
        self._wim: Any = None
        error = attempt(lambda: setattr(self, "_wim", WIM(SourceStream(source))))
        if error is not None:
            message = f"the WIM cannot be opened: {error}"
            raise FilesystemError(message) from error
        self._contents: list[tuple[int, bytes]] | None = None

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every stream of every entry of every image; a Problem for a folder that could not be listed to its end."""
        del limits  # they are for orphans
        contents: list[tuple[int, bytes]] = []
        number = 0
        for found in self._walk():
            if not isinstance(found, tuple):
                yield found
                continue
            path, entry = found
            number += 1
            if number > MAXIMUM_MEMBERS:
                yield container_problem("listing-limit", f"entries after the first {MAXIMUM_MEMBERS} were not listed", "a bound", _ADVICE)
                break
            for index, member in enumerate(_members(number, path, entry)):
                contents.append((number, bytes(entry.streams.get(member.stream) or _NO_HASH)))
                size = self._size(contents[-1][1]) if member.has_content else None
                yield Member(**{**_fields(member), "attribute_id": index, "size": size}).entry()
        self._contents = contents

    def open_stream(self, address: StreamAddress) -> LibraryFile:
        """The stream of that number.

        Raises:
            StreamReadError: there is none, or its content is not in this file.
        """
        digest = self._digest_of(address)
        if digest == _NO_HASH:
            return LibraryFile(None, 0, {})
        resource = self._wim.resources.get(digest)
        if resource is None:
            message = f"the content with the SHA-1 {digest.hex()} is not in this WIM; another part of a set may have it"
            raise StreamReadError(message)
        opened: list[Any] = []
        error = attempt(lambda: opened.append(resource.open()))
        if error is not None:
            message = f"the content cannot be opened: {error}"
            raise StreamReadError(message) from error
        return LibraryFile(opened[0], int(resource.original_size), {"sha1": digest.hex()})

    def _digest_of(self, address: StreamAddress) -> bytes:
        if self._contents is None:
            for _ in self.iter_entries(None):  # type: ignore[arg-type]  # the limits are for orphans, which a WIM has not
                pass
        assert self._contents is not None, "listed just now"
        own = [digest for number, digest in self._contents if number == address.metadata_address]
        if not 0 <= address.attribute_id < len(own):
            message = f"there is no entry {address.metadata_address} in the WIM"
            raise StreamReadError(message)
        return own[address.attribute_id]

    def _size(self, digest: bytes) -> int | None:
        resource = self._wim.resources.get(digest)
        return int(resource.original_size) if resource is not None else 0 if digest == _NO_HASH else None

    def _walk(self) -> Iterator[tuple[bytes, Any] | Problem]:
        """Path and entry of everything, a folder before what is in it; a folder's table of entries once, whatever points to it."""
        images = self._wim.images()
        for number in range(1, MAXIMUM_MEMBERS):
            image, failure = _next(images)
            if failure is not None:
                yield container_problem("listing-damaged", f"image {number} of the WIM could not be opened", str(failure), _ADVICE)
                return
            if image is None:
                return
            root = b"%d" % number
            yield root, image.root
            yield from _below(image.root, root)


def _below(root: Any, above: bytes) -> Iterator[tuple[bytes, Any] | Problem]:
    seen: set[int] = set()
    waiting = [(root, above, 0)]
    while waiting:
        folder, path, depth = waiting.pop()
        place = int(folder.entry.SubdirOffset)
        if not place:
            continue
        if place in seen or depth > _DEEPEST:
            yield container_problem("directory-loop", "a folder is listed under more than one path; it was entered once", "a loop", _ADVICE)
            continue
        seen.add(place)
        # Each step reads from where the one before ended, so a folder is listed whole before another is begun.
        entries, failure = _listed(folder)
        if failure is not None:
            what = f"a folder could not be listed to its end: {display_path(path)[0]}"
            yield container_problem("listing-damaged", what, str(failure), _ADVICE)
        folders = []
        for entry in entries:
            below = path + b"/" + (entry.name or "").encode("utf-8", "surrogatepass")
            yield below, entry
            if entry.is_dir():
                folders.append((entry, below, depth + 1))
        waiting.extend(reversed(folders))


def _listed(folder: Any) -> tuple[list[Any], Exception | None]:
    entries: list[Any] = []

    def take() -> None:
        for entry in folder.iterdir():
            entries.append(entry)
            if len(entries) > MAXIMUM_MEMBERS:
                return

    return entries, attempt(take)


def _next(items: Iterator[Any]) -> tuple[Any, Exception | None]:
    taken: list[Any] = []
    error = attempt(lambda: taken.append(next(items, None)))
    return (taken[0] if taken else None), error


def _members(number: int, path: bytes, entry: Any) -> list[Member]:
    """A member a stream; a folder and what has no default stream come as one of their own."""
    kind = Kind.DIRECTORY if entry.is_dir() else Kind.LINK if entry.is_reparse_point() else Kind.FILE
    streams = sorted(entry.streams) if kind is not Kind.DIRECTORY else ["", *sorted(filter(None, entry.streams))]
    times = Times(
        created=from_filetime(int(entry.entry.CreationTime)),
        modified=from_filetime(int(entry.entry.LastWriteTime)),
        accessed=from_filetime(int(entry.entry.LastAccessTime)),
    )
    return [
        Member(number=number, path=path, kind=kind, times=times, stream=name, has_content=bool(name) or kind is not Kind.DIRECTORY)
        for name in streams
    ]


def _fields(member: Member) -> dict[str, Any]:
    return {name: getattr(member, name) for name in Member.__dataclass_fields__}
