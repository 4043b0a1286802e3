"""What became of every byte range of the image, every volume and every stream: the ledger whose sums add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from forensics.filesystems.base import Recovery
from forensics.schema import ENTRIES
from pipelines.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from forensics.found_volume import FoundVolume

# Of a file inside a file the bytes are those of its container, which count already; of a carved file those of the space it lies in.
_COUNTED_ELSEWHERE = (Recovery.MEMBER, Recovery.CARVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The streams with content of one volume, by what became of them, and their bytes: listed = read + skipped + failed, of both.

    Streams inside others (members of containers, carved files) are counted apart: their bytes are those of what they lie in.

    Attributes:
        entries: all that was listed in it, folders and links too.
    """

    entries: int = 0
    listed: int = 0
    read: int = 0
    skipped: int = 0
    failed: int = 0
    bytes_listed: int = 0
    bytes_read: int = 0
    bytes_skipped: int = 0
    bytes_failed: int = 0
    unallocated_bytes: int = 0
    inside: int = 0
    inside_read: int = 0
    inside_skipped: int = 0
    inside_failed: int = 0


def volume_rows(exhibit: str, volumes: Sequence[FoundVolume]) -> list[dict[str, Any]]:
    """Rows of the table `volumes`."""
    return [
        {
            "exhibit": exhibit,
            **_place(found, tile),
            "kind": "derived volume" if found.tile is None else "gap" if found.is_gap else "volume",
            "scheme": found.tile.scheme if found.tile else "",
            "slot": found.tile.slot if found.tile else "",
            "disk": found.node.disk + 1,
            "type": found.tile.type if found.tile else found.node.derived.what if found.node.derived else "",
            "parents": list(found.node.derived.parents) if found.node.derived else [],
            "name": (found.node.derived.name or None) if found.node.derived else None,
            "created": found.node.derived.created if found.node.derived else None,
            "filesystem": found.filesystem,
            "filesystem_label": found.node.found.label if found.node.found else None,
            "block_size": found.node.found.block_size if found.node.found else None,
            "encrypted": found.encrypted,
            "unlocked_with": _unlocked_with(found),
            "reader": found.reader,
            "status": found.status,
            "reason": found.reason,
        }
        for found, tile in _numbered(volumes)
    ]


def coverage_rows(exhibit: str, volumes: Sequence[FoundVolume], streams: Mapping[str, Streams], *, reads: bool) -> list[dict[str, Any]]:
    """Rows of the table `coverage`.

    Args:
        exhibit: number of the exhibit.
        volumes: what the survey found.
        streams: by volume, what became of its streams.
        reads: whether the run reads contents; without, files are listed, and raw space is not looked at.
    """
    rows = []
    outcomes = _outcomes(volumes, streams, reads=reads)
    for found, tile in _numbered(volumes):
        counted = streams.get(found.volume, Streams())
        state, reason = outcomes[found.volume]
        rows.append(
            {
                "exhibit": exhibit,
                **_place(found, tile),
                "state": state,
                "reason": reason,
                "streams": counted.listed,
                "streams_read": counted.read,
                "streams_skipped": counted.skipped,
                "streams_failed": counted.failed,
                "stream_bytes": counted.bytes_listed,
                "bytes_read": counted.bytes_read,
                "bytes_skipped": counted.bytes_skipped,
                "bytes_failed": counted.bytes_failed,
                "unallocated_bytes": counted.unallocated_bytes,
                "streams_inside": counted.inside,
                "inside_read": counted.inside_read,
                "inside_skipped": counted.inside_skipped,
                "inside_failed": counted.inside_failed,
            }
        )
    return rows


def count_streams(tables: Path) -> dict[str, Streams]:
    """By volume, the streams with content, by what became of them."""
    entries = read_table(tables, ENTRIES.name, ["volume", "scan", "size", "bytes_read", "recovery"])
    counts = {}
    for volume in pc.unique(entries["volume"]).to_pylist():
        counts[volume] = _count(entries.filter(pc.equal(entries["volume"], volume)))
    return counts


def _count(rows: pa.Table) -> Streams:
    streams = rows.filter(pc.is_valid(rows["scan"]))
    is_inside = pc.is_in(streams["recovery"], pa.array(_COUNTED_ELSEWHERE))
    own, inside = streams.filter(pc.invert(is_inside)), streams.filter(is_inside)
    listed, read, skipped = _by_outcome(own)
    listed_inside, read_inside, skipped_inside = _by_outcome(inside)
    size, got = pc.fill_null(own["size"], 0), pc.fill_null(own["bytes_read"], 0)
    bytes_listed, bytes_attempted = _sum(size), _sum(pc.if_else(pc.is_valid(own["bytes_read"]), size, 0))
    # A stream may give more than it states; what it states is what is accounted for.
    bytes_read = _sum(pc.min_element_wise(size, got))
    free = pc.equal(rows["recovery"], Recovery.UNALLOCATED)
    return Streams(
        entries=rows.num_rows,
        listed=listed,
        read=read,
        skipped=skipped,
        failed=listed - read - skipped,
        bytes_listed=bytes_listed,
        bytes_read=bytes_read,
        bytes_skipped=bytes_listed - bytes_attempted,
        bytes_failed=bytes_attempted - bytes_read,
        unallocated_bytes=_sum(pc.if_else(free, pc.fill_null(rows["size"], 0), 0)),
        inside=listed_inside,
        inside_read=read_inside,
        inside_skipped=skipped_inside,
        inside_failed=listed_inside - read_inside - skipped_inside,
    )


def _by_outcome(streams: pa.Table) -> tuple[int, int, int]:
    """How many there are, were read whole, and were not to be read."""
    is_whole = pc.fill_null(pc.equal(streams["size"], streams["bytes_read"]), fill_value=False)
    return streams.num_rows, _true(is_whole), _true(pc.is_null(streams["bytes_read"]))


def _outcomes(volumes: Sequence[FoundVolume], streams: Mapping[str, Streams], *, reads: bool) -> dict[str, tuple[str, str]]:
    """State and reason of each volume; what is derived from one stands behind it, so the last come first."""
    outcomes: dict[str, tuple[str, str]] = {}
    for found in reversed(volumes):
        if found.status == "unfolded":
            held = {outcomes[name][0] for name in found.holds if name in outcomes}
            # What is only a way to other volumes became what they became; one that was processed is enough, each has its own row.
            state = next((one for one in ("processed", "failed", "skipped") if one in held), "failed")
            outcomes[found.volume] = state, found.reason
        else:
            outcomes[found.volume] = _state(found, streams.get(found.volume, Streams()), reads=reads)
    return outcomes


def _state(found: FoundVolume, counted: Streams, *, reads: bool) -> tuple[str, str]:
    if found.status == "not read":
        # It is known why: locked, or of a kind that has a name, or not in the image.
        return ("skipped" if found.encrypted or found.filesystem is not None else "failed"), found.reason or "nothing in it could be read"
    if found.status == "raw":
        if not reads:
            return "skipped", f"{found.reason}; the profile reads no contents"
        return ("processed" if counted.listed and not counted.failed else "failed"), found.reason
    if not counted.entries:
        return "failed", "the filesystem could not be listed, or holds nothing"
    if not reads:
        return "skipped", "; ".join(filter(None, (found.reason, "its files are listed; the profile reads no contents")))
    return _state_of_read(found.reason, counted)


def _state_of_read(reason: str, counted: Streams) -> tuple[str, str]:
    """Of a filesystem whose contents were to be read: it was not processed where not one byte of them was."""
    unread = [
        f"{number} of its {counted.listed} streams, {size} bytes, {what}"
        for number, size, what in (
            (counted.failed, counted.bytes_failed, "could not be read whole"),
            (counted.skipped, counted.bytes_skipped, "were left out"),
        )
        if number
    ]
    state = "processed"
    if unread and not counted.bytes_read:
        state = "failed" if counted.failed else "skipped"
    return state, "; ".join(filter(None, (reason, *unread)))


def _place(found: FoundVolume, tile: int) -> dict[str, Any]:
    return {
        "tile": tile,
        "volume": found.volume,
        "start_byte": found.tile.start_byte + found.disk_start if found.tile else None,
        "size_bytes": found.tile.size_bytes if found.tile else 0,
        "volume_bytes": found.node.size_bytes,
    }


def _numbered(volumes: Sequence[FoundVolume]) -> list[tuple[FoundVolume, int]]:
    """Each volume with the number of its byte range, from 1; tiles come in byte order, each followed by what is derived from it."""
    number, numbered = 0, []
    for found in volumes:
        number += found.tile is not None
        numbered.append((found, number))
    return numbered


def _unlocked_with(found: FoundVolume) -> str | None:
    by_layer = found.node.derived.unlocked_with if found.node.derived else ""
    by_filesystem = found.node.found.unlocked_with if found.node.found else ""
    return by_layer or by_filesystem or None


def _true(values: pa.ChunkedArray) -> int:
    return int(pc.sum(values.cast(pa.int64())).as_py() or 0)


def _sum(values: pa.ChunkedArray) -> int:
    return int(pc.sum(values).as_py() or 0)
