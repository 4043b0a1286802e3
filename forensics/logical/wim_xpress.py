"""XPRESS with Huffman codes, as WIM chunks are compressed with.

References: [MS-XCA] 2.2, "LZ77+Huffman Decompression Algorithm Details".
"""

from __future__ import annotations

from forensics.logical.wim_huffman import Code, DamagedChunkError, copy_match

_TABLE_BYTES = 256
_SHORTEST_MATCH, _LONG_LENGTH, _LONGER_LENGTH = 3, 15, 255


def unpack_xpress(stored: bytes, size: int) -> bytes:
    """The `size` bytes of a chunk.

    Raises:
        DamagedChunkError: it is damaged.
    """
    code = Code([half for byte in stored[:_TABLE_BYTES].ljust(_TABLE_BYTES, b"\0") for half in (byte & 0xF, byte >> 4)])
    words = _Words(stored)
    data = bytearray()
    while len(data) < size:
        symbol = code.next(words)  # type: ignore[arg-type]  # it has the two functions that are called
        if symbol < 256:  # noqa: PLR2004 - a byte
            data.append(symbol)
            continue
        length, bits = symbol & 0xF, symbol - 256 >> 4
        if length == _LONG_LENGTH:
            length = words.length()
        distance = 1 << bits | words.peek(bits)
        words.drop(bits)
        copy_match(data, distance, length + _SHORTEST_MATCH, size)
    return bytes(data)


class _Words:
    """Bits, of which always 16 to 32 are loaded, since bytes that state lengths stand between the words."""

    _MOST_BEHIND_END = 8

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, _TABLE_BYTES
        self._value = self._number(2) << 16 | self._number(2)
        self._count = 32

    def peek(self, count: int) -> int:
        return self._value >> (self._count - count)

    def drop(self, count: int) -> None:
        self._count -= count
        self._value &= (1 << self._count) - 1
        if self._count < 16:  # noqa: PLR2004 - a word
            self._value = self._value << 16 | self._number(2)
            self._count += 16

    def length(self) -> int:
        value = self._number(1)
        if value != _LONGER_LENGTH:
            return value + _LONG_LENGTH
        return self._number(2) or self._number(4)

    def _number(self, count: int) -> int:
        if self._at > len(self._data) + self._MOST_BEHIND_END:
            message = "it ends too early"
            raise DamagedChunkError(message)
        self._at += count
        return int.from_bytes(self._data[self._at - count : self._at], "little")
