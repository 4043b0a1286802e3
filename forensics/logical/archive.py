"""Archives that can only be read from front to back (7z, RAR, cab, cpio and others) as logical evidence.

They are unpacked once, by the openers of forensics.expansion, into a file that all processes of a run read; beside it stands what was
listed, a line a member, so that any member's content can be had at any time.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from forensics.errors import ArchiveError, FilesystemError, Problem, Stage, StreamReadError
from forensics.expansion.guard import guarded
from forensics.expansion.kinds import ALL_OPENERS
from forensics.filesystems.base import Kind, Times
from forensics.logical.kept_file import FileSource, is_out_of_proportion, kept, write_block
from forensics.logical.member import LONGEST_NAME, MAXIMUM_MEMBERS, Member, container_problem
from forensics.names import display_path
from forensics.source import SourceStream
from forensics.timestamps import OutOfRange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forensics.credentials import Credential
    from forensics.expansion.base import Member as ArchiveMember
    from forensics.expansion.base import Opener
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
    from forensics.source import ByteSource

_TIMES = ("created", "modified", "accessed", "metadata_changed")
_HEAD_BYTES = 1 << 20


def opener_of(head: bytes, name: str) -> Opener:
    """What opens an archive that begins with these bytes.

    Raises:
        FilesystemError: nothing here does.
    """
    shown = display_path(name.encode("utf-8", "surrogateescape"))[0]
    opener = next((one for one in ALL_OPENERS if one.recognises(head, "", shown)), None)
    if opener is None:
        message = "it is an archive of a kind that is not read; extract it and give the folder of its files"
        raise FilesystemError(message)
    return opener


@dataclass(slots=True)
class KeptStream:
    """A member's content, as far as it could be unpacked.

    Attributes:
        size: bytes that it should have.
        stated: nothing: these archives state no digests.
    """

    size: int
    _content: FileSource
    _start: int
    _length: int
    _failure: str

    @property
    def stated(self) -> dict[str, str]:
        """Nothing: these archives state no digests."""
        return {}

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: they could not be unpacked.
        """
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        if offset >= self._length:
            raise StreamReadError(self._failure or f"there are {self._length} bytes of content instead of the {self.size} stated")
        return self._content.read_at(self._start + offset, min(end, self._length) - offset)

    def checksum_failure(self) -> str:
        """How its checksum fails; "" if it does not."""
        return self._failure if self._length >= self.size else ""


class ArchiveReader:
    """Lists an archive. A member's metadata address is its number in stored order, from 1."""

    def __init__(self, source: ByteSource, name: str, credentials: tuple[Credential, ...], spool: Path) -> None:
        """Of the archive, a file of that name, which is unpacked now unless that was done.

        Raises:
            FilesystemError: it cannot be opened, or there is no room to unpack it.
        """
        opener = opener_of(source.read_at(0, _HEAD_BYTES), name)
        self.filesystem = opener.name
        shown = display_path(name.encode("utf-8", "surrogateescape"))[0]
        unpacking = _Unpacking(source, opener, shown, credentials)
        try:
            content, self._notes = kept(source, spool, "members", unpacking.write)
        except ArchiveError as error:
            message = f"the archive ({opener.name}) cannot be opened: {error}"
            raise FilesystemError(message) from error
        self._content = FileSource(content)
        self._places: list[tuple[int, int, int, str] | None] = [None]

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every member; a Problem for each whose content is not read, and for what could not be listed."""
        del limits  # they are for orphans
        for line in self._lines():
            if "path" not in line:
                yield Problem(**{**line["problem"], "stage": Stage(line["problem"]["stage"])})
                continue
            member = _member(line)
            yield member.entry()
            if line["problem"]:
                problem = line["problem"]
                yield member.problem(problem["code"], problem["what"], problem["why"], problem["advice"])
            elif line["failure"] and line["length"] >= (member.size or 0):
                what = "the content of a member is damaged; what could be unpacked was processed"
                yield member.problem("member-damaged", what, line["failure"], "find another copy of the archive")

    def open_stream(self, address: StreamAddress) -> KeptStream:
        """The content of the member of that number.

        Raises:
            StreamReadError: there is none.
        """
        if len(self._places) == 1:
            for line in self._lines():
                if "path" in line:
                    size = line["length"] if line["size"] is None else line["size"]
                    self._places.append((size, line["start"], line["length"], line["failure"]) if line["has_content"] else None)
        number = address.metadata_address
        place = self._places[number] if 0 < number < len(self._places) else None
        if place is None:
            message = f"member {number} of the archive has no content that can be read"
            raise StreamReadError(message)
        size, start, length, failure = place
        return KeptStream(size, self._content, start, length, failure)

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._notes.open(encoding="ascii") as lines:
            yield from map(json.loads, lines)


@dataclass(slots=True)
class _Unpacking:
    """One pass through an archive."""

    source: ByteSource
    opener: Opener
    name: str
    credentials: tuple[Credential, ...]
    _written: int = 0
    _number: int = 0

    def write(self, file: BinaryIO, about: BinaryIO) -> None:
        """Writes contents and lines.

        Raises:
            ArchiveError: the archive cannot be opened at all.
        """
        stream = SourceStream(self.source)
        members = guarded(self.opener.iter_members(stream, self.source.size, self.name, self.credentials), self.name)
        try:
            for found in members:
                _note(about, {"problem": asdict(found)} if isinstance(found, Problem) else self._take(found, file))
                bound = self._bound()
                if bound:
                    what = f"the archive was listed as far as member {self._number}; the rest was not"
                    _note(
                        about, {"problem": asdict(container_problem("expansion-limit", what, bound, "if it is genuine, extract it first"))}
                    )
                    break
        except ArchiveError as error:
            if not self._number:
                raise
            what = f"the archive could be read as far as member {self._number}"
            _note(about, {"problem": asdict(container_problem("container-damaged", what, str(error), "find another copy of it"))})
        file.truncate(self._written)

    def _take(self, member: ArchiveMember, file: BinaryIO) -> dict[str, Any]:
        self._number += 1
        start, failure = self._written, ""
        try:
            for block in member.blocks or ():
                write_block(file, block)
                self._written += len(block)
                failure = self._bound()
                if failure:
                    break
        except ArchiveError as error:
            failure = str(error)
        times = {name: getattr(member.times, name) for name in _TIMES}
        return {
            "number": self._number,
            "path": base64.b64encode(member.path[:LONGEST_NAME]).decode(),
            "kind": member.kind,
            "size": member.size,
            "times": {name: {"raw": value.raw} if isinstance(value, OutOfRange) else value for name, value in times.items()},
            "link": member.link_target,
            "deleted": member.deleted,
            "problem": asdict(member.problem) if member.problem else None,
            "has_content": member.blocks is not None or (member.kind is Kind.FILE and member.size == 0 and member.problem is None),
            "start": start,
            "length": self._written - start,
            "failure": failure,
        }

    def _bound(self) -> str:
        """Which bound was reached; "" while none is."""
        if is_out_of_proportion(self._written, self.source.size):
            return f"{self._written} bytes came out of {self.source.size}, as from an archive made to exhaust a reader"
        return f"at most {MAXIMUM_MEMBERS} members are listed" if self._number >= MAXIMUM_MEMBERS else ""


def _note(about: BinaryIO, line: dict[str, Any]) -> None:
    about.write(json.dumps(line).encode("ascii") + b"\n")


def _member(line: dict[str, Any]) -> Member:
    times = {name: OutOfRange(value["raw"]) if isinstance(value, dict) else value for name, value in line["times"].items()}
    kind = Kind(line["kind"])
    size = line["length"] if line["size"] is None and line["has_content"] else line["size"]
    return Member(
        number=line["number"],
        path=base64.b64decode(line["path"]),
        kind=kind,
        size=None if kind is Kind.DIRECTORY else size,
        times=Times(**times),
        link_target=None if line["link"] is None else line["link"].encode(),
        has_content=line["has_content"],
        deleted=line["deleted"],
    )
