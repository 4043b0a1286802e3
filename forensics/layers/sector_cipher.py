"""Sectors of an encrypted volume -> plain sectors, many at a time.

Every mode that disks use is a block cipher in electronic codebook mode and some exclusive-ors: so all blocks of a read go through
the cipher in one call, and numpy does the rest. What dissect.fve offers for this works block by block in Python, about a
thousand times slower.

Ciphers: those of block_ciphers.py. Modes: XTS (IEEE 1619), CBC (NIST SP 800-38A), ECB. Initialisation vectors as dm-crypt names
them (Linux, Documentation/admin-guide/device-mapper/dm-crypt.rst): plain, plain64, plain64be, essiv:HASH, eboiv, null.
BitLocker's diffuser is in elephant.py.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forensics.errors import VolumeError
from forensics.layers.block_ciphers import BLOCK_BYTES, BLOCK_CIPHERS, KEY_SIZES, codebook

if TYPE_CHECKING:
    from numpy.typing import NDArray

# x^128 + x^7 + x^2 + x + 1, the field polynomial of XTS (IEEE 1619-2007, 5.2), without its first term.
_REDUCTION = np.uint64(0x87)
_IV_HASHES = hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}  # whose digests have no size of their own
_IV_KINDS = ("plain", "plain64", "plain64be", "eboiv", "null")


@dataclass(frozen=True, slots=True)
class CipherSpec:
    """A cipher as dm-crypt writes it: "aes-xts-plain64", "aes-cbc-essiv:sha256".

    Attributes:
        cipher: block cipher, one of BLOCK_CIPHERS.
        mode: "xts", "cbc" or "ecb".
        iv: how the initialisation vector of a sector is made.
        iv_hash: the hash of essiv; "" for others.
    """

    cipher: str
    mode: str
    iv: str
    iv_hash: str = ""


def parse_spec(text: str) -> CipherSpec:
    """The parts of a cipher's name.

    Raises:
        VolumeError: it is one that is not decrypted here.
    """
    cipher, _, rest = text.partition("-")
    mode, _, iv = rest.partition("-")
    iv, _, iv_hash = iv.partition(":")
    spec = CipherSpec(cipher, mode, iv or "null", iv_hash)
    is_known = spec.cipher in BLOCK_CIPHERS and spec.mode in ("xts", "cbc", "ecb")
    if not is_known or not (spec.iv in _IV_KINDS or (spec.iv == "essiv" and spec.iv_hash in _IV_HASHES)):
        message = f"the cipher {text[:64]!a} is not decrypted by this version"
        raise VolumeError(message)
    return spec


class SectorCipher:
    """Decrypts sectors of one volume. Shared by threads without harm: it holds no state of a read."""

    def __init__(self, spec: CipherSpec, key: bytes, *, sector_bytes: int = 512, iv_unit_bytes: int = 512) -> None:
        """`iv_unit_bytes` is what the numbers of sectors count in initialisation vectors: dm-crypt counts 512 bytes, BitLocker sectors.

        Raises:
            VolumeError: the key is not of a length that the cipher takes.
        """
        self._spec, self.sector_bytes, self._step = spec, sector_bytes, sector_bytes // iv_unit_bytes
        self._blocks = sector_bytes // BLOCK_BYTES
        main = key[: len(key) // 2] if spec.mode == "xts" else key
        if len(main) not in KEY_SIZES or (spec.mode == "xts" and len(key) != 2 * len(main)) or sector_bytes % BLOCK_BYTES:
            message = f"the key of the volume has {len(key)} bytes, which {spec.cipher}-{spec.mode} does not take"
            raise VolumeError(message)
        self._decrypt_blocks = codebook(spec.cipher, main, decrypting=True)
        self._encrypt_tweak = codebook(spec.cipher, key[len(main) :], decrypting=False) if spec.mode == "xts" else None
        iv_key = hashlib.new(spec.iv_hash, key).digest() if spec.iv == "essiv" else main
        if len(iv_key) not in KEY_SIZES:
            message = f"the hash {spec.iv_hash} makes no key that the initialisation vectors of {spec.cipher} can be made with"
            raise VolumeError(message)
        self._encrypt_iv = codebook(spec.cipher, iv_key, decrypting=False) if spec.iv in ("essiv", "eboiv") else None

    def decrypt(self, data: bytes, first: int) -> bytes:
        """The plain bytes of whole sectors, the first of which has that number in its initialisation vector."""
        if not data:
            return b""
        count = len(data) // self.sector_bytes
        numbers = np.arange(count, dtype=np.uint64) * np.uint64(self._step) + np.uint64(first)
        blocks = np.frombuffer(data, dtype=np.uint64).reshape(count, self._blocks, 2)
        if self._spec.mode == "xts":
            return self._xts(blocks, self._vectors(numbers))
        plain = np.frombuffer(self._decrypt_blocks(data), dtype=np.uint64).reshape(blocks.shape).copy()
        if self._spec.mode == "cbc":
            plain[:, 1:] ^= blocks[:, :-1]
            plain[:, 0] ^= self._vectors(numbers)
        return plain.tobytes()

    def _vectors(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Initialisation vectors of the sectors of those numbers: one row of two little-endian halves each."""
        vectors = np.zeros((len(numbers), 2), dtype="<u8")
        if self._spec.iv == "plain":
            vectors[:, 0] = numbers & np.uint64(0xFFFFFFFF)
        elif self._spec.iv == "plain64be":
            vectors[:, 1] = numbers.byteswap()
        elif self._spec.iv == "eboiv":
            vectors[:, 0] = numbers * np.uint64(self.sector_bytes // self._step)
        elif self._spec.iv != "null":
            vectors[:, 0] = numbers
        if self._encrypt_iv is None:
            return vectors
        return np.frombuffer(self._encrypt_iv(vectors.tobytes()), dtype=np.uint64).reshape(vectors.shape)

    def _xts(self, blocks: NDArray[np.uint64], vectors: NDArray[np.uint64]) -> bytes:
        assert self._encrypt_tweak is not None, "XTS has a second key"
        first = np.frombuffer(self._encrypt_tweak(vectors.tobytes()), dtype="<u8").reshape(vectors.shape)
        low, high = first[:, 0].copy(), first[:, 1].copy()
        tweaks = np.empty(blocks.shape, dtype="<u8")
        for block in range(self._blocks):
            tweaks[:, block, 0], tweaks[:, block, 1] = low, high
            carry = (high >> np.uint64(63)) * _REDUCTION
            high = (high << np.uint64(1)) | (low >> np.uint64(63))
            low = (low << np.uint64(1)) ^ carry
        plain = np.frombuffer(self._decrypt_blocks((blocks ^ tweaks).tobytes()), dtype=np.uint64).reshape(blocks.shape)
        return (plain ^ tweaks).tobytes()
