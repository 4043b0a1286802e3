"""Linux software RAID (md) through dissect.volume, over all volumes of an exhibit.

Put right here: dissect takes the size of a component for that of a whole array of level 4, 5, 6 or 10, and counts the components of
metadata 0.90 in sectors where they are KiB.

References:
    Linux, include/uapi/linux/raid/md_p.h: mdp_superblock_s.size, mdp_superblock_1.size; drivers/md/raid5.c, raid5_size;
    drivers/md/raid10.c, raid10_size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dissect.volume.md.md import MD, MDPhysicalDisk, find_super_block

from forensics.errors import Problem, Stage, VolumeError
from forensics.layers.base import Derived, Locked, Unfolded
from forensics.layers.library_source import LibrarySource, tried
from forensics.names import escape_text
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.source import ByteSource

_SECTOR_BYTES = 512
_MOST_DISKS = 384  # MD_SB_DISKS of metadata 1
_MOST_BYTES = 1 << 60
_NAMES = {-1: "linear array", **{level: f"RAID {level} array" for level in (0, 1, 4, 5, 6, 10)}}
# How many disks an array can do without; RAID 10 at least one, which ones decides more.
_SPARE = {-1: 0, 0: 0, 4: 1, 5: 1, 6: 2, 10: 1}
_ADVICE = "give all disks of the array as images of one exhibit"


class Md:
    """Arrays of Linux."""

    name = "md"
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the metadata may stand at the end
        """Whether the volume has md's metadata in one of its places."""
        found, error = tried(lambda: find_super_block(SourceStream(member.source)))
        return error is None and found[0] is not None

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:  # noqa: ARG002
        """The arrays that the members make up."""
        derived: list[Derived] = []
        locked: list[Locked] = []
        problems: list[Problem] = []
        arrays: dict[str, list[tuple[Member, Any]]] = {}
        for member in members:
            disk, error = tried(lambda member=member: MDPhysicalDisk(SourceStream(member.source)))  # type: ignore[misc]
            if error is not None:
                locked.append(_locked(member.volume, f"its metadata cannot be read: {error}", "volume-not-read"))
            else:
                arrays.setdefault(str(disk.set_uuid), []).append((member, disk))
        for uuid, parts in sorted(arrays.items()):
            made, why = _derived(uuid, parts)
            if made is None:
                locked.extend(_locked(member.volume, why, "volume-incomplete") for member, _ in parts)
                continue
            derived.append(made)
            problems.extend(_differing(made, parts))
        return Unfolded(derived=tuple(derived), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:  # noqa: ARG002
        """The array's bytes."""
        opened, error = tried(lambda: _open([member.source for member in members], derived.size))
        if error is not None:
            message = f"the array {derived.name} cannot be opened: {error}"
            raise VolumeError(message) from error
        return LibrarySource(opened, derived.size, derived.what)


def _derived(uuid: str, parts: list[tuple[Member, Any]]) -> tuple[Derived | None, str]:
    """The array, or why there is none."""
    newest = max((disk for _, disk in parts), key=lambda disk: disk.events)
    roles: dict[int, tuple[Member, Any]] = {}
    for member, disk in parts:
        if disk.raid_disk is not None and (disk.raid_disk not in roles or disk.events > roles[disk.raid_disk][1].events):
            roles[disk.raid_disk] = (member, disk)
    level, count = int(newest.level), int(newest.raid_disks)
    what = _NAMES.get(level)
    if what is None or not 0 < count <= _MOST_DISKS:
        return None, f"an array of level {level} with {count} disks is not read"
    missing = count - len(roles)
    if not roles or missing > _SPARE.get(level, count - 1):
        return None, f"{len(roles)} of {count} disks of the {what} {uuid} are there, which is too few"
    ordered = [roles[role] for role in sorted(roles)]
    size, error = tried(lambda: _size(newest, [disk for _, disk in ordered]))
    if error is not None or not 0 < size <= _MOST_BYTES:
        return None, f"the {what} {uuid} states a size that cannot be: {error or size}"
    _, error = tried(lambda: _open([member.source for member, _ in ordered], size))
    if error is not None:
        return None, f"the {what} {uuid} cannot be put together: {error}"
    derived = Derived(
        layer=Md.name,
        parents=tuple(member.volume for member, _ in ordered),
        key=uuid,
        name=escape_text(newest.set_name or ""),
        what=what,
        size=size,
        incomplete=f"{missing} of {count} disks are missing; their part is computed from the others" if missing > 0 else "",
    )
    return derived, ""


def _open(sources: list[ByteSource], size: int) -> Any:
    disk = MD([SourceStream(source) for source in sources]).configurations[0].virtual_disks[0]
    disk.size = size
    return disk.open()


def _size(newest: Any, disks: list[Any]) -> int:
    level, count, chunk = int(newest.level), int(newest.raid_disks), int(newest.chunk_size)
    component = int(newest.sb.size) * (_SECTOR_BYTES if newest.sb.major_version == 1 else 1024)
    if level == -1:
        return sum(int(disk.size) for disk in disks)
    if level == 0:
        return sum(int(disk.size) // chunk * chunk for disk in disks)
    if level == 1:
        return component
    if level == 10:  # noqa: PLR2004 - RAID 10
        near, far = int(newest.layout) & 0xFF, int(newest.layout) >> 8 & 0xFF
        return component // chunk // far * count // near * chunk
    return component // chunk * chunk * (count - _SPARE[level])


def _differing(made: Derived, parts: list[tuple[Member, Any]]) -> list[Problem]:
    """A problem where the disks were not all written the last time the array was."""
    used = [(member, disk) for member, disk in parts if member.volume in made.parents]
    events = {disk.events for _, disk in used}
    left = [member.volume for member, _ in parts if member.volume not in made.parents]
    found = []
    if len(events) > 1:
        why = ", ".join(f"{member.volume}: {disk.events}" for member, disk in used)
        what = f"the disks of the {made.what} {made.key} were not written the same number of times; what the oldest hold may be out of date"
        found.append(Problem(stage=Stage.VOLUMES, code="array-out-of-step", what=what, why=why, advice=_ADVICE, volume=made.parents[0]))
    for volume in left:
        what = f"volume {volume} belongs to the {made.what} {made.key} and is not used in it"
        found.append(Problem(stage=Stage.VOLUMES, code="array-spare", what=what, why="a spare, or an older copy of a disk", volume=volume))
    return found


def _locked(volume: str, why: str, code: str) -> Locked:
    return Locked(volume=volume, name="md RAID member", code=code, why=why, advice=_ADVICE, encrypted=False)
