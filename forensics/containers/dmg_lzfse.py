"""LZFSE as DMG chunks are compressed with, block by block, so that no block gives more than it states.

dissect.util decodes; it follows what a block states without a bound, so each block's header is checked here against what an encoder
writes, and no more than one block is given to it at a time.

References: github.com/lzfse/lzfse (Apple), `lzfse_internal.h`: block magics, headers, LZFSE_MATCHES_PER_BLOCK, LZFSE_LITERALS_PER_BLOCK.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from dissect.util.compression import lzfse

if TYPE_CHECKING:
    from collections.abc import Iterator

_END, _PLAIN, _LZVN, _V2 = b"bvx$", b"bvx-", b"bvxn", b"bvx2"
_PLAIN_HEADER, _LZVN_HEADER, _V2_HEADER = struct.Struct("<4sI"), struct.Struct("<4sII"), struct.Struct("<4sI3Q")
_MOST_MATCHES, _MOST_LITERALS = 10_000, 40_000
# An encoder writes LZVN for contents below 4 KiB only; a byte of it may become 135.
_LARGEST_LZVN_BYTES, _LZVN_MARGIN = 1 << 20, 4096
_20_BITS = (1 << 20) - 1


def unpack_lzfse(stored: bytes, size: int) -> bytes:
    """The content of a stream of blocks.

    Raises:
        ValueError: it is damaged, or more than `size` bytes; the decoder may raise more.
    """
    data = bytearray()
    for block, raw in _blocks(stored):
        if len(data) + raw > size:
            message = f"its blocks state more than {size} bytes"
            raise ValueError(message)
        part = lzfse.decompress(block + _END)
        if len(part) != raw:
            message = f"a block gives {len(part)} bytes and states {raw}"
            raise ValueError(message)
        data += part
    return bytes(data)


def _blocks(stored: bytes) -> Iterator[tuple[bytes, int]]:
    """Each block with its header, and how many bytes it states to become."""
    at = 0
    while stored[at : at + 4] != _END:
        length, raw = _lengths(stored, at)
        if at + length > len(stored):
            message = "the last block is cut off"
            raise ValueError(message)
        yield stored[at : at + length], raw
        at += length


def _lengths(stored: bytes, at: int) -> tuple[int, int]:
    magic = stored[at : at + 4]
    if magic == _PLAIN:
        raw = _PLAIN_HEADER.unpack_from(stored, at)[1]
        return _PLAIN_HEADER.size + raw, raw
    if magic == _LZVN:
        _, raw, payload = _LZVN_HEADER.unpack_from(stored, at)
        is_sound = payload <= raw + _LZVN_MARGIN and raw <= _LARGEST_LZVN_BYTES
        length = _LZVN_HEADER.size + payload
    elif magic == _V2:
        _, raw, first, second, third = _V2_HEADER.unpack_from(stored, at)
        is_sound = first & _20_BITS <= _MOST_LITERALS and first >> 40 & _20_BITS <= _MOST_MATCHES
        header = third & 0xFFFFFFFF
        is_sound = is_sound and header >= _V2_HEADER.size
        length = header + (first >> 20 & _20_BITS) + (second >> 40 & _20_BITS)
    else:
        message = "a block is of a kind that no encoder writes, or the end is missing"
        raise ValueError(message)
    if not is_sound:
        message = "a block states more than an encoder writes into one"
        raise ValueError(message)
    return length, raw
