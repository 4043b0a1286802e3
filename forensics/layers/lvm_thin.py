"""Thin volumes of device-mapper: a pool's metadata -> where each block of a volume lies in the pool's data.

References:
    Linux 6.1, drivers/md/dm-thin-metadata.c (thin_disk_superblock, the two levels of the data mapping, unpack_block_time);
    drivers/md/persistent-data/dm-btree-internal.h (node_header).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from forensics.block_cache import BlockCache
from forensics.errors import ImageReadError, VolumeError
from forensics.layers.unit_source import read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from forensics.source import ByteSource

SECTOR_BYTES = 512
_MAGIC = 27022010
_SUPERBLOCK = struct.Struct("<IIQ16sQIIQQ128s128sQQIIQ")
_NODE = struct.Struct("<IIQIIII")
_LEAF = 2
_VALUE_BYTES = 8
_MAX_DEPTH = 32
_BLOCK_SIZES = range(512, (1 << 30) + 1)
_TIME_BITS = 24
_CACHE_BYTES = 4 << 20


class ThinPool:
    """The metadata of a pool and its data."""

    def __init__(self, metadata: ByteSource, data: ByteSource) -> None:
        """Reads the head of the metadata.

        Raises:
            VolumeError: it makes no sense.
            ImageReadError: it cannot be read.
        """
        fields = _SUPERBLOCK.unpack(read_exactly(metadata, 0, _SUPERBLOCK.size))
        self._metadata, self._data = metadata, data
        self._root, self.block, self._node = fields[11], fields[13] * SECTOR_BYTES, fields[14] * SECTOR_BYTES
        if fields[4] != _MAGIC or self.block not in _BLOCK_SIZES or self._node != 4096:  # noqa: PLR2004 - the only size there is
            message = "the metadata of its thin pool are damaged"
            raise VolumeError(message)
        self._nodes = BlockCache(_CACHE_BYTES)

    def device(self, number: int) -> int:
        """The root of the mapping of a device of the pool.

        Raises:
            VolumeError: the pool does not know it.
            ImageReadError: the metadata cannot be read.
        """
        root = self._lookup(self._root, number)
        if root is None:
            message = f"its thin pool knows no device {number}"
            raise VolumeError(message)
        return root

    def read(self, root: int, block: int, skip: int, length: int) -> bytes | None:
        """Bytes of a block of the device with that root; None where the block was never written.

        Raises:
            ImageReadError: they, or the metadata, cannot be read.
        """
        value = self._lookup(root, block)
        return None if value is None else read_exactly(self._data, (value >> _TIME_BITS) * self.block + skip, length)

    def _lookup(self, root: int, key: int) -> int | None:
        at = root
        for _ in range(_MAX_DEPTH):
            is_leaf, keys, values = self._entries(at)
            place = bisect_right(keys, key) - 1
            if place < 0:
                return None
            if is_leaf:
                return values[place] if keys[place] == key else None
            at = values[place]
        raise _damaged(at)

    def unmapped(self, devices: Iterable[int]) -> list[tuple[int, int]]:
        """First byte and length of each run of the data that none of these devices maps, in order.

        Raises:
            VolumeError: the pool does not know one of them.
            ImageReadError: the metadata cannot be read.
        """
        waiting = [self.device(number) for number in devices]
        seen = set(waiting)  # snapshots share what they have in common, and damaged metadata may lead in circles
        found: list[NDArray[np.int64]] = []
        while waiting:
            is_leaf, _, values = self._entries(waiting.pop())
            if is_leaf:
                found.append((np.array(values, dtype=np.uint64) >> _TIME_BITS).astype(np.int64))
                continue
            below = [at for at in dict.fromkeys(values) if at not in seen]
            seen.update(below)
            waiting.extend(below)
        total = self._data.size // self.block
        mapped = np.unique(np.concatenate((*found, np.zeros(0, dtype=np.int64))))
        edges = np.concatenate(([-1], mapped[mapped < total], [total]))
        free = np.flatnonzero(np.diff(edges) > 1)
        return [((int(edges[at]) + 1) * self.block, (int(edges[at + 1] - edges[at]) - 1) * self.block) for at in free]

    def _entries(self, at: int) -> tuple[bool, tuple[int, ...], tuple[int, ...]]:
        """Whether a node is a leaf, its keys in order, and the value of each."""
        node = self._nodes.get(at)
        if node is None:
            node = read_exactly(self._metadata, at * self._node, self._node)
            self._nodes.put(at, node)
        _, flags, number, count, most, size, _ = _NODE.unpack_from(node)
        if number != at or size != _VALUE_BYTES or count > most or _NODE.size + most * 2 * _VALUE_BYTES > self._node:
            raise _damaged(at)
        keys = struct.unpack_from(f"<{count}Q", node, _NODE.size)
        values = struct.unpack_from(f"<{count}Q", node, _NODE.size + most * _VALUE_BYTES)
        return bool(flags & _LEAF), keys, values


def _damaged(at: int) -> ImageReadError:
    return ImageReadError(f"the metadata of the thin pool are damaged at block {at}")


class ThinVolume:
    """A device of a pool. What was never written is that of `origin`, a volume outside the pool, or zero."""

    def __init__(self, pool: ThinPool, number: int, *, size: int, origin: ByteSource | None = None) -> None:
        """Finds the device.

        Raises:
            VolumeError: the pool does not know it.
            ImageReadError: the metadata cannot be read.
        """
        self._pool, self._root, self._origin = pool, pool.device(number), origin
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes `volume[offset : offset + length]`.

        Raises:
            ImageReadError: some of them cannot be read.
        """
        parts = []
        while length > 0:
            block, skip = divmod(offset, self._pool.block)
            piece = min(length, self._pool.block - skip)
            found = self._pool.read(self._root, block, skip, piece)
            parts.append(self._unwritten(offset, piece) if found is None else found)
            offset += piece
            length -= piece
        return b"".join(parts)

    def _unwritten(self, offset: int, length: int) -> bytes:
        there = self._origin.read_at(offset, length) if self._origin is not None else b""
        return there.ljust(length, b"\0")
