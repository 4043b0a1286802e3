"""Twofish over many blocks at a time: its key-dependent S-boxes become four tables that are looked up for all blocks at once.

References:
    Bruce Schneier, John Kelsey, Doug Whiting, David Wagner, Chris Hall, Niels Ferguson, Twofish: A 128-Bit Block Cipher (1998): the
    function h and the permutations q0 and q1 (section 4.3.5), the MDS matrix (4.2), the key schedule and the RS matrix (4.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_MASK = 0xFFFFFFFF
_RHO = 0x01010101
_ROUNDS = 16
_WHITENING = 8
_BLOCKS_AT_ONCE = 1 << 14  # so that the arrays stay in the processor's cache
_MDS = ((0x01, 0xEF, 0x5B, 0x5B), (0x5B, 0xEF, 0xEF, 0x01), (0xEF, 0x5B, 0x01, 0xEF), (0xEF, 0x01, 0xEF, 0x5B))
_MDS_POLYNOMIAL = 0x169
_RS = (
    (0x01, 0xA4, 0x55, 0x87, 0x5A, 0x58, 0xDB, 0x9E),
    (0xA4, 0x56, 0x82, 0xF3, 0x1E, 0xC6, 0x68, 0xE5),
    (0x02, 0xA1, 0xFC, 0xC1, 0x47, 0xAE, 0x3D, 0x19),
    (0xA4, 0x55, 0x87, 0x5A, 0x58, 0xDB, 0x9E, 0x03),
)
_RS_POLYNOMIAL = 0x14D
# The tables t0 to t3 that q0 and q1 are built of, a digit an entry.
_T0 = ("817d6f320b59eca4", "ecb81235f4a6709d", "ba5e6d90c8f32471", "d7f4126e9b3085ca")
_T1 = ("28bdf76e31940ac5", "1e2b4c376da5f908", "4c75169a0ed82b3f", "b951c3de647f208a")


def _permutation(digits: tuple[str, ...]) -> tuple[int, ...]:
    tables = [[int(digit, 16) for digit in one] for one in digits]
    made = []
    for value in range(256):
        high, low = value >> 4, value & 15
        for first, second in (tables[:2], tables[2:]):
            turned = (low >> 1) | (low & 1) << 3
            mixed = high ^ turned ^ (high << 3 & 8)
            high, low = first[high ^ low], second[mixed]
        made.append(low << 4 | high)
    return tuple(made)


_Q0, _Q1 = _permutation(_T0), _permutation(_T1)
# Which permutation a byte passes at each step of h, the innermost first; a key of 128 bits takes the last three, of 192 the last four.
_STEPS = ((_Q1, _Q0, _Q0, _Q1), (_Q1, _Q1, _Q0, _Q0), (_Q0, _Q1, _Q0, _Q1), (_Q0, _Q0, _Q1, _Q1), (_Q1, _Q0, _Q1, _Q0))


def _product(a: int, b: int, polynomial: int) -> int:
    """The product in the field of 256 elements."""
    total = 0
    while b:
        total ^= a if b & 1 else 0
        a = a << 1 ^ (polynomial if a & 0x80 else 0)
        b >>= 1
    return total


def _column(byte: int, place: int) -> int:
    """What one byte adds to the word behind the MDS matrix."""
    return sum(_product(_MDS[row][place], byte, _MDS_POLYNOMIAL) << 8 * row for row in range(4))


def _passed(value: int, place: int, words: tuple[bytes, ...]) -> int:
    """Byte `value` at `place` through the permutations of h, keyed by `words`, of which the first is the last that it meets."""
    steps = _STEPS[len(_STEPS) - len(words) - 1 :]
    for step, word in zip(steps, reversed(words), strict=False):
        value = step[place][value] ^ word[place]
    return steps[-1][place][value]


def _h(value: int, words: tuple[bytes, ...]) -> int:
    total = 0
    for place in range(4):
        total ^= _column(_passed(value >> 8 * place & 0xFF, place, words), place)
    return total


class Twofish:
    """Twofish with one key of 16, 24 or 32 bytes."""

    def __init__(self, key: bytes) -> None:
        """Makes the 40 subkeys and the keyed S-boxes."""
        count = len(key) // 8
        words = [key[at : at + 4] for at in range(0, len(key), 4)]
        even, odd = tuple(words[0::2]), tuple(words[1::2])
        boxes = tuple(_remainder(key[8 * at : 8 * at + 8]) for at in reversed(range(count)))
        columns = [[_column(byte, place) for byte in range(256)] for place in range(4)]
        self._tables = [
            np.array([columns[place][_passed(value, place, boxes)] for value in range(256)], dtype=np.uint32) for place in range(4)
        ]
        keys = []
        for number in range(_WHITENING // 2 + _ROUNDS):
            a, b = _h(2 * number * _RHO, even), _h((2 * number + 1) * _RHO, odd)
            b = (b << 8 | b >> 24) & _MASK
            total = a + 2 * b & _MASK
            keys += [a + b & _MASK, (total << 9 | total >> 23) & _MASK]
        self._keys = [np.uint32(one) for one in keys]

    def encrypt(self, data: bytes) -> bytes:
        """Whole blocks encrypted, each by itself."""
        return _each_part(data, self._encrypted)

    def decrypt(self, data: bytes) -> bytes:
        """Whole blocks decrypted, each by itself."""
        return _each_part(data, self._decrypted)

    def _encrypted(self, words: list[NDArray[np.uint32]]) -> list[NDArray[np.uint32]]:
        keys = self._keys
        a, b, c, d = (word ^ key for word, key in zip(words, keys[:4], strict=True))
        for number in range(_ROUNDS):
            f0, f1 = self._f(a, b, number)
            c, d = _right(c ^ f0, 1), _right(d, 31) ^ f1
            a, b, c, d = c, d, a, b
        return [word ^ key for word, key in zip((c, d, a, b), keys[4:8], strict=True)]

    def _decrypted(self, words: list[NDArray[np.uint32]]) -> list[NDArray[np.uint32]]:
        keys = self._keys
        c, d, a, b = (word ^ key for word, key in zip(words, keys[4:8], strict=True))
        for number in reversed(range(_ROUNDS)):
            a, b, c, d = c, d, a, b
            f0, f1 = self._f(a, b, number)
            c, d = _right(c, 31) ^ f0, _right(d ^ f1, 1)
        return [word ^ key for word, key in zip((a, b, c, d), keys[:4], strict=True)]

    def _f(self, a: NDArray[np.uint32], b: NDArray[np.uint32], number: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The function F of a round: g of both words, mixed (pseudo-Hadamard) and keyed; sums are taken modulo 2^32."""
        first, second = self._g(a), self._g(_right(b, 24))
        first = first + second
        second = first + second
        return first + self._keys[_WHITENING + 2 * number], second + self._keys[_WHITENING + 2 * number + 1]

    def _g(self, word: NDArray[np.uint32]) -> NDArray[np.uint32]:
        found: NDArray[np.uint32] = self._tables[0][word & np.uint32(0xFF)]
        for place in (1, 2, 3):
            found ^= self._tables[place][(word >> np.uint32(8 * place)) & np.uint32(0xFF)]
        return found


def _remainder(part: bytes) -> bytes:
    """Eight bytes of the key through the RS matrix."""
    made = []
    for row in _RS:
        total = 0
        for factor, byte in zip(row, part, strict=True):
            total ^= _product(factor, byte, _RS_POLYNOMIAL)
        made.append(total)
    return bytes(made)


def _right(word: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return (word >> np.uint32(bits)) | (word << np.uint32(32 - bits))


def _each_part(data: bytes, transform: Callable[[list[NDArray[np.uint32]]], list[NDArray[np.uint32]]]) -> bytes:
    blocks = np.frombuffer(data, dtype="<u4").reshape(-1, 4)
    parts = []
    for at in range(0, len(blocks), _BLOCKS_AT_ONCE):
        words = list(blocks[at : at + _BLOCKS_AT_ONCE].T.copy())
        parts.append(np.stack(transform(words), axis=1).tobytes())
    return b"".join(parts)
