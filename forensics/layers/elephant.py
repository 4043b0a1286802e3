"""BitLocker's diffuser: what Windows Vista and 7 put beside AES-CBC.

References:
    Niels Ferguson, AES-CBC + Elephant diffuser: A Disk Encryption Algorithm for Windows Vista (Microsoft, 2006), sections 4.2 to 4.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forensics.layers.block_ciphers import codebook
from forensics.layers.sector_cipher import CipherSpec, SectorCipher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WORD_BITS = 32
_A_CYCLES, _A_ROTATIONS = 5, (9, 0, 13, 0)
_B_CYCLES, _B_ROTATIONS = 3, (0, 10, 0, 25)
_REACH = 5  # how far apart the words lie that a diffuser mixes
_SECTOR_KEY_BYTES = 32
_KEY_BYTES = 64  # the volume's key is stored as two halves of 32 bytes, whatever of them the cipher takes


class ElephantCipher:
    """AES-CBC with the diffuser, sector by sector."""

    def __init__(self, key: bytes, *, key_bytes: int, sector_bytes: int) -> None:
        """`key` holds 64 bytes: the key of AES-CBC from byte 0, that of the sector keys from byte 32; `key_bytes` of each are used."""
        spec = CipherSpec("aes", "cbc", "eboiv")
        self.sector_bytes = sector_bytes
        self._cbc = SectorCipher(spec, key[:key_bytes], sector_bytes=sector_bytes, iv_unit_bytes=sector_bytes)
        half = _KEY_BYTES // 2
        self._sector_keys = codebook("aes", key[half : half + key_bytes], decrypting=False)

    def decrypt(self, data: bytes, first: int) -> bytes:
        """The plain bytes of whole sectors, the first of which has that number."""
        if not data:
            return b""
        plain = np.frombuffer(self._cbc.decrypt(data, first), dtype="<u4")
        words = plain.reshape(-1, self.sector_bytes // 4).T.copy()
        _undo_b(words)
        _undo_a(words)
        keys = np.frombuffer(self._keys(first, words.shape[1]), dtype="<u4").reshape(-1, _SECTOR_KEY_BYTES // 4)
        words ^= np.tile(keys, self.sector_bytes // _SECTOR_KEY_BYTES).T
        return words.T.tobytes()

    def _keys(self, first: int, count: int) -> bytes:
        """The sector keys: the sector's byte offset encrypted, then the same with its last byte 128 (section 4.2)."""
        offsets = (np.arange(count, dtype="<u8") + np.uint64(first)) * np.uint64(self.sector_bytes)
        blocks = np.zeros((count, 4), dtype="<u8")
        blocks[:, 0] = blocks[:, 2] = offsets
        blocks[:, 3] = np.uint64(0x80 << 56)
        return self._sector_keys(blocks.tobytes())


def _rotated(words: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return (words << np.uint32(bits)) | (words >> np.uint32(_WORD_BITS - bits)) if bits else words


def _rotated_each(words: NDArray[np.uint32], rotations: Sequence[int]) -> NDArray[np.uint32]:
    """Row `i` rotated left by `rotations[i % 4]` bits."""
    out = words.copy()
    for row, bits in enumerate(rotations):
        out[row::4] = _rotated(words[row::4], bits)
    return out


def _undo_a(words: NDArray[np.uint32]) -> None:
    """Diffuser A backwards, section 4.3: `d[i] += d[i-2] ^ (d[i-5] <<< Ra[i % 4])`; one row of `words` holds word `i` of all sectors."""
    for _ in range(_A_CYCLES):
        for row in range(len(words)):  # each word needs the one two before it, just made
            words[row] += words[row - 2] ^ _rotated(words[row - _REACH], _A_ROTATIONS[row % 4])


def _undo_b(words: NDArray[np.uint32]) -> None:
    """Diffuser B backwards, section 4.4: `d[i] += d[i+2] ^ (d[i+5] <<< Rb[i % 4])`."""
    count = len(words)
    for _ in range(_B_CYCLES):
        # All but the last words need only words that this cycle has not reached yet.
        words[: count - _REACH] += words[2 : count - _REACH + 2] ^ _rotated_each(words[_REACH:], _B_ROTATIONS)
        for row in range(count - _REACH, count):
            words[row] += words[(row + 2) % count] ^ _rotated(words[(row + _REACH) % count], _B_ROTATIONS[row % 4])
