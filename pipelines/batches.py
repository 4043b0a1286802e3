"""All listings of a run -> one order over all volumes, cut into the batches that workers read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from forensics.schema import ENTRIES
from pipelines.listing import LISTING
from pipelines.plan import plan_batches
from pipelines.tasks import ReadContents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.plan import Batch


def cut_batches(work: Path, *, read_contents: bool) -> tuple[list[ReadContents], int]:
    """Orders the listings in work/listings and writes each batch's rows to work/batches.

    Returns:
        The tasks, the most costly first, and how many bytes of content they read.
    """
    listing = _read_listings(work / "listings")
    order = pc.sort_indices(listing, sort_keys=[(name, "ascending", "at_start") for name in ENTRIES.order])
    folder = work / "batches"
    folder.mkdir(exist_ok=True)
    batches: list[Batch] = []
    for batch in plan_batches(_costs(listing, order, read_contents=read_contents)):
        with pa.OSFile(str(folder / f"{batch.number:06d}.arrow"), "wb") as file, pa.ipc.new_file(file, LISTING) as writer:
            writer.write_table(listing.take(order[batch.first : batch.last]))
        batches.append(batch)
    size = _content_bytes(listing) if read_contents else 0
    return [ReadContents(number=b.number) for b in sorted(batches, key=lambda b: (-b.cost, b.number))], size


def _read_listings(folder: Path) -> pa.Table:
    tables = [LISTING.empty_table()]
    for path in sorted(folder.glob("*.arrow")):
        tables.append(pa.ipc.open_file(pa.memory_map(str(path))).read_all())  # noqa: PERF401 - a line a step
    return pa.concat_tables(tables)


def _costs(listing: pa.Table, order: pa.Array, *, read_contents: bool) -> Iterator[tuple[tuple[str, int | None], int]]:
    """In order: ((volume, metadata address), bytes to read)."""
    for start in range(0, len(order), 100_000):
        rows = listing.select(["volume", "metadata_address", "size", "content"]).take(order[start : start + 100_000])
        columns = (rows[name].to_pylist() for name in ("volume", "metadata_address", "size", "content"))
        for volume, address, size, content in zip(*columns, strict=True):
            yield (volume, address), (size or 0) if read_contents and content == "read" else 0


def _content_bytes(listing: pa.Table) -> int:
    read = listing.filter(pc.equal(listing["content"], "read"))
    return int(pc.sum(read["size"]).as_py() or 0)
