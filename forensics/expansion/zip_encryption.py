"""Decryption of ZIP members: PKWARE's traditional stream cipher and WinZip's AES.

References: APPNOTE.TXT 6.3.10, section 6.1; "AES Encryption Information: Encryption Specification AE-1 and AE-2" (WinZip).
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING

from Crypto.Cipher import AES
from Crypto.Util import Counter

from forensics.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.expansion.zip_extras import Aes

TRADITIONAL_HEADER_BYTES = 12
AES_CODE_BYTES = 10
_AES_VERIFIER_BYTES = 2
_ITERATIONS = 1000
_CRC_TABLE = tuple(zlib.crc32(bytes((value,)), 0xFFFFFFFF) ^ 0xFFFFFFFF for value in range(256))
# zlib's CRC is complemented before and after; the table of the bare polynomial is what one step from 0 gives.
_KEYS = 0x12345678, 0x23456789, 0x34567890  # 6.1.5


def traditional_blocks(source: Iterator[bytes], passphrase: bytes, check: int) -> Iterator[bytes] | None:
    """The decrypted blocks; None if the header shows that the passphrase is wrong. One in 256 wrong ones passes.

    Args:
        source: the stored bytes; its first block holds the 12 bytes of the header.
        passphrase: what to try.
        check: what the header's last byte must be.
    """
    first = next(source, b"")
    keys = list(_KEYS)
    for value in passphrase:
        _update(keys, value)
    header = _decrypted(first[:TRADITIONAL_HEADER_BYTES], keys)
    if len(header) < TRADITIONAL_HEADER_BYTES or header[-1] != check:
        return None
    return _traditional(first[TRADITIONAL_HEADER_BYTES:], source, keys)


def aes_overhead(how: Aes) -> int:
    """How many of the stored bytes are not of the content."""
    return how.key_bytes // 2 + _AES_VERIFIER_BYTES + AES_CODE_BYTES


def aes_blocks(source: Iterator[bytes], passphrase: bytes, how: Aes, length: int) -> Iterator[bytes] | None:
    """The decrypted blocks; None if the verifier shows that the passphrase is wrong. One in 65,536 wrong ones passes.

    The iterator raises ArchiveError where the authentication code at the end is not that of what was read.

    Args:
        source: the stored bytes; its first block holds salt and verifier.
        passphrase: what to try.
        how: strength of the encryption.
        length: how many bytes are stored.
    """
    first = next(source, b"")
    salt, verifier = first[: how.key_bytes // 2], first[how.key_bytes // 2 :][:_AES_VERIFIER_BYTES]
    made = hashlib.pbkdf2_hmac("sha1", passphrase, salt, _ITERATIONS, 2 * how.key_bytes + _AES_VERIFIER_BYTES)
    if made[-_AES_VERIFIER_BYTES:] != verifier:
        return None
    key, code = made[: how.key_bytes], hmac.new(made[how.key_bytes : -_AES_VERIFIER_BYTES], digestmod="sha1")
    return _aes(first[len(salt) + len(verifier) :], source, key, code, length - aes_overhead(how))


def _aes(first: bytes, source: Iterator[bytes], key: bytes, code: hmac.HMAC, left: int) -> Iterator[bytes]:
    cipher = AES.new(key, AES.MODE_CTR, counter=Counter.new(128, initial_value=1, little_endian=True))
    stored = b""
    for block in _chain(first, source):
        content, stored = block[:left], stored + block[left:]
        left -= len(content)
        code.update(content)
        if content:
            yield cipher.decrypt(content)
    if left or stored != code.digest()[:AES_CODE_BYTES]:
        message = "the authentication code is wrong: the encrypted data are damaged"
        raise ArchiveError(message)


def _traditional(first: bytes, source: Iterator[bytes], keys: list[int]) -> Iterator[bytes]:
    for block in _chain(first, source):
        yield _decrypted(block, keys)


def _chain(first: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from source


def _update(keys: list[int], value: int) -> None:
    keys[0] = _CRC_TABLE[(keys[0] ^ value) & 0xFF] ^ keys[0] >> 8
    keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
    keys[2] = _CRC_TABLE[(keys[2] ^ keys[1] >> 24) & 0xFF] ^ keys[2] >> 8


def _decrypted(block: bytes, keys: list[int]) -> bytes:
    """The block decrypted; `keys` goes on. `_update` is written out, because this runs once a byte."""
    first, second, third = keys
    table = _CRC_TABLE
    plain = bytearray(len(block))
    for at, stored in enumerate(block):
        low = third | 2
        value = stored ^ (low * (low ^ 1) >> 8 & 0xFF)
        plain[at] = value
        first = table[(first ^ value) & 0xFF] ^ first >> 8
        second = ((second + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        third = table[(third ^ second >> 24) & 0xFF] ^ third >> 8
    keys[:] = first, second, third
    return bytes(plain)
