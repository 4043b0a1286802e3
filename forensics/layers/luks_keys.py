"""Passphrases and key files -> the keys of a LUKS volume, at a cost that the evidence cannot choose.

References:
    LUKS1 On-Disk Format Specification 1.2.3, 2.4 (anti-forensic splitter) and 4.2 (master key recovery).
    LUKS2 On-Disk Format Specification 1.1.3, 4.1 (keyslots) and 4.3 (digests).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from forensics.errors import VolumeError
from forensics.layers.argon2_key import argon2_key
from forensics.layers.sector_cipher import SectorCipher, parse_spec
from forensics.layers.unit_source import read_exactly

if TYPE_CHECKING:
    from forensics.layers.luks_header import Derivation, KeyDigest, KeySlot
    from forensics.source import ByteSource

# A slot made by cryptsetup on today's fastest machines costs some 10 million rounds of PBKDF2, or a gigabyte and a dozen passes of Argon2.
_MAX_ROUNDS = 50_000_000
_MAX_MEMORY_KIB = 4 << 20  # cryptsetup's own limit
_MAX_MEMORY_PASSES_KIB = 1 << 27
_MAX_LANES = 16
_MAX_ALL_ROUNDS = 20 * _MAX_ROUNDS
_MAX_ALL_MEMORY_PASSES_KIB = 8 * _MAX_MEMORY_PASSES_KIB
_MAX_DIGEST_BYTES = 512
_HASHES = {"sha3-224": "sha3_224", "sha3-256": "sha3_256", "sha3-384": "sha3_384", "sha3-512": "sha3_512"} | {
    "blake2b-512": "blake2b",
    "blake2s-256": "blake2s",
}


class Budget:
    """What deriving keys for one volume may cost in all, whatever its header states and however many credentials there are."""

    def __init__(self) -> None:
        self._rounds, self._passes = _MAX_ALL_ROUNDS, _MAX_ALL_MEMORY_PASSES_KIB

    def spend(self, derivation: Derivation) -> None:
        """Takes the cost of one derivation.

        Raises:
            VolumeError: it is more than any real volume asks for, or the rest of the budget.
        """
        if derivation.type == "pbkdf2":
            self._rounds -= derivation.rounds
            if derivation.rounds > _MAX_ROUNDS or self._rounds < 0:
                message = f"it asks for {derivation.rounds} rounds of PBKDF2, more than is spent on one volume"
                raise VolumeError(message)
            return
        cost = derivation.rounds * derivation.memory_kib
        self._passes -= cost
        too_large = derivation.memory_kib > _MAX_MEMORY_KIB or derivation.lanes > _MAX_LANES
        if too_large or cost > _MAX_MEMORY_PASSES_KIB or self._passes < 0:
            message = (
                f"it asks for {derivation.memory_kib} KiB of memory, {derivation.rounds} passes and {derivation.lanes} threads of Argon2, "
                "more than is spent on one volume"
            )
            raise VolumeError(message)


def open_slot(source: ByteSource, slot: KeySlot, digest: KeyDigest, secret: bytes, budget: Budget) -> bytes | None:
    """The volume's key that the slot holds, or None if the secret does not open it.

    Raises:
        VolumeError: the slot cannot be tried: its cost, or a cipher or hash that is not there.
        ImageReadError: the slot's bytes cannot be read.
    """
    cipher = parse_spec(slot.area_cipher)
    _hash_name(slot.split_hash)
    derived = _derive(slot.derivation, secret, slot.area_key_bytes, budget)
    length = slot.key_bytes * slot.stripes
    padded = -(-length // 512) * 512
    split = SectorCipher(cipher, derived).decrypt(read_exactly(source, slot.area_start, padded), 0)[:length]
    key = _merge(split, slot.key_bytes, slot.stripes, _hash_name(slot.split_hash))
    return key if is_key(digest, key, budget) else None


def is_key(digest: KeyDigest, key: bytes, budget: Budget) -> bool:
    """Whether the key is the one that the digest is of.

    Raises:
        VolumeError: it cannot be told.
    """
    if not 1 <= len(digest.digest) <= _MAX_DIGEST_BYTES:
        message = f"its digest has {len(digest.digest)} bytes"
        raise VolumeError(message)
    return hmac.compare_digest(_derive(digest.derivation, key, len(digest.digest), budget), digest.digest)


def _derive(derivation: Derivation, secret: bytes, length: int, budget: Budget) -> bytes:
    budget.spend(derivation)
    if derivation.type == "pbkdf2":
        return hashlib.pbkdf2_hmac(_hash_name(derivation.hash), secret, derivation.salt, derivation.rounds, length)
    if derivation.type not in ("argon2i", "argon2id"):
        message = f"its key derivation {derivation.type[:32]!a} is not known"
        raise VolumeError(message)
    return argon2_key(
        derivation.type,
        secret,
        derivation.salt,
        passes=derivation.rounds,
        memory_kib=derivation.memory_kib,
        lanes=derivation.lanes,
        length=length,
    )


def _hash_name(stated: str) -> str:
    """The hash as Python calls it.

    Raises:
        VolumeError: it is not there.
    """
    name = _HASHES.get(stated, stated)
    try:
        hashlib.pbkdf2_hmac(name, b"", b"", 1)
    except ValueError:
        message = f"its hash {stated[:32]!a} is not known"
        raise VolumeError(message) from None
    return name


def _merge(split: bytes, key_bytes: int, stripes: int, hash_name: str) -> bytes:
    """The key out of its stripes (LUKS1 1.2.3, 2.4): each but the last is added and then diffused."""
    mixed = 0
    for number in range(stripes):
        mixed ^= int.from_bytes(split[number * key_bytes : (number + 1) * key_bytes], "big")
        if number < stripes - 1:
            mixed = int.from_bytes(_diffuse(mixed.to_bytes(key_bytes, "big"), hash_name), "big")
    return mixed.to_bytes(key_bytes, "big")


def _diffuse(block: bytes, hash_name: str) -> bytes:
    step = hashlib.new(hash_name).digest_size
    pieces = (block[start : start + step] for start in range(0, len(block), step))
    return b"".join(hashlib.new(hash_name, number.to_bytes(4, "big") + piece).digest()[: len(piece)] for number, piece in enumerate(pieces))
