"""Linux software RAID (md), over all volumes of an exhibit. What is missing is computed where it can be, and said.

What of a disk is no part of an array (metadata, bitmap, reserved space, the rest at its end) is raw space of its own. So is a disk that the
array does without; one of a mirror holds a whole copy, and is listed by itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, Problem, Stage, VolumeError
from forensics.layers.base import Derived, Locked, Unfolded
from forensics.layers.disk_part import is_part, open_part, unused_parts
from forensics.layers.md_disk import WITHOUT_COPIES, MdDisk
from forensics.layers.md_superblock import has_superblock, read_superblock
from forensics.layers.raid_copies import LinearArray, MirroredArray, StripedArray, StripedMirrors
from forensics.layers.raid_parity import LEVELS, ParityArray
from forensics.layers.unit_source import UnitSource
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.layers.md_superblock import MdSuperblock
    from forensics.source import ByteSource

_NAMES = {-1: "linear array", **{level: f"RAID {level} array" for level in (0, 1, 4, 5, 6, 10)}}
_MAX_BYTES = 1 << 62
_ADVICE_DISKS = "give all disks of the array as images of one exhibit"
_ADVICE_TOOL = "put the array together with a tool that knows this kind, e.g. mdadm, on copies of the disks"
_ADVICE_ARRAY = "compare it with the array: it may hold what was later changed or deleted there"
_ALONE = "alone"


class Md:
    """Arrays of Linux."""

    name = "md"
    title = "md RAID member"
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the metadata may stand at the end
        """Whether the volume has md's metadata in one of its places."""
        return has_superblock(member.source)

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:  # noqa: ARG002
        """The arrays that the members make up."""
        derived: list[Derived] = []
        rest: list[Derived] = []
        locked: list[Locked] = []
        problems: list[Problem] = []
        arrays: dict[str, list[MdDisk]] = {}
        for member in members:
            try:
                block = read_superblock(member.source)
            except (ImageReadError, VolumeError) as error:
                locked.append(_locked(member.volume, "array of md", escape_text(str(error)), "volume-not-read"))
                continue
            arrays.setdefault(block.set_uuid, []).append(MdDisk(member, block))
        for uuid, disks in arrays.items():
            chosen = _Chosen(disks)
            try:
                made, source = chosen.derived(uuid), chosen.source()
            except VolumeError as error:
                code = "volume-incomplete" if chosen.missing and not chosen.unread else "volume-not-read"
                locked.extend(_locked(disk.member.volume, chosen.what, str(error), code) for disk in disks)
                continue
            derived.append(replace(made, size=source.size))
            rest.extend(part for disk in disks for part in chosen.parts(disk, made))
            problems.extend(chosen.problems(made))
        # Arrays first: of two volumes with the same identifier in them, that of the array is taken before that of a disk alone.
        return Unfolded(derived=(*derived, *rest), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:  # noqa: ARG002
        """The bytes of an array, of a mirror's disk by itself, or of a part of a disk."""
        if is_part(derived):
            return open_part(derived, members[0].source)
        try:
            if derived.key == _ALONE:
                return MdDisk(members[0], read_superblock(members[0].source)).copy()
            return _Chosen([MdDisk(member, read_superblock(member.source)) for member in members]).source()
        except ImageReadError as error:
            message = f"the {derived.what} {derived.key} cannot be put together: {error}"
            raise VolumeError(message) from error


class _Chosen:
    """Which disk takes which place of an array."""

    def __init__(self, disks: list[MdDisk]) -> None:
        self._all = disks
        self.newest = max(disks, key=lambda disk: disk.block.events).block
        self.what = _NAMES.get(self.newest.level, f"array of level {self.newest.level}")
        self.unread = self.newest.unread or ("" if self.newest.level in _NAMES else f"an {self.what} is not read by this version")
        # The kernel takes a disk that misses one event, and throws out what misses more (md.c, super_1_validate).
        fresh = [disk for disk in disks if disk.block.events + 1 >= self.newest.events]
        self.roles = _by_role(fresh)
        self.is_stale = self.newest.level not in (-1, 0) and self._lacks() and len(_by_role(disks)) > len(self.roles)
        if self.is_stale:
            self.roles = _by_role(disks)
        self.missing = [role for role in range(self.newest.disks) if role not in self.roles]

    def _lacks(self) -> bool:
        """Whether the fresh disks are too few."""
        try:
            self.source()
        except VolumeError:
            return True
        return False

    def derived(self, uuid: str) -> Derived:
        """The array, of a size that is yet to be known.

        Raises:
            VolumeError: no disk of it is in use.
        """
        if not self.roles:
            message = f"no disk of the {self.what} {uuid} that is in use is there; {len(self._all)} spare or failed are"
            raise VolumeError(message)
        return Derived(
            layer=Md.name,
            parents=tuple(self.roles[role].member.volume for role in sorted(self.roles)),
            key=uuid,
            name=escape_text(self.newest.name),
            what=self.what,
            size=0,
            incomplete=self._incomplete(),
        )

    def _incomplete(self) -> str:
        causes = []
        if self.missing:
            unsafe = "" if self.newest.is_clean or self.newest.level not in LEVELS else ", and it was not shut down cleanly"
            causes.append(f"{len(self.missing)} of {self.newest.disks} disks are missing; what they held is taken from the others{unsafe}")
        if self.is_stale:
            causes.append("a disk that was away when the array last changed had to be used; what it holds may be out of date")
        if self.newest.has_journal:
            causes.append("what stands only in its write journal is not read")
        return "; ".join(causes)

    def source(self) -> ByteSource:
        """The array's bytes.

        Raises:
            VolumeError: it cannot be put together.
        """
        block = self.newest
        disks = [self.roles.get(role) for role in range(block.disks)]
        there = [disk for disk in disks if disk is not None]
        if self.unread:
            raise VolumeError(self.unread)
        try:
            array = _array(block, disks, there)
        except VolumeError as error:
            message = f"{error} ({len(there)} of {block.disks} disks are there)"
            raise VolumeError(message) from error
        if not 0 < array.size <= _MAX_BYTES:
            message = f"it states a size that cannot be, {array.size} bytes"
            raise VolumeError(message)
        return UnitSource(array.read, size=array.size)

    def problems(self, made: Derived) -> list[Problem]:
        """What is to be known of disks that are not used, and of such that should not be."""
        found = []
        for disk in self._unused():
            what = f"volume {disk.member.volume} belongs to the {made.what} {made.key}, which is put together without it; "
            what += "its copy is listed by itself, without artifacts" if disk.is_mirror else "its bytes were read as raw space"
            found.append(_problem("array-disk-unused", what, self._why_unused(disk), disk.member.volume))
        return found

    def parts(self, disk: MdDisk, made: Derived) -> list[Derived]:
        """What is to be read of a disk beside the array."""
        volume, used = disk.member.volume, [disk.used()]
        found = []
        if disk in self._unused():
            used = []
            if disk.is_mirror:
                copy = disk.copy()
                used = [(disk.block.data_start, disk.block.data_start + copy.size)]
                what = f"{made.what}, as this disk alone has it"
                found.append(replace(made, parents=(volume,), key=_ALONE, what=what, size=copy.size, incomplete="", is_copy=True))
        what = f"bytes of a disk that are not in the {made.what}"
        return found + unused_parts(used, disk.member.source.size, layer=Md.name, volume=volume, name=made.name, what=what)

    def _unused(self) -> list[MdDisk]:
        return [disk for disk in self._all if disk not in self.roles.values()]

    def _why_unused(self, disk: MdDisk) -> str:
        block = disk.block
        if block.role is None:
            return "it is a spare, or failed"
        written = f"last at {disk.updated} by the machine's clock"
        if block.events < self.newest.events:
            return f"it was away when the array changed: it was written {block.events} times, the array {self.newest.events}, it {written}"
        taker = self.roles[block.role].member.volume
        return (
            f"its place is taken by volume {taker}, which was written as often, {written}: one is a copy of the other, or they went apart"
        )


def _by_role(disks: list[MdDisk]) -> dict[int, MdDisk]:
    roles: dict[int, MdDisk] = {}
    for disk in disks:
        role = disk.block.role
        if role is not None and (role not in roles or disk.block.events > roles[role].block.events):
            roles[role] = disk
    return roles


def _array(
    block: MdSuperblock, disks: list[MdDisk | None], there: list[MdDisk]
) -> LinearArray | StripedArray | MirroredArray | StripedMirrors | ParityArray:
    if block.level in WITHOUT_COPIES:
        if len(there) < len(disks):
            message = "each of its disks is needed, and not all are there"
            raise VolumeError(message)
        whole = [disk.component(disk.block.data_size) for disk in there]
        if block.level:
            return LinearArray(whole, chunk=block.chunk)
        return StripedArray(whole, chunk=block.chunk, layout=block.layout)
    components = [None if disk is None else disk.component(block.component_size) for disk in disks]
    if block.level == 1:
        if not there:
            message = "none of its disks is there"
            raise VolumeError(message)
        return MirroredArray(components, size=block.component_size)
    if block.level in LEVELS:
        return ParityArray(components, level=block.level, layout=block.layout, chunk=block.chunk, component_size=block.component_size)
    return StripedMirrors(components, chunk=block.chunk, layout=block.layout, component_size=block.component_size)


def _problem(code: str, what: str, why: str, volume: str) -> Problem:
    return Problem(stage=Stage.VOLUMES, code=code, what=what, why=why, advice=_ADVICE_ARRAY, volume=volume)


def _locked(volume: str, what: str, why: str, code: str) -> Locked:
    return Locked(
        volume=volume,
        name=f"disk of {'an' if what.startswith('array') else 'a'} {what}",
        code=code,
        why=why,
        advice=_ADVICE_DISKS if code == "volume-incomplete" else _ADVICE_TOOL,
        encrypted=False,
    )
