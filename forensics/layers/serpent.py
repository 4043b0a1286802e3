"""Serpent over many blocks at a time.

The cipher was made for this: its S-boxes are a few logical operations on four words of 32 bits, so that an array in the place of each
word takes all blocks of a read through them at once. Each S-box is worked out from its table as the exclusive-or of products of its
inputs (algebraic normal form), its inverse likewise.

References:
    Ross Anderson, Eli Biham, Lars Knudsen, Serpent: A Proposal for the Advanced Encryption Standard (1998): the S-boxes (appendix A.5),
    the linear transformation and the key schedule in the bitslice form (sections 3 and 4).
"""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 32
_WORDS = 4
_PHI = 0x9E3779B9  # the fractional part of the golden ratio
_MASK = 0xFFFFFFFF
_KEY_WORDS = 8
_BLOCKS_AT_ONCE = 1 << 14  # so that the arrays stay in the processor's cache
_TABLES = (
    (3, 8, 15, 1, 10, 6, 5, 11, 14, 13, 4, 2, 7, 0, 9, 12),
    (15, 12, 2, 7, 9, 0, 5, 10, 1, 11, 14, 8, 6, 13, 3, 4),
    (8, 6, 7, 9, 3, 12, 10, 15, 13, 1, 14, 4, 0, 11, 5, 2),
    (0, 15, 11, 8, 12, 9, 6, 3, 13, 1, 2, 4, 10, 7, 5, 14),
    (1, 15, 8, 3, 12, 0, 11, 6, 2, 5, 4, 10, 9, 14, 7, 13),
    (15, 5, 2, 11, 4, 10, 9, 12, 0, 3, 14, 8, 13, 6, 7, 1),
    (7, 2, 12, 5, 8, 4, 6, 11, 14, 9, 1, 15, 13, 3, 10, 0),
    (1, 13, 15, 0, 14, 8, 2, 11, 7, 4, 12, 10, 9, 3, 5, 6),
)


class Serpent:
    """Serpent with one key of 16, 24 or 32 bytes."""

    def __init__(self, key: bytes) -> None:
        """Makes the 33 subkeys."""
        padded = (key + b"\1").ljust(32, b"\0")[:32]
        words = [int.from_bytes(padded[at : at + 4], "little") for at in range(0, 32, 4)]
        for index in range(_WORDS * (_ROUNDS + 1)):
            mixed = words[-8] ^ words[-5] ^ words[-3] ^ words[-1] ^ _PHI ^ index
            words.append((mixed << 11 | mixed >> 21) & _MASK)
        words = words[_KEY_WORDS:]
        self._keys = []
        for number in range(_ROUNDS + 1):
            made = _substituted(words[_WORDS * number : _WORDS * (number + 1)], _normal_form(_TABLES[(3 - number) % 8]), _MASK)
            self._keys.append([np.uint32(one) for one in made])

    def encrypt(self, data: bytes) -> bytes:
        """Whole blocks encrypted, each by itself."""
        return b"".join(self._encrypted(part) for part in _parts(data))

    def decrypt(self, data: bytes) -> bytes:
        """Whole blocks decrypted, each by itself."""
        return b"".join(self._decrypted(part) for part in _parts(data))

    def _encrypted(self, words: list[Any]) -> bytes:
        for number in range(_ROUNDS):
            keyed = [word ^ key for word, key in zip(words, self._keys[number], strict=True)]
            words = _substituted(keyed, _normal_form(_TABLES[number % 8]), np.uint32(_MASK))
            words = _mixed(words) if number < _ROUNDS - 1 else [word ^ key for word, key in zip(words, self._keys[_ROUNDS], strict=True)]
        return _joined(words)

    def _decrypted(self, words: list[Any]) -> bytes:
        for number in reversed(range(_ROUNDS)):
            words = _unmixed(words) if number < _ROUNDS - 1 else [word ^ key for word, key in zip(words, self._keys[_ROUNDS], strict=True)]
            words = _substituted(words, _normal_form(_inverse(_TABLES[number % 8])), np.uint32(_MASK))
            words = [word ^ key for word, key in zip(words, self._keys[number], strict=True)]
        return _joined(words)


def _parts(data: bytes) -> list[list[NDArray[np.uint32]]]:
    blocks = np.frombuffer(data, dtype="<u4").reshape(-1, _WORDS)
    return [list(blocks[at : at + _BLOCKS_AT_ONCE].T.copy()) for at in range(0, len(blocks), _BLOCKS_AT_ONCE)]


def _joined(words: list[NDArray[np.uint32]]) -> bytes:
    return np.stack(words, axis=1).tobytes()


def _inverse(table: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(table.index(value) for value in range(16))


@cache
def _normal_form(table: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """For each output bit, the sets of input bits whose products it is the exclusive-or of (Möbius transform of its truth table)."""
    forms = []
    for bit in range(_WORDS):
        values = [value >> bit & 1 for value in table]
        for place in range(_WORDS):
            for index in range(16):
                if index >> place & 1:
                    values[index] ^= values[index ^ (1 << place)]
        forms.append(tuple(index for index, value in enumerate(values) if value))
    return tuple(forms)


def _substituted(words: list[Any], forms: tuple[tuple[int, ...], ...], ones: Any) -> list[Any]:
    """The four words through an S-box; `ones` is a word of ones. Words are numbers or arrays."""
    products: dict[int, Any] = {0: ones} | {1 << place: word for place, word in enumerate(words)}
    for count in (2, 3, 4):
        for places in combinations(range(_WORDS), count):
            index = sum(1 << place for place in places)
            last = 1 << places[-1]
            products[index] = products[index ^ last] & products[last]
    made = []
    for form in forms:
        first, *rest = (products[index] for index in reversed(form))
        total = first ^ rest[0]
        for one in rest[1:]:
            total ^= one
        made.append(total)
    return made


def _rotated(word: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return (word << np.uint32(bits)) | (word >> np.uint32(32 - bits))


def _mixed(words: list[NDArray[np.uint32]]) -> list[NDArray[np.uint32]]:
    """The linear transformation."""
    a, b, c, d = words
    a, c = _rotated(a, 13), _rotated(c, 3)
    b, d = _rotated(b ^ a ^ c, 1), _rotated(d ^ c ^ (a << np.uint32(3)), 7)
    return [_rotated(a ^ b ^ d, 5), b, _rotated(c ^ d ^ (b << np.uint32(7)), 22), d]


def _unmixed(words: list[NDArray[np.uint32]]) -> list[NDArray[np.uint32]]:
    """The linear transformation backwards."""
    a, b, c, d = words
    c, a = _rotated(c, 10) ^ d ^ (b << np.uint32(7)), _rotated(a, 27) ^ b ^ d
    d, b = _rotated(d, 25) ^ c ^ (a << np.uint32(3)), _rotated(b, 31) ^ a ^ c
    return [_rotated(a, 19), b, _rotated(c, 29), d]
