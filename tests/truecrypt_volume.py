"""A TrueCrypt volume around plain bytes, made with OpenSSL after the published format; TrueCrypt's keys take no time to derive."""

from __future__ import annotations

import hashlib
import struct
import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

_AREA = 0x20000  # what the headers take at the front, and their copies at the end
_SECTOR = 512


def truecrypt_volume(plain: bytes, passphrase: bytes) -> bytes:
    """TrueCrypt 7.1a User's Guide, TrueCrypt Volume Format Specification: AES in XTS mode, PBKDF2 of SHA-512 with 1,000 rounds."""
    salt, key = (hashlib.shake_256(name).digest(64) for name in (b"salt", b"key"))
    keys = key.ljust(256, b"\0")
    fields = struct.pack(
        ">4sHHI16sQQQQII120s", b"TRUE", 5, 0x0700, zlib.crc32(keys), b"", 0, len(plain), _AREA, len(plain), 0, _SECTOR, b""
    )
    head = fields + struct.pack(">I", zlib.crc32(fields)) + keys
    header_key = hashlib.pbkdf2_hmac("sha512", passphrase, salt, 1000, 64)
    header = salt + _encrypted(header_key, head, 0)
    unused = hashlib.shake_256(b"unused").digest(2 * _AREA)
    sectors = (_encrypted(key, plain[at : at + _SECTOR], (_AREA + at) // _SECTOR) for at in range(0, len(plain), _SECTOR))
    return header + unused[len(header) : _AREA] + b"".join(sectors) + unused[_AREA:]


def _encrypted(key: bytes, data: bytes, unit: int) -> bytes:
    return Cipher(AES(key), modes.XTS(unit.to_bytes(16, "little"))).encryptor().update(data)
