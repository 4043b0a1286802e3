"""The members of a tar in stored order, each with where its content lies; what is damaged is passed over and said.

A tar ends with two blocks of zeros, and often goes on: archives appended to it, or something hidden. Whatever follows is looked at, block
by block, for the next header, here as behind a damaged header; what was passed over is a problem that says where and how much. In there
the headers of a tar inside the tar cannot be told from the outer one's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from forensics.filesystems.base import Kind, Times
from forensics.logical.member import LONGEST_NAME, MAXIMUM_MEMBERS, Member, container_problem
from forensics.logical.pieces import Piece
from forensics.logical.tar_headers import BLOCK, Header, iter_records, parse_header, pax_time
from forensics.logical.tar_sparse import SparseMap, SparseMapError, data_map, old_gnu_map, pax_map
from forensics.timestamps import OutOfRange, from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.source import ByteSource

_LONGEST_EXTENSION = 8 << 20
_SCAN_BYTES = 1 << 20
_MOST_PROBLEMS = 1000
_ZEROS = bytes(BLOCK)
_KINDS = {
    b"0": Kind.FILE, b"\0": Kind.FILE, b"7": Kind.FILE, b"S": Kind.FILE, b"1": Kind.FILE, b"M": Kind.FILE,
    b"2": Kind.LINK, b"3": Kind.CHARACTER_DEVICE, b"4": Kind.BLOCK_DEVICE, b"5": Kind.DIRECTORY, b"D": Kind.DIRECTORY,
    b"6": Kind.FIFO, b"V": Kind.VIRTUAL,
}  # fmt: skip
_WITHOUT_CONTENT = frozenset((b"1", b"2", b"3", b"4", b"5", b"6", b"V"))
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL = b"L", b"K", (b"x", b"X"), b"g"


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """A member and its content.

    Attributes:
        member: as listed; of a hard link without what it has from its target.
        pieces: where its content lies; None for what has none, and for a hard link.
        hard_link: path of the member whose content it has; None for what is no hard link.
    """

    member: Member
    pieces: tuple[Piece, ...] | None = None
    hard_link: bytes | None = None


@dataclass(slots=True)
class _Extension:
    """What stands before a member's header and belongs to it."""

    name: bytes | None = None
    link: bytes | None = None
    records: dict[bytes, bytes] = field(default_factory=dict)
    sparse: list[tuple[int, int]] = field(default_factory=list)
    problem: tuple[str, str] | None = None
    taken: int = 0  # bytes of extended headers


class TarScan:
    """One pass over the headers of a tar."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._global: dict[bytes, bytes] = {}
        self._global_taken = 0
        self._at = 0
        self._number = 0
        self._problems = 0
        self._has_ustar = False

    def members(self) -> Iterator[TarMember | Problem]:
        """Every member, and a Problem for each part that is none."""
        extension = _Extension()
        while self._at < self._source.size:
            block = self._source.read_at(self._at, BLOCK)
            header = parse_header(block)
            if header is None or header.size is None or header.size < 0:
                yield from self._pass_over(block)
                continue
            self._has_ustar = self._has_ustar or header.is_ustar
            if header.type in (_LONG_NAME, _LONG_LINK, *_PAX, _GLOBAL):
                self._extend(extension, header)
                continue
            yield from self._member(header, extension)
            extension = _Extension()
            if self._number >= MAXIMUM_MEMBERS:
                yield self._problem("too-many-members", f"members behind number {MAXIMUM_MEMBERS} were not listed", "there are too many")
                return
        if extension.name is not None or extension.records:
            yield self._problem("member-cut-off", "the archive ends before the header of its last member", "it is cut off")

    def _member(self, header: Header, extension: _Extension) -> Iterator[TarMember | Problem]:
        self._number += 1
        start, records = self._at + BLOCK, {**self._global, **extension.records}
        stated = _decimal(records.get(b"size"))
        stored = (header.size or 0) if stated is None else stated
        if header.type in _WITHOUT_CONTENT and not (
            header.type == b"1" and stored and parse_header(self._source.read_at(start, BLOCK)) is None
        ):
            stored = 0
        trouble = [extension.problem] if extension.problem else []
        sparse, begin = None, start
        try:
            sparse, begin = self._sparse(header, records, extension, stored, start)
        except SparseMapError as error:
            trouble.append(("sparse-map-damaged", f"{error}; its content is shown as it is stored"))
        end = begin + stored
        member = _described(self._number, header, extension, records, stored if sparse is None else sparse.size)
        hard_link = member.link_target if header.type == b"1" and not stored else None
        has_content = member.kind is Kind.FILE and hard_link is None
        pieces = (Piece(0, stored, begin),) if sparse is None and stored else () if sparse is None else sparse.pieces
        yield TarMember(member=replace(member, has_content=has_content), pieces=pieces if has_content else None, hard_link=hard_link)
        if end > self._source.size:
            why = f"{end - self._source.size} of its {stored} stored bytes lie behind the archive's end"
            trouble.append(("member-cut-off", why))
        if header.type == b"M":
            trouble.append(("member-continued", "it is the continuation of a member of another volume of the archive"))
        elif header.type not in _KINDS:
            trouble.append(("member-type-unknown", f"its type is {header.type!r}; POSIX says to take it for a file"))
        for code, why in trouble:
            yield member.problem(code, "a member of the archive is not whole or not as usual", why)
        self._at = min(self._source.size, begin + -(-stored // BLOCK) * BLOCK)

    def _sparse(
        self, header: Header, records: dict[bytes, bytes], extension: _Extension, stored: int, start: int
    ) -> tuple[SparseMap | None, int]:
        if header.type == b"S":
            return old_gnu_map(header, lambda at: self._source.read_at(at, BLOCK), start)
        if records.get(b"GNU.sparse.major") == b"1":
            return data_map(records, self._source.read_at, stored, start), start
        if b"GNU.sparse.map" in records or extension.sparse:
            return pax_map(records, extension.sparse, stored, start), start
        return None, start

    def _extend(self, extension: _Extension, header: Header) -> None:
        size = header.size or 0
        room = _LONGEST_EXTENSION - (self._global_taken if header.type == _GLOBAL else extension.taken)
        longest = LONGEST_NAME if header.type in (_LONG_NAME, _LONG_LINK) else max(0, room)
        data = self._source.read_at(self._at + BLOCK, min(size, longest))
        if len(data) < size:
            extension.problem = (
                "header-extension-damaged",
                f"an extended header of {size} bytes is cut off or too long; {len(data)} were used",
            )
        if header.type == _LONG_NAME:
            extension.name = data.split(b"\0", 1)[0]
        elif header.type == _LONG_LINK:
            extension.link = data.split(b"\0", 1)[0]
        else:
            records = self._global if header.type == _GLOBAL else extension.records
            if header.type == _GLOBAL:
                self._global_taken += len(data)
            else:
                extension.taken += len(data)
            try:
                for key, value in iter_records(data):
                    records[key] = value
                    if key == b"GNU.sparse.offset":
                        extension.sparse.append((_decimal(value) or 0, 0))
                    elif key == b"GNU.sparse.numbytes" and extension.sparse:
                        extension.sparse[-1] = extension.sparse[-1][0], _decimal(value) or 0
            except ValueError as error:
                extension.problem = "header-extension-damaged", f"its extended header is damaged: {error}"
        self._at = min(self._source.size, self._at + BLOCK + -(-size // BLOCK) * BLOCK)

    def _pass_over(self, block: bytes) -> Iterator[Problem]:
        """Goes on to the next header, or to the end; says what was passed over unless it is only the end."""
        start, is_end = self._at, block == _ZEROS
        if is_end:
            self._at = self._skip_zeros(start)
            if self._at >= self._source.size or len(self._source.read_at(self._at, BLOCK)) < BLOCK:
                rest = self._source.size - self._at
                if rest > 0:
                    yield self._problem("trailing-data", f"{rest} bytes follow the archive's end", "they are less than a block", size=rest)
                self._at = self._source.size
                return
            found = parse_header(self._source.read_at(self._at, BLOCK)) is not None
            if found:
                what = f"the archive goes on at byte {self._at}, behind a mark of its end; what follows was listed too"
                yield self._problem("archive-goes-on", what, "other archives were appended, or something was hidden from usual tools")
                return
            start = self._at
        self._at = self._next_header(start + BLOCK)
        passed = self._at - start
        to_end = self._at >= self._source.size
        then = "" if to_end else "; the rest was listed"
        what = f"{passed} bytes of the archive from byte {start} on are no header and belong to no member{then}"
        code = "trailing-data" if is_end else "tar-header-damaged"
        yield self._problem(
            code, what, "there is no valid header" if passed >= BLOCK else "the archive is cut off", start=start, size=passed
        )

    def _skip_zeros(self, at: int) -> int:
        """The first block from `at` on that holds something; the source's size if there is none."""
        while at < self._source.size:
            data = self._source.read_at(at, _SCAN_BYTES)
            rest = data.lstrip(b"\0")
            if rest:
                return at + (len(data) - len(rest)) // BLOCK * BLOCK
            at += len(data)
        return self._source.size

    def _next_header(self, at: int) -> int:
        """The next block from `at` on that is a valid header; in an archive with signatures, one that has it."""
        while at < self._source.size:
            data = self._source.read_at(at, _SCAN_BYTES)
            for start in range(0, len(data) - BLOCK + 1, BLOCK):
                if (data[start + 257 : start + 262] == b"ustar" or not self._has_ustar) and parse_header(data[start : start + BLOCK]):
                    return at + start
            at += max(len(data), 1)
        return self._source.size

    def _problem(self, code: str, what: str, why: str, *, start: int | None = None, size: int | None = None) -> Problem:
        self._problems += 1
        if self._problems >= _MOST_PROBLEMS:  # what is so damaged is not worth a pass to its end
            what, size, self._at = f"{what}; nothing behind was looked at", self._source.size - self._at, self._source.size
        return container_problem(code, what, why, "list the archive with another tool and compare", start_byte=start, size_bytes=size)


def _described(number: int, header: Header, extension: _Extension, records: dict[bytes, bytes], size: int) -> Member:
    name = records.get(b"GNU.sparse.name") or records.get(b"path") or extension.name or header.name
    link = records.get(b"linkpath") or extension.link or header.link
    kind = _KINDS.get(header.type, Kind.FILE)
    if kind is Kind.FILE and header.type in (b"0", b"\0") and name.endswith(b"/"):
        kind = Kind.DIRECTORY  # as tar before POSIX marks them
    accessed, changed = header.gnu_times
    times = Times(
        created=pax_time(records[b"LIBARCHIVE.creationtime"]) if b"LIBARCHIVE.creationtime" in records else None,
        modified=pax_time(records[b"mtime"]) if b"mtime" in records else _seconds(header.modified),
        accessed=pax_time(records[b"atime"]) if b"atime" in records else _seconds(accessed),
        metadata_changed=pax_time(records[b"ctime"]) if b"ctime" in records else _seconds(changed),
    )
    owner, group = _decimal(records.get(b"uid")), _decimal(records.get(b"gid"))
    return Member(
        number=number,
        path=(name.rstrip(b"/") or name)[:LONGEST_NAME],
        kind=kind,
        size=size if kind is Kind.FILE else None,
        times=times,
        link_target=link[:LONGEST_NAME] if header.type in (b"1", b"2") else None,
        owner=_column(header.owner if owner is None else owner),
        group=_column(header.group if group is None else group),
        mode=None if header.mode is None else header.mode & 0o7777,
    )


def _seconds(value: int | None) -> int | OutOfRange | None:
    return None if value is None else from_unix(value, 0)


def _column(value: int | None) -> int | None:
    return value if value is not None and -(1 << 63) <= value < 1 << 63 else None


def _decimal(text: bytes | None) -> int | None:
    return int(text) if text and text.isdigit() and len(text) <= 19 else None  # noqa: PLR2004 - digits of 2**63
