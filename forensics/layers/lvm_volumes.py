"""Logical volumes put together: of extents on disks, of stripes, copies, RAID, snapshots and thin pools.

References:
    LVM2 2.03, lib/striped, mirror, raid, snapshot, thin, cache_segtype; Linux 6.1, drivers/md/dm-raid.c (raid_types,
    dm_raid_superblock).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, VolumeError
from forensics.layers.lvm_snapshot import SnapshotVolume
from forensics.layers.lvm_thin import ThinPool, ThinVolume
from forensics.layers.raid_component import Component, MissingBytes
from forensics.layers.raid_copies import ORIGINAL_LAYOUT, LinearArray, MirroredArray, StripedArray, StripedMirrors
from forensics.layers.raid_parity import ParityArray
from forensics.layers.unit_source import UnitSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from forensics.layers.lvm_group import LogicalVolume, LvSegment, VolumeGroup
    from forensics.layers.raid_component import Array
    from forensics.source import ByteSource

_SECTOR_BYTES = 512
_MAX_DEPTH = 16
_MAX_CHUNK_SECTORS = 1 << 21
_MOST_PARTS = 1024
# dm-raid.c, raid_types: level and layout as raid_parity numbers them. LVM's RAID 4 has its parity first, unlike md's.
_PARITY = {
    "raid4": (5, 4), "raid5": (5, 2), "raid5_n": (5, 5), "raid5_la": (5, 0), "raid5_ra": (5, 1), "raid5_ls": (5, 2), "raid5_rs": (5, 3),
    "raid6": (6, 8), "raid6_zr": (6, 8), "raid6_nr": (6, 9), "raid6_nc": (6, 10), "raid6_la_6": (6, 16), "raid6_ra_6": (6, 17),
    "raid6_ls_6": (6, 18), "raid6_rs_6": (6, 19), "raid6_0_6": (6, 20), "raid6_n_6": (6, 5),
}  # fmt: skip
_MIRRORED = ("mirror", "raid1")
_STRIPED_MIRRORS = ("raid10", "raid10_near")
_RAID_HEAD = struct.Struct("<4s4xII3Q")  # dm_raid_superblock: magic, devices, position, events, failed, recovered up to
_RAID_MAGIC = b"DmRd"
_SAFE_CACHES = ("writethrough", "passthrough")  # what is written goes to the origin, too


class GroupVolumes:
    """Opens the volumes of a group from those of its disks that are there."""

    def __init__(self, group: VolumeGroup, disks: Mapping[str, ByteSource]) -> None:
        """`disks` are the sources by the names that the group gives its disks."""
        self._group, self._disks = group, disks
        self._open: list[str] = []
        self._opened: dict[str, ByteSource] = {}
        self.missing: set[str] = set()
        """Names of the disks that were asked for, and are not there."""
        self.unread_caches: set[str] = set()
        """Names of caches that may hold what the volumes opened do not show."""

    def open(self, name: str) -> ByteSource:
        """The volume of that name.

        Raises:
            VolumeError: it cannot be put together.
            ImageReadError: what says how it is put together cannot be read.
        """
        if name in self._opened:  # what makes up several volumes is put together once, however often it is named
            return self._opened[name]
        volume = self._group.volumes.get(name)
        if volume is None:
            message = (
                f"it is made of {name[:64]!a}, which the group does not have"
                if name not in self._group.faults
                else self._group.faults[name]
            )
            raise VolumeError(message)
        if name in self._open or len(self._open) >= _MAX_DEPTH:
            message = "it is made of itself, or of too many layers"
            raise VolumeError(message)
        self._open.append(name)
        try:
            parts = [Component(source=self._segment(volume, one), start=0, size=one.size) for one in volume.segments]
        finally:
            self._open.pop()
        source = parts[0].source if len(parts) == 1 else _source(LinearArray(parts), volume.size)
        self._opened[name] = source
        return source

    def open_snapshot(self, segment: LvSegment) -> ByteSource:
        """The snapshot that a segment of the type describes.

        Raises:
            VolumeError: it cannot be put together.
            ImageReadError: its copies cannot be read.
        """
        if not segment.text("cow_store"):
            message = "it was being merged into its origin when it was stopped, which is not read by this version"
            raise VolumeError(message)
        origin, store = self.open(segment.text("origin")), self.open(segment.text("cow_store"))
        return _source(SnapshotVolume(origin, store, size=min(segment.size, origin.size)), segment.size)

    def _segment(self, volume: LogicalVolume, segment: LvSegment) -> ByteSource:
        kind = segment.type
        openers: dict[str, Callable[[LvSegment], ByteSource]] = {
            "striped": self._striped,
            "linear": self._striped,
            "raid0": self._striped,
            "raid0_meta": self._striped,
            "thin": self._thin,
            "cache": self._cached,
            "writecache": self._cached,
            "zero": lambda one: _Nothing(one.size),
            "error": lambda one: MissingBytes(one.size, "it is an error by definition"),
            **dict.fromkeys((*_MIRRORED, *_STRIPED_MIRRORS, *_PARITY), self._raid),
        }
        if kind not in openers:
            message = f"volumes of the type {kind[:32]!a} are not read by this version"
            raise VolumeError(message)
        source = openers[kind](segment)
        if source.size < segment.size:
            message = f"{volume.name} is made of less than it states, {source.size} of {segment.size} bytes"
            raise VolumeError(message)
        return source

    def _striped(self, segment: LvSegment) -> ByteSource:
        parts = self._parts(segment)
        size = segment.size // len(parts)
        components = [Component(source=source, start=start, size=size) for source, start in parts]
        if len(components) == 1:
            return _source(LinearArray(components), segment.size)
        array = StripedArray(components, chunk=_chunk(segment), layout=ORIGINAL_LAYOUT)
        return _source(array, segment.size)

    def _raid(self, segment: LvSegment) -> ByteSource:
        if segment.number("data_offset") or segment.number("reshape_count"):
            message = "it was being given another shape when it was stopped, which is not read by this version"
            raise VolumeError(message)
        kind = segment.type
        count = len(self._parts(segment))
        copies = segment.number("data_copies", 2) if kind in _STRIPED_MIRRORS else 1
        parities = 2 if _PARITY.get(kind, (0, 0))[0] == 6 else 1 if kind in _PARITY else 0  # noqa: PLR2004 - RAID 6
        if count <= parities or not 0 < copies <= count:
            message = f"it is of the type {kind} and made of {count} parts, which cannot be"
            raise VolumeError(message)
        size = segment.size if kind in _MIRRORED else segment.size * copies // (count - parities)
        usable = self._in_step(segment)
        disks = [
            None
            if isinstance(source, MissingBytes) or number not in usable
            else Component(source=source, start=start, size=min(size, usable[number]))
            for number, (source, start) in enumerate(self._parts(segment))
        ]
        if kind in _MIRRORED:
            if not any(disks):
                message = "none of its copies is there, and up to date"
                raise VolumeError(message)
            return _source(MirroredArray(disks, size=size), segment.size)
        if kind in _PARITY:
            level, layout = _PARITY[kind]
            return _source(ParityArray(disks, level=level, layout=layout, chunk=_chunk(segment), component_size=size), segment.size)
        return _source(StripedMirrors(disks, chunk=_chunk(segment), layout=1 << 8 | copies, component_size=size), segment.size)

    def _in_step(self, segment: LvSegment) -> dict[int, int]:
        """How many bytes of each part are up to date, for parts of a RAID that are; all where nothing says otherwise."""
        count = len(self._parts(segment))
        names = segment.names()
        usable = dict.fromkeys(range(count), segment.size)
        if segment.type == "mirror" or len(names) != 2 * count:
            return usable
        heads: dict[int, tuple[int, int, int]] = {}
        for number, name in enumerate(names[::2]):
            try:
                magic, _, position, *head = _RAID_HEAD.unpack(self.open(str(name)).read_at(0, _RAID_HEAD.size))
            except (VolumeError, ImageReadError, struct.error):
                continue
            if magic == _RAID_MAGIC and position == number:
                heads[number] = (head[0], head[1], head[2])
        newest = max((events for events, _, _ in heads.values()), default=0)
        failed = next((bits for events, bits, _ in heads.values() if events == newest), 0)
        for number, (events, _, recovered) in heads.items():
            if events + 1 < newest or failed >> number & 1:
                del usable[number]
            else:
                usable[number] = min(segment.size, recovered * _SECTOR_BYTES)
        return usable

    def _thin(self, segment: LvSegment) -> ByteSource:
        pool, _ = self._thin_pool(segment.text("thin_pool"))
        if segment.text("merge"):
            message = "a snapshot was being merged into it when it was stopped, which is not read by this version"
            raise VolumeError(message)
        origin = self.open(segment.text("external_origin")) if segment.text("external_origin") else None
        volume = ThinVolume(pool, segment.number("device_id"), size=segment.size, origin=origin)
        return _source(volume, segment.size)

    def open_unmapped(self, pool: str, volumes: Iterable[LogicalVolume]) -> ByteSource:
        """The blocks of a thin pool that none of these volumes maps, one after the other: those of removed volumes, of earlier contents.

        Raises:
            VolumeError: the pool or a volume cannot be put together.
            ImageReadError: its metadata cannot be read.
        """
        found, data = self._thin_pool(pool)
        devices = [one.number("device_id") for volume in volumes for one in volume.segments if one.text("thin_pool") == pool]
        runs = LinearArray([Component(source=data, start=start, size=size) for start, size in found.unmapped(devices)])
        return _source(runs, runs.size)

    def _thin_pool(self, name: str) -> tuple[ThinPool, ByteSource]:
        """A pool, and its data."""
        pool = self._group.volumes.get(name)
        if pool is None or pool.type != "thin-pool":
            message = "its thin pool is not there"
            raise VolumeError(message)
        metadata, data = (self.open(pool.segments[0].text(key)) for key in ("metadata", "pool"))
        return ThinPool(metadata, data), data

    def _cached(self, segment: LvSegment) -> ByteSource:
        """The origin of a cached volume; notes the cache, where it may hold what the origin does not yet."""
        cache = segment.text("cache_pool") or segment.text("writecache")
        pool = self._group.volumes.get(cache)
        mode = segment.text("cache_mode") or (pool.segments[0].text("cache_mode") if pool is not None else "")
        if segment.type == "writecache" or mode not in _SAFE_CACHES:
            self.unread_caches.add(cache)
        return self.open(segment.text("origin"))

    def _parts(self, segment: LvSegment) -> list[tuple[ByteSource, int]]:
        """What a segment is made of, each with the byte where it starts."""
        names = segment.names()
        kind = segment.type
        if not 0 < len(names) <= 2 * _MOST_PARTS:
            message = f"it is made of {len(names)} parts"
            raise VolumeError(message)
        if kind.startswith("raid0"):
            found = [(name, 0) for name in (names[1::2] if "raids" in segment.values else names)]
        elif kind in ("striped", "linear", "mirror"):
            found = list(zip(names[::2], names[1::2], strict=False))  # type: ignore[arg-type]
        else:
            found = [(name, 0) for name in names[1::2]]
        if not all(isinstance(name, str) and isinstance(start, int) and start >= 0 for name, start in found) or not found:
            message = "what it is made of is not stated as it should be"
            raise VolumeError(message)
        return [self._part(str(name), int(start) * self._group.extent, segment.size) for name, start in found]

    def _part(self, name: str, start: int, size: int) -> tuple[ByteSource, int]:
        disk = self._group.disks.get(name)
        if disk is None:
            return self.open(name), start
        if name in self._disks:
            return self._disks[name], disk.start + start
        self.missing.add(name)
        return MissingBytes(disk.start + start + size, f"the disk {name} of its volume group is missing"), disk.start + start


class _Nothing:
    """Zeros, where a volume is defined to hold nothing else."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(max(0, min(length, self.size - offset)))


def _source(array: Array, size: int) -> ByteSource:
    return UnitSource(array.read, size=size)


def _chunk(segment: LvSegment) -> int:
    sectors = segment.number("stripe_size")
    if not 0 < sectors <= _MAX_CHUNK_SECTORS:
        message = f"it states stripes of {sectors} sectors"
        raise VolumeError(message)
    return sectors * _SECTOR_BYTES
