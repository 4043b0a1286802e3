"""Partition tables inside a volume: an array, a logical volume or an unlocked volume that holds a disk, a partition with one of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.errors import VolumeError
from forensics.layers.base import Derived, Locked, Unfolded
from forensics.source import SourceSlice
from forensics.volumes import read_nested_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.errors import Problem
    from forensics.layers.base import Member
    from forensics.source import ByteSource
    from forensics.volumes import Extent

_MOST_NESTED = 1024
"""Partitions and gaps made of the tables met together: tables may lie in one another, and each of a hostile one's holds as many again."""


class Partitions:
    """Volumes that hold a partition table."""

    name = "partitions"
    title = "partition table"
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether a table is there that divides the volume."""
        return read_nested_layout(member.source) is not None

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:  # noqa: ARG002
        """The partitions of each member, then the gaps between them."""
        derived: list[Derived] = []
        problems: list[Problem] = []
        locked: list[Locked] = []
        for member in members:
            layout = read_nested_layout(member.source)
            tiles = () if layout is None else (*layout.volumes, *(one for one in layout.extents if one.is_gap))
            if layout is None or len(derived) + len(tiles) > _MOST_NESTED:
                locked.append(_not_followed(member.volume, len(tiles)))
                continue
            problems.extend(replace(problem, volume=member.volume) for problem in layout.problems)
            derived.extend(_derived(member.volume, tile) for tile in tiles if tile.own_bytes)
        return Unfolded(derived=tuple(derived), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:  # noqa: ARG002
        """The partition's bytes, by its key alone."""
        (member,) = members
        try:
            start, size = map(int, derived.key.split(":"))
        except ValueError as error:
            message = f"volume {member.volume}: {derived.key!r} names no partition"
            raise VolumeError(message) from error
        return SourceSlice(member.source, start, size)


def _derived(volume: str, tile: Extent) -> Derived:
    return Derived(
        layer=Partitions.name,
        parents=(volume,),
        key=f"{tile.origin_byte}:{tile.own_bytes}",
        name="" if tile.is_gap else tile.type,
        what="gap" if tile.is_gap else f"{tile.scheme} partition {tile.slot}",
        size=tile.own_bytes,
        is_gap=tile.is_gap,
    )


def _not_followed(volume: str, count: int) -> Locked:
    return Locked(
        volume=volume,
        name="partition table",
        code="volume-not-read",
        why=f"its {count} partitions and gaps would be more than {_MOST_NESTED} of those that lie in other volumes",
        advice="look at the partition table with another tool: no disk in use has so many",
        encrypted=False,
    )
