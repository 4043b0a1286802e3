"""Opener of RAR archives: libarchive reads what it can; what it stops at, rarfile lists, and reads where it is not compressed.

libarchive 3.8 reads RAR 3 to 5, without encryption, solid ones of RAR 5 only. rarfile reads headers, encrypted ones with a passphrase;
it could start programs to unpack, and is never asked to. The owner file of rarfile.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

import rarfile

from forensics.boundary import attempt
from forensics.credentials import CredentialKind
from forensics.errors import ArchiveError, Problem
from forensics.expansion.base import Member
from forensics.expansion.guard import guarded
from forensics.expansion.libarchive import ArchiveEntry, ArchiveReader, in_whole_seconds
from forensics.expansion.member_names import stored_path
from forensics.expansion.member_problems import damaged, encrypted, encrypted_unsupported, unsupported
from forensics.filesystems.base import Kind, Times
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential

_RAR4, _RAR5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_NOTHING_DECRYPTS = "no free library decrypts the contents of RAR archives"
# What libarchive 3.8 says where it does not go on (archive_read_support_format_rar.c, …_rar5.c), and of headers older than RAR 3.
_NOT_READ = ("support unavailable", "not supported", "Encryption is", "Header CRC error")
_BLOCK_BYTES = 256 * 1024
_SPLIT = rarfile.RAR_FILE_SPLIT_BEFORE | rarfile.RAR_FILE_SPLIT_AFTER


class Rar:
    """Opens RAR archives."""

    name = "rar"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the signature says it all
        """Whether a content is of this kind."""
        return head.startswith((_RAR4, _RAR5))

    def iter_members(self, file: BinaryIO, size: int, name: str, credentials: tuple[Credential, ...]) -> Iterator[Member | Problem]:
        """The members in stored order."""
        file.seek(0)
        is_old = file.read(len(_RAR4)) == _RAR4
        done = 0
        reader = ArchiveReader(file, size, ("rar", "rar5"))
        try:
            while (entry := reader.next_entry()) is not None:
                done += 1
                # the times of RAR 4 have no zone, and libarchive gets their fractions of a second wrong
                times = in_whole_seconds(entry.times) if is_old else entry.times
                yield replace(_member(reader, entry, times, f"{name}: entry {done}", done), has_local_times=is_old)
        except ArchiveError as error:
            why = str(error)
        else:
            return
        finally:
            reader.close()
        passphrases = tuple(dict.fromkeys(one.text for one in credentials if one.kind is CredentialKind.PASSPHRASE))
        listed = _listed(file, passphrases) if any(word in why for word in _NOT_READ) else None
        if listed is not None and not listed and "ncrypt" in why:
            yield encrypted(f"{name}, with the names of its members,", len(passphrases))
        elif not listed or len(listed) <= done:
            if not done:
                raise ArchiveError(why)
            yield damaged(f"{name}: nothing behind entry {done} could be read", why)
        else:
            for number, one in enumerate(listed[done:], start=done + 1):
                yield replace(_by_other_library(one, number, name, why), has_local_times=is_old)


def _member(reader: ArchiveReader, entry: ArchiveEntry, times: Times, where: str, number: int) -> Member:
    problem = None
    if entry.is_encrypted:
        problem = encrypted_unsupported(where, _NOTHING_DECRYPTS)
    elif entry.kind is Kind.FILE and entry.size is None:
        # RAR 5 stores equal files once; libarchive shows the others without size and content, as if they were empty
        problem = unsupported(where, "it is stored as a copy of another member, which is not followed here")
    return Member(
        path=stored_path(entry.path),
        kind=entry.kind,
        address=f"entry {number}",
        size=entry.size,
        times=times,
        blocks=guarded(reader.blocks(), where) if entry.kind is Kind.FILE and problem is None else None,
        problem=problem,
        link_target=entry.link_target,
    )


def _listed(file: BinaryIO, passphrases: tuple[str, ...]) -> list[tuple[Any, Any]] | None:
    """Archive and entry of each member by rarfile, by the first passphrase that opens the headers if these are encrypted.

    Empty if they are and none does; None if rarfile cannot read the archive at all.
    """
    found: list[tuple[Any, Any]] | None = None
    for passphrase in (None, *passphrases):
        got: list[list[tuple[Any, Any]]] = []

        def read(passphrase: str | None = passphrase, got: list[list[tuple[Any, Any]]] = got) -> None:
            file.seek(0)
            archive = rarfile.RarFile(file, part_only=True)
            if passphrase is not None:
                archive.setpassword(passphrase)
            got.append([(archive, one) for one in archive.infolist()])

        if attempt(read) is None:
            found = got[0]
            if found:
                return found
    return found


def _by_other_library(listed: tuple[Any, Any], number: int, name: str, why: str) -> Member:
    archive, one = listed
    where = f"{name}: entry {number}"
    kind = Kind.DIRECTORY if one.is_dir() else Kind.LINK if one.is_symlink() or one.file_redir else Kind.FILE
    blocks, problem = None, None
    if one.needs_password():
        problem = encrypted_unsupported(where, _NOTHING_DECRYPTS)
    elif kind is Kind.FILE and one.compress_type == rarfile.RAR_M0 and not one.flags & _SPLIT:
        blocks = guarded(_stored(archive, one), where)
    elif kind is Kind.FILE:
        problem = unsupported(where, why)
    return Member(
        path=stored_path(str(one.filename).encode("utf-8", "surrogateescape")),
        kind=kind,
        address=f"entry {number}",
        size=one.file_size,
        times=Times(modified=_utc(one)),
        blocks=blocks,
        problem=problem,
        link_target=escape_text(str(one.file_redir[2])) if one.file_redir else None,
    )


def _stored(archive: Any, one: Any) -> Iterator[bytes]:
    """The content of a member that is stored as it is; rarfile compares its checksum at the end."""
    with archive.open(one) as opened:
        while block := opened.read(_BLOCK_BYTES):
            yield block


def _utc(one: Any) -> int | None:
    """The time of change; one of RAR 4 has no zone and is taken as UTC."""
    got: list[int] = []
    stated = one.mtime.replace(tzinfo=UTC) if one.mtime is not None and one.mtime.tzinfo is None else one.mtime
    error = attempt(lambda: got.append(int(stated.timestamp()) * 1_000_000_000 + stated.microsecond * 1000))
    return got[0] if error is None and stated is not None else None
