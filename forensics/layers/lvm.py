"""LVM2: the logical volumes of the volume groups whose disks are volumes of the exhibit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, Problem, Stage, VolumeError
from forensics.layers.base import Derived, Locked, Unfolded
from forensics.layers.disk_part import is_part, open_part, unused_parts
from forensics.layers.lvm_group import read_group
from forensics.layers.lvm_metadata import LABEL, LABEL_SECTORS, SECTOR_BYTES, read_physical_volume
from forensics.layers.lvm_unused import used_ranges
from forensics.layers.lvm_volumes import GroupVolumes
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.layers.lvm_group import LogicalVolume, VolumeGroup
    from forensics.source import ByteSource

_NAME = "LVM2 physical volume"
_ALL_DISKS = "give all disks of the volume group as images of one exhibit"
_OTHER_TOOL = "read the volume with a tool that knows this kind, e.g. lvm2 on a copy"
_POOLS = ("thin-pool", "cache-pool", "vdo-pool")  # they hold other volumes, and are none themselves
_UNUSED = "space of a volume group that no logical volume has"
_UNMAPPED = "unmapped:"
_NANOSECONDS = 1_000_000_000


class Lvm:
    """Volume groups of Linux."""

    name = "lvm2"
    title = _NAME
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether one of the first four sectors holds the label of a physical volume."""
        return any(head[at : at + len(LABEL)] == LABEL for at in range(0, LABEL_SECTORS * SECTOR_BYTES, SECTOR_BYTES))

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:  # noqa: ARG002
        """The visible logical volumes of each volume group, in the order in which the group names them, then what no volume has."""
        groups, locked, problems = _grouped(members)
        derived: list[Derived] = []
        unused: list[Derived] = []
        for found in groups:
            made, more = found.unfold()
            derived.extend(made)
            problems.extend(more)
            if made or not (found.group.volumes or found.group.faults):
                opened = {one.key for one in made}
                unused.extend((*found.unmapped(opened), *found.unused(opened)))
            else:
                why = f"no logical volume of the group {escape_text(found.group.name)} is there that could be read"
                locked.extend(_locked(one.volume, why, "volume-incomplete") for one in found.members)
        return Unfolded(derived=(*derived, *unused), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:  # noqa: ARG002
        """The bytes of a logical volume, or of a part of a disk that no volume has."""
        if is_part(derived):
            return open_part(derived, members[0].source)
        groups, _, _ = _grouped(members)
        try:
            for found in groups:
                for volume in found.group.volumes.values():
                    if derived.key == _UNMAPPED + volume.identifier:
                        return found.open_unmapped(volume, {one.key for one in found.unfold()[0]})
                    if volume.identifier == derived.key:
                        return found.open(volume)[0]
        except ImageReadError as error:
            message = f"the logical volume {derived.name} cannot be opened: {error}"
            raise VolumeError(message) from error
        message = f"the logical volume {derived.name} is not there any more"
        raise VolumeError(message)


@dataclass(frozen=True, slots=True)
class _Group:
    """A group, and which members are its disks; `members` are all, the one with the newest description first."""

    group: VolumeGroup
    members: list[Member]
    disks: dict[str, Member]

    def open(self, volume: LogicalVolume) -> tuple[ByteSource, GroupVolumes]:
        """A volume, and what it was opened with, which knows what it lacks.

        Raises:
            VolumeError: it cannot be put together.
            ImageReadError: what says how cannot be read.
        """
        volumes = self._volumes()
        snapshot = self._snapshot(volume)
        source = volumes.open(volume.name) if snapshot is None else volumes.open_snapshot(snapshot.segments[0])
        return source, volumes

    def open_unmapped(self, pool: LogicalVolume, opened: set[str]) -> ByteSource:
        """What of a thin pool no volume with one of these identifiers maps; all of its data where its map is damaged.

        Raises:
            VolumeError: it cannot be put together.
            ImageReadError: what says how cannot be read.
        """
        volumes = self._volumes()
        try:
            return volumes.open_unmapped(pool.name, self._thin(pool, opened))
        except (VolumeError, ImageReadError):
            return volumes.open(pool.segments[0].text("pool"))

    def _thin(self, pool: LogicalVolume, opened: set[str]) -> list[LogicalVolume]:
        every = (volume for volume in self.group.volumes.values() if volume.identifier in opened)
        return [volume for volume in every if any(segment.text("thin_pool") == pool.name for segment in volume.segments)]

    def _volumes(self) -> GroupVolumes:
        return GroupVolumes(self.group, {name: member.source for name, member in self.disks.items()})

    def unfold(self) -> tuple[list[Derived], list[Problem]]:
        """What can be opened, and what was wrong."""
        derived: list[Derived] = []
        problems: list[Problem] = []
        lacking = [name for name in self.group.disks if name not in self.disks]
        if lacking:
            there = len(self.group.disks) - len(lacking)
            what = f"{there} of {len(self.group.disks)} disks of the volume group {escape_text(self.group.name)} are there"
            problems.append(self._problem("volume-incomplete", what, f"missing: {escape_text(', '.join(lacking))}", _ALL_DISKS))
        for name, fault in self.group.faults.items():
            problems.append(self._unread(name, fault, "volume-not-read", _OTHER_TOOL))
        for volume in self._shown():
            try:
                source, volumes = self.open(volume)
            except (VolumeError, ImageReadError) as error:
                code, advice = ("volume-incomplete", _ALL_DISKS) if lacking else ("volume-not-read", _OTHER_TOOL)
                problems.append(self._unread(volume.name, str(error), code, advice))
                continue
            derived.append(self._derived(volume, source.size, volumes.missing))
            problems.extend(self._behind(volume, cache) for cache in sorted(volumes.unread_caches))
        return derived, problems

    def unmapped(self, opened: set[str]) -> list[Derived]:
        """Of each thin pool, what none of the volumes with these identifiers maps. A pool of which there is none is unused space."""
        found = []
        for pool in self.group.volumes.values():
            if pool.type == "thin-pool" and self._thin(pool, opened):
                size = self.open_unmapped(pool, opened).size
                made = self._derived(pool, size, set())
                what = "blocks of a thin pool that no volume has, one after the other"
                found.append(replace(made, key=_UNMAPPED + pool.identifier, what=what, is_gap=True))
        return [one for one in found if one.size]

    def unused(self, opened: set[str]) -> list[Derived]:
        """The parts of the group's disks that none of the volumes with these identifiers has."""
        names = [volume.name for volume in self.group.volumes.values() if volume.identifier in opened]
        used = {member.volume: used_ranges(self.group, names, self.group.disks[name]) for name, member in self.disks.items()}
        return [
            part
            for member in self.members  # one that is not used, too: all of it is in no volume
            for part in unused_parts(
                used.get(member.volume, ()),
                member.source.size,
                layer=Lvm.name,
                volume=member.volume,
                name=escape_text(self.group.name),
                what=_UNUSED,
            )
        ]

    def _shown(self) -> list[LogicalVolume]:
        """The volumes that `lvs` shows; a snapshot stands for the store of its copies."""
        stores = {volume.segments[0].text("cow_store") for volume in self.group.volumes.values() if volume.type == "snapshot"}
        return [
            volume
            for volume in self.group.volumes.values()
            if (volume.is_visible or volume.name in stores) and volume.type not in (*_POOLS, "snapshot")
        ]

    def _snapshot(self, volume: LogicalVolume) -> LogicalVolume | None:
        """The volume that describes the snapshot whose copies are in this one."""
        every = self.group.volumes.values()
        return next((one for one in every if one.type == "snapshot" and one.segments[0].text("cow_store") == volume.name), None)

    def _derived(self, volume: LogicalVolume, size: int, missing: set[str]) -> Derived:
        is_snapshot = self._snapshot(volume) is not None or bool(volume.segments[0].text("origin") and volume.type == "thin")
        return Derived(
            layer=Lvm.name,
            parents=tuple(member.volume for member in self.members),
            key=volume.identifier,
            name=escape_text(f"{self.group.name}/{volume.name}"),
            what="logical volume (snapshot)" if is_snapshot else f"logical volume ({escape_text(volume.type)})",
            size=size,
            created=volume.created * _NANOSECONDS if is_snapshot else None,
            incomplete=f"disks of its volume group are missing: {escape_text(', '.join(sorted(missing)))}" if missing else "",
        )

    def _behind(self, volume: LogicalVolume, cache: str) -> Problem:
        name = escape_text(f"{self.group.name}/{volume.name}")
        what = f"the logical volume {name} was read from its origin alone; what is listed may be older than what its cache holds"
        why = (
            f"its cache {escape_text(cache)} may hold what was not yet written back, and is not put in its place; it was read as raw space"
        )
        return self._problem(
            "volume-cache-not-read", what, why, "flush the cache on a copy of the disks (lvconvert --uncache), and compare"
        )

    def _unread(self, name: str, why: str, code: str, advice: str) -> Problem:
        what = f"the logical volume {escape_text(f'{self.group.name}/{name}')} could not be opened; nothing in it was listed"
        return self._problem(code, what, escape_text(why), advice)

    def _problem(self, code: str, what: str, why: str, advice: str) -> Problem:
        return Problem(stage=Stage.VOLUMES, code=code, what=what, why=why, advice=advice, volume=self.members[0].volume)


def _grouped(members: Sequence[Member]) -> tuple[list[_Group], list[Locked], list[Problem]]:
    """The groups that the members describe, the members that belong to none, and what else was wrong."""
    locked: list[Locked] = []
    problems: list[Problem] = []
    identifiers: dict[str, str] = {}
    described: dict[str, list[tuple[int, Member, VolumeGroup]]] = {}
    waiting: list[tuple[Member, str]] = []
    for member in members:
        try:
            disk = read_physical_volume(member.source)
            identifiers[member.volume] = disk.identifier
            if disk.text is None:
                waiting.append((member, disk.fault))
                continue
            group = read_group(disk.text)
        except (VolumeError, ImageReadError) as error:
            locked.append(_locked(member.volume, escape_text(str(error)), "volume-not-read"))
            continue
        described.setdefault(group.identifier, []).append((group.sequence, member, group))
    groups = []
    for found in described.values():
        found.sort(key=lambda one: -one[0])
        mine = [member for _, member, _ in found]
        group = found[0][2]
        wanted = {disk.identifier for disk in group.disks.values()}
        joining = [one for one in waiting if identifiers[one[0].volume] in wanted]
        waiting = [one for one in waiting if one not in joining]
        mine.extend(member for member, _ in joining)
        problems.extend(_damaged(member.volume, fault) for member, fault in joining if fault)
        by_identifier: dict[str, Member] = {}
        for member in mine:
            identifier = identifiers[member.volume]
            if identifier not in wanted or identifier in by_identifier:
                problems.append(_unused(member.volume, group.name))
            by_identifier.setdefault(identifier, member)
        disks = {name: by_identifier[disk.identifier] for name, disk in group.disks.items() if disk.identifier in by_identifier}
        groups.append(_Group(group, mine, disks))
    for member, fault in waiting:
        why = escape_text(fault) or "it carries no description of its volume group, and no other disk of the group is there"
        locked.append(_locked(member.volume, why, "volume-not-read" if fault else "volume-incomplete"))
    return groups, locked, problems


def _damaged(volume: str, fault: str) -> Problem:
    what = f"the description of the volume group on volume {volume} is damaged; that of another disk was used"
    return Problem(stage=Stage.VOLUMES, code="volume-metadata-damaged", what=what, why=escape_text(fault), advice="", volume=volume)


def _unused(volume: str, group: str) -> Problem:
    what = (
        f"volume {volume} says that it belongs to the volume group {escape_text(group)}, and is not used; its bytes were read as raw space"
    )
    why = "the newest description of the group does not know it, or it is there twice"
    return Problem(stage=Stage.VOLUMES, code="array-disk-unused", what=what, why=why, advice=_OTHER_TOOL, volume=volume)


def _locked(volume: str, why: str, code: str) -> Locked:
    return Locked(volume=volume, name=_NAME, code=code, why=why, advice=_ALL_DISKS, encrypted=False)
