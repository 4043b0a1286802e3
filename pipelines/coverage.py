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
    """The streams with content of one volume, by what became of them, and their bytes: listed = read + skipped + failed, of both."""

    listed: int = 0
    read: int = 0
    skipped: int = 0
    failed: int = 0
    bytes_listed: int = 0
    bytes_read: int = 0
    bytes_skipped: int = 0
    bytes_failed: int = 0
    unallocated_bytes: int = 0


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
        reads: whether the run reads contents; without, raw space is not looked at.
    """
    rows = []
    for found, tile in _numbered(volumes):
        counted = streams.get(found.volume, Streams())
        state, reason = _state(found, counted, reads=reads)
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
    own = rows.filter(pc.and_(pc.is_valid(rows["scan"]), pc.invert(pc.is_in(rows["recovery"], pa.array(_COUNTED_ELSEWHERE)))))
    size, read = pc.fill_null(own["size"], 0), pc.fill_null(own["bytes_read"], 0)
    was_read = pc.is_valid(own["bytes_read"])
    is_whole = pc.and_(was_read, pc.equal(size, read))
    free = pc.equal(rows["recovery"], Recovery.UNALLOCATED)
    listed, whole, attempted = own.num_rows, _true(is_whole), _true(was_read)
    bytes_listed, bytes_attempted = _sum(size), _sum(pc.if_else(was_read, size, 0))
    # A stream may give more than it states; what it states is what is accounted for.
    bytes_read = _sum(pc.min_element_wise(size, read))
    return Streams(
        listed=listed,
        read=whole,
        skipped=listed - attempted,
        failed=attempted - whole,
        bytes_listed=bytes_listed,
        bytes_read=bytes_read,
        bytes_skipped=bytes_listed - bytes_attempted,
        bytes_failed=bytes_attempted - bytes_read,
        unallocated_bytes=_sum(pc.if_else(free, pc.fill_null(rows["size"], 0), 0)),
    )


def _state(found: FoundVolume, counted: Streams, *, reads: bool) -> tuple[str, str]:
    if found.status == "unfolded":
        return "processed", found.reason
    if found.status == "not read":
        # It is known why: locked, or of a kind that has a name, or not in the image.
        return ("skipped" if found.encrypted or found.filesystem is not None else "failed"), found.reason or "nothing in it could be read"
    if found.status == "raw":
        if not reads:
            return "skipped", f"{found.reason}; the profile reads no contents"
        return ("processed" if counted.listed and not counted.failed else "failed"), found.reason
    if not counted.listed and not counted.unallocated_bytes:
        return "failed", "the filesystem could not be listed, or holds nothing"
    return "processed", found.reason


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
