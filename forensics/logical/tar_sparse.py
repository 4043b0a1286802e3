"""Where the bytes of a sparse tar member lie: the three ways of GNU tar.

Reference: GNU tar manual, "Storing Sparse Files": old GNU format, PAX format versions 0.0, 0.1 and 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.logical.pieces import Piece
from forensics.logical.tar_headers import BLOCK, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from forensics.logical.tar_headers import Header

MOST_PIECES = 1_000_000
"""More pieces than that no program writes; each takes memory."""
_HEADER_MAP, _HEADER_PIECES, _HEADER_MORE, _REAL_SIZE = 386, 4, 482, slice(483, 495)
_BLOCK_PIECES, _BLOCK_MORE = 21, 504


class SparseMapError(ValueError):
    """A map that cannot be followed; the message says why."""


@dataclass(frozen=True, slots=True)
class SparseMap:
    """A sparse member.

    Attributes:
        size: bytes of the content, holes counted.
        pieces: what is stored of it.
    """

    size: int
    pieces: tuple[Piece, ...]


def old_gnu_map(header: Header, read_block: Callable[[int], bytes], at: int) -> tuple[SparseMap, int]:
    """The map of a member of type S whose header ends at byte `at`, and where its data begin.

    Raises:
        SparseMapError: it is damaged.
    """
    pairs = _pairs(header.block, _HEADER_MAP, _HEADER_PIECES)
    more = header.block[_HEADER_MORE]
    while more:
        block = read_block(at)
        if len(block) < BLOCK or len(pairs) > MOST_PIECES:
            message = "its map is cut off or too long"
            raise SparseMapError(message)
        pairs += _pairs(block, 0, _BLOCK_PIECES)
        more = block[_BLOCK_MORE]
        at += BLOCK
    return _map(pairs, number(header.block[_REAL_SIZE]), header.size or 0, at), at


def pax_map(records: dict[bytes, bytes], pairs: list[tuple[int, int]], stored: int, at: int) -> SparseMap:
    """The map that pax records state (versions 0.0 and 0.1) of a member whose data begin at byte `at`.

    Raises:
        SparseMapError: it is damaged.
    """
    if b"GNU.sparse.map" in records:
        flat = [_decimal(one) for one in records[b"GNU.sparse.map"].split(b",") if one]
        pairs = list(zip(flat[::2], flat[1::2], strict=False))
    size = records.get(b"GNU.sparse.size", records.get(b"GNU.sparse.realsize", b""))
    return _map(pairs, _decimal(size), stored, at)


def data_map(records: dict[bytes, bytes], read: Callable[[int, int], bytes], stored: int, at: int) -> SparseMap:
    """The map that stands before the data (version 1.0) of a member whose stored bytes begin at byte `at`.

    Raises:
        SparseMapError: it is damaged.
    """
    values: list[int] = []  # how many pieces there are, then offset and length of each; behind them zeros up to the end of the block
    rest, taken = b"", 0
    while not values or len(values) < 1 + 2 * values[0]:
        block = read(at + taken, BLOCK) if taken < stored and len(rest) < BLOCK else b""
        if len(block) < BLOCK or (values and values[0] > MOST_PIECES):
            message = "its map is cut off or too long"
            raise SparseMapError(message)
        taken += BLOCK
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if not values or len(values) < 1 + 2 * values[0]:
                values.append(_decimal(line))
    pairs = list(zip(values[1::2], values[2::2], strict=True))
    size = _decimal(records.get(b"GNU.sparse.realsize", b""))
    return _map(pairs, size, stored - taken, at + taken)


def _pairs(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    found = []
    for at in range(start, start + 24 * count, 24):
        offset, length = number(block[at : at + 12]), number(block[at + 12 : at + 24])
        if offset is None or length is None:
            break
        found.append((offset, length))
    return found


def _map(pairs: Iterable[tuple[int, int]], size: int | None, stored: int, position: int) -> SparseMap:
    pieces: list[Piece] = []
    end = used = 0
    for offset, length in pairs:
        if offset < end or length < 0 or used + length > stored:
            message = "its map overlaps itself or states more than is stored"
            raise SparseMapError(message)
        if length:
            pieces.append(Piece(offset, length, position + used))
        end, used = offset + length, used + length
    if size is None or size < end or size >= 1 << 63:
        message = "its map goes beyond its stated size"
        raise SparseMapError(message)
    return SparseMap(size, tuple(pieces))


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:  # noqa: PLR2004 - digits of 2**64
        message = "its map holds something else than numbers"
        raise SparseMapError(message)
    return int(text)
