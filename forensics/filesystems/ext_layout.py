"""The superblock, group descriptors and inodes of ext2, ext3 and ext4, as far as TSK does not give them.

References: The Linux kernel, Documentation/filesystems/ext4: "Super Block", "Block Group Descriptors", "Special Features", "Index Nodes";
fs/ext4/balloc.c for what an uninitialised bitmap stands for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError

if TYPE_CHECKING:
    from forensics.source import ByteSource

_SUPERBLOCK_BYTE = 1024
_SUPERBLOCK_BYTES = 1024
_MAGIC = 0xEF53
_SPARSE_SUPER2 = 0x200  # compatible
_META_BG, _64BIT = 0x10, 0x80  # incompatible
_SPARSE_SUPER, _GDT_CHECKSUM, _BIGALLOC, _METADATA_CHECKSUM = 0x1, 0x10, 0x200, 0x400  # read-only compatible
_BLOCK_UNINIT = 0x2
_OLD_INODE_BYTES = 128
_SMALL_DESCRIPTOR, _LARGE_DESCRIPTOR = 32, 64
_LARGEST_BLOCK_SHIFT = 6  # 64 KiB
_LARGEST_CLUSTER_SHIFT = 20  # 1 GiB


@dataclass(frozen=True, slots=True)
class Group:
    """One block group: blocks of its bitmaps and inode table, and whether its block bitmap was never written."""

    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    block_uninit: bool


class ExtLayout:
    """Where an ext filesystem keeps what.

    Attributes:
        block_size: bytes a block.
        cluster_blocks: blocks a cluster; more than 1 with the feature bigalloc only.
        blocks: how many blocks it has.
        first_block: the first block of group 0.
        clusters_per_group: bits of a block bitmap that are in use.
        groups: how many groups.
        inode_size: bytes an inode.
        inode_blocks_per_group: blocks of an inode table.
    """

    def __init__(self, volume: ByteSource) -> None:
        """Raises StreamReadError where the superblock makes no sense, ImageReadError where it cannot be read."""
        data = volume.read_at(_SUPERBLOCK_BYTE, _SUPERBLOCK_BYTES).ljust(_SUPERBLOCK_BYTES, b"\0")
        self._inodes, blocks_low = _unpack("<2I", data, 0)
        self.first_block, block_shift, cluster_shift, self._blocks_per_group, clusters, self._inodes_per_group = _unpack("<6I", data, 0x14)
        (magic,) = _unpack("<H", data, 0x38)
        (revision,) = _unpack("<I", data, 0x4C)
        (inode_size,) = _unpack("<H", data, 0x58)
        self._compatible, self._incompatible, self._read_only = _unpack("<3I", data, 0x5C) if revision else (0, 0, 0)
        (self._reserved_descriptors,) = _unpack("<H", data, 0xCE)
        (descriptor_size,) = _unpack("<H", data, 0xFE)
        (self._first_meta_group,) = _unpack("<I", data, 0x104)
        (blocks_high,) = _unpack("<I", data, 0x150)
        self._backup_groups = _unpack("<2I", data, 0x24C)
        is_clustered = bool(self._read_only & _BIGALLOC)
        if block_shift > _LARGEST_BLOCK_SHIFT or (is_clustered and not block_shift <= cluster_shift <= _LARGEST_CLUSTER_SHIFT):
            block_shift, magic = 0, 0
        self.block_size = 1024 << block_shift
        self.cluster_blocks = 1 << (cluster_shift - block_shift) if is_clustered else 1
        self.clusters_per_group = clusters if is_clustered else self._blocks_per_group
        self.inode_size = inode_size if revision else _OLD_INODE_BYTES
        self.is_64bit = bool(self._incompatible & _64BIT)
        self._descriptor_size = max(descriptor_size, _SMALL_DESCRIPTOR) if self.is_64bit else _SMALL_DESCRIPTOR
        self.blocks = blocks_low | (blocks_high << 32 if self.is_64bit else 0)
        self._volume = volume
        if (
            magic != _MAGIC
            or not 0 < self.clusters_per_group <= 8 * self.block_size
            or self._blocks_per_group != self.clusters_per_group * self.cluster_blocks
            or not self._inodes_per_group
            or not _OLD_INODE_BYTES <= self.inode_size <= self.block_size
            or self._descriptor_size > self.block_size
            or self.blocks <= self.first_block
        ):
            message = "the superblock of the ext filesystem makes no sense"
            raise StreamReadError(message)
        self.groups = -(-(self.blocks - self.first_block) // self._blocks_per_group)
        self._descriptors_per_block = self.block_size // self._descriptor_size
        self._descriptor_blocks = -(-self.groups // self._descriptors_per_block)
        self.inode_blocks_per_group = -(-self._inodes_per_group * self.inode_size // self.block_size)

    def read_block(self, number: int) -> bytes:
        """The bytes of a block.

        Raises:
            StreamReadError: it lies behind the end.
            ImageReadError: it cannot be read.
        """
        data = self._volume.read_at(number * self.block_size, self.block_size)
        if len(data) < self.block_size:
            message = f"block {number} of the filesystem lies behind the end of the volume"
            raise StreamReadError(message)
        return data

    def group(self, number: int) -> Group:
        """The descriptor of a group; raises as read_block does."""
        at = self._descriptor_block(number) * self.block_size + number % self._descriptors_per_block * self._descriptor_size
        data = self._volume.read_at(at, self._descriptor_size)
        if len(data) < self._descriptor_size:
            message = f"the descriptor of block group {number} lies behind the end of the volume"
            raise StreamReadError(message)
        low = _unpack("<3I", data, 0)
        high = _unpack("<3I", data, 0x20) if self._descriptor_size >= _LARGE_DESCRIPTOR else (0, 0, 0)
        (flags,) = _unpack("<H", data, 0x12)
        block_bitmap, inode_bitmap, inode_table = (one | other << 32 for one, other in zip(low, high, strict=True))
        has_flags = bool(self._read_only & (_GDT_CHECKSUM | _METADATA_CHECKSUM))
        return Group(block_bitmap, inode_bitmap, inode_table, has_flags and bool(flags & _BLOCK_UNINIT))

    def first_block_of(self, group: int) -> int:
        """The first block of a group."""
        return self.first_block + group * self._blocks_per_group

    def own_blocks(self, number: int, group: Group) -> tuple[tuple[int, int], ...]:
        """The blocks that a group uses for itself, as (first, count): what is allocated in it where its bitmap was never written."""
        own = (
            (self.first_block_of(number), self._base_blocks(number)),
            (group.block_bitmap, 1),
            (group.inode_bitmap, 1),
            (group.inode_table, self.inode_blocks_per_group),
        )
        return tuple((first, count) for first, count in own if count)

    def read_inode(self, number: int) -> bytes:
        """The bytes of an inode; raises as read_block does, and where there is no such inode."""
        if not 1 <= number <= self._inodes:
            message = f"there is no inode {number}"
            raise StreamReadError(message)
        group, index = divmod(number - 1, self._inodes_per_group)
        at = self.group(group).inode_table * self.block_size + index * self.inode_size
        data = self._volume.read_at(at, self.inode_size)
        if len(data) < self.inode_size:
            message = f"inode {number} lies behind the end of the volume"
            raise StreamReadError(message)
        return data

    def _descriptor_block(self, group: int) -> int:
        """Block in which a group's descriptor stands (descriptor_loc of fs/ext4/super.c)."""
        number = group // self._descriptors_per_block
        superblock = _SUPERBLOCK_BYTE // self.block_size
        if not self._incompatible & _META_BG or number < self._first_meta_group:
            return superblock + 1 + number
        first = number * self._descriptors_per_block
        before = int(self._has_superblock(first)) + int(self.block_size == _SUPERBLOCK_BYTE and not number and not self.first_block)
        return self.first_block_of(first) + before

    def _has_superblock(self, group: int) -> bool:
        """Whether a group begins with a copy of the superblock (ext4_bg_has_super of fs/ext4/balloc.c)."""
        if group == 0:
            return True
        if self._compatible & _SPARSE_SUPER2:
            return group in self._backup_groups
        if group == 1 or not self._read_only & _SPARSE_SUPER:
            return True
        return bool(group % 2) and any(_is_power(group, base) for base in (3, 5, 7))

    def _base_blocks(self, group: int) -> int:
        """Blocks of the superblock and of group descriptors at the start of a group (ext4_num_base_meta_blocks)."""
        meta_group = group // self._descriptors_per_block
        superblock = int(self._has_superblock(group))
        if self._incompatible & _META_BG and meta_group >= self._first_meta_group:
            within = group % self._descriptors_per_block
            return superblock + int(within in (0, 1, self._descriptors_per_block - 1))
        if not superblock:
            return 0
        descriptors = self._first_meta_group if self._incompatible & _META_BG else self._descriptor_blocks
        return superblock + descriptors + self._reserved_descriptors


def _unpack(fields: str, data: bytes, offset: int) -> tuple[int, ...]:
    return struct.unpack_from(fields, data, offset)


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1
