"""Arrays without parity: disks one after the other, in stripes, in copies, or in stripes of copies.

References:
    Linux 6.1, drivers/md: md-linear.c; raid0.c (create_strip_zones, find_zone, map_sector); raid10.c (setup_geo, __raid10_find_phys,
    calc_sectors, raid10_size).
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from forensics.errors import VolumeError
from forensics.layers.raid_component import first_good

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.layers.raid_component import Component

    Disks = Sequence[Component | None]

ORIGINAL_LAYOUT, ALTERNATE_LAYOUT = 1, 2
_FAR_OFFSET = 1 << 16
_ONE_MIRROR = 64 * 1024


class LinearArray:
    """Components one after the other."""

    def __init__(self, disks: Sequence[Component], *, chunk: int = 0) -> None:
        """Of each component, only whole chunks count if `chunk` is not 0; bytes."""
        self._disks = disks
        self._ends = list(accumulate(disk.size - disk.size % chunk if chunk else disk.size for disk in disks))
        self.size = self._ends[-1] if disks else 0

    def read(self, offset: int, length: int) -> bytes:
        """See Array."""
        parts = []
        number = bisect_right(self._ends, offset)
        while length > 0:
            piece = min(length, self._ends[number] - offset)
            if piece:
                first = self._ends[number - 1] if number else 0
                parts.append(self._disks[number].read(offset - first, piece))
            offset, length, number = offset + piece, length - piece, number + 1
        return b"".join(parts)


class StripedArray:
    """RAID 0: chunks over all disks; where disks differ in size, the rest of the larger ones makes further zones."""

    def __init__(self, disks: Sequence[Component], *, chunk: int, layout: int) -> None:
        """`layout` is how chunks of further zones are dealt out; bytes.

        Raises:
            VolumeError: it matters, and is not stated.
        """
        self._chunk = chunk
        sizes = [disk.size // chunk * chunk for disk in disks]
        self._zones: list[tuple[int, int, int, list[Component]]] = []
        self.size = below = 0
        for level in sorted(set(sizes)):
            members = [disk for disk, size in zip(disks, sizes, strict=True) if size > below]
            if not members:
                continue
            end = self.size + (level - below) * len(members)
            self._zones.append((self.size, end, below, members))
            self.size, below = end, level
        matters = len(self._zones) > 1 and len(self._zones[1][3]) > 1
        if matters and layout not in (ORIGINAL_LAYOUT, ALTERNATE_LAYOUT):
            message = "its disks differ in size, and which of the two layouts of such an array was used is not stated"
            raise VolumeError(message)
        self._counts_from_zone = layout == ALTERNATE_LAYOUT

    def read(self, offset: int, length: int) -> bytes:
        """See Array."""
        parts = []
        while length > 0:
            zone_start, _, below, members = next(zone for zone in self._zones if offset < zone[1])
            within = offset - zone_start
            skip = within % self._chunk
            number = (within if self._counts_from_zone else offset) // self._chunk
            row = within // (self._chunk * len(members))
            piece = min(length, self._chunk - skip)
            parts.append(members[number % len(members)].read(below + row * self._chunk + skip, piece))
            offset += piece
            length -= piece
        return b"".join(parts)


class MirroredArray:
    """RAID 1: every disk holds everything."""

    def __init__(self, disks: Disks, *, size: int) -> None:
        self._disks, self.size = disks, size

    def read(self, offset: int, length: int) -> bytes:
        """See Array."""
        end = offset + length
        starts = range(offset, end, _ONE_MIRROR)  # what is damaged on one disk is taken from another, piece by piece
        return b"".join(first_good([(disk, start) for disk in self._disks], min(_ONE_MIRROR, end - start)) for start in starts)


class StripedMirrors:
    """RAID 10: stripes of chunks, each in several places, near, far, or one stripe on."""

    def __init__(self, disks: Disks, *, chunk: int, layout: int, component_size: int) -> None:
        """`component_size` is what of each disk is in use, in bytes.

        Raises:
            VolumeError: such a layout cannot be.
        """
        count = len(disks)
        self._disks, self._chunk = disks, chunk
        self._near, self._far, self._is_offset = layout & 0xFF, layout >> 8 & 0xFF, bool(layout & _FAR_OFFSET)
        kind = layout >> 17
        if not (self._near and self._far and self._near * self._far <= count and kind in (0, 1, 2)):
            message = f"an array of {count} disks cannot have the layout {layout:#x}"
            raise VolumeError(message)
        self._set = (count, count // self._far, self._near * self._far)[kind]
        self._last_start = (count // self._set - 1) * self._set
        self._last_size = self._set + count % self._set
        chunks = component_size // chunk // self._far * count // self._near
        self.size = chunks * chunk
        used = -(-chunks * self._near * self._far // count)
        self._stride = chunk if self._is_offset else used // self._far * chunk

    def read(self, offset: int, length: int) -> bytes:
        """See Array."""
        parts = []
        while length > 0:
            number, skip = divmod(offset, self._chunk)
            piece = min(length, self._chunk - skip)
            parts.append(first_good([(self._disks[disk], start + skip) for disk, start in self._places(number)], piece))
            offset += piece
            length -= piece
        return b"".join(parts)

    def _places(self, number: int) -> list[tuple[int, int]]:
        """Disk and offset in bytes of each copy of a chunk."""
        count = len(self._disks)
        row, disk = divmod(number * self._near, count)
        start = row * (self._far if self._is_offset else 1) * self._chunk
        places = []
        for _ in range(self._near):
            at, place = disk, start
            places.append((at, place))
            for _ in range(1, self._far):
                at, place = self._next(at), place + self._stride
                places.append((at, place))
            disk += 1
            if disk == count:
                disk, start = 0, start + self._chunk
        return places

    def _next(self, disk: int) -> int:
        """The disk of a chunk's next far copy."""
        group = disk // self._set
        disk += self._near
        if len(self._disks) % self._set and disk > self._last_start:
            return (disk - self._last_start) % self._last_size + self._last_start
        return disk % self._set + self._set * group
