"""One volume's filesystem -> its listing: rows of `entries` whose content columns are still empty, kept as Arrow files.

The driver orders all listings and cuts them into batches; see plan.py and contents.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from forensics.boundary import attempt
from forensics.errors import ForensicsError, Problem, Stage
from forensics.filesystems.base import WALL_CLOCK, Recovery
from forensics.names import display_path
from forensics.schema import ENTRIES, TEXT, check_rows, column
from forensics.timestamps import OutOfRange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forensics.filesystems.base import Entry, FilesystemReader, ListingLimits, Times

LISTING = pa.schema([*ENTRIES.fields, column("content", TEXT, "read, none or skip: whether the stream has content to read", required=True)])
_ROWS_A_BATCH = 20_000
_EMPTY = dict.fromkeys(LISTING.names)
# NTFS lists its own files in its root directory; raw space is what it is.
_NEVER_EMPTY = ("ntfs", "raw")


def write_listing(
    reader: FilesystemReader, path: Path, *, exhibit: str, volume: str, limits: ListingLimits, snapshot: bool = False
) -> tuple[int, list[Problem]]:
    """Lists the volume into an Arrow file.

    Args:
        reader: the filesystem, open.
        path: the file to write.
        exhibit: number of the exhibit.
        volume: identifier of the volume.
        limits: what is listed, and bounds on it.
        snapshot: whether the volume is an earlier state of another, so that what is allocated in it comes from a shadow copy.

    Returns:
        How many rows it has, and the problems met; a listing that ends early keeps what came before.
    """
    listing = _Listing(exhibit, volume, reader.filesystem, snapshot=snapshot)
    problems = listing.problems
    rows = 0

    def write() -> None:
        nonlocal rows
        for batch in listing.batches(reader, limits):
            writer.write_batch(batch)
            rows += batch.num_rows

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, LISTING) as writer:
        error = attempt(write)
    if error is not None:
        why = str(error) if isinstance(error, ForensicsError) else f"{type(error).__name__}: {error}"
        problems.append(
            Problem(
                stage=Stage.FILESYSTEM,
                code="listing-ended-early",
                what=f"the filesystem could not be listed to its end; {rows} entries were",
                why=why,
                advice="list the volume with another tool and compare",
                volume=volume,
            )
        )
    elif reader.filesystem not in _NEVER_EMPTY and _holds_nothing(path):
        problems.append(
            Problem(
                stage=Stage.FILESYSTEM,
                code="filesystem-empty",
                what="no file and no folder was listed in a filesystem that opened",
                why="it is empty, or its root directory is damaged; the two look the same",
                advice="look at the root directory with another tool",
                volume=volume,
            )
        )
    return rows, problems


def _holds_nothing(path: Path) -> bool:
    """Whether the listing names nothing but the filesystem's own files and what TSK makes up: `$…` and the volume label."""
    with pa.OSFile(str(path), "rb") as file:
        reader = pa.ipc.open_file(file)
        return all(
            name.startswith("$") or name.endswith("(Volume Label Entry)")
            for number in range(reader.num_record_batches)
            for name in reader.get_batch(number)["path"].to_pylist()
        )


class _Listing:
    """Entries of one volume -> rows of `entries` and problems."""

    def __init__(self, exhibit: str, volume: str, filesystem: str, *, snapshot: bool) -> None:
        self._exhibit, self._volume, self._snapshot = exhibit, volume, snapshot
        self._tz_basis = "local, unknown zone" if filesystem in WALL_CLOCK else "UTC"
        self.problems: list[Problem] = []

    def batches(self, reader: FilesystemReader, limits: ListingLimits) -> Iterator[pa.RecordBatch]:
        """Record batches of the listing; what was left when the listing failed comes before the failure."""
        rows: list[dict[str, Any]] = []
        entries = reader.iter_entries(limits)
        failure: Exception | None = None
        entry: Entry | Problem | None = None

        def take() -> None:
            nonlocal entry
            entry = next(entries, None)

        while True:
            failure = attempt(take)
            if failure is not None or entry is None:
                break
            if isinstance(entry, Problem):
                self.problems.append(replace(entry, volume=self._volume))
                continue
            rows.append(self._row(entry))
            if len(rows) >= _ROWS_A_BATCH:
                yield _batch(rows)
                rows = []
        if rows:
            yield _batch(rows)
        if failure is not None:
            raise failure

    def _row(self, entry: Entry) -> dict[str, Any]:
        path, path_bytes = display_path(entry.path)
        address = entry.address
        times, out_of_range = time_columns(entry.times)
        name_times, more = time_columns(entry.name_times, "name_") if entry.name_times is not None else ({}, [])
        self.problems.extend(
            Problem(
                stage=Stage.FILESYSTEM,
                code="time-out-of-range",
                what=f"the time {name!r} of an entry lies outside 1677 to 2262 and was left empty",
                why=f"stored value: {raw}",
                volume=self._volume,
                metadata_address=entry.metadata_address,
                stream=entry.stream,
                path=path,
            )
            for name, raw in (*out_of_range, *more)
        )
        earlier = self._snapshot and entry.recovery is Recovery.ALLOCATED
        return {
            **_EMPTY,
            "exhibit": self._exhibit,
            "volume": self._volume,
            "metadata_address": entry.metadata_address,
            "stream": entry.stream,
            "path": path,
            "path_bytes": path_bytes,
            "attribute_type": address.attribute_type if address else None,
            "attribute_id": address.attribute_id if address else None,
            "kind": str(entry.kind),
            "link_target": entry.link_target,
            "name_allocated": entry.name_allocated,
            "metadata_allocated": entry.metadata_allocated,
            "recovery": str(Recovery.SHADOW_COPY if earlier else entry.recovery),
            "overwritten": entry.overwritten,
            "original_path": entry.original_path,
            "start_byte": entry.start_byte,
            "size": entry.size,
            **times,
            **name_times,
            "tz_basis": self._tz_basis,
            "owner": entry.owner,
            "group": entry.group,
            "mode": entry.mode,
            "links": entry.links,
            "sequence": entry.sequence,
            "content": str(entry.content),
        }


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    check_rows(rows, LISTING)
    return pa.RecordBatch.from_pylist(rows, schema=LISTING)


def time_columns(times: Times, prefix: str = "") -> tuple[dict[str, int | None], list[tuple[str, str]]]:
    """Times by column, and the raw values of those that do not fit."""
    values: dict[str, int | None] = {}
    out_of_range = []
    for name in ("created", "modified", "accessed", "metadata_changed"):
        value = getattr(times, name)
        if isinstance(value, OutOfRange):
            out_of_range.append((prefix + name, value.raw))
            value = None
        values[prefix + name] = value
    return values, out_of_range
