"""APFS: the space manager's bitmaps, of the whole container; a block whose bit is 0 is free.

A container's volumes share its blocks, and free ones are no volume's.

References: Apple File System Reference (2020-06-22), "Container", nx_superblock_t and checkpoint_map_phys_t; "Space Manager".
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from forensics.errors import StreamReadError
from forensics.filesystems.allocation.block_map import Geometry, bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEADER = 32  # obj_phys_t
_DESCRIPTORS = struct.Struct("<4x I 4x Q 16x II 8x Q")  # nx_superblock_t, from nx_xp_desc_blocks - 4 on
_MAPPING = struct.Struct("<IIIIQQQ")  # checkpoint_mapping_t
_MANAGER = struct.Struct("<IIII QQIIQI")  # spaceman_phys_t, from sm_block_size to sm_dev[0].sm_addr_offset
_CHUNK = struct.Struct("<QQIIQ")  # chunk_info_t
_MAP_TYPE, _MANAGER_TYPE, _CHUNKS_TYPE, _ADDRESSES_TYPE = 0x0C, 0x05, 0x07, 0x06
_LARGEST_MANAGER = 1 << 22
_BLOCKS_KEPT = 64


class ContainerBlocks(Protocol):
    """What is needed of a container."""

    block_size: int
    size: int
    superblock: bytes

    def object_at(self, block: int, count: int, kind: int) -> bytes:
        """The object of that type at a block, its checksum verified; raises StreamReadError."""

    def block_at(self, block: int) -> bytes:
        """A block; raises StreamReadError where the container does not have it, ImageReadError where it cannot be read."""


class ApfsSpace:
    """The free blocks of a container."""

    def __init__(self, container: ContainerBlocks) -> None:
        """Raises StreamReadError where the space manager is not there or makes no sense, ImageReadError where it cannot be read."""
        self._container = container
        manager = self._manager()
        _, per_chunk, per_block, per_address_block, blocks, chunks, count, address_blocks, _, offset = _MANAGER.unpack_from(
            manager, _HEADER
        )
        if not per_chunk or per_chunk > container.block_size * 8 or not per_block or chunks != -(-blocks // per_chunk):
            message = "the space manager is damaged: its counts of blocks and chunks contradict each other"
            raise StreamReadError(message)
        if per_block > (container.block_size - 40) // _CHUNK.size or (address_blocks and not per_address_block):
            message = f"the space manager is damaged: {per_block} chunks in a block"
            raise StreamReadError(message)
        self._per_chunk, self._per_block, self._per_address_block = per_chunk, per_block, per_address_block
        listed = address_blocks or count
        if offset + 8 * listed > len(manager) or count != -(-chunks // per_block):
            message = f"the space manager is damaged: it lists {listed} blocks of chunks"
            raise StreamReadError(message)
        self._listed: tuple[int, ...] = struct.unpack_from(f"<{listed}Q", manager, offset)
        self._has_address_blocks = bool(address_blocks)
        self._object = lru_cache(_BLOCKS_KEPT)(container.object_at)
        end = min(blocks * container.block_size, container.size)
        self.geometry = Geometry(first_byte=0, unit_bytes=container.block_size, units=blocks, end_byte=end)

    def allocated(self, first: int, count: int) -> NDArray[np.bool_]:
        """See BlockMap."""
        parts = []
        end = first + count
        while first < end:
            number, within = divmod(first, self._per_chunk)
            taken = min(end - first, self._per_chunk - within)
            parts.append(self._chunk(number)[within : within + taken])
            first += taken
        return np.concatenate(parts)

    def _chunk(self, number: int) -> NDArray[np.bool_]:
        """Whether each block of a chunk is allocated."""
        block, within = divmod(number, self._per_block)
        raw = self._object(self._block_of_chunks(block), 1, _CHUNKS_TYPE)
        _, _, blocks, free, bitmap = _CHUNK.unpack_from(raw, 40 + within * _CHUNK.size)
        flags = np.zeros(self._per_chunk, dtype=np.bool_)
        if bitmap:
            flags[:] = bits(self._container.block_at(bitmap), self._per_chunk)
        elif free != blocks:
            message = f"chunk {number} of the container has no bitmap, and states {free} of {blocks} blocks as free"
            raise StreamReadError(message)
        return flags

    def _block_of_chunks(self, number: int) -> int:
        if not self._has_address_blocks:
            return self._listed[number]
        which, within = divmod(number, self._per_address_block)
        raw = self._object(self._listed[which], 1, _ADDRESSES_TYPE)
        return int(struct.unpack_from("<Q", raw, 40 + 8 * within)[0])

    def _manager(self) -> bytes:
        """The space manager of the superblock's checkpoint: an ephemeral object, whose place its checkpoint's maps say."""
        container = self._container
        blocks, base, index, length, identifier = _DESCRIPTORS.unpack_from(container.superblock, 100)
        if not 0 < length <= blocks:
            message = f"the container's superblock is damaged: its checkpoint has {length} of {blocks} blocks"
            raise StreamReadError(message)
        for number in range(length - 1):  # the last is the superblock
            raw = container.object_at(base + (index + number) % blocks, 1, _MAP_TYPE)
            count = struct.unpack_from("<I", raw, 36)[0]
            for entry in range(min(count, (len(raw) - 40) // _MAPPING.size)):
                _, _, size, _, _, mapped, place = _MAPPING.unpack_from(raw, 40 + entry * _MAPPING.size)
                if mapped == identifier and size <= _LARGEST_MANAGER:
                    return container.object_at(place, -(-size // container.block_size), _MANAGER_TYPE)
        message = "the container's checkpoint does not say where its space manager lies"
        raise StreamReadError(message)
