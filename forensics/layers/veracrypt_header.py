"""Header of a VeraCrypt or TrueCrypt volume: where it may lie, which keys open it, and what it says once opened.

Nothing in such a volume tells it from random bytes until a passphrase opens it; then two checksums leave no doubt. What is tried: the
places of a header, every key derivation that Python has, every cipher of block_ciphers.py and the cascades of them. UNTRIED names the rest.

References:
    VeraCrypt documentation: VeraCrypt Volume Format Specification; Header Key Derivation, Salt, and Iteration Count; PIM; Keyfiles.
    TrueCrypt 7.1a User's Guide: TrueCrypt Volume Format Specification.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forensics.layers.argon2_key import argon2_key
from forensics.layers.block_ciphers import BLOCK_CIPHERS
from forensics.layers.sector_cipher import CipherSpec, SectorCipher

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEADER_BYTES = 512
SALT_BYTES = 64
HEADER_AREA_BYTES = 0x20000  # the headers at the front, and their copies at the end, take so much
HIDDEN_OFFSET = 0x10000
UNTRIED = (
    "a PIM, system encryption, the ciphers Kuznyechik and SM4 and cascades with them, the hashes Whirlpool and Streebog, and TrueCrypt's "
    "modes of before 5.0 (LRW, CBC)"
)
"""What of VeraCrypt and TrueCrypt is never tried, for people."""
_KEY_BYTES = 64  # of one cipher in XTS mode
_LONGEST_KEY_BYTES = 3 * _KEY_BYTES  # of the longest cascade; Argon2 gives another key for each length, and VeraCrypt asks for this one
_CONTAINER_VERSION = 4  # header version from which on the place of the data is stated (TrueCrypt 6.0, 2008)
_POOL_BYTES = 64
_LONG_POOL_BYTES = 128  # for passphrases longer than 64 bytes (VeraCrypt 1.26)
_MAX_KEY_FILE_BYTES = 1 << 20  # what of a key file is used
_FIELDS = struct.Struct(">4sHHI16sQQQQII120sI")  # of the decrypted part, up to the checksum of itself
_KEYS_AT = 192
_CHECKED_BYTES = 188
_SYSTEM_FLAG = 1


@dataclass(frozen=True, slots=True)
class Encryption:
    """A cipher or a cascade, as VeraCrypt names it: the cipher that is taken off first stands first, each with a key of its own."""

    ciphers: tuple[str, ...]

    @property
    def name(self) -> str:
        """As VeraCrypt writes it, in small letters: "aes-twofish-serpent"."""
        return "-".join(self.ciphers)

    def with_key(self, key: bytes, sector_bytes: int = 512) -> SectorCiphers:
        """The ciphers with their keys, of which `key` holds all."""
        # A key of each cipher, that of the one which encrypts first at the front, and then the second key of each, for XTS.
        half, count = _KEY_BYTES // 2, len(self.ciphers)
        parts = [key[half * place : half * (place + 1)] for place in range(2 * count)]
        return SectorCiphers(
            SectorCipher(CipherSpec(cipher, "xts", "plain64"), parts[place] + parts[count + place], sector_bytes=sector_bytes)
            for cipher, place in zip(self.ciphers, reversed(range(count)), strict=True)
        )


class SectorCiphers:
    """Ciphers that are taken off one after the other."""

    def __init__(self, ciphers: Iterable[SectorCipher]) -> None:
        self._ciphers = tuple(ciphers)

    def decrypt(self, data: bytes, first: int) -> bytes:
        """The plain bytes of whole sectors, the first of which has that number."""
        for cipher in self._ciphers:
            data = cipher.decrypt(data, first)
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDerivation:
    """A way from passphrase to key: `hash` with PBKDF2, or "argon2id". `magic` is what the opened header then begins with."""

    hash: str
    rounds: int
    magic: bytes

    @property
    def name(self) -> str:
        """For people and addresses: "VeraCrypt sha512"."""
        return f"{'VeraCrypt' if self.magic == b'VERA' else 'TrueCrypt'} {self.hash}"

    def key(self, secret: bytes, salt: bytes, length: int) -> bytes:
        """The header's key of `length` bytes.

        Raises:
            ValueError: this build of Python does not have the hash.
            VolumeError: Argon2's memory is not to be had.
        """
        if self.hash == "argon2id":  # what VeraCrypt takes where no PIM is given: 416 MiB, 6 passes
            return argon2_key("argon2id", secret, salt, passes=6, memory_kib=416 << 10, lanes=1, length=_LONGEST_KEY_BYTES)[:length]
        return hashlib.pbkdf2_hmac(self.hash, secret, salt, self.rounds, length)


_TRUECRYPT = (
    KeyDerivation(hash="sha512", rounds=1000, magic=b"TRUE"),
    KeyDerivation(hash="ripemd160", rounds=2000, magic=b"TRUE"),
)
_VERACRYPT = (
    KeyDerivation(hash="sha512", rounds=500_000, magic=b"VERA"),
    KeyDerivation(hash="sha256", rounds=500_000, magic=b"VERA"),
    KeyDerivation(hash="blake2s", rounds=500_000, magic=b"VERA"),
    KeyDerivation(hash="ripemd160", rounds=655_331, magic=b"VERA"),
)
_ARGON2 = KeyDerivation(hash="argon2id", rounds=0, magic=b"VERA")
_SINGLE = tuple(Encryption((cipher,)) for cipher in BLOCK_CIPHERS)
_CASCADES = (
    Encryption(("aes", "twofish")),
    Encryption(("aes", "twofish", "serpent")),
    Encryption(("camellia", "serpent")),
    Encryption(("serpent", "aes")),
    Encryption(("serpent", "twofish", "aes")),
    Encryption(("twofish", "serpent")),
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One derivation, and the ciphers that are tried with the key that it gives."""

    derivation: KeyDerivation
    key_bytes: int
    encryptions: tuple[Encryption, ...]


# In order of how likely they are for what they cost: the long key of a cascade costs three times as much as that of one cipher.
ATTEMPTS: tuple[Attempt, ...] = (
    *(Attempt(one, _LONGEST_KEY_BYTES, (*_SINGLE, *_CASCADES)) for one in _TRUECRYPT),
    *(Attempt(one, _KEY_BYTES, _SINGLE) for one in _VERACRYPT),
    Attempt(_ARGON2, _LONGEST_KEY_BYTES, (*_SINGLE, *_CASCADES)),
    *(Attempt(one, _LONGEST_KEY_BYTES, _CASCADES) for one in _VERACRYPT),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedHeader:
    """What an opened header says: the data are `size` bytes from `start` of the volume. The key is never shown."""

    start: int
    size: int
    encryption: Encryption
    key: bytes = field(repr=False)


def open_header(header: bytes, attempt: Attempt, secret: bytes, volume_size: int) -> OpenedHeader | None:
    """What the header says, or None if the attempt does not open it.

    Args:
        header: its 512 bytes.
        attempt: how the key is made, and what it may be the key of.
        secret: the passphrase, mixed with key files if there are any.
        volume_size: size of the volume that holds it, bytes.

    Raises:
        ValueError: this build of Python does not have the hash.
        VolumeError: Argon2's memory is not to be had.
    """
    key = attempt.derivation.key(secret, header[:SALT_BYTES], attempt.key_bytes)
    found = (_with_key(header, attempt.derivation.magic, encryption, key, volume_size) for encryption in attempt.encryptions)
    return next((one for one in found if one is not None), None)


def _with_key(header: bytes, magic: bytes, encryption: Encryption, key: bytes, volume_size: int) -> OpenedHeader | None:
    encrypted = header[SALT_BYTES:HEADER_BYTES]
    plain = encryption.with_key(key, len(encrypted)).decrypt(encrypted, 0)
    found, version, _, keys_crc, _, _, _, start, size, flags, _, _, crc = _FIELDS.unpack_from(plain)
    if found != magic or keys_crc != zlib.crc32(plain[_KEYS_AT:]):
        return None
    if version >= _CONTAINER_VERSION and crc != zlib.crc32(plain[:_CHECKED_BYTES]):
        return None
    if version < _CONTAINER_VERSION:
        start, size = HEADER_BYTES, volume_size - HEADER_BYTES
    if flags & _SYSTEM_FLAG or start % HEADER_BYTES or not HEADER_BYTES <= size <= volume_size - start:
        return None
    length = _KEY_BYTES * len(encryption.ciphers)
    return OpenedHeader(start=start, size=size - size % HEADER_BYTES, encryption=encryption, key=plain[_KEYS_AT : _KEYS_AT + length])


def header_places(volume_size: int) -> tuple[tuple[str, int], ...]:
    """Where a header may lie: its name and offset in bytes. The copies at the end are for volumes whose front was overwritten."""
    places = [("outer", 0), ("hidden", HIDDEN_OFFSET)]
    if volume_size >= 2 * HEADER_AREA_BYTES:
        end = volume_size - HEADER_AREA_BYTES
        places += [("outer copy", end), ("hidden copy", end + HIDDEN_OFFSET)]
    return tuple((name, offset) for name, offset in places if offset + HEADER_BYTES <= volume_size)


def with_key_files(passphrase: bytes, key_files: Sequence[bytes]) -> bytes:
    """The passphrase mixed with key files (VeraCrypt documentation, Keyfiles); without any, as it is."""
    if not key_files:
        return passphrase
    size = _LONG_POOL_BYTES if len(passphrase) > _POOL_BYTES else _POOL_BYTES
    pool = bytearray(size)
    for content in key_files:
        _mix(pool, content[:_MAX_KEY_FILE_BYTES])
    padded = passphrase.ljust(size, b"\0")
    return bytes((a + b) & 0xFF for a, b in zip(padded, pool, strict=True))


def _mix(pool: bytearray, content: bytes) -> None:
    """Adds the four bytes of the running CRC-32 to the pool, byte for byte of the key file."""
    checksum, position, size = 0, 0, len(pool)
    for value in content:
        checksum = zlib.crc32(bytes((value,)), checksum)
        running = checksum ^ 0xFFFFFFFF  # the state before CRC-32's last step
        for byte in running.to_bytes(4, "big"):
            pool[position] = (pool[position] + byte) & 0xFF
            position = (position + 1) % size
