"""Which inodes of an XFS filesystem are allocated, by the inode B+tree of each allocation group.

References: XFS Algorithms & Data Structures, chapter 14 (AG inode management: AGI, inode B+trees, sparse inodes).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.xfs_layout import Geometry
    from forensics.source import ByteSource

_INODES = 64  # of one record
_DEEPEST = 16
_HEADER, _HEADER_CHECKED = 16, 56
_MAGIC, _MAGIC_CHECKED = b"IABT", b"IAB3"
_RECORD = struct.Struct(">IHBBQ")
_INODES_A_HOLE_BIT = 4


def iter_allocated(source: ByteSource, geometry: Geometry) -> Iterator[int | str]:
    """The numbers of the allocated inodes, in order; a text for each group or block that cannot be read."""
    for group in range(geometry.groups):
        start = group * geometry.group_blocks * geometry.block_size
        if start >= source.size:
            yield f"allocation groups {group} to {geometry.groups - 1} lie beyond the end of the volume"
            return
        raw = source.read_at(start + 2 * geometry.sector_size, 32)
        if len(raw) < 32 or raw[:4] != b"XAGI":  # noqa: PLR2004 - as far as the level
            yield f"the inode header of allocation group {group} is damaged"
            continue
        root, level = struct.unpack_from(">II", raw, 20)
        if not 0 < level < _DEEPEST:
            yield f"the inode tree of allocation group {group} states {level} levels"
            continue
        yield from _iter_node(source, geometry, group, (root, level - 1), set())


def _iter_node(source: ByteSource, geometry: Geometry, group: int, node: tuple[int, int], visited: set[int]) -> Iterator[int | str]:
    (block, level), size = node, geometry.block_size
    header = _HEADER_CHECKED if geometry.has_checksums else _HEADER
    raw = source.read_at((group * geometry.group_blocks + block) * size, size)
    magic, stored_level, records = struct.unpack_from(">4sHH", raw) if len(raw) == size else (b"", 0, 0)
    room = (size - header) // (16 if level == 0 else 8)
    sound = magic == (_MAGIC_CHECKED if geometry.has_checksums else _MAGIC) and stored_level == level and records <= room
    if not sound or block in visited:
        yield f"block {block} of the inode tree of allocation group {group} is damaged"
        return
    visited.add(block)
    if level:
        for pointer in struct.unpack_from(f">{records}I", raw, header + 4 * room):
            yield from _iter_node(source, geometry, group, (pointer, level - 1), visited)
        return
    for number in range(records):
        first, holes, _, _, free = _RECORD.unpack_from(raw, header + 16 * number)
        sparse = holes if geometry.has_sparse_inodes else 0
        for slot in range(_INODES):
            if not free >> slot & 1 and not sparse >> (slot // _INODES_A_HOLE_BIT) & 1:
                yield group << geometry.inode_bits | (first + slot)
