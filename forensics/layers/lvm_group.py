"""The description of a volume group, as text -> its disks and logical volumes, checked for sense.

References:
    LVM2 2.03, lib/format_text/import_vsn1.c; lib/*/ of each segment type (their text_import functions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import VolumeError
from forensics.layers.lvm_metadata import SECTOR_BYTES

if TYPE_CHECKING:
    from forensics.layers.lvm_metadata import Section, Value

_MAX_EXTENT_SECTORS = 1 << 32
_MAX_EXTENTS = 1 << 40
_MOST_VOLUMES = 8192
_NAMES = ("stripes", "mirrors", "raids", "raid0_lvs")  # of what a segment is made


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDisk:
    """A disk of the group: its name in the text, its UUID without hyphens, and where its first extent starts, in bytes."""

    name: str
    identifier: str
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LvSegment:
    """A run of extents of a logical volume, of one type. `start` and `size` in bytes; `values` is the rest of what it states."""

    start: int
    size: int
    type: str
    values: Section

    def number(self, key: str, default: int = 0) -> int:
        """A number that it states.

        Raises:
            VolumeError: it is no number, or negative.
        """
        return _number(self.values, key, default)

    def text(self, key: str) -> str:
        """A name that it states, "" if it does not."""
        found = self.values.get(key, "")
        return found if isinstance(found, str) else ""

    def names(self) -> list[str | int]:
        """What it is made of, as stated: names of disks and volumes, and the extents where they start."""
        found = next((value for key in _NAMES if isinstance(value := self.values.get(key), list)), [])
        return [item for item in found if isinstance(item, str | int)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalVolume:
    """A logical volume. `created` is when, in seconds since 1970 UTC, 0 if it is not stated; `size` in bytes."""

    name: str
    identifier: str
    is_visible: bool
    created: int
    segments: tuple[LvSegment, ...]

    @property
    def size(self) -> int:
        """Where its last segment ends, in bytes."""
        return self.segments[-1].start + self.segments[-1].size

    @property
    def type(self) -> str:
        """Type of its first segment; "linear" where a striped one has one stripe, as `lvs` calls it."""
        first = self.segments[0]
        return "linear" if first.type == "striped" and first.values.get("stripe_count") == 1 else first.type


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeGroup:
    """A volume group. `sequence` counts its changes; `extent` is the size of an extent in bytes; disks and volumes are by name.

    `faults` are the volumes that make no sense, by name, each with the cause.
    """

    name: str
    identifier: str
    sequence: int
    extent: int
    disks: dict[str, GroupDisk]
    volumes: dict[str, LogicalVolume]
    faults: dict[str, str]


def read_group(text: Section) -> VolumeGroup:
    """The group that the text describes.

    Raises:
        VolumeError: there is not exactly one, or it makes no sense.
    """
    groups = [(name, value) for name, value in text.items() if isinstance(value, dict)]
    if len(groups) != 1:
        message = f"its metadata describe {len(groups)} volume groups"
        raise VolumeError(message)
    name, group = groups[0]
    extent = _number(group, "extent_size")
    if not 0 < extent <= _MAX_EXTENT_SECTORS:
        message = f"its metadata state extents of {extent} sectors"
        raise VolumeError(message)
    volumes: dict[str, LogicalVolume] = {}
    faults: dict[str, str] = {}
    stated = _sections(group, "logical_volumes")
    if len(stated) > _MOST_VOLUMES:
        message = f"its metadata describe {len(stated)} logical volumes, more than the {_MOST_VOLUMES} that this version takes"
        raise VolumeError(message)
    for key, value in stated.items():
        try:
            volumes[key] = _volume(key, value, extent * SECTOR_BYTES)
        except VolumeError as error:
            faults[key] = str(error)
    return VolumeGroup(
        name=name,
        identifier=_text(group, "id"),
        sequence=_number(group, "seqno"),
        extent=extent * SECTOR_BYTES,
        disks={key: _disk(key, value) for key, value in _sections(group, "physical_volumes").items()},
        volumes=volumes,
        faults=faults,
    )


def _disk(name: str, stored: Section) -> GroupDisk:
    start = _number(stored, "pe_start") * SECTOR_BYTES
    return GroupDisk(name=name, identifier=_text(stored, "id").replace("-", ""), start=start)


def _volume(name: str, stored: Section, extent: int) -> LogicalVolume:
    segments = []
    for value in stored.values():
        if isinstance(value, dict):
            first, count = _number(value, "start_extent"), _number(value, "extent_count")
            if first > _MAX_EXTENTS or not 0 < count <= _MAX_EXTENTS:
                message = f"a segment states {count} extents from {first} on"
                raise VolumeError(message)
            kind = _text(value, "type").partition("+")[0]
            segments.append(LvSegment(start=first * extent, size=count * extent, type=kind, values=value))
    segments.sort(key=lambda one: one.start)
    end = 0
    for segment in segments:
        if segment.start != end:
            message = "its segments do not follow one another"
            raise VolumeError(message)
        end += segment.size
    if not segments:
        message = "it has no segments"
        raise VolumeError(message)
    status = stored.get("status")
    return LogicalVolume(
        name=name,
        identifier=_text(stored, "id"),
        is_visible=isinstance(status, list) and "VISIBLE" in status,
        created=_number(stored, "creation_time", 0),
        segments=tuple(segments),
    )


def _sections(stored: Section, key: str) -> dict[str, Section]:
    found = stored.get(key, {})
    return {name: value for name, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}


def _number(stored: Section, key: str, default: int | None = None) -> int:
    found: Value | None = stored.get(key, default)
    if not isinstance(found, int) or found < 0:
        message = f"its metadata do not state {key} as a number"
        raise VolumeError(message)
    return found


def _text(stored: Section, key: str) -> str:
    found = stored.get(key)
    if not isinstance(found, str):
        message = f"its metadata do not state {key}"
        raise VolumeError(message)
    return found
