"""Linux software RAID (md), over all volumes of an exhibit. What is missing is computed where it can be, and said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, Problem, Stage, VolumeError
from forensics.layers.base import Derived, Locked, Unfolded
from forensics.layers.md_superblock import has_superblock, read_superblock
from forensics.layers.raid_component import Component
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
_ADVICE = "give all disks of the array as images of one exhibit"


class Md:
    """Arrays of Linux."""

    name = "md"
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the metadata may stand at the end
        """Whether the volume has md's metadata in one of its places."""
        return has_superblock(member.source)

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:  # noqa: ARG002
        """The arrays that the members make up."""
        derived: list[Derived] = []
        locked: list[Locked] = []
        problems: list[Problem] = []
        arrays: dict[str, list[_Disk]] = {}
        for member in members:
            try:
                block = read_superblock(member.source)
            except (ImageReadError, VolumeError) as error:
                locked.append(_locked(member.volume, "md", escape_text(str(error)), "volume-not-read"))
                continue
            arrays.setdefault(block.set_uuid, []).append(_Disk(member, block))
        for uuid, disks in arrays.items():
            chosen = _Chosen(disks)
            try:
                made, source = chosen.derived(uuid), chosen.source()
            except VolumeError as error:
                code = "volume-incomplete" if chosen.missing else "volume-not-read"
                locked.extend(_locked(disk.member.volume, chosen.what, str(error), code) for disk in disks)
                continue
            derived.append(replace(made, size=source.size))
            problems.extend(chosen.problems(made))
        return Unfolded(derived=tuple(derived), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:  # noqa: ARG002
        """The array's bytes."""
        try:
            return _Chosen([_Disk(member, read_superblock(member.source)) for member in members]).source()
        except ImageReadError as error:
            message = f"the {derived.what} {derived.key} cannot be put together: {error}"
            raise VolumeError(message) from error


@dataclass(frozen=True, slots=True)
class _Disk:
    member: Member
    block: MdSuperblock

    def component(self, size: int) -> Component:
        block = self.block
        used = min(block.data_size, size)
        return Component(source=self.member.source, start=block.data_start, size=min(used, block.valid_size), bad=block.bad)


class _Chosen:
    """Which disk takes which place of an array."""

    def __init__(self, disks: list[_Disk]) -> None:
        self._all = disks
        self.newest = max(disks, key=lambda disk: disk.block.events).block
        self.what = _NAMES.get(self.newest.level, f"array of level {self.newest.level}")
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
        if block.unread:
            raise VolumeError(block.unread)
        if block.level not in _NAMES:
            message = f"an array of level {block.level} is not read by this version"
            raise VolumeError(message)
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
        for disk in self._all:
            if disk not in self.roles.values():
                away = disk.block.role is not None
                why = f"it was written {disk.block.events} times, the array {self.newest.events}" if away else "it is a spare, or failed"
                what = f"volume {disk.member.volume} belongs to the {made.what} {made.key}, and what is on it is not used"
                found.append(_problem("array-disk-unused", what, why, disk.member.volume))
        return found


def _by_role(disks: list[_Disk]) -> dict[int, _Disk]:
    roles: dict[int, _Disk] = {}
    for disk in disks:
        role = disk.block.role
        if role is not None and (role not in roles or disk.block.events > roles[role].block.events):
            roles[role] = disk
    return roles


def _array(
    block: MdSuperblock, disks: list[_Disk | None], there: list[_Disk]
) -> LinearArray | StripedArray | MirroredArray | StripedMirrors | ParityArray:
    if block.level in (-1, 0):
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
    return Problem(stage=Stage.VOLUMES, code=code, what=what, why=why, advice=_ADVICE, volume=volume)


def _locked(volume: str, what: str, why: str, code: str) -> Locked:
    return Locked(
        volume=volume,
        name=f"disk of an {what}" if what[0] in "aR" else f"disk of a {what}",
        code=code,
        why=why,
        advice=_ADVICE,
        encrypted=False,
    )
