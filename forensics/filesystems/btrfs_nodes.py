"""Btrfs's B-trees: the items of one, within bounds of keys, in order.

A node's checksum is verified, its level must be that which its parent implies, and no walk enters a node twice, so that every walk
ends. Of a damaged node its second copy is taken where there is one.

References: Btrfs documentation, "On-disk format": node header, items, key pointers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.btrfs_chunks import checksum_holds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.btrfs_chunks import ChunkMap, Superblock

Key = tuple[int, int, int]
"""Object, item type, offset."""
LOWEST: Key = (0, 0, 0)
HIGHEST: Key = ((1 << 64) - 1, 255, (1 << 64) - 1)
_HEADER = 101
_ITEM = struct.Struct("<QBQII")
_POINTER = struct.Struct("<QBQQQ")
_DEEPEST = 8  # BTRFS_MAX_LEVEL
_NODES_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Node:
    keys: list[Key]
    pointers: list[int]
    items: list[bytes]


class TreeItems:
    """Reads the items of any tree of one filesystem."""

    def __init__(self, chunks: ChunkMap, superblock: Superblock) -> None:
        self._chunks, self._superblock = chunks, superblock
        self._node = lru_cache(_NODES_KEPT)(self._load)

    def iter_items(self, root: tuple[int, int], lowest: Key = LOWEST, highest: Key = HIGHEST) -> Iterator[tuple[Key, bytes] | str]:
        """The items with `lowest <= key <= highest`; a text for each node that cannot be read.

        Args:
            root: logical address and level of the root node.
            lowest: the first key wanted.
            highest: the last key wanted.
        """
        address, level = root
        if level >= _DEEPEST:
            yield f"a tree states {level + 1} levels"
            return
        yield from self._iter_node(address, level, (lowest, highest), set())

    def find(self, root: tuple[int, int], key: Key) -> bytes | None:
        """The item of that key; None where there is none.

        Raises:
            StreamReadError: a node on the way is damaged.
        """
        for found in self.iter_items(root, key, key):
            if isinstance(found, str):
                raise StreamReadError(found)
            return found[1]
        return None

    def _iter_node(self, address: int, level: int, wanted: tuple[Key, Key], visited: set[int]) -> Iterator[tuple[Key, bytes] | str]:
        if address in visited:
            yield f"the tree node at logical address {address} is in its tree twice"
            return
        visited.add(address)
        try:
            node = self._node(address, level)
        except StreamReadError as error:
            yield str(error)
            return
        lowest, highest = wanted
        if level == 0:
            yield from ((key, item) for key, item in zip(node.keys, node.items, strict=True) if lowest <= key <= highest)
            return
        for number, pointer in enumerate(node.pointers):
            ends_before = number + 1 < len(node.keys) and node.keys[number + 1] <= lowest
            if not ends_before and node.keys[number] <= highest:
                yield from self._iter_node(pointer, level - 1, wanted, visited)

    def _load(self, address: int, level: int) -> _Node:
        size = self._superblock.node_size
        try:
            copies = self._chunks.read(address, size)
        except StreamReadError as error:
            message = f"the tree node at logical address {address} cannot be read: {error}"
            raise StreamReadError(message) from error
        raw = next((one for one in copies if self._is_sound(one, address)), None)
        if raw is None:
            message = f"the tree node at logical address {address} is damaged: its checksum or its own address is wrong"
            raise StreamReadError(message)
        count, stored_level = struct.unpack_from("<IB", raw, 96)
        entry = _POINTER if level else _ITEM
        if stored_level != level or _HEADER + count * entry.size > size:
            message = f"the tree node at logical address {address} is of level {stored_level} with {count} items; {level} was expected"
            raise StreamReadError(message)
        entries = list(entry.iter_unpack(raw[_HEADER : _HEADER + count * entry.size]))
        keys = [(one[0], one[1], one[2]) for one in entries]
        if level:
            return _Node(keys, [one[3] for one in entries], [])
        return _Node(keys, [], [raw[_HEADER + one[3] : _HEADER + one[3] + one[4]] for one in entries])

    def _is_sound(self, raw: bytes, address: int) -> bool:
        return struct.unpack_from("<Q", raw, 48)[0] == address and checksum_holds(raw, self._superblock.checksum_type)
