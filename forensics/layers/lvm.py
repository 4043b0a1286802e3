"""Logical volumes of LVM2 through dissect.volume, over all volumes of an exhibit: linear, striped, mirrored, thin.

References:
    LVM2, lib/format_text/layout.h: label, physical volume header, metadata area.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dissect.volume.lvm import LVM2, LVM2Device

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

_LABEL = b"LABELONE"
_LABEL_SECTORS = 4
_SECTOR_BYTES = 512
_MOST_BYTES = 1 << 60
_ADVICE = "give all disks of the volume group as images of one exhibit"


class Lvm:
    """Volume groups of Linux."""

    name = "lvm2"
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether one of the first four sectors holds the label of a physical volume."""
        return any(head[at : at + 8] == _LABEL for at in range(0, _LABEL_SECTORS * _SECTOR_BYTES, _SECTOR_BYTES))

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:  # noqa: ARG002
        """The visible logical volumes of each volume group."""
        derived: list[Derived] = []
        locked: list[Locked] = []
        problems: list[Problem] = []
        groups: dict[str, list[Member]] = {}
        for member in members:
            group, error = tried(lambda member=member: _open([member.source]).volume_group)  # type: ignore[misc]
            if error is not None:
                locked.append(_locked(member.volume, f"its metadata cannot be read: {error}", "volume-not-read"))
            else:
                groups.setdefault(str(group.id), []).append(member)
        for key, parts in sorted(groups.items()):
            made, more = _volumes(key, parts)
            derived.extend(made)
            problems.extend(more)
        return Unfolded(derived=tuple(derived), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:  # noqa: ARG002
        """The bytes of a logical volume."""
        opened, error = tried(lambda: _opened_volume([member.source for member in members], derived.key))
        if error is not None:
            message = f"the logical volume {derived.name} cannot be opened: {error}"
            raise VolumeError(message) from error
        return LibrarySource(opened, derived.size, f"logical volume {derived.name}")


def _volumes(key: str, parts: list[Member]) -> tuple[list[Derived], list[Problem]]:
    derived: list[Derived] = []
    problems: list[Problem] = []
    # The youngest metadata counts; an older one stands on a disk that was away when the group was changed.
    newest, error = tried(lambda: sorted(parts, key=lambda one: -int(_open([one.source]).metadata[_group_name(one)]["seqno"])))
    ordered = newest if error is None else parts
    group = _open([one.source for one in ordered]).volume_group
    there = {_device_id(one) for one in ordered}
    missing = [str(pv.name) for pv in group.pv if str(pv.id).replace("-", "") not in there]
    if missing:
        what = f"{len(missing)} of {len(group.pv)} disks of the volume group {escape_text(group.name)} are not there"
        problems.append(_problem(ordered[0].volume, "volume-incomplete", what, ", ".join(missing)))
    volumes = tuple(member.volume for member in ordered)
    for logical in group.lv:
        if not logical.is_visible:
            continue
        name = f"{escape_text(group.name)}/{escape_text(logical.name)}"
        size = sum(int(one.extent_count) for one in logical.segments) * int(group.extent_size) * _SECTOR_BYTES
        _, error = tried(logical.open)
        if error is not None or not 0 < size <= _MOST_BYTES:
            what = f"the logical volume {name} ({logical.type}) could not be opened; nothing in it was listed"
            why = f"{type(error).__name__}: {error}" if error is not None else f"it states {size} bytes"
            problems.append(_problem(ordered[0].volume, "volume-not-read", what, why))
            continue
        derived.append(
            Derived(
                layer=Lvm.name,
                parents=volumes,
                key=str(logical.id),
                name=name,
                what=f"logical volume ({logical.type})",
                size=size,
                incomplete=f"disks of its volume group are missing: {', '.join(missing)}" if missing else "",
            )
        )
    del key
    return derived, problems


def _open(sources: list[ByteSource]) -> Any:
    return LVM2([SourceStream(source) for source in sources])


def _opened_volume(sources: list[ByteSource], key: str) -> Any:
    group = _open(sources).volume_group
    return next(one for one in group.lv if str(one.id) == key).open()


def _group_name(member: Member) -> str:
    return str(_open([member.source]).volume_group.name)


def _device_id(member: Member) -> str:
    return str(LVM2Device(SourceStream(member.source)).id).replace("-", "")


def _problem(volume: str, code: str, what: str, why: str) -> Problem:
    return Problem(stage=Stage.VOLUMES, code=code, what=what, why=why, advice=_ADVICE, volume=volume)


def _locked(volume: str, why: str, code: str) -> Locked:
    return Locked(volume=volume, name="LVM2 physical volume", code=code, why=why, advice=_ADVICE, encrypted=False)
