"""All listings of a run -> one order over all volumes, cut into the batches that workers read.

An earlier state of a volume is read beside its present one, entry by entry: most of its contents are the same, and a process that has
just scanned one does not scan it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from forensics.schema import ENTRIES
from pipelines.listing import LISTING
from pipelines.plan import plan_batches
from pipelines.tasks import ReadContents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pipelines.plan import Batch

_BESIDE = "beside"
_ADDRESS = "metadata_address"


def cut_batches(work: Path, *, read_contents: bool, present: Mapping[str, str] | None = None) -> tuple[list[ReadContents], int]:
    """Orders the listings in work/listings and writes each batch's rows to work/batches.

    Args:
        work: the run's work folder.
        read_contents: whether contents are read.
        present: of each volume that is an earlier state, the volume beside which it is read.

    Returns:
        The tasks, the most costly first, and how many bytes of content they read.
    """
    listing = _read_listings(work / "listings")
    listing = listing.append_column(_BESIDE, _beside(listing["volume"], present or {}))
    order = pc.sort_indices(listing, sort_keys=[(name, "ascending", "at_start") for name in (_BESIDE, _ADDRESS, *ENTRIES.order)])
    folder = work / "batches"
    folder.mkdir(exist_ok=True)
    batches: list[Batch] = []
    for batch in plan_batches(_costs(listing, order, read_contents=read_contents)):
        with pa.OSFile(str(folder / f"{batch.number:06d}.arrow"), "wb") as file, pa.ipc.new_file(file, LISTING) as writer:
            writer.write_table(listing.take(order[batch.first : batch.last]).drop_columns([_BESIDE]))
        batches.append(batch)
    size = _content_bytes(listing) if read_contents else 0
    return [ReadContents(number=b.number) for b in sorted(batches, key=lambda b: (-b.cost, b.number))], size


def _read_listings(folder: Path) -> pa.Table:
    tables = [LISTING.empty_table()]
    for path in sorted(folder.glob("*.arrow")):
        tables.append(pa.ipc.open_file(pa.memory_map(str(path))).read_all())  # noqa: PERF401 - a line a step
    return pa.concat_tables(tables)


def _costs(listing: pa.Table, order: pa.Array, *, read_contents: bool) -> Iterator[tuple[tuple[str, int | None], int]]:
    """In order: ((volume beside which it is read, metadata address), bytes to read)."""
    names = (_BESIDE, _ADDRESS, "size", "content")
    for start in range(0, len(order), 100_000):
        rows = listing.select(names).take(order[start : start + 100_000])
        columns = (rows[name].to_pylist() for name in names)
        for volume, address, size, content in zip(*columns, strict=True):
            yield (volume, address), (size or 0) if read_contents and content == "read" else 0


def _beside(volumes: pa.ChunkedArray, present: Mapping[str, str]) -> pa.ChunkedArray:
    if not present:
        return volumes
    places = pc.index_in(volumes, value_set=pa.array(list(present), pa.string()))
    return pc.coalesce(pc.take(pa.array(list(present.values()), pa.string()), places), volumes)


def _content_bytes(listing: pa.Table) -> int:
    read = listing.filter(pc.equal(listing["content"], "read"))
    return int(pc.sum(read["size"]).as_py() or 0)
