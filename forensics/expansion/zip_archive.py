"""Opener of ZIP files, and so of Office Open XML and OpenDocument files, JAR, APK, EPUB and others that are ZIP files.

What the central directory lists comes first, in its order; then, marked deleted, what has a local header but is not listed there. The
last part of an archive in several files lists what is in all of them; read is what lies in it whole.
Without a readable central directory all comes by the local headers. Times are those of the extra field, in UTC; where there is
none, the DOS time, which has no zone and is taken as UTC.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forensics.credentials import CredentialKind
from forensics.errors import ArchiveError
from forensics.expansion.base import Member
from forensics.expansion.guard import guarded
from forensics.expansion.member_names import stored_path
from forensics.expansion.member_problems import damaged, encrypted, encrypted_unsupported, in_another_part, overlaps, unsupported
from forensics.expansion.zip_content import Lock, content_blocks
from forensics.expansion.zip_directory import (
    FLAG_ENCRYPTED,
    FLAG_MASKED,
    FLAG_STRONG,
    LOCAL,
    Ranges,
    ZipEntry,
    ends_with_directory,
    find_directory,
    iter_central,
    iter_local,
)
from forensics.expansion.zip_methods import why_unsupported
from forensics.filesystems.base import Kind, Times
from forensics.names import escape_text
from forensics.timestamps import from_dos

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.errors import Problem
    from forensics.expansion.zip_directory import Directory

_UNIX = 3  # APPNOTE 4.4.2
_FLAG_UTF8 = 1 << 11
_COUNT_MODULUS = 1 << 16  # some programs write more members than the count has room for, without ZIP64
_LONGEST_TARGET = 4096
_PROGRAM = b"MZ"


class Zip:
    """Opens ZIP files."""

    name = "zip"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the signature says it all
        """Whether a content is of this kind."""
        # an empty one has the record at the end only; one that was split and joined begins with a mark (APPNOTE 8.5.4)
        return head.startswith((LOCAL, b"PK\5\6", b"PK\7\x08PK\3\4", b"PK00PK\3\4"))

    def iter_members(self, file: BinaryIO, size: int, name: str, credentials: tuple[Credential, ...]) -> Iterator[Member | Problem]:
        """The members; a Problem where the central directory is not there, is damaged or does not list all."""
        return _Reading(file, size, name, Lock(credentials)).members()


class AppendedZip(Zip):
    """Opens ZIP files that stand behind other bytes: a program that unpacks them, a picture, a part of the archive in another file."""

    name = "appended zip"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - nothing but the end says it
        """No content by its start."""
        return False

    def recognises_end(self, head: bytes, end: bytes) -> bool:
        """Whether a content ends with a ZIP file's last record, whatever stands before it; behind it a program may bear its signature."""
        return ends_with_directory(end, anything_behind=head.startswith(_PROGRAM))


@dataclass(frozen=True, slots=True)
class _Reading:
    file: BinaryIO
    size: int
    name: str
    lock: Lock

    def members(self) -> Iterator[Member | Problem]:
        directory = find_directory(self.file, self.size)
        if directory is None:
            yield damaged(f"{self.name}: has no central directory; its members were looked for one by one", "its end is missing or damaged")
            for entry in iter_local(self.file, 0, self.size):
                yield self._member(entry, f"offset {entry.offset}")
            return
        ranges, number = Ranges(), 0
        try:
            for entry in iter_central(self.file, directory):
                number += 1
                yield self._listed(entry, f"entry {number}", directory, ranges)
        except ArchiveError as error:
            yield damaged(f"{self.name}: its directory could be read as far as entry {number}; the rest was looked for", str(error))
        else:
            if number % _COUNT_MODULUS != directory.count % _COUNT_MODULUS:
                yield damaged(f"{self.name}: its directory states {directory.count} members and lists {number}", "it is damaged")
        for start, end in list(ranges.gaps(directory.start)):
            for entry in iter_local(self.file, start, end):
                yield replace(self._member(entry, f"offset {entry.offset}"), deleted=directory.parts == 1)

    def _listed(self, entry: ZipEntry, address: str, directory: Directory, ranges: Ranges) -> Member:
        where = f"{self.name}: {address}"
        if directory.parts > 1:  # its offset counts from the start of whichever part it is in
            return self._member(entry, address, in_another_part(where, directory.parts))
        return self._member(entry, address, None if ranges.add(entry.offset, entry.end) else overlaps(where))

    def _member(self, entry: ZipEntry, address: str, why_not: Problem | None = None) -> Member:
        where = f"{self.name}: {address}"
        kind = kind_of(entry)
        problem = why_not or why_not_read(entry, where)
        unlocked_with, blocks = "", None
        if problem is None and kind is not Kind.DIRECTORY:
            passphrase = None
            if entry.flags & FLAG_ENCRYPTED:
                passphrase = self.lock.passphrase_of(self.file, self.size, entry)
                problem = None if passphrase is not None else encrypted(where, self.lock.count)
                unlocked_with = "" if passphrase is None else CredentialKind.PASSPHRASE
            if problem is None:
                blocks = guarded(content_blocks(self.file, self.size, entry, passphrase), where)
        target = None
        if kind is Kind.LINK and blocks is not None:  # its content is where it points
            try:
                target = escape_text(b"".join(blocks).decode("utf-8", "backslashreplace"))
            except ArchiveError as error:
                problem = damaged(f"{where}: where the link points could not be read", str(error))
            blocks = None
        extras = entry.extras
        return Member(
            path=stored_path(name_of(entry)),
            kind=kind,
            address=address,
            size=entry.size if entry.has_known_size else None,
            times=Times(
                created=extras.created,
                modified=from_dos(entry.dos_time) if extras.modified is None else extras.modified,
                accessed=extras.accessed,
            ),
            blocks=blocks,
            problem=problem,
            link_target=target,
            unlocked_with=unlocked_with,
            skippable=True,
            has_local_times=extras.modified is None,  # APPNOTE 4.4.6, against the extra fields of Info-ZIP and NTFS
        )


def name_of(entry: ZipEntry) -> bytes:
    """The name in UTF-8: what is not, is in code page 437 by the rule (APPNOTE, appendix D)."""
    name = entry.extras.name_of(entry.name)
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return name if entry.flags & _FLAG_UTF8 else name.decode("cp437").encode()
    return name


def kind_of(entry: ZipEntry) -> Kind:
    """What the entry is, by its Unix mode if it has one, else by its name."""
    mode = entry.attributes >> 16 if entry.host == _UNIX else 0
    if stat.S_ISLNK(mode) and entry.has_known_size and entry.size <= _LONGEST_TARGET:
        return Kind.LINK
    return Kind.DIRECTORY if not entry.size and (stat.S_ISDIR(mode) or entry.name.endswith(b"/")) else Kind.FILE


def why_not_read(entry: ZipEntry, where: str) -> Problem | None:
    """Why the content of the entry is not read here; None if it is."""
    method = entry.method
    if entry.flags & FLAG_ENCRYPTED:
        if entry.flags & (FLAG_STRONG | FLAG_MASKED):
            return encrypted_unsupported(where, "PKWARE's strong encryption is not read here")
        method = entry.extras.aes.method if entry.extras.aes is not None else method
    why = why_unsupported(method)
    return unsupported(where, why) if why else None
