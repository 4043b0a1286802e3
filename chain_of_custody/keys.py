"""Public and private keys, signing and verifying: Ed25519, and ECDSA on P-256 with SHA-256 for smartcards and HSMs.

The algorithm is a property of the key, never of the signature, so no attacker can choose it. An ECDSA signature (r, s) has a twin (r, n -
s) that verifies as well; only the one with the smaller s is taken, and only in the one DER form, so that no line has a second valid form.
`keyid` is the SHA-256 of the key's SubjectPublicKeyInfo in DER, hex.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from chain_of_custody.errors import KeyFileError

# SEC 2 version 2.0, section 2.4.2: the order of the group on secp256r1.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ECDSA = ec.ECDSA(hashes.SHA256())

PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey
PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def parse_public_key(pem: str | bytes) -> PublicKey:
    """A public key of one of the two kinds, from PEM.

    Raises:
        KeyFileError: it is no PEM public key, or of another kind.
    """
    try:
        key = load_pem_public_key(pem.encode("ascii") if isinstance(pem, str) else pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        message = "not a PEM public key"
        raise KeyFileError(message) from error
    return checked_public_key(key)


def checked_public_key(key: object) -> PublicKey:
    """The key, if it is Ed25519 or on P-256.

    Raises:
        KeyFileError: it is of another kind.
    """
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    message = "the key is neither Ed25519 nor ECDSA on P-256"
    raise KeyFileError(message)


def key_id(key: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo in DER, 64 hex digits."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def to_pem(key: PublicKey) -> str:
    """The public key as PEM, with its final LF."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def raw_ed25519(key: PublicKey) -> bytes:
    """The 32 bytes of an Ed25519 public key.

    Raises:
        KeyFileError: it is of another kind.
    """
    if not isinstance(key, Ed25519PublicKey):
        message = "checkpoints are signed by an Ed25519 key only"
        raise KeyFileError(message)
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(key: PrivateKey, data: bytes) -> bytes:
    """The signature over `data`: 64 bytes for Ed25519, DER with the smaller s for ECDSA."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(data)
    r, s = decode_dss_signature(key.sign(data, _ECDSA))
    return encode_dss_signature(r, min(s, _P256_ORDER - s))


def is_signed(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is this key's signature over `data`, in its only accepted form."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
            return True
        r, s = decode_dss_signature(signature)
        if s > _P256_ORDER // 2 or encode_dss_signature(r, s) != signature:
            return False
        key.verify(signature, data, _ECDSA)
    except (InvalidSignature, ValueError):
        return False
    return True
