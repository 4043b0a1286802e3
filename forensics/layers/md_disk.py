"""One disk of an array of md: what the array takes of it, and what it holds by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forensics.layers.raid_component import Component
from forensics.source import SourceSlice

if TYPE_CHECKING:
    from forensics.layers.base import Member
    from forensics.layers.md_superblock import MdSuperblock

WITHOUT_COPIES = (-1, 0)
"""Levels of which each disk is taken as large as it is."""
_STRIPED_MIRRORS = 10


@dataclass(frozen=True, slots=True)
class MdDisk:
    """A volume with its metadata."""

    member: Member
    block: MdSuperblock

    def component(self, size: int) -> Component:
        """What counts of the first `size` bytes that the array may have of the disk."""
        block = self.block
        used = min(block.data_size, size)
        return Component(source=self.member.source, start=block.data_start, size=min(used, block.valid_size), bad=block.bad)

    def used(self) -> tuple[int, int]:
        """(First byte, end) of what an array takes of the disk."""
        block = self.block
        size = self.component(block.data_size if block.level in WITHOUT_COPIES else block.component_size).size
        if block.level == _STRIPED_MIRRORS:
            size = min(size, self._striped())
        elif block.level != 1 and block.chunk:
            size -= size % block.chunk
        return block.data_start, block.data_start + size

    def _striped(self) -> int:
        """Bytes of the disk that RAID 10 takes: with near copies alone, its last row may end before this disk (raid10.c, raid10_size)."""
        block = self.block
        near, far = block.layout & 0xFF, block.layout >> 8 & 0xFF
        rows = block.component_size // block.chunk
        if not near or far != 1 or block.role is None:
            return rows * block.chunk
        places = rows * block.disks // near * near
        return -(-(places - block.role) // block.disks) * block.chunk

    def copy(self) -> SourceSlice:
        """What the disk of a mirror holds of its array, by itself."""
        return SourceSlice(self.member.source, self.block.data_start, min(self.block.component_size, self.block.data_size))

    @property
    def is_mirror(self) -> bool:
        """Whether it holds a whole copy of its array."""
        return self.block.level == 1 and self.block.role is not None and not self.block.unread and self.copy().size > 0

    @property
    def updated(self) -> str:
        """When it was last written, for people."""
        try:
            return f"{datetime.fromtimestamp(self.block.updated, UTC):%Y-%m-%d %H:%M:%S} UTC"
        except (OverflowError, ValueError, OSError):
            return f"{self.block.updated} seconds after 1970"
