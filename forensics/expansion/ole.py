"""Opener of compound files (OLE): Outlook messages as text, bodies and attachments; of all others each stream.

Embedded packages ("Ole10Native") come as the file that was embedded besides. An encrypted Office document comes decrypted, as one
member, where a passphrase opens it.

References: MS-OXMSG 2 for messages, MS-OLEDS 2.3.6 for packages, MS-OFFCRYPTO 2.3 for encryption.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.credentials import CredentialKind
from forensics.errors import ArchiveError
from forensics.expansion.base import Member
from forensics.expansion.compound_file import SIGNATURE, CompoundEntry, CompoundFile
from forensics.expansion.guard import guarded
from forensics.expansion.mapi import as_name
from forensics.expansion.member_names import stored_path
from forensics.expansion.member_problems import encrypted, encrypted_unsupported
from forensics.expansion.msg import PROPERTIES_STREAM, message_members
from forensics.expansion.office_encryption import MOST_BYTES, decrypted, is_encrypted, why_not_tried
from forensics.filesystems.base import Kind, Times
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.errors import Problem

_PACKAGE_STREAM = "\x01Ole10Native"
_ENCRYPTED_STREAM, _ENCRYPTION_STREAM = "EncryptedPackage", "EncryptionInfo"
_OFFICE_STREAMS = frozenset(("WordDocument", "Workbook", "Book", "PowerPoint Document"))
_PACKAGE_HEAD_BYTES = 4096
_MOST_INFO_BYTES = 1 << 20


class Ole:
    """Opens compound files: Office documents before 2007, Outlook messages, installers (MSI), thumbnail caches, …."""

    name = "ole"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the signature says it all
        """Whether a content is of this kind."""
        return head.startswith(SIGNATURE)

    def iter_members(self, file: BinaryIO, size: int, name: str, credentials: tuple[Credential, ...]) -> Iterator[Member | Problem]:
        """The members."""
        compound = CompoundFile(file, size)
        entries = tuple(compound.entries())
        if any(entry.path == (PROPERTIES_STREAM,) for entry in entries):
            yield from message_members(compound, entries, name)
            return
        yield from _decrypted(compound, entries, name, credentials)
        for entry in entries:
            yield _stream(compound, entry, name)
            if entry.path[-1] == _PACKAGE_STREAM and not entry.is_storage:
                package = _package(compound, entry, name)
                if package is not None:
                    yield package


def _stream(compound: CompoundFile, entry: CompoundEntry, name: str) -> Member:
    address = f"entry {entry.number}"
    return Member(
        path=_path(entry.path),
        kind=Kind.DIRECTORY if entry.is_storage else Kind.FILE,
        address=address,
        size=entry.size,
        times=Times(created=from_filetime(entry.created), modified=from_filetime(entry.modified)),
        blocks=None if entry.is_storage else guarded(compound.blocks(entry), f"{name}: {address}"),
        skippable=True,
    )


def _path(names: tuple[str, ...]) -> bytes:
    return stored_path("/".join(as_name(name) for name in names).encode("utf-8", "surrogatepass"))


def _package(compound: CompoundFile, entry: CompoundEntry, name: str) -> Member | None:
    """The file that the stream embeds; None if it is of another form."""
    try:
        head = compound.read(entry, _PACKAGE_HEAD_BYTES)
    except ArchiveError:
        return None  # reading the stream itself says so
    found = _package_place(head)
    if found is None or found[1] + found[2] > entry.size:
        return None
    label, start, length = found
    address = f"entry {entry.number} package"
    return Member(
        path=_path((*entry.path[:-1], label or "package")),
        kind=Kind.FILE,
        address=address,
        size=length,
        times=Times(),
        blocks=guarded(_slice(compound.blocks(entry), start, length), f"{name}: {address}"),
        skippable=True,
    )


def _package_place(head: bytes) -> tuple[str, int, int] | None:
    """Label, start and length of the file in a package: sizes, label, path, two words, length of a temporary path, that, length, data."""
    try:
        label_end = head.index(b"\0", 6)
        path_end = head.index(b"\0", label_end + 1)
        (temporary,) = struct.unpack_from("<I", head, path_end + 5)
        at = path_end + 9 + temporary
        (length,) = struct.unpack_from("<I", head, at)
    except (ValueError, struct.error):
        return None
    return head[6:label_end].decode("cp1252", "replace"), at + 4, length


def _slice(blocks: Iterator[bytes], start: int, length: int) -> Iterator[bytes]:
    for block in blocks:
        piece = block[start : start + length]
        start = max(start - len(block), 0)
        length -= len(piece)
        if piece:
            yield piece
        if not length:
            return


def _decrypted(
    compound: CompoundFile, entries: tuple[CompoundEntry, ...], name: str, credentials: tuple[Credential, ...]
) -> Iterator[Member]:
    """The document as one member if it is encrypted, with a problem where no passphrase opens it."""
    roots = {entry.path[0]: entry for entry in entries if len(entry.path) == 1}
    if _ENCRYPTED_STREAM not in roots and not (_OFFICE_STREAMS & roots.keys() and is_encrypted(compound.file)):
        return
    passphrases = tuple(dict.fromkeys(one.text for one in credentials if one.kind is CredentialKind.PASSPHRASE))
    info = compound.read(roots[_ENCRYPTION_STREAM], _MOST_INFO_BYTES) if _ENCRYPTION_STREAM in roots else b""
    plain, problem = None, None
    if compound.size > MOST_BYTES:
        problem = encrypted_unsupported(name, f"it has more than {MOST_BYTES} bytes")
    elif why := why_not_tried(info):
        problem = encrypted_unsupported(name, why)
    else:
        plain = decrypted(compound.file, passphrases)
        problem = encrypted(name, len(passphrases)) if plain is None else None
    yield Member(
        path=b"decrypted",
        kind=Kind.FILE,
        address="decrypted",
        size=None if plain is None else len(plain),
        times=Times(),
        blocks=None if plain is None else iter((plain,)),
        problem=problem,
        unlocked_with="" if plain is None else CredentialKind.PASSPHRASE,
        skippable=True,
    )
