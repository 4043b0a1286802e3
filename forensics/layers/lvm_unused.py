"""What of a disk of a volume group no volume that was opened has: free extents, removed volumes, volumes that cannot be read.

Before the first extent stand the label and the descriptions of the group, older ones too; behind the last, what is less than an extent.

References:
    LVM2 2.03, lib/format_text/import_vsn1.c; lib/striped/striped.c (stripes = [disk, first extent, …]).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forensics.layers.lvm_group import GroupDisk, LogicalVolume, VolumeGroup

# Not the cache of a cached volume, which is read without it.
_REFERENCES = ("thin_pool", "pool", "metadata", "data", "origin", "cow_store", "external_origin", "mirror_log")


def used_ranges(group: VolumeGroup, opened: Iterable[str], disk: GroupDisk) -> list[tuple[int, int]]:
    """(First byte, end) of each run of a disk that is part of the volumes with these names, in no order."""
    return list(_used(group, _reached(group, opened), disk))


def _reached(group: VolumeGroup, opened: Iterable[str]) -> list[LogicalVolume]:
    """The volumes, and those that they are made of."""
    waiting = list(opened)
    found: dict[str, LogicalVolume] = {}
    while waiting:
        name = waiting.pop()
        volume = group.volumes.get(name)
        if volume is None or name in found:
            continue
        found[name] = volume
        for segment in volume.segments:
            waiting.extend(one for one in segment.names() if isinstance(one, str))
            waiting.extend(filter(None, map(segment.text, _REFERENCES)))
        # The store of a snapshot's copies is described by a volume of its own, which names the origin.
        waiting.extend(one.name for one in group.volumes.values() if one.type == "snapshot" and one.segments[0].text("cow_store") == name)
    return list(found.values())


def _used(group: VolumeGroup, volumes: Iterable[LogicalVolume], disk: GroupDisk) -> Iterator[tuple[int, int]]:
    for volume in volumes:
        for segment in volume.segments:
            stated = segment.names()
            pairs = [(name, first) for name, first in zip(stated[::2], stated[1::2], strict=False) if isinstance(first, int)]
            for name, first in pairs:
                if name == disk.name:
                    start = disk.start + first * group.extent
                    yield start, start + segment.size // len(pairs) if segment.type in ("striped", "linear") else start + segment.size
