"""The records of an APFS volume's file tree, in order of their keys.

Read here because dissect.apfs 1.1 looks a file's extents up by the inode's number instead of its data stream's, and reads block 0 where an
extent says that there is a hole: clones and sparse files would come out wrong, without a word.

References: Apple File System Reference (2020-06-22), "B-Trees" (btree_node_phys_t, toc, btree_info_t), "File-System Objects" (j_key_t).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.filesystems.apfs_container import ApfsVolume

INODE, ATTRIBUTE, FILE_EXTENT, DIRECTORY_RECORD = 3, 4, 8, 9
_OBJECT_BITS = (1 << 60) - 1
_NODE = struct.Struct("<HHIHH")  # flags, level, keys, and offset and length of the table of contents
_NODE_START, _TABLE_START, _INFO_BYTES = 32, 56, 40
_ROOT, _LEAF, _FIXED = 1, 2, 4
_DEEPEST = 16
_NODES_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Node:
    level: int
    keys: list[bytes]
    values: list[bytes]


class RecordTree:
    """A tree of the volume: its file tree, or a sealed volume's tree of extents."""

    def __init__(self, root: int, read_node: Callable[[int], bytes], order: Callable[[bytes], tuple[int, int]]) -> None:
        """`read_node` gives a node by what its parent calls it; `order` gives what a key is sorted by: object, and type or place."""
        self._root, self._read, self._order = root, read_node, order
        self._node = lru_cache(_NODES_KEPT)(self._load)

    def iter_records(self, lowest: tuple[int, int], highest: tuple[int, int]) -> Iterator[tuple[bytes, bytes] | str]:
        """Keys and values between the two, both included; a text for each node that cannot be read."""
        yield from self._iter_node(self._root, None, (lowest, highest), set())

    def _iter_node(
        self, identifier: int, level: int | None, wanted: tuple[tuple[int, int], tuple[int, int]], visited: set[int]
    ) -> Iterator[tuple[bytes, bytes] | str]:
        try:
            node = self._node(identifier)
        except StreamReadError as error:
            yield str(error)
            return
        if identifier in visited or node.level > _DEEPEST or level not in (None, node.level):
            yield f"the tree node {identifier} is in its tree twice, or at the wrong level"
            return
        visited.add(identifier)
        lowest, highest = wanted
        orders = [self._order(key) for key in node.keys]
        for number, order in enumerate(orders):
            if node.level == 0:
                if lowest <= order <= highest:
                    yield node.keys[number], node.values[number]
            elif order <= highest and not (number + 1 < len(orders) and orders[number + 1] < lowest):
                yield from self._iter_node(int.from_bytes(node.values[number][:8], "little"), node.level - 1, wanted, visited)

    def _load(self, identifier: int) -> _Node:
        raw = self._read(identifier)
        flags, level, count, table, table_size = _NODE.unpack_from(raw, _NODE_START)
        entry = struct.Struct("<HH" if flags & _FIXED else "<HHHH")
        start, keys_start = _TABLE_START + table, _TABLE_START + table + table_size
        end = len(raw) - (_INFO_BYTES if flags & _ROOT else 0)
        if count * entry.size > table_size or keys_start > end or bool(flags & _LEAF) != (level == 0):
            message = f"the tree node {identifier} is damaged: {count} keys at level {level}"
            raise StreamReadError(message)
        keys, values = [], []
        for place in entry.iter_unpack(raw[start : start + count * entry.size]):
            key, key_size, value, value_size = (place[0], 16, place[1], 16 if level == 0 else 8) if flags & _FIXED else place
            keys.append(raw[keys_start + key : keys_start + key + key_size])
            values.append(raw[end - value : end - value + value_size] if value <= end - keys_start else b"")
            if len(keys[-1]) < 8:  # noqa: PLR2004 - every key begins with a number of 8 bytes
                message = f"the tree node {identifier} is damaged: a key lies outside it"
                raise StreamReadError(message)
        return _Node(level, keys, values)


def file_tree(volume: ApfsVolume) -> RecordTree:
    """The tree of a volume's inodes, names, attributes and extents."""
    return RecordTree(volume.root_tree, volume.node_of, object_and_type)


def extent_tree(volume: ApfsVolume) -> RecordTree:
    """The tree of a sealed volume's extents."""
    return RecordTree(volume.extent_tree, volume.node_at, lambda key: struct.unpack_from("<QQ", key.ljust(16, b"\0")))


def object_and_type(key: bytes) -> tuple[int, int]:
    """Object and type of a key of the file tree."""
    header = int.from_bytes(key[:8], "little")
    return header & _OBJECT_BITS, header >> 60
