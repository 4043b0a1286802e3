"""Dynamic disks of Windows (LDM): simple, spanned, striped, mirrored and RAID-5 volumes over the disks of an exhibit.

The database lies outside of every partition, so the members of this layer are whole disks, not the partitions on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, Problem, Stage, VolumeError
from forensics.layers.base import Derived, Locked, Unfolded
from forensics.layers.ldm_database import SECTOR_BYTES, is_dynamic, read_database, read_head
from forensics.layers.raid_component import Component, MissingBytes
from forensics.layers.raid_copies import ORIGINAL_LAYOUT, LinearArray, MirroredArray, StripedArray
from forensics.layers.raid_parity import ParityArray
from forensics.layers.unit_source import UnitSource
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.layers.ldm_database import DiskHead, LdmComponent, LdmDatabase, LdmPart, LdmVolume
    from forensics.source import ByteSource

_NAME = "dynamic disk (LDM)"
_ADVICE = "give all disks of the group as images of one exhibit"
_LEFT_SYMMETRIC = 2
_MAX_SECTORS = 1 << 53
_WHATS = {"spanned": "spanned", "striped": "striped", "raid5": "RAID-5"}


class DynamicDisk:
    """Groups of dynamic disks."""

    name = "dynamic disk"
    title = _NAME
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether the whole disk is a dynamic one."""
        return is_dynamic(head)

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:  # noqa: ARG002
        """The volumes of each group."""
        groups, locked = _grouped(members)
        derived: list[Derived] = []
        problems: list[Problem] = []
        for group in groups:
            for volume in group.database.volumes.values():
                try:
                    derived.append(group.derived(volume))
                except VolumeError as error:
                    problems.append(group.problem(volume, str(error)))
        return Unfolded(derived=tuple(derived), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:  # noqa: ARG002
        """The bytes of a volume."""
        groups, _ = _grouped(members)
        for group in groups:
            for number, volume in group.database.volumes.items():
                if volume.identifier == derived.key:
                    return group.open(number, volume)
        message = f"the dynamic volume {derived.name} is not there any more"
        raise VolumeError(message)


@dataclass(frozen=True, slots=True)
class _Group:
    """A group: the newest copy of its database, and its disks that are there, by their identifiers."""

    name: str
    database: LdmDatabase
    disks: dict[str, tuple[Member, DiskHead]]

    def derived(self, volume: LdmVolume) -> Derived:
        """The volume.

        Raises:
            VolumeError: it cannot be put together.
        """
        number = next(key for key, one in self.database.volumes.items() if one is volume)
        source = self.open(number, volume)
        parts = [part for component in self._components(number) for part in self._parts(component)]
        used = [disk for part in parts for disk in [self.database.disks.get(part.disk, ("", f"disk {part.disk}"))]]
        missing = sorted({name for identifier, name in used if identifier not in self.disks})
        there = dict.fromkeys(self.disks[identifier][0].volume for identifier, _ in used if identifier in self.disks)
        if not there:
            message = "none of its disks is there"
            raise VolumeError(message)
        kinds = [component.kind for _, component in self._components(number)]
        what = "mirrored" if len(kinds) > 1 else "simple" if len(parts) == 1 else _WHATS.get(kinds[0], kinds[0])
        total = len({name for _, name in used})
        return Derived(
            layer=DynamicDisk.name,
            parents=tuple(there),
            key=volume.identifier,
            name=escape_text(f"{volume.name} {volume.hint}".strip()),
            what=f"dynamic volume ({what})",
            size=source.size,
            incomplete=f"{len(missing)} of {total} disks are missing: {escape_text(', '.join(missing))}" if missing else "",
        )

    def open(self, number: int, volume: LdmVolume) -> ByteSource:
        """The volume's bytes.

        Raises:
            VolumeError: it cannot be put together.
        """
        arrays = [self._array(component, parts) for component in self._components(number) if (parts := self._parts(component))]
        size = volume.size * SECTOR_BYTES
        if not arrays or not 0 < volume.size <= _MAX_SECTORS or any(array.size < size for array in arrays):
            message = "it is made of less than it states"
            raise VolumeError(message)
        if len(arrays) == 1:
            return UnitSource(arrays[0].read, size=size)
        copies = [Component(source=UnitSource(array.read, size=size), start=0, size=size) for array in arrays]
        return UnitSource(MirroredArray(copies, size=size).read, size=size)

    def _components(self, volume: int) -> list[tuple[int, LdmComponent]]:
        return [(number, one) for number, one in self.database.components.items() if one.parent == volume]

    def _parts(self, component: tuple[int, LdmComponent]) -> list[LdmPart]:
        return sorted((one for one in self.database.parts.values() if one.parent == component[0]), key=lambda one: (one.column, one.offset))

    def _array(self, component: tuple[int, LdmComponent], parts: list[LdmPart]) -> LinearArray | StripedArray | ParityArray:
        kind, chunk = component[1].kind, component[1].chunk * SECTOR_BYTES
        placed = [self._placed(part) for part in parts]
        if kind == "spanned":
            return LinearArray(placed)
        if kind not in _WHATS or not chunk or len({part.column for part in parts}) != len(parts):
            message = "it was made larger after it was striped, or is of a kind that this version does not read"
            raise VolumeError(message)
        if kind == "striped":
            return StripedArray(placed, chunk=chunk, layout=ORIGINAL_LAYOUT)
        disks = [None if isinstance(one.source, MissingBytes) else one for one in placed]
        size = min(one.size for one in placed)
        return ParityArray(disks, level=5, layout=_LEFT_SYMMETRIC, chunk=chunk, component_size=size)

    def _placed(self, part: LdmPart) -> Component:
        identifier, name = self.database.disks.get(part.disk, ("", f"disk {part.disk}"))
        found = self.disks.get(identifier)
        start = (part.start + (found[1].data_start if found else 0)) * SECTOR_BYTES
        size = part.size * SECTOR_BYTES
        source = found[0].source if found else MissingBytes(start + size, f"the dynamic disk {name} is missing")
        return Component(source=source, start=start, size=size)

    def problem(self, volume: LdmVolume, why: str) -> Problem:
        """What is said of a volume that cannot be opened."""
        what = f"the dynamic volume {escape_text(volume.name)} of the group {escape_text(self.name)} could not be opened"
        first = next(iter(self.disks.values()))[0].volume
        return Problem(stage=Stage.VOLUMES, code="volume-incomplete", what=what, why=escape_text(why), advice=_ADVICE, volume=first)


def _grouped(members: Sequence[Member]) -> tuple[list[_Group], list[Locked]]:
    """The groups of the disks, and those disks that cannot be used."""
    locked = []
    found: dict[str, list[tuple[LdmDatabase, Member, DiskHead]]] = {}
    for member in members:
        try:
            head = read_head(member.source)
            database = read_database(member.source, head)
        except (VolumeError, ImageReadError) as error:
            why = escape_text(str(error))
            locked.append(Locked(volume=member.volume, name=_NAME, code="volume-not-read", why=why, advice=_ADVICE, encrypted=False))
            continue
        found.setdefault(head.group, []).append((database, member, head))
    groups = []
    for disks in found.values():
        newest = max(disks, key=lambda one: one[0].sequence)
        by_identifier: dict[str, tuple[Member, DiskHead]] = {}
        for _, member, head in disks:
            by_identifier.setdefault(head.disk, (member, head))
        groups.append(_Group(newest[2].group_name, newest[0], by_identifier))
    return groups, locked
