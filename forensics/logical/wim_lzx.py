"""LZX as WIM chunks are compressed with: each chunk by itself, calls of x86 translated as in a file of 12,000,000 bytes.

References: [MS-PATCH], "LZX DELTA Compression and Decompression"; Microsoft, "Windows Imaging File Format (WIM)", 2007; for what differs
in a WIM (size of a block, window by the chunk's size) wimlib's documentation of LZX.
"""

from __future__ import annotations

import struct
from itertools import accumulate

from forensics.logical.wim_huffman import Bits, Code, DamagedChunkError, copy_match

_VERBATIM, _ALIGNED, _STORED = 1, 2, 3
_USUAL_BLOCK_BYTES = 32768
_LITERALS, _LENGTHS, _PRE_SYMBOLS = 256, 249, 20
_LONG_LENGTH, _SHORTEST_MATCH = 7, 2
_ALIGNED_BITS = 3
_MOST_EXTRA_BITS = 17
_WIDE_WINDOW_BYTES = 1 << 16  # from there on a block's size has 24 bits
_EXTRA_BITS = [min(max(slot // 2 - 1, 0), _MOST_EXTRA_BITS) for slot in range(52)]
_BASES = [0, *accumulate(1 << bits for bits in _EXTRA_BITS)]
_TRANSLATED_FILE_BYTES, _TRANSLATION_TAIL = 12_000_000, 10
_CALL = 0xE8
_DWORD = struct.Struct("<i")


def unpack_lzx(stored: bytes, size: int, window: int) -> bytes:
    """The `size` bytes of a chunk, of which one holds up to `window` bytes.

    Raises:
        DamagedChunkError: it is damaged.
    """
    return _translated(_Chunk(stored, size, window).unpack())


class _Chunk:
    def __init__(self, stored: bytes, size: int, window: int) -> None:
        self._bits, self._size, self._window = Bits(stored), size, window
        slots = next(slot for slot, base in enumerate(_BASES) if base >= window)
        self._main, self._lengths = [0] * (_LITERALS + 8 * slots), [0] * _LENGTHS
        self._recent = [1, 1, 1]
        self._data = bytearray()

    def unpack(self) -> bytearray:
        while len(self._data) < self._size:
            kind = self._bits.take(3)
            size = _USUAL_BLOCK_BYTES if self._bits.take(1) else self._bits.take(24 if self._window >= _WIDE_WINDOW_BYTES else 16)
            end = len(self._data) + size
            if not size or end > self._size:
                message = f"a block states {size} bytes"
                raise DamagedChunkError(message)
            if kind == _STORED:
                self._copy(size)
            elif kind in (_VERBATIM, _ALIGNED):
                self._block(end, Code([self._bits.take(3) for _ in range(8)]) if kind == _ALIGNED else None)
            else:
                message = f"a block is of type {kind}"
                raise DamagedChunkError(message)
        return self._data

    def _copy(self, size: int) -> None:
        bits = self._bits
        bits.align()
        places = [bits.data[bits.at + 4 * index : bits.at + 4 * index + 4] for index in range(3)]
        self._recent = [int.from_bytes(place, "little") for place in places]
        start = bits.at + 12
        part = bits.data[start : start + size]
        if len(part) < size:
            message = "a stored block is cut off"
            raise DamagedChunkError(message)
        self._data += part
        bits.at = start + size + size % 2

    def _block(self, end: int, aligned: Code | None) -> None:
        bits, data, recent = self._bits, self._data, self._recent
        self._read_lengths(self._main, 0, _LITERALS)
        self._read_lengths(self._main, _LITERALS, len(self._main))
        self._read_lengths(self._lengths, 0, _LENGTHS)
        main, lengths = Code(self._main), Code(self._lengths)
        while len(data) < end:
            symbol = main.next(bits)
            if symbol < _LITERALS:
                data.append(symbol)
                continue
            slot, length = divmod(symbol - _LITERALS, 8)
            if length == _LONG_LENGTH:
                length += lengths.next(bits)
            if slot < 3:  # noqa: PLR2004 - one of the three last distances
                recent[0], recent[slot] = recent[slot], recent[0]
            else:
                extra = _EXTRA_BITS[slot]
                if aligned is not None and extra >= _ALIGNED_BITS:
                    more = bits.take(extra - _ALIGNED_BITS) << _ALIGNED_BITS if extra > _ALIGNED_BITS else 0
                    more += aligned.next(bits)
                else:
                    more = bits.take(extra) if extra else 0
                recent[:] = _BASES[slot] + more - 2, recent[0], recent[1]
            copy_match(data, recent[0], length + _SHORTEST_MATCH, end)

    def _read_lengths(self, lengths: list[int], at: int, end: int) -> None:
        """Lengths of code words, as differences from those before, themselves in a code ([MS-PATCH] 2.6)."""
        bits = self._bits
        code = Code([bits.take(4) for _ in range(_PRE_SYMBOLS)])
        while at < end:
            symbol = code.next(bits)
            if symbol < 17:  # noqa: PLR2004 - a difference
                lengths[at] = (lengths[at] - symbol) % 17
                at += 1
                continue
            if symbol == 19:  # noqa: PLR2004 - some of one length
                count = 4 + bits.take(1)
                following = code.next(bits)
                if following > 16:  # noqa: PLR2004
                    message = "a run of runs of code lengths"
                    raise DamagedChunkError(message)
                value = (lengths[at] - following) % 17
            else:
                count, value = (4 + bits.take(4) if symbol == 17 else 20 + bits.take(5)), 0  # noqa: PLR2004 - runs of zeros
            if at + count > end:
                message = "a run of code lengths goes beyond their number"
                raise DamagedChunkError(message)
            lengths[at : at + count] = [value] * count
            at += count


def _translated(data: bytearray) -> bytes:
    """With the targets of calls relative again."""
    at = data.find(_CALL)
    last = len(data) - _TRANSLATION_TAIL
    while 0 <= at < last:
        (target,) = _DWORD.unpack_from(data, at + 1)
        if -at <= target < _TRANSLATED_FILE_BYTES:
            _DWORD.pack_into(data, at + 1, target - at if target >= 0 else target + _TRANSLATED_FILE_BYTES)
        at = data.find(_CALL, at + 5)
    return bytes(data)
