"""Private keys in files: encrypted PKCS#8 with scrypt, which OpenSSL reads too, or PKCS#12 made elsewhere.

`cryptography` writes PKCS#8 with 2,048 PBKDF2 rounds and PKCS#12 with a MAC of 2,048 rounds; both let a thief try passphrases quickly, so
the PKCS#8 structure (RFC 5958, PBES2 of RFC 8018 with scrypt of RFC 7914) is written here. N=2^14, r=8, p=5 is the strongest cost that
OpenSSL decrypts within its memory limit of 32 MiB. A passphrase is bytes, and never part of a message.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key, pkcs12

from chain_of_custody.encoding import to_base64
from chain_of_custody.errors import KeyFileError, PassphraseError
from chain_of_custody.keys import PrivateKey, checked_public_key

if TYPE_CHECKING:
    from pathlib import Path

_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 14, 8, 5
_MIN_ROUNDS = 600_000
_MAX_KEY_BYTES = 1 << 16
_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04
# Object identifiers as complete DER elements: PBES2 and its parts (RFC 8018 appendix A.4, RFC 7914 section 7, NIST AES).
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_AES256_CBC = bytes.fromhex("060960864801650304012a")
_PEM_COLUMNS = 64


def write_private_key(path: Path, key: PrivateKey, passphrase: bytes | None) -> None:
    """Writes a key that only its owner may read; an existing file is never replaced.

    Raises:
        KeyFileError: the file exists.
    """
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) if passphrase is None else encrypt_pkcs8(key, passphrase)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        message = f"{path} exists; a key is never overwritten"
        raise KeyFileError(message) from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def read_private_key(path: Path, passphrase: bytes | None) -> PrivateKey:
    """The private key in a PEM (PKCS#8) or PKCS#12 file.

    Raises:
        PassphraseError: the passphrase is missing or wrong.
        KeyFileError: no such file, no private key of a kind we take, or an unprotected file that others may read.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_KEY_BYTES)
            mode = os.fstat(stream.fileno()).st_mode
    except OSError as error:
        message = f"the key {path} cannot be read: {error.strerror}"
        raise KeyFileError(message) from error
    key = _load_pem(data, passphrase, path) if b"-----BEGIN" in data else _load_pkcs12(data, passphrase, path)
    if b"BEGIN PRIVATE KEY" in data and mode & (stat.S_IRWXG | stat.S_IRWXO):
        message = f"the key {path} has no passphrase and others may read it: chmod 600 {path}"
        raise KeyFileError(message)
    if not isinstance(key, Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        message = f"the key {path} is neither Ed25519 nor ECDSA on P-256"
        raise KeyFileError(message)
    checked_public_key(key.public_key())
    return key


def encrypt_pkcs8(key: PrivateKey, passphrase: bytes) -> bytes:
    """A key as PEM "ENCRYPTED PRIVATE KEY" under a passphrase."""
    salt, iv = os.urandom(16), os.urandom(16)
    secret = Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P).derive(passphrase)
    padder = padding.PKCS7(128).padder()
    plain = padder.update(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())) + padder.finalize()
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(plain) + encryptor.finalize()
    cost = _der(_SEQUENCE, _der(_OCTETS, salt) + b"".join(_der_integer(value) for value in (_SCRYPT_N, _SCRYPT_R, _SCRYPT_P)))
    scheme = _der(_SEQUENCE, _der(_SEQUENCE, _SCRYPT + cost) + _der(_SEQUENCE, _AES256_CBC + _der(_OCTETS, iv)))
    text = to_base64(_der(_SEQUENCE, _der(_SEQUENCE, _PBES2 + scheme) + _der(_OCTETS, sealed)))
    lines = [text[start : start + _PEM_COLUMNS] for start in range(0, len(text), _PEM_COLUMNS)]
    return "\n".join(["-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, "-----END ENCRYPTED PRIVATE KEY-----", ""]).encode("ascii")


def _load_pem(data: bytes, passphrase: bytes | None, path: Path) -> object:
    encrypted = b"ENCRYPTED" in data
    if encrypted and not _is_well_protected(data):
        message = (
            f"the key {path} is protected by fewer than 600,000 rounds of PBKDF2: openssl pkcs8 -topk8 -scrypt -in {path.name} -out new.pem"
        )
        raise KeyFileError(message)
    if encrypted and not passphrase:
        message = f"the key {path} needs its passphrase"
        raise PassphraseError(message)
    try:
        return load_pem_private_key(data, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not chained: what the library says about a decryption belongs into no log.
        if encrypted:
            message = f"the passphrase of the key {path} is wrong, or the file is damaged"
            raise PassphraseError(message) from None
        message = f"{path} holds no private key"
        raise KeyFileError(message) from None


def _load_pkcs12(data: bytes, passphrase: bytes | None, path: Path) -> object:
    try:
        key = pkcs12.load_key_and_certificates(data, passphrase)[0]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        message = f"the passphrase of the key {path} is missing or wrong, or the file is no PKCS#8 PEM or PKCS#12 key"
        raise PassphraseError(message) from None
    if key is None:
        message = f"{path} holds no private key"
        raise KeyFileError(message)
    return key


def _is_well_protected(pem: bytes) -> bool:
    """Whether an encrypted PKCS#8 key is under scrypt, or under PBKDF2 with enough rounds."""
    body = b"".join(line for line in pem.splitlines() if not line.startswith(b"-----"))
    try:
        der = base64.b64decode(body, validate=True)
    except binascii.Error:
        # A PEM with headers ("Proc-Type"): OpenSSL's old form, whose key is one round of MD5.
        return b"Proc-Type" not in pem
    if _PBKDF2 not in der:
        return _SCRYPT in der
    # RFC 8018 appendix A.2: SEQUENCE { salt OCTET STRING, iterationCount INTEGER, … }; all these lengths are short.
    start = der.index(_PBKDF2) + len(_PBKDF2) + 2
    salt, rest = der[start + 1 : start + 2], der[start + 2 :]
    count = rest[int.from_bytes(salt, "big") :]
    return int.from_bytes(count[2 : 2 + int.from_bytes(count[1:2], "big")], "big") >= _MIN_ROUNDS


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:  # noqa: PLR2004  # X.690 section 8.1.3.4: the short form of a length
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _der_integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))
