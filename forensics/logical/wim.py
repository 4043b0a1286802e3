"""WIM (Windows Imaging) as logical evidence: a folder an image, with the SHA-1 that the WIM states of each content.

dissect.archive is not used: it gives wrong bytes for a chunk that is stored because it did not shrink, and does not read LZX.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from forensics.errors import FilesystemError, ImageReadError, StreamReadError
from forensics.filesystems.base import Kind, Times
from forensics.logical.member import LONGEST_NAME, MAXIMUM_MEMBERS, Member, container_problem
from forensics.logical.pieces import PieceStream
from forensics.logical.reparse import parse_reparse_data
from forensics.logical.wim_structure import NO_DIGEST, Wim, WimEntry, WimError, iter_folder, read_entry, root_at
from forensics.names import display_path, escape_text
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
    from forensics.logical.wim_resource import Resource, ResourceStream
    from forensics.source import ByteSource

_DEEPEST = 1000
_LONGEST_TARGET = 16 * 1024  # [MS-FSCC] 2.1.2: of a reparse point's data
_REPARSE_STREAM = "$REPARSE_POINT"
_ADVICE = "list the WIM with another tool and compare"


class WimReader:
    """Lists a WIM. An entry's metadata address is its number in the order of the folders, image by image, from 1."""

    filesystem = "wim"

    def __init__(self, source: ByteSource) -> None:
        """Opens it.

        Raises:
            FilesystemError: it is damaged, or of a variant that is not read.
        """
        self._source = source
        try:
            self._wim = Wim(source)
        except ImageReadError as error:
            message = f"the WIM cannot be opened: {error}"
            raise FilesystemError(message) from error
        self._firsts: array[int] | None = None
        self._digests = bytearray()

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every stream of every entry of every image; a Problem for a folder that could not be listed to its end."""
        del limits  # they are for orphans
        yield from self._entries()

    def open_stream(self, address: StreamAddress) -> ResourceStream | PieceStream:
        """The stream of that number.

        Raises:
            StreamReadError: there is none, or its content is not in this file.
        """
        if self._firsts is None:
            for _ in self._entries():
                pass
        assert self._firsts is not None, "listed just now"
        number = address.metadata_address
        at = (self._firsts[number - 1] if 0 < number < len(self._firsts) else 0) + address.attribute_id
        if not 0 < number < len(self._firsts) or not self._firsts[number - 1] <= at < self._firsts[number]:
            message = f"there is no entry {number} in the WIM"
            raise StreamReadError(message)
        return self._content(bytes(self._digests[20 * at : 20 * at + 20]))

    def _content(self, digest: bytes) -> ResourceStream | PieceStream:
        if digest == NO_DIGEST:
            return PieceStream(self._source, 0, ())
        resource = self._wim.contents.get(digest)
        if resource is None:
            message = f"the content with the SHA-1 {digest.hex()} is not in this WIM; another one that it builds on may have it"
            raise StreamReadError(message)
        return self._wim.open(resource, {"sha1": digest.hex()})

    def _entries(self) -> Iterator[Entry | Problem]:
        firsts, digests, number = array("Q", [0]), bytearray(), 0
        for found in self._walk():
            if not isinstance(found, tuple):
                yield found
                continue
            number += 1
            if number > MAXIMUM_MEMBERS:
                yield container_problem("too-many-members", f"entries behind number {number - 1} were not listed", "a bound", _ADVICE)
                break
            for member, digest in self._members(number, *found):
                digests += digest
                yield member.entry()
            firsts.append(len(digests) // 20)
        self._firsts, self._digests = firsts, digests

    def _members(self, number: int, path: bytes, entry: WimEntry) -> list[tuple[Member, bytes]]:
        """A member a stream; a folder comes as one of its own."""
        kind = Kind.DIRECTORY if entry.is_directory else Kind.LINK if entry.reparse is not None or entry.reparse_tag else Kind.FILE
        streams, target = list(entry.streams), None
        if kind is Kind.LINK:
            target = self._target(entry)
            if entry.reparse is not None and streams[0][1] == NO_DIGEST:
                streams[0] = "", entry.reparse
            elif entry.reparse is not None:
                streams.append((_REPARSE_STREAM, entry.reparse))
        times = Times(created=from_filetime(entry.created), modified=from_filetime(entry.written), accessed=from_filetime(entry.accessed))
        found = []
        for index, (name, digest) in enumerate(streams):
            has_content = bool(name) or kind is not Kind.DIRECTORY
            resource = self._wim.contents.get(digest)
            size = resource.size if resource is not None else 0 if digest == NO_DIGEST else None
            member = Member(
                number=number,
                path=path,
                kind=kind,
                times=times,
                stream=escape_text(name),
                attribute_id=index,
                size=size if has_content and (size is None or size < 1 << 63) else None,
                link_target=None if name else target,
                has_content=has_content,
            )
            found.append((member, digest))
        return found

    def _target(self, entry: WimEntry) -> bytes | None:
        """Where a link leads; None if that cannot be read."""
        try:
            data = self._content(entry.reparse or NO_DIGEST).read_at(0, _LONGEST_TARGET)
        except StreamReadError:
            return None  # the content is read again as any other, and becomes a problem there
        return parse_reparse_data(entry.reparse_tag, data)

    def _walk(self) -> Iterator[tuple[bytes, WimEntry] | Problem]:
        """Path and entry of everything, a folder before what is in it; a folder's table of entries once, whatever points to it."""
        if not self._wim.images:
            yield container_problem("listing-damaged", "the WIM holds no image, so no file is listed", "its table names none", _ADVICE)
        for number, image in enumerate(self._wim.images, start=1):
            yield from self._image(b"%d" % number, image)

    def _image(self, name: bytes, image: Resource) -> Iterator[tuple[bytes, WimEntry] | Problem]:
        try:
            metadata = self._wim.metadata(image)
            root, _ = read_entry(metadata, root_at(metadata))
        except (FilesystemError, WimError) as error:
            yield container_problem("listing-damaged", f"image {name.decode()} of the WIM could not be opened", str(error), _ADVICE)
            return
        yield name, root
        seen, waiting = {0}, [(root.inside, name, 0)]
        while waiting:
            place, above, depth = waiting.pop()
            if place in seen or depth > _DEEPEST or len(above) > LONGEST_NAME:
                if place:
                    what = f"a folder was not entered: {display_path(above)[0][:1000]}"
                    why = "it is listed under another path already, or lies too deep"
                    yield container_problem("directory-loop", what, why, _ADVICE)
                continue
            seen.add(place)
            folders = []
            try:
                for entry in iter_folder(metadata, place):
                    path = above + b"/" + entry.name
                    yield path, entry
                    if entry.is_directory:
                        folders.append((entry.inside, path, depth + 1))
            except WimError as error:
                what = f"a folder could not be listed to its end: {display_path(above)[0][:1000]}"
                yield container_problem("listing-damaged", what, str(error), _ADVICE)
            waiting.extend(reversed(folders))
