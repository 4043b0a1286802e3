"""The bytes of a Btrfs file: inline, in extents, compressed with zlib, LZO or Zstandard, preallocated, and holes.

References: Btrfs documentation, "On-disk format": btrfs_file_extent_item; "Compression"; Linux, fs/btrfs/lzo.c (frame of LZO).
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

from dissect.util.compression import lzo

from forensics.errors import StreamReadError
from forensics.expansion.zstandard import zstd_decoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forensics.filesystems.btrfs_chunks import ChunkMap

_PLAIN, _ZLIB, _LZO, _ZSTD = range(4)
_INLINE, _REGULAR, _PREALLOCATED = range(3)
_COMMON = Struct("<QQBBHB")
_PLACED = Struct("<4Q")
_LARGEST_DECODED = 1 << 20  # the kernel compresses at most 128 KiB at a time (BTRFS_MAX_UNCOMPRESSED)
_LARGEST_ENCODED = 1 << 20
_EXTENTS_KEPT = 8


@dataclass(frozen=True, slots=True, order=True)
class _Extent:
    """Bytes `[start : start + length]` of the file; `inline` holds them, else `place` and `stored` say where, None where zeros."""

    start: int
    length: int
    compression: int
    decoded: int
    place: int
    stored: int
    offset: int
    inline: bytes | None


class BtrfsStream:
    """A file's bytes by its extent items."""

    def __init__(self, chunks: ChunkMap, items: Iterable[tuple[int, bytes]], size: int, sector_size: int) -> None:
        """`items` are the file's extent items, each with the byte of the file that it starts at.

        Raises:
            StreamReadError: one of them is damaged.
        """
        self.size = size
        self._chunks, self._sector = chunks, sector_size
        extents = sorted(filter(None, (_parse(start, item) for start, item in items)))
        self._extents = extents
        self._starts = [one.start for one in extents]
        self._decoded = lru_cache(_EXTENTS_KEPT)(self._decode)

    def places(self) -> Iterator[tuple[int, int]]:
        """See Placed; of an extent of which the file uses a part, that part, if it is not compressed."""
        for extent in self._extents:
            if extent.inline is None and extent.compression == _PLAIN:
                yield from self._chunks.places(extent.place + extent.offset, extent.length)
            elif extent.inline is None:
                yield from self._chunks.places(extent.place, extent.stored)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: an extent cannot be read or decompressed.
        """
        end = min(offset + length, self.size)
        parts = []
        number = max(0, bisect_right(self._starts, offset) - 1)
        while offset < end:
            while number < len(self._extents) and self._extents[number].start + self._extents[number].length <= offset:
                number += 1
            extent = self._extents[number] if number < len(self._extents) else None
            if extent is None or offset < extent.start:
                parts.append(bytes(min(end, extent.start if extent else end) - offset))
            else:
                within = offset - extent.start
                parts.append(self._piece(extent, within, min(end - offset, extent.length - within)))
            offset += len(parts[-1])
        return b"".join(parts)

    def _piece(self, extent: _Extent, within: int, length: int) -> bytes:
        if extent.inline is None and extent.compression == _PLAIN:
            return self._chunks.read(extent.place + extent.offset + within, length)[0]
        data = self._decoded(extent)[extent.offset + within : extent.offset + within + length]
        if len(data) < length:
            message = (
                f"an extent at byte {extent.start} holds {len(self._decoded(extent))} bytes, {extent.offset + extent.length} are stated"
            )
            raise StreamReadError(message)
        return data

    def _decode(self, extent: _Extent) -> bytes:
        stored = extent.inline
        if stored is None:
            stored = self._chunks.read(extent.place, extent.stored)[0]
        if extent.compression == _PLAIN:
            return stored
        if extent.decoded > _LARGEST_DECODED or len(stored) > _LARGEST_ENCODED:
            message = f"a compressed extent at byte {extent.start} states {extent.decoded} bytes, more than Btrfs makes"
            raise StreamReadError(message)
        if extent.compression == _LZO:
            return _unpack_lzo(stored, extent.decoded, self._sector)
        decoder = zlib.decompressobj() if extent.compression == _ZLIB else zstd_decoder()
        data = bytes(decoder.decompress(stored, extent.decoded))
        # The kernel packs a file to its end, states whole sectors, and reads what is behind the end as zeros.
        return data.ljust(extent.decoded, b"\0") if decoder.eof else data


def _parse(start: int, item: bytes) -> _Extent | None:
    if len(item) < _COMMON.size:
        message = f"the extent item of byte {start} is cut off"
        raise StreamReadError(message)
    _, decoded, compression, encryption, _, kind = _COMMON.unpack_from(item)
    if encryption or compression > _ZSTD or kind > _PREALLOCATED:
        message = f"an extent at byte {start} is of kind {kind}, compression {compression}, encryption {encryption}, which is not known"
        raise StreamReadError(message)
    if kind == _INLINE:
        return _Extent(start, decoded, compression, decoded, 0, 0, 0, item[_COMMON.size :])
    if len(item) < _COMMON.size + _PLACED.size:
        message = f"the extent item of byte {start} is cut off"
        raise StreamReadError(message)
    place, stored, offset, length = _PLACED.unpack_from(item, _COMMON.size)
    if kind == _PREALLOCATED or not place or not length:
        return None  # reads as zeros, like the hole that stays in its place
    return _Extent(start, length, compression, decoded, place, stored, offset, None)


def _unpack_lzo(stored: bytes, decoded: int, sector: int) -> bytes:
    """LZO segments, each with its length before it; no length straddles two sectors."""
    total = int.from_bytes(stored[:4], "little")
    offset, parts, made = 4, [], 0
    while made < decoded and offset + 4 <= min(total, len(stored)):
        length = int.from_bytes(stored[offset : offset + 4], "little")
        part = bytes(lzo.decompress(stored[offset + 4 : offset + 4 + length], False, sector))  # noqa: FBT003 - the library's own order
        parts.append(part)
        made += len(part)
        offset += 4 + length
        left = sector - offset % sector
        if left < 4:  # noqa: PLR2004 - no room for a length
            offset += left
    data = b"".join(parts)[:decoded]
    return data.ljust(decoded, b"\0") if offset + 4 > total else data
