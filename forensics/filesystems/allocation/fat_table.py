"""FAT12, FAT16, FAT32: the first file allocation table; a cluster whose entry is 0 is free.

References: Microsoft, FAT: General Overview of On-Disk Format, version 1.03, "Boot Sector and BPB" and "FAT Data Structure".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from forensics.errors import StreamReadError
from forensics.filesystems.allocation.block_map import Geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.source import ByteSource

_FIRST_CLUSTER = 2
_DIRECTORY_ENTRY_BYTES = 32
_ENTRY_BITS = {"fat12": 12, "fat16": 16, "fat32": 32}
_NUMBER_OF_FAT32 = 0x0FFFFFFF  # the upper four bits of an entry are reserved


class FatTable:
    """The first table of a FAT filesystem; unit 0 is cluster 2."""

    def __init__(self, volume: ByteSource, kind: str) -> None:
        """Raises StreamReadError where the boot sector makes no sense, ImageReadError where it cannot be read."""
        boot = volume.read_at(0, 512).ljust(512, b"\0")
        sector, per_cluster, reserved, tables, root_entries, sectors_16, table_16, sectors_32, table_32 = struct.unpack_from(
            "<HBHBHHxH8xII", boot, 11
        )
        if not sector or not per_cluster:
            message = "the boot sector states sectors or clusters of 0 bytes"
            raise StreamReadError(message)
        table_sectors = table_16 or table_32
        root_sectors = -(-root_entries * _DIRECTORY_ENTRY_BYTES // sector)
        first = reserved + tables * table_sectors + root_sectors
        total = sectors_16 or sectors_32
        self._volume, self._bits = volume, _ENTRY_BITS[kind]
        self._table_byte = reserved * sector
        in_table = table_sectors * sector * 8 // self._bits - _FIRST_CLUSTER
        self.geometry = Geometry(
            first_byte=first * sector,
            unit_bytes=per_cluster * sector,
            units=max(0, min((total - first) // per_cluster, in_table)),
            end_byte=min(total * sector, volume.size),
        )

    def allocated(self, first: int, count: int) -> NDArray[np.bool_]:
        """See BlockMap."""
        start_bit = (first + _FIRST_CLUSTER) * self._bits  # a whole byte, because `first` is a multiple of 8
        length = -(-count * self._bits // 8)
        data = self._volume.read_at(self._table_byte + start_bit // 8, length)
        if len(data) < length:
            message = "the file allocation table ends before the last cluster"
            raise StreamReadError(message)
        flags: NDArray[np.bool_] = self._entries(data, count) != 0
        return flags

    def _entries(self, data: bytes, count: int) -> NDArray[np.uint32]:
        if self._bits == 16:  # noqa: PLR2004 - the kind's own name
            return np.frombuffer(data, dtype="<u2").astype(np.uint32)
        if self._bits == 32:  # noqa: PLR2004 - the kind's own name
            return np.frombuffer(data, dtype="<u4") & np.uint32(_NUMBER_OF_FAT32)
        # Two entries of 12 bits in three bytes.
        triples = np.frombuffer(data + bytes(-len(data) % 3), dtype=np.uint8).reshape(-1, 3).astype(np.uint32)
        low = triples[:, 0] | (triples[:, 1] & 0x0F) << 8
        high = triples[:, 1] >> 4 | triples[:, 2] << 4
        entries: NDArray[np.uint32] = np.column_stack((low, high)).ravel()[:count]
        return entries
