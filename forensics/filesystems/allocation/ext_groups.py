"""ext2, ext3, ext4: the block bitmap of each block group, the least significant bit first.

A bitmap that was never written (feature uninit_bg) stands for a group in which nothing is allocated but what the group needs itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forensics.filesystems.allocation.block_map import Geometry, bits
from forensics.filesystems.ext_layout import ExtLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.source import ByteSource


class ExtGroups:
    """The block bitmaps of all groups, one after the other; a unit is a block, or with the feature bigalloc a cluster."""

    def __init__(self, volume: ByteSource) -> None:
        """Raises StreamReadError where the superblock makes no sense, ImageReadError where it cannot be read."""
        self._layout = layout = ExtLayout(volume)
        blocks = layout.blocks - layout.first_block
        unit = layout.block_size * layout.cluster_blocks
        first = layout.first_block * layout.block_size
        end = min(layout.blocks * layout.block_size, volume.size)
        units = min(-(-blocks // layout.cluster_blocks), -(-max(0, end - first) // unit))
        self.geometry = Geometry(first_byte=first, unit_bytes=unit, units=units, end_byte=end)

    def allocated(self, first: int, count: int) -> NDArray[np.bool_]:
        """See BlockMap."""
        flags = np.zeros(count, dtype=np.bool_)
        per_group = self._layout.clusters_per_group
        for number in range(first // per_group, (first + count - 1) // per_group + 1):
            base = number * per_group
            start, end = max(first, base), min(first + count, base + per_group)
            flags[start - first : end - first] = self._group(number)[start - base : end - base]
        return flags

    def _group(self, number: int) -> NDArray[np.bool_]:
        layout = self._layout
        group = layout.group(number)
        if not group.block_uninit:
            return bits(layout.read_block(group.block_bitmap), layout.clusters_per_group)
        flags = np.zeros(layout.clusters_per_group, dtype=np.bool_)
        base = layout.first_block_of(number)
        for start, count in layout.own_blocks(number, group):
            # Own blocks may lie in another group (flex_bg), whose bitmap has been written then.
            begin, end = max(0, start - base), max(0, start + count - base)
            flags[begin // layout.cluster_blocks : -(-end // layout.cluster_blocks)] = True
        return flags
