"""The fixed structures of XFS: superblock, and inodes with their times.

References: XFS Algorithms & Data Structures, 3rd edition (xfs-documentation project), chapters 13 (Superblocks), 16 (Internal
inodes), 17 (Inode core), 18 (Data fork); Linux, fs/xfs/libxfs/xfs_format.h. All numbers are big-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import FilesystemError
from forensics.filesystems.base import Times
from forensics.filesystems.checksums import crc32c
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from forensics.timestamps import OutOfRange

MAGIC = b"XFSB"
_SUPERBLOCK_BYTES = 272
_WITH_CHECKSUMS = 5
_VERSION_BITS = 0xF
_INCOMPAT_FTYPE, _INCOMPAT_SPARSE_INODES = 1, 2
_FEATURES2_FTYPE = 0x200
_LARGEST_BLOCK = 1 << 16
_SMALLEST_INODE, _LARGEST_INODE = 256, 2048
_LARGEST_DIRECTORY_BLOCK_LOG = 16
_INODE_MAGIC = b"IN"
_INODE_VERSION_3 = 3
_CORE = struct.Struct(">2sHBBHIIIHH")
_CORE_CHECKSUM = slice(100, 104)
_FLAGS2_BIGTIME, _FLAGS2_MANY_EXTENTS, _FLAGS2_METADATA = 1 << 3, 1 << 4, 1 << 5
_FLAG_REALTIME = 1
_BIGTIME_EPOCH_SECONDS = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What the superblock says of the filesystem's shape; sizes in bytes."""

    block_size: int
    blocks: int
    group_blocks: int
    groups: int
    root: int
    internal: frozenset[int]
    sector_size: int
    inode_size: int
    inode_bits: int
    block_bits: int
    slot_bits: int
    directory_block_size: int
    has_types: bool
    has_checksums: bool
    has_sparse_inodes: bool
    label: str

    def byte_of_block(self, filesystem_block: int) -> int:
        """Where a block lies that is named by group and number within it."""
        group, block = filesystem_block >> self.block_bits, filesystem_block & ((1 << self.block_bits) - 1)
        return (group * self.group_blocks + block) * self.block_size

    def byte_of_inode(self, number: int) -> int | None:
        """Where an inode lies; None if there is no such group or block."""
        group, within = number >> self.inode_bits, number & ((1 << self.inode_bits) - 1)
        if group >= self.groups or within >> self.slot_bits >= self.group_blocks:
            return None
        return group * self.group_blocks * self.block_size + within * self.inode_size


def parse_superblock(head: bytes) -> Geometry:
    """The geometry of the filesystem that begins with `head`.

    Raises:
        FilesystemError: it states a geometry that cannot be.
    """
    if len(head) < _SUPERBLOCK_BYTES or head[:4] != MAGIC:
        message = "the XFS superblock is not there"
        raise FilesystemError(message)
    block_size, blocks = struct.unpack_from(">IQ", head, 4)
    root, bitmap, summary = struct.unpack_from(">3Q", head, 56)
    group_blocks, groups = struct.unpack_from(">II", head, 84)
    version, sector_size, inode_size, inodes_per_block = struct.unpack_from(">4H", head, 100)
    slot_bits, block_bits = head[123], head[124]
    quotas = struct.unpack_from(">2Q", head, 160)
    features2, incompatible = struct.unpack_from(">I", head, 200)[0], struct.unpack_from(">I", head, 216)[0]
    checksums = version & _VERSION_BITS == _WITH_CHECKSUMS
    sound = (
        512 <= block_size <= _LARGEST_BLOCK  # noqa: PLR2004 - xfs_format.h, XFS_MIN_BLOCKSIZE
        and block_size & (block_size - 1) == 0
        and _SMALLEST_INODE <= inode_size <= min(_LARGEST_INODE, block_size)
        and inodes_per_block == block_size // inode_size == 1 << slot_bits
        and 0 < group_blocks <= 1 << block_bits <= 1 << 31
        and groups > 0
        and (groups - 1) * group_blocks < blocks <= groups * group_blocks
        and 512 <= sector_size <= 1 << 15  # noqa: PLR2004 - xfs_format.h, XFS_MIN_SECTORSIZE
        and block_size << head[192] <= 1 << _LARGEST_DIRECTORY_BLOCK_LOG
    )
    if not sound:
        message = "the XFS superblock is damaged: it states block, inode and group sizes that do not fit together"
        raise FilesystemError(message)
    return Geometry(
        block_size=block_size,
        blocks=blocks,
        group_blocks=group_blocks,
        groups=groups,
        root=root,
        internal=frozenset((bitmap, summary, *quotas, struct.unpack_from(">Q", head, 232)[0] if checksums else 0)),
        sector_size=sector_size,
        inode_size=inode_size,
        inode_bits=block_bits + slot_bits,
        block_bits=block_bits,
        slot_bits=slot_bits,
        directory_block_size=block_size << head[192],
        has_types=bool(incompatible & _INCOMPAT_FTYPE) if checksums else bool(features2 & _FEATURES2_FTYPE),
        has_checksums=checksums,
        has_sparse_inodes=checksums and bool(incompatible & _INCOMPAT_SPARSE_INODES),
        label=head[108:120].partition(b"\0")[0].decode("utf-8", "replace"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class XfsInode:
    """An inode's core and its forks; `checksum_fails` where it carries one that is not that of its bytes."""

    number: int
    mode: int
    data_format: int
    attribute_format: int
    owner: int
    group: int
    links: int
    size: int
    generation: int
    times: Times
    extents: int
    attribute_extents: int
    data_fork: bytes
    attribute_fork: bytes
    is_realtime: bool
    is_metadata: bool
    checksum_fails: bool


def parse_inode(number: int, raw: bytes, geometry: Geometry) -> XfsInode | None:
    """The inode in `raw`, its bytes on disk; None where no inode begins there."""
    magic, mode, version, data_format, old_links, owner, group, links, _, _ = _CORE.unpack_from(raw)
    if magic != _INODE_MAGIC:
        return None
    flags2 = struct.unpack_from(">Q", raw, 120)[0] if version >= _INODE_VERSION_3 else 0
    many = bool(flags2 & _FLAGS2_MANY_EXTENTS)
    size = struct.unpack_from(">Q", raw, 56)[0]
    core = 176 if version >= _INODE_VERSION_3 else 100
    fork = raw[82] * 8
    data_end = core + fork if fork else geometry.inode_size
    checked = geometry.has_checksums and version >= _INODE_VERSION_3
    bytes_checked = raw[: _CORE_CHECKSUM.start] + bytes(4) + raw[_CORE_CHECKSUM.stop :]
    return XfsInode(
        number=number,
        mode=mode,
        data_format=data_format,
        attribute_format=raw[83],
        owner=owner,
        group=group,
        links=links if version > 1 else old_links,
        size=size,
        generation=struct.unpack_from(">I", raw, 92)[0],
        times=_times(raw, version, bigtime=bool(flags2 & _FLAGS2_BIGTIME)),
        extents=struct.unpack_from(">Q", raw, 24)[0] if many else struct.unpack_from(">I", raw, 76)[0],
        attribute_extents=struct.unpack_from(">I", raw, 76)[0] if many else struct.unpack_from(">H", raw, 80)[0],
        data_fork=raw[core:data_end],
        attribute_fork=raw[data_end:] if fork else b"",
        is_realtime=bool(struct.unpack_from(">H", raw, 90)[0] & _FLAG_REALTIME),
        is_metadata=bool(flags2 & _FLAGS2_METADATA),
        checksum_fails=checked and crc32c(bytes_checked) != int.from_bytes(raw[_CORE_CHECKSUM], "little"),
    )


def _times(raw: bytes, version: int, *, bigtime: bool) -> Times:
    return Times(
        created=_time(raw, 144, bigtime=bigtime) if version >= _INODE_VERSION_3 else None,
        modified=_time(raw, 40, bigtime=bigtime),
        accessed=_time(raw, 32, bigtime=bigtime),
        metadata_changed=_time(raw, 48, bigtime=bigtime),
    )


def _time(raw: bytes, offset: int, *, bigtime: bool) -> int | OutOfRange | None:
    if not bigtime:
        return from_unix(*struct.unpack_from(">iI", raw, offset))
    seconds, nanoseconds = divmod(struct.unpack_from(">Q", raw, offset)[0], 1_000_000_000)
    return from_unix(seconds - _BIGTIME_EPOCH_SECONDS, nanoseconds)
