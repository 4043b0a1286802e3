"""Opener of 7z archives: libarchive reads them in one pass; from where it cannot decrypt or unpack, py7zr goes on."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from forensics.credentials import CredentialKind
from forensics.errors import ArchiveError, Problem
from forensics.expansion.base import Member
from forensics.expansion.encrypted_7z import LockedArchiveError, Member7z, open_7z
from forensics.expansion.guard import guarded
from forensics.expansion.libarchive import ArchiveEntry, ArchiveReader
from forensics.expansion.member_names import stored_path
from forensics.expansion.member_problems import damaged, encrypted, unsupported
from forensics.filesystems.base import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential

SIGNATURE = b"7z\xbc\xaf\x27\x1c"
# What libarchive 3.8 says where it cannot decrypt, or has not got a coder (archive_read_support_format_7zip.c).
_NOT_READ = ("encrypted", "Crypto codec", "unsupported", "Unsupported", "not supported", "Unknown codec", "Unexpected codec")


class SevenZip:
    """Opens 7z archives."""

    name = "7z"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the signature says it all
        """Whether a content is of this kind."""
        return head.startswith(SIGNATURE)

    def iter_members(self, file: BinaryIO, size: int, name: str, credentials: tuple[Credential, ...]) -> Iterator[Member | Problem]:
        """The members in stored order."""
        done = 0
        reader = ArchiveReader(file, size, ("7zip",))
        try:
            while (entry := reader.next_entry()) is not None:
                blocks = _begun(reader.blocks(), f"{name}: entry {done + 1}") if entry.kind is Kind.FILE else None
                done += 1
                yield _member(entry, done, blocks)
        except ArchiveError as error:
            if not any(word in str(error) for word in _NOT_READ):
                if not done:
                    raise
                yield damaged(f"{name}: nothing behind entry {done} could be read", str(error))
                return
        else:
            return
        finally:
            reader.close()
        yield from _by_other_library(file, name, credentials, done)


def _begun(source: Iterator[bytes], what: str) -> Iterator[bytes]:
    """The blocks, the first of them read already.

    Raises:
        ArchiveError: the first cannot be read because it is encrypted, or the library has not got a coder. If it is damaged, the
            blocks raise that.
    """
    blocks = guarded(source, what)
    try:
        first = next(blocks, b"")
    except ArchiveError as error:
        if any(word in str(error) for word in _NOT_READ):
            raise
        return _failing(error)
    return chain((first,), blocks)


def _failing(error: ArchiveError) -> Iterator[bytes]:
    yield b""
    raise error


def _by_other_library(file: BinaryIO, name: str, credentials: tuple[Credential, ...], done: int) -> Iterator[Member | Problem]:
    """The members behind the first `done`, by py7zr; one Problem if the directory is encrypted and no passphrase opens it.

    Raises:
        ArchiveError: the directory is damaged.
    """
    passphrases = tuple(dict.fromkeys(one.text for one in credentials if one.kind is CredentialKind.PASSPHRASE))
    try:
        members, opened = open_7z(file, passphrases)
    except LockedArchiveError:
        yield encrypted(f"{name}, with the names of its members,", len(passphrases))
        return
    for one in members[done:]:
        where = f"{name}: entry {one.number}"
        blocks, problem = None, None
        if one.is_encrypted and not opened:
            problem = encrypted(where, len(passphrases))
        elif one.blocks is not None:
            try:
                blocks = _begun(one.blocks(), where)
            except ArchiveError as error:
                problem = unsupported(where, str(error))
        how = CredentialKind.PASSPHRASE if opened and one.is_encrypted else ""
        yield _of_other(one, blocks, problem, how)


def _member(entry: ArchiveEntry, number: int, blocks: Iterator[bytes] | None) -> Member:
    return Member(
        path=stored_path(entry.path),
        kind=entry.kind,
        address=f"entry {number}",
        size=entry.size,
        times=entry.times,
        blocks=blocks,
        link_target=entry.link_target,
    )


def _of_other(one: Member7z, blocks: Iterator[bytes] | None, problem: Problem | None, how: str) -> Member:
    return Member(
        path=stored_path(one.path),
        kind=one.kind,
        address=f"entry {one.number}",
        size=one.size,
        times=one.times,
        blocks=blocks,
        problem=problem,
        unlocked_with=how,
    )
