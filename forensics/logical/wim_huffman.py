"""What LZX and XPRESS have in common: bits in little-endian words of 16, and canonical Huffman codes.

References: [MS-PATCH] 2.1 (bit order), 2.7 (canonical codes); [MS-XCA] 2.2.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_CODE = 16


class DamagedChunkError(ValueError):
    """A compressed chunk cannot be unpacked; the message says why."""


class Bits:
    """The bits of a chunk, the first word's highest bit first; behind the end come zeros, and soon an error."""

    _MOST_BEHIND_END = 8

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self._value = self._count = 0

    def peek(self, count: int) -> int:
        """The next bits, up to 17 of them, which stay."""
        while self._count < count:
            if self.at > len(self.data) + self._MOST_BEHIND_END:
                message = "it ends too early"
                raise DamagedChunkError(message)
            word = int.from_bytes(self.data[self.at : self.at + 2], "little")
            self.at += 2
            self._value = self._value << 16 | word
            self._count += 16
        return self._value >> (self._count - count)

    def drop(self, count: int) -> None:
        """Goes on by bits that were peeked at."""
        self._count -= count
        self._value &= (1 << self._count) - 1

    def take(self, count: int) -> int:
        """The next bits."""
        value = 0
        for part in (16, count - 16) if count > 16 else (count,):  # noqa: PLR2004 - a word
            value = value << part | self.peek(part)
            self.drop(part)
        return value

    def align(self) -> None:
        """Goes on to the next word; a whole word further if it stands at the start of one ([MS-PATCH] 2.5, uncompressed block)."""
        self.peek(1)
        self._value = self._count = 0


class Code:
    """A canonical Huffman code."""

    def __init__(self, lengths: Sequence[int]) -> None:
        """Of the length of each symbol's code word; 0 for what does not occur. A code without words fails where it is used.

        Raises:
            DamagedChunkError: the lengths make no whole code.
        """
        self._longest = max(lengths, default=0)
        by_length: list[list[int]] = [[] for _ in range(self._longest + 1)]
        for symbol, length in enumerate(lengths):
            by_length[length].append(symbol)
        room = 1 << self._longest
        table: list[tuple[int, int]] = []
        for length in range(1, self._longest + 1):
            for symbol in by_length[length]:
                if len(table) >= room:
                    message = "a Huffman code has too many words"
                    raise DamagedChunkError(message)
                table += [(symbol, length)] * (1 << (self._longest - length))
        if len(table) != room and self._longest:
            message = "a Huffman code is not whole"
            raise DamagedChunkError(message)
        self._table = table

    def next(self, bits: Bits) -> int:
        """The next symbol."""
        if not self._longest:
            message = "a symbol of an empty Huffman code"
            raise DamagedChunkError(message)
        symbol, length = self._table[bits.peek(self._longest)]
        bits.drop(length)
        return symbol


def copy_match(data: bytearray, distance: int, length: int, size: int) -> None:
    """Appends `length` bytes from `distance` back, which may be some of those just appended.

    Raises:
        DamagedChunkError: they lie before the start, or there would be more than `size` bytes.
    """
    if not 0 < distance <= len(data) or len(data) + length > size:
        message = "a match leads out of the chunk"
        raise DamagedChunkError(message)
    start = len(data) - distance
    if distance >= length:
        data += data[start : start + length]
    else:
        pattern = bytes(data[start:])
        data += (pattern * (length // distance + 1))[:length]
