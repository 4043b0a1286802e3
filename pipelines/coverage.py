"""What became of every byte range of the image: the ledger whose sizes add up to the size of the media."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from forensics.schema import ENTRIES
from forensics.survey import RESERVED
from pipelines.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from forensics.survey import FoundVolume


def volume_rows(exhibit: str, volumes: Sequence[FoundVolume]) -> list[dict[str, Any]]:
    """Rows of the table `volumes`."""
    return [
        {
            "exhibit": exhibit,
            "volume": found.extent.volume,
            "kind": "gap" if found.extent.is_gap else "volume",
            "scheme": found.extent.scheme,
            "slot": found.extent.slot,
            "start_byte": found.extent.start_byte,
            "size_bytes": found.extent.size_bytes,
            "type": found.extent.type,
            "filesystem": found.filesystem,
            "filesystem_label": found.label,
            "block_size": found.block_size,
            "encrypted": found.encrypted,
            "reader": found.reader,
            "status": "read" if found.is_read else "not read",
            "reason": found.reason,
        }
        for found in volumes
    ]


def coverage_rows(exhibit: str, volumes: Sequence[FoundVolume], streams: Mapping[str, tuple[int, int, int]]) -> list[dict[str, Any]]:
    """Rows of the table `coverage`.

    Args:
        exhibit: number of the exhibit.
        volumes: the tiles of the image.
        streams: by volume, how many streams were listed, read whole, and failed.
    """
    rows = []
    for found in volumes:
        listed, read, failed = streams.get(found.extent.volume, (0, 0, 0))
        state = "processed" if found.is_read else "skipped" if _is_expected(found) else "failed"
        reason = found.reason
        if found.is_read and not listed:
            state, reason = "failed", "the filesystem could not be listed"
        rows.append(
            {
                "exhibit": exhibit,
                "volume": found.extent.volume,
                "start_byte": found.extent.start_byte,
                "size_bytes": found.extent.size_bytes,
                "state": state,
                "reason": reason,
                "streams": listed,
                "streams_read": read,
                "streams_failed": failed,
            }
        )
    return rows


def _is_expected(found: FoundVolume) -> bool:
    """Whether it is known why the tile is not read: a gap, reserved, encrypted, or of a kind that has a name."""
    return found.extent.is_gap or found.encrypted or found.filesystem is not None or found.reason == RESERVED


def count_streams(tables: Path) -> dict[str, tuple[int, int, int]]:
    """By volume: streams with content that were listed, read whole, and could not be read whole."""
    entries = read_table(tables, ENTRIES.name, ["volume", "scan", "size", "bytes_read"])
    counts: dict[str, tuple[int, int, int]] = {}
    for volume in pc.unique(entries["volume"]).to_pylist():
        of_volume = entries.filter(pc.equal(entries["volume"], volume))
        with_content = of_volume.filter(pc.is_valid(of_volume["scan"]))
        whole = pc.sum(pc.fill_null(pc.equal(with_content["size"], with_content["bytes_read"]), False).cast(pa.int64())).as_py() or 0  # noqa: FBT003
        attempted = pc.sum(pc.is_valid(with_content["bytes_read"]).cast(pa.int64())).as_py() or 0
        counts[volume] = (with_content.num_rows, whole, attempted - whole)
    return counts
