"""Where the bytes of an XFS fork lie: extent lists in the inode and extent B+trees.

An unwritten extent is preallocated and reads as zeros; what lies on disk there belongs to whoever had the blocks before.

References: XFS Algorithms & Data Structures, chapter 18 (Data fork): extents, B+tree extents; Linux, xfs_bmap_btree.c.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.runs import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.xfs_layout import Geometry
    from forensics.source import ByteSource

LOCAL, EXTENTS, BTREE = 1, 2, 3
_RECORD = struct.Struct(">QQ")
_DEEPEST = 16  # a B+tree of extents has at most 9 levels (XFS_BTREE_MAXLEVELS)
_BLOCK = struct.Struct(">4sHH")
_MAGIC, _MAGIC_CHECKED = b"BMAP", b"BMA3"
_HEADER, _HEADER_CHECKED = 24, 72


@dataclass(frozen=True, slots=True)
class Extent:
    """`blocks` blocks of a fork from block `start`, which lie from filesystem block `place` on; unwritten ones read as zeros."""

    start: int
    blocks: int
    place: int
    unwritten: bool


class ExtentMap:
    """Reads the extents of forks in one filesystem."""

    def __init__(self, source: ByteSource, geometry: Geometry) -> None:
        self._source, self._geometry = source, geometry

    def extents(self, fork_format: int, fork: bytes, count: int) -> list[Extent]:
        """The extents of a fork, in the order stored.

        Raises:
            StreamReadError: its list or tree is damaged.
        """
        if fork_format == EXTENTS:
            if count > len(fork) // _RECORD.size:
                message = f"the inode states {count} extents, and has room for {len(fork) // _RECORD.size}"
                raise StreamReadError(message)
            return [_parse(fork, 16 * number) for number in range(count)]
        if fork_format == BTREE:
            return list(self._tree(fork))
        message = f"its data is of format {fork_format}, which has no extents"
        raise StreamReadError(message)

    def runs(self, extents: list[Extent]) -> list[Run]:
        """The same in bytes, as a stream reads them."""
        size = self._geometry.block_size
        byte = self._geometry.byte_of_block
        return [Run(one.start * size, one.blocks * size, None if one.unwritten else byte(one.place)) for one in extents]

    def _tree(self, fork: bytes) -> Iterator[Extent]:
        level, records = struct.unpack_from(">HH", fork)
        room = (len(fork) - 4) // 16
        if not 0 < level < _DEEPEST or records > room:
            message = f"the root of its extent tree is damaged: level {level}, {records} records"
            raise StreamReadError(message)
        visited: set[int] = set()
        for pointer in struct.unpack_from(f">{records}Q", fork, 4 + 8 * room):
            yield from self._node(pointer, level - 1, visited)

    def _node(self, block: int, level: int, visited: set[int]) -> Iterator[Extent]:
        size = self._geometry.block_size
        raw = self._source.read_at(self._geometry.byte_of_block(block), size)
        checked = self._geometry.has_checksums
        header = _HEADER_CHECKED if checked else _HEADER
        if len(raw) < size or block in visited:
            message = f"block {block} of its extent tree is beyond the end of the volume, or in the tree twice"
            raise StreamReadError(message)
        visited.add(block)
        magic, stored_level, records = _BLOCK.unpack_from(raw)
        if magic != (_MAGIC_CHECKED if checked else _MAGIC) or stored_level != level or records > (size - header) // 16:
            message = f"block {block} of its extent tree is damaged"
            raise StreamReadError(message)
        if level == 0:
            yield from (_parse(raw, header + 16 * number) for number in range(records))
            return
        for pointer in struct.unpack_from(f">{records}Q", raw, header + 8 * ((size - header) // 16)):
            yield from self._node(pointer, level - 1, visited)


def _parse(raw: bytes, offset: int) -> Extent:
    high, low = _RECORD.unpack_from(raw, offset)
    return Extent(
        start=high >> 9 & ((1 << 54) - 1),
        blocks=low & ((1 << 21) - 1),
        place=(high & 0x1FF) << 43 | low >> 21,
        unwritten=bool(high >> 63),
    )
