"""What a survey says of each volume and gap of an exhibit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forensics.errors import Problem
    from forensics.volume_tree import VolumeNode
    from forensics.volumes import Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVolume:
    """A volume or gap and what was found in it.

    Attributes:
        node: its address.
        tile: its place on the image; None for a volume derived from others.
        disk_start: where its disk begins in the exhibit's media, bytes.
        filesystem: name of the filesystem, or of what the volume's signature says it is; None where nothing is known.
        encrypted: whether it is encrypted and was not unlocked.
        reason: why no filesystem of its own is read in it; empty where one is.
        holds: identifiers of the volumes derived from it.
    """

    node: VolumeNode
    tile: Extent | None
    disk_start: int
    filesystem: str | None
    encrypted: bool = False
    reason: str = ""
    holds: tuple[str, ...] = ()

    @property
    def volume(self) -> str:
        """Its identifier."""
        return self.node.volume

    @property
    def is_gap(self) -> bool:
        """Whether it lies outside every volume, of the image or of the disk that a volume holds."""
        return self.node.derived.is_gap if self.node.derived is not None else self.tile is not None and self.tile.is_gap

    @property
    def reader(self) -> str:
        """Engine that lists it: tsk, dissect, evidex, logical, raw, or none."""
        return self.node.found.reader if self.node.found is not None else "none"

    @property
    def is_read(self) -> bool:
        """Whether something in it is listed, raw space too."""
        return self.node.found is not None

    @property
    def status(self) -> str:
        """Read (its filesystem is), raw (its bytes are), unfolded (volumes derived from it are), or not read."""
        if self.node.found is not None:
            return "raw" if self.node.found.reader == "raw" else "read"
        return "unfolded" if self.holds else "not read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The volumes and gaps of an exhibit, tiles in byte order with what was derived from each behind it, and the problems met."""

    volumes: tuple[FoundVolume, ...]
    problems: tuple[Problem, ...]

    @property
    def nodes(self) -> tuple[VolumeNode, ...]:
        """The addresses of all."""
        return tuple(one.node for one in self.volumes)
