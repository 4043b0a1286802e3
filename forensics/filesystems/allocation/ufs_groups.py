"""UFS1 and UFS2: the map of free fragments of each cylinder group; a bit that is set is a free fragment.

References: FreeBSD, sys/ufs/ffs/fs.h: struct fs, struct cg, cgbase, cgstart, cgtod.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from forensics.errors import StreamReadError
from forensics.filesystems.allocation.block_map import Geometry, bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.source import ByteSource

# SBLOCK_UFS2, SBLOCK_UFS1, SBLOCK_FLOPPY, SBLOCK_PIGGY: where a superblock may stand, and what it may begin with.
_SUPERBLOCKS = (65536, 8192, 0, 262144)
_SUPERBLOCK_BYTES = 1376
_MAGIC_BYTE = 1372
_UFS1, _UFS2 = 0x00011954, 0x19540119
_GROUP_MAGIC = 0x090255
_LARGEST_FRAGMENT = 65536
_LARGEST_GROUP = 1 << 24  # fragments; a group's map must fit into a block of 64 KiB
_GROUP_HEADER_BYTES = 128


class UfsGroups:
    """The maps of all cylinder groups; a unit is a fragment."""

    def __init__(self, volume: ByteSource) -> None:
        """Raises StreamReadError where there is no superblock that makes sense, ImageReadError where it cannot be read."""
        self._volume = volume
        data, self._order, self._is_ufs2 = _superblock(volume)
        self._group_offset, self._group_mask = self._unpack("2i", data, 24)
        (self._group_block,) = self._unpack("i", data, 12)
        (fragment,) = self._unpack("i", data, 52)
        (self._fragments_per_group,) = self._unpack("i", data, 188)
        (fragments,) = self._unpack("q", data, 1080) if self._is_ufs2 else self._unpack("i", data, 36)
        if not 0 < fragment <= _LARGEST_FRAGMENT or not 0 < self._fragments_per_group <= _LARGEST_GROUP or fragments <= 0:
            message = "the superblock of the UFS filesystem makes no sense"
            raise StreamReadError(message)
        end = min(fragments * fragment, volume.size)
        self.geometry = Geometry(first_byte=0, unit_bytes=fragment, units=-(-end // fragment), end_byte=end)

    def allocated(self, first: int, count: int) -> NDArray[np.bool_]:
        """See BlockMap."""
        flags = np.zeros(count, dtype=np.bool_)
        per_group = self._fragments_per_group
        for number in range(first // per_group, (first + count - 1) // per_group + 1):
            base = number * per_group
            start, end = max(first, base), min(first + count, base + per_group)
            flags[start - first : end - first] = ~self._free(number)[start - base : end - base]
        return flags

    def _free(self, number: int) -> NDArray[np.bool_]:
        header_fragment = number * self._fragments_per_group + self._group_block
        if not self._is_ufs2:
            # UFS1 lays each group's header on another track.
            header_fragment += self._group_offset * (number & ~self._group_mask)
        at = header_fragment * self.geometry.unit_bytes
        header = b"" if at < 0 else self._volume.read_at(at, _GROUP_HEADER_BYTES)
        header = header.ljust(_GROUP_HEADER_BYTES, b"\0")
        if self._unpack("i", header, 4) != (_GROUP_MAGIC,):
            message = f"cylinder group {number} has no valid header"
            raise StreamReadError(message)
        (map_offset,) = self._unpack("I", header, 96)
        length = -(-self._fragments_per_group // 8)
        data = self._volume.read_at(at + map_offset, length)
        if len(data) < length:
            message = f"the map of cylinder group {number} ends behind the volume"
            raise StreamReadError(message)
        return bits(data, self._fragments_per_group)

    def _unpack(self, fields: str, data: bytes, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + fields, data, offset)


def _superblock(volume: ByteSource) -> tuple[bytes, str, bool]:
    """The superblock, its byte order for struct, and whether it is UFS2's."""
    for at in _SUPERBLOCKS:
        data = volume.read_at(at, _SUPERBLOCK_BYTES)
        if len(data) < _SUPERBLOCK_BYTES:
            continue
        for order in "<>":
            (magic,) = struct.unpack_from(order + "I", data, _MAGIC_BYTE)
            if magic in (_UFS1, _UFS2):
                return data, order, magic == _UFS2
    message = "no superblock of UFS was found"
    raise StreamReadError(message)
