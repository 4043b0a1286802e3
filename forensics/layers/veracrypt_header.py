"""Header of a VeraCrypt or TrueCrypt volume: where it may lie, which keys open it, and what it says once opened.

Nothing in such a volume tells it from random bytes until a passphrase opens it; then two checksums leave no doubt. What is tried: the four
places of a header, and every key derivation that Python has; the cipher AES. Cascades, Serpent, Twofish, Camellia and Kuznyechik,
and the hashes Whirlpool and Streebog are not.

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
from forensics.layers.sector_cipher import SectorCipher, parse_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER_BYTES = 512
SALT_BYTES = 64
HEADER_AREA_BYTES = 0x20000  # the headers at the front, and their copies at the end, take so much
HIDDEN_OFFSET = 0x10000
_CIPHER = parse_spec("aes-xts-plain64")
_KEY_BYTES = 64
_CONTAINER_VERSION = 4  # header version from which on the place of the data is stated (TrueCrypt 6.0, 2008)
_POOL_BYTES = 64
_LONG_POOL_BYTES = 128  # for passphrases longer than 64 bytes (VeraCrypt 1.26)
_MAX_KEY_FILE_BYTES = 1 << 20  # what of a key file is used
_FIELDS = struct.Struct(">4sHHI16sQQQQII120sI")  # of the decrypted part, up to the checksum of itself
_KEYS_AT = 192
_CHECKED_BYTES = 188
_SYSTEM_FLAG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDerivation:
    """A way from passphrase to key: `hash` with PBKDF2, or "argon2id". `magic` is what the opened header then begins with."""

    hash: str
    rounds: int
    magic: bytes
    has_pim: bool = True

    @property
    def name(self) -> str:
        """For people and addresses: "VeraCrypt sha512"."""
        return f"{'VeraCrypt' if self.magic == b'VERA' else 'TrueCrypt'} {self.hash}"

    def key(self, secret: bytes, salt: bytes, pim: int) -> bytes:
        """The header's key, 64 bytes.

        Raises:
            ValueError: this build of Python does not have the hash.
            VolumeError: Argon2's memory is not to be had.
        """
        if self.hash == "argon2id":
            pim = pim or 12
            memory_mib = min(64 + (pim - 1) * 32, 1024)
            passes = 3 + (pim - 1) // 3 if pim <= 31 else 13 + (pim - 31)  # noqa: PLR2004 - VeraCrypt's formula
            return argon2_key("argon2id", secret, salt, passes=passes, memory_kib=memory_mib * 1024, lanes=1, length=192)[:_KEY_BYTES]
        rounds = 15000 + pim * 1000 if pim and self.has_pim else self.rounds
        return hashlib.pbkdf2_hmac(self.hash, secret, salt, rounds, _KEY_BYTES)


# In order of how likely they are for what they cost; the first is what VeraCrypt proposes.
DERIVATIONS: tuple[KeyDerivation, ...] = (
    KeyDerivation(hash="sha512", rounds=1000, magic=b"TRUE", has_pim=False),
    KeyDerivation(hash="ripemd160", rounds=2000, magic=b"TRUE", has_pim=False),
    KeyDerivation(hash="sha512", rounds=500_000, magic=b"VERA"),
    KeyDerivation(hash="sha256", rounds=500_000, magic=b"VERA"),
    KeyDerivation(hash="blake2s", rounds=500_000, magic=b"VERA"),
    KeyDerivation(hash="argon2id", rounds=0, magic=b"VERA"),
    KeyDerivation(hash="ripemd160", rounds=655_331, magic=b"VERA"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedHeader:
    """What an opened header says: the data are `size` bytes from `start` of the volume. The key is never shown."""

    start: int
    size: int
    key: bytes = field(repr=False)


def open_header(header: bytes, key: bytes, magic: bytes, volume_size: int) -> OpenedHeader | None:
    """What the header says, or None if the key does not open it.

    Args:
        header: its 512 bytes.
        key: the header's key.
        magic: what it then begins with.
        volume_size: size of the volume that holds it, bytes.
    """
    encrypted = header[SALT_BYTES:HEADER_BYTES]
    plain = SectorCipher(_CIPHER, key, sector_bytes=len(encrypted)).decrypt(encrypted, 0)
    found, version, _, keys_crc, _, _, _, start, size, flags, _, _, crc = _FIELDS.unpack_from(plain)
    if found != magic or keys_crc != zlib.crc32(plain[_KEYS_AT:]):
        return None
    if version >= _CONTAINER_VERSION and crc != zlib.crc32(plain[:_CHECKED_BYTES]):
        return None
    if version < _CONTAINER_VERSION:
        start, size = HEADER_BYTES, volume_size - HEADER_BYTES
    if flags & _SYSTEM_FLAG or start % HEADER_BYTES or not size >= HEADER_BYTES:
        return None
    return OpenedHeader(start=start, size=size - size % HEADER_BYTES, key=plain[_KEYS_AT : _KEYS_AT + _KEY_BYTES])


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
