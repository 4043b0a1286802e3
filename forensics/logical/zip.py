"""ZIP as logical evidence: its central directory, then what has a local header that the directory does not list.

The structure is read by forensics.expansion's ZIP modules; here every member gets a number, so that any content can be had at any time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forensics.errors import ArchiveError, StreamReadError
from forensics.expansion.guard import called, guarded
from forensics.expansion.member_problems import encrypted, overlaps
from forensics.expansion.zip_archive import kind_of, name_of, why_not_read
from forensics.expansion.zip_content import Lock, content_blocks
from forensics.expansion.zip_directory import (
    FLAG_DESCRIPTOR,
    FLAG_ENCRYPTED,
    Directory,
    Ranges,
    ZipEntry,
    find_directory,
    iter_central,
    iter_local,
    read_local,
)
from forensics.expansion.zip_extras import Aes, Extras
from forensics.filesystems.base import Kind, Times
from forensics.logical.kept_file import is_out_of_proportion
from forensics.logical.member import LONGEST_NAME, MAXIMUM_MEMBERS, Member, container_problem
from forensics.logical.sequential import SequentialStream
from forensics.source import SourceStream
from forensics.timestamps import from_dos

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.credentials import Credential
    from forensics.errors import Problem
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
    from forensics.source import ByteSource

_UNIX = 3  # APPNOTE 4.4.2
_COUNT_MODULUS = 1 << 16  # some programs write more members than the count has room for, without ZIP64
_LONGEST_TARGET = 4096
_ADVICE = "list the archive with another tool and compare"


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry with its number, why its content is not read, and whether only its local header names it."""

    number: int
    entry: ZipEntry
    problem: Problem | None
    deleted: bool


class _Places:
    """What is needed to read each member's content, in few bytes a member."""

    _FORM = struct.Struct("<QQQIIHHB")

    def __init__(self) -> None:
        self._stored = bytearray()
        self._aes: dict[int, Aes] = {}

    def add(self, found: _Found) -> None:
        one = found.entry
        flags = one.is_central | (found.problem is None and kind_of(one) is not Kind.DIRECTORY) << 1
        self._stored += self._FORM.pack(
            one.offset & (1 << 64) - 1, one.packed, one.size, one.crc, one.dos_time, one.flags, one.method, flags
        )
        if one.extras.aes is not None:
            self._aes[found.number] = one.extras.aes

    def entry(self, number: int) -> ZipEntry | None:
        """The entry of that number without its name; None if there is none, or its content cannot be read."""
        at = (number - 1) * self._FORM.size
        if not 0 <= at < len(self._stored):
            return None
        offset, packed, size, crc, dos_time, flags, method, marks = self._FORM.unpack_from(self._stored, at)
        if not marks & 2:
            return None
        return ZipEntry(
            name=b"",
            flags=flags,
            method=method,
            dos_time=dos_time,
            crc=crc,
            packed=packed,
            size=size,
            offset=offset,
            host=0,
            attributes=0,
            extras=Extras(aes=self._aes.get(number)),
            is_central=bool(marks & 1),
        )


class ZipReader:
    """Lists a ZIP. A member's metadata address is its number, from 1: as the directory lists it, then by its local header."""

    filesystem = "zip"

    def __init__(self, source: ByteSource, credentials: tuple[Credential, ...] = ()) -> None:
        self._source = source
        self._lock = Lock(credentials)
        self._is_proven = not self._lock.count
        self._places: _Places | None = None

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every member; a Problem for each whose content is not read, and for what of the archive is damaged or out of place."""
        del limits  # they are for orphans
        self._prove()
        places = _Places()
        for found in self._scan():
            if not isinstance(found, _Found):
                yield found
                continue
            places.add(found)
            yield from self._described(found)
        self._places = places

    def open_stream(self, address: StreamAddress) -> SequentialStream:
        """The content of the member of that number.

        Raises:
            StreamReadError: there is none, or no passphrase opens it.
        """
        self._prove()
        if self._places is None:
            places = _Places()
            for found in self._scan():
                if isinstance(found, _Found):
                    places.add(found)
            self._places = places
        entry = self._places.entry(address.metadata_address)
        if entry is None:
            message = f"member {address.metadata_address} of the archive has no content that can be read"
            raise StreamReadError(message)
        return self._content(entry, address.metadata_address)

    def _prove(self) -> None:
        """Tries the passphrases on every member, so that of a damaged one the same is said whatever was read before it."""
        if self._is_proven:
            return
        self._is_proven = True
        file, proven = SourceStream(self._source), set()
        for found in self._scan():
            if isinstance(found, _Found) and found.problem is None and found.entry.flags & FLAG_ENCRYPTED:
                proven.add(self._lock.passphrase_of(file, self._source.size, found.entry))
                if len(proven - {None}) == self._lock.count:
                    return

    def _content(self, entry: ZipEntry, number: int) -> SequentialStream:
        file = SourceStream(self._source)
        passphrase = None
        if entry.flags & FLAG_ENCRYPTED:
            passphrase = self._lock.passphrase_of(file, self._source.size, entry)
            if passphrase is None:
                message = f"member {number} is encrypted, and no passphrase given opens it"
                raise StreamReadError(message)

        def blocks() -> Iterator[bytes]:
            return guarded(content_blocks(file, self._source.size, entry, passphrase), f"member {number}")

        size = entry.size
        if not entry.has_known_size:
            try:
                size = sum(map(len, blocks()))
            except ArchiveError as error:
                message = f"its length is not stated, and its content is damaged: {error}"
                raise StreamReadError(message) from error
        return SequentialStream(blocks, size)

    def _scan(self) -> Iterator[_Found | Problem]:
        file, size = SourceStream(self._source), self._source.size
        directory = find_directory(file, size)
        if directory is None:
            what = "the archive has no central directory; its members were looked for one by one"
            yield container_problem("container-damaged", what, "its end is missing or damaged", _ADVICE)
            for number, entry in enumerate(iter_local(file, 0, size), start=1):
                yield self._found(number, entry)
            return
        ranges, number = Ranges(), 0
        yield from self._check_start(directory)
        try:
            for entry in iter_central(file, directory):
                if number >= MAXIMUM_MEMBERS:
                    yield container_problem("too-many-members", f"members behind number {number} were not listed", "there are too many")
                    return
                number += 1
                yield self._found(number, entry, shares=not ranges.add(entry.offset, entry.end))
        except ArchiveError as error:
            what = f"the archive's directory could be read as far as entry {number}; the rest was looked for"
            yield container_problem("container-damaged", what, str(error), _ADVICE, start_byte=directory.start)
        else:
            if number % _COUNT_MODULUS != directory.count % _COUNT_MODULUS:
                what = f"the archive's directory states {directory.count} members and lists {number}"
                yield container_problem("container-damaged", what, "it is damaged or was changed", _ADVICE)
        for start, end in list(ranges.gaps(directory.start)):
            for entry in iter_local(file, start, end):
                number += 1
                yield replace(self._found(number, entry), deleted=True)

    def _check_start(self, directory: Directory) -> Iterator[Problem]:
        if directory.shift > 0:
            what = f"{directory.shift} bytes stand before the archive; the places that its directory states were moved by as much"
            why = "a self-extracting archive begins with a program; else something was put before it"
            yield container_problem("prefix-data", what, why, "look at them by themselves", start_byte=0, size_bytes=directory.shift)

    def _found(self, number: int, entry: ZipEntry, *, shares: bool = False) -> _Found:
        where = f"member {number}"
        problem = overlaps(where) if shares else why_not_read(entry, where)
        if problem is None and is_out_of_proportion(entry.size, entry.packed):
            why = f"{entry.packed} stored bytes are said to become {entry.size}"
            what = f"{where} was listed, its content was not read"
            problem = container_problem("expansion-limit", what, why, "if it is genuine, extract it and process the result")
        return _Found(number, entry, problem, deleted=False)

    def _described(self, found: _Found) -> Iterator[Entry | Problem]:
        entry, kind, problem = found.entry, kind_of(found.entry), found.problem
        file = SourceStream(self._source)
        is_locked = bool(entry.flags & FLAG_ENCRYPTED) and kind is not Kind.DIRECTORY
        if problem is None and is_locked and self._lock.passphrase_of(file, self._source.size, entry) is None:
            problem = encrypted(f"member {found.number}", self._lock.count)
        target = None
        if kind is Kind.LINK and problem is None:
            try:
                target = self._content(entry, found.number).read_at(0, _LONGEST_TARGET)
            except StreamReadError:
                target = None  # the content is read again as any other, and becomes a problem there
        extras = entry.extras
        name = name_of(entry)
        member = Member(
            number=found.number,
            path=(name.rstrip(b"/") or name)[:LONGEST_NAME],
            kind=kind,
            size=entry.size if entry.has_known_size and kind is not Kind.DIRECTORY and entry.size < 1 << 63 else None,
            times=Times(
                created=extras.created,
                modified=from_dos(entry.dos_time) if extras.modified is None else extras.modified,
                accessed=extras.accessed,
            ),
            link_target=target,
            mode=entry.attributes >> 16 & 0o7777 if entry.host == _UNIX else None,
            has_content=problem is None and kind is not Kind.DIRECTORY,
            deleted=found.deleted,
        )
        yield member.entry()
        if problem is not None and kind is not Kind.DIRECTORY:
            yield member.problem(problem.code, problem.what, problem.why, problem.advice)
        if entry.is_central:
            yield from self._compared(member, entry, file)

    def _compared(self, member: Member, entry: ZipEntry, file: SourceStream) -> Iterator[Problem]:
        """How the member's local header differs from the directory's entry."""
        try:
            local, _ = called(lambda: read_local(file, entry.offset), f"byte {entry.offset}")
        except ArchiveError as error:
            if member.kind is Kind.DIRECTORY:
                yield member.problem("zip-headers-differ", "a member of the archive has no local header", str(error), _ADVICE)
            return  # reading its content says the same
        differing = [
            f"{what} ({a!r} here, {b!r} in the directory)"
            for what, a, b in (
                ("name", local.name, entry.name),
                ("method", local.method, entry.method),
                ("encryption", local.flags & FLAG_ENCRYPTED, entry.flags & FLAG_ENCRYPTED),
            )
            if a != b
        ]
        if not local.flags & FLAG_DESCRIPTOR and (local.packed, local.size, local.crc) != (entry.packed, entry.size, entry.crc):
            differing.append("sizes or checksum")
        if differing:
            why = f"they differ in: {', '.join(differing)}"
            what = "the local header of a member says something else than the archive's directory, which was followed"
            yield member.problem("zip-headers-differ", what, why, "a tool that goes by the local headers shows another file")
