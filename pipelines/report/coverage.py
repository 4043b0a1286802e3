"""How much of the image was processed: sums that must add up, and that are shown with the difference where they do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipelines.report.tables import RunTables

STATES: Final = ("processed", "skipped", "failed")
_STREAMS: Final = (
    *("streams", "streams_read", "streams_skipped", "streams_failed"),
    *("streams_inside", "inside_read", "inside_skipped", "inside_failed"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """One byte range of the image, `media[start_byte:start_byte + size_bytes]`, or a volume derived from others, and what became of it.

    A derived volume has no start_byte, and takes no bytes of the image beside those of the volumes that it lies in.
    """

    volume: str
    start_byte: int | None
    size_bytes: int
    volume_bytes: int
    state: str
    reason: str
    streams: int
    streams_read: int
    streams_skipped: int
    streams_failed: int
    unallocated_bytes: int
    streams_inside: int
    inside_read: int
    inside_skipped: int
    inside_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One row of the table `volumes`, as far as the report shows it."""

    volume: str
    kind: str
    slot: str
    start_byte: int | None
    volume_bytes: int
    type: str
    name: str | None
    filesystem: str | None
    filesystem_label: str | None
    encrypted: bool
    unlocked_with: str | None
    reader: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """All ranges, and the size of the media that they should add up to; None where it is not recorded."""

    ranges: tuple[Range, ...]
    media_size: int | None

    def size_of(self, state: str) -> int:
        """Bytes in ranges of that state."""
        return sum(one.size_bytes for one in self.ranges if one.state == state)

    @property
    def total(self) -> int:
        """Bytes in all ranges."""
        return sum(one.size_bytes for one in self.ranges)

    @property
    def adds_up(self) -> bool:
        """Whether the ranges follow one another from byte 0 to the end of the media, without hole or overlap."""
        end = 0
        tiles = [(one.start_byte, one.size_bytes) for one in self.ranges if one.start_byte is not None]
        for start_byte, size_bytes in sorted(tiles):
            if start_byte != end:
                return False
            end += size_bytes
        return end == self.media_size

    @property
    def streams(self) -> tuple[int, ...]:
        """Streams listed, read whole, left out, and not read whole: the first is the sum of the others; then the same inside others."""
        return tuple(sum(getattr(one, name) for one in self.ranges) for name in _STREAMS)

    @property
    def reads_contents(self) -> bool:
        """Whether any content was read at all."""
        return not self.ranges or any(one.streams_read or one.streams_failed for one in self.ranges)


def read_coverage(tables: RunTables, media_size: int | None) -> Coverage:
    """The table `coverage`."""
    names = tuple(Range.__dataclass_fields__)
    ranges = tuple(Range(**dict(zip(names, values, strict=True))) for values in tables.rows("coverage", names))
    return Coverage(ranges=ranges, media_size=media_size)


def read_volumes(tables: RunTables) -> tuple[Volume, ...]:
    """The table `volumes`, gaps among them, in the order of the disk."""
    names = tuple(Volume.__dataclass_fields__)
    return tuple(Volume(**dict(zip(names, values, strict=True))) for values in tables.rows("volumes", names))
