"""The bytes of one ZIP member, decrypted, unpacked and checked; and which passphrase opens it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from forensics.credentials import CredentialKind
from forensics.errors import ArchiveError
from forensics.expansion.decoding import read_range
from forensics.expansion.guard import guarded
from forensics.expansion.zip_directory import FLAG_DESCRIPTOR, FLAG_ENCRYPTED, ZipEntry, read_local
from forensics.expansion.zip_encryption import TRADITIONAL_HEADER_BYTES, aes_blocks, aes_overhead, traditional_blocks
from forensics.expansion.zip_methods import unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential

_TRIED_BYTES = 1 << 20
_AE2 = 2


class WrongPassphraseError(ArchiveError):
    """The encryption's header shows that the passphrase is wrong. Belongs to the member."""


class Lock:
    """The passphrases that may open the members of one archive; the one that opened a member is tried first on the next.

    Attributes:
        count: how many there are.
    """

    def __init__(self, credentials: tuple[Credential, ...]) -> None:
        self._passphrases = list(dict.fromkeys(one.value for one in credentials if one.kind is CredentialKind.PASSPHRASE))
        self.count = len(self._passphrases)
        self._proven: set[bytes] = set()

    def passphrase_of(self, file: BinaryIO, size: int, entry: ZipEntry) -> bytes | None:
        """The passphrase that opens the entry; None if none does.

        A header that fits proves little, so the first MiB is unpacked too, and its checksum compared where that is all. Where the
        header fits a passphrase that has opened another member, the content is damaged and the passphrase right.
        """
        fitting = None
        for passphrase in self._passphrases:
            fits, opens = _fits(file, size, entry, passphrase)
            if opens:
                self._proven.add(passphrase)
                self._passphrases.remove(passphrase)
                self._passphrases.insert(0, passphrase)
                return passphrase
            if fits and passphrase in self._proven:
                fitting = passphrase
        return fitting


def content_blocks(file: BinaryIO, size: int, entry: ZipEntry, passphrase: bytes | None) -> Iterator[bytes]:
    """The content, in blocks.

    Raises:
        ArchiveError: it is damaged, cut off, not of the stated length or checksum, or the passphrase is wrong. A decoder's own
            errors pass.
    """
    _, data = read_local(file, entry.offset)
    end = data + entry.packed if entry.has_known_size else size
    method, stated = entry.method, entry.size if entry.has_known_size else None
    source = read_range(file, data, min(end, size))
    if entry.flags & FLAG_ENCRYPTED:
        source = _decrypted(source, entry, passphrase or b"")
        method = entry.extras.aes.method if entry.extras.aes is not None else method
    elif not entry.has_known_size and not method:
        message = "neither its length nor where it ends is known: it is stored without compression behind a header without a length"
        raise ArchiveError(message)
    done, crc = 0, 0
    for block in unpacked(source, method, stated):
        done += len(block)
        if stated is not None and done > stated:
            yield block[: len(block) + stated - done]
            message = f"there is more content than the {stated} bytes stated"
            raise ArchiveError(message)
        crc = zlib.crc32(block, crc)
        yield block
    if entry.extras.aes is not None:
        for _ in source:  # the authentication code is checked at the end of what is stored, behind the compressed data
            pass
    if stated is not None and done != stated:
        message = f"there are {done} bytes of content instead of the {stated} stated"
        raise ArchiveError(message)
    if stated is not None and crc != entry.crc and not (entry.extras.aes is not None and entry.extras.aes.version == _AE2):
        message = f"its checksum (CRC-32) is {crc:08x} instead of the {entry.crc:08x} stated"
        raise ArchiveError(message)


def _decrypted(source: Iterator[bytes], entry: ZipEntry, passphrase: bytes) -> Iterator[bytes]:
    how = entry.extras.aes
    if how is not None:
        plain = aes_blocks(source, passphrase, how, entry.packed) if entry.packed >= aes_overhead(how) else None
    else:
        # APPNOTE 6.1.6; with a data descriptor the CRC is not known when the header is written, so the time stands for it
        check = entry.dos_time >> 8 & 0xFF if entry.flags & FLAG_DESCRIPTOR else entry.crc >> 24
        plain = traditional_blocks(source, passphrase, check) if entry.packed >= TRADITIONAL_HEADER_BYTES else None
    if plain is None:
        message = "the passphrase is wrong or the encryption's header is damaged"
        raise WrongPassphraseError(message)
    return plain


def _fits(file: BinaryIO, size: int, entry: ZipEntry, passphrase: bytes) -> tuple[bool, bool]:
    """Whether the header fits the passphrase, and whether the first MiB, or all, comes out right."""
    done = 0
    try:
        for block in guarded(content_blocks(file, size, entry, passphrase), ""):
            done += len(block)
            if done > _TRIED_BYTES:
                break
    except WrongPassphraseError:
        return False, False
    except ArchiveError:
        return True, False
    return True, True
