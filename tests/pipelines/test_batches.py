"""The order in which contents are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.batches import cut_batches
from pipelines.listing import LISTING

if TYPE_CHECKING:
    from pathlib import Path


def _write(work: Path, volume: str, addresses: range) -> None:
    folder = work / "listings"
    folder.mkdir(parents=True, exist_ok=True)
    blank: dict[str, Any] = dict.fromkeys(LISTING.names)
    stated = {"exhibit": "E", "volume": volume, "stream": "", "kind": "file", "recovery": "allocated", "tz_basis": "UTC", "content": "read"}
    rows = [{**blank, **stated, "metadata_address": address, "path": str(address), "size": 10} for address in addresses]
    with pa.OSFile(str(folder / f"{volume}.arrow"), "wb") as file, pa.ipc.new_file(file, LISTING) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=LISTING))


def _order(work: Path) -> list[tuple[str, int]]:
    rows = []
    for path in sorted((work / "batches").iterdir()):
        with pa.OSFile(str(path)) as file:
            rows += pa.ipc.open_file(file).read_all().select(["volume", "metadata_address"]).to_pylist()
    return [(row["volume"], row["metadata_address"]) for row in rows]


def test_volumes_are_read_one_after_the_other(tmp_path: Path) -> None:
    for volume in ("v02", "v01"):
        _write(tmp_path, volume, range(3))
    _, size = cut_batches(tmp_path, read_contents=True)
    assert _order(tmp_path) == [(volume, address) for volume in ("v01", "v02") for address in range(3)]
    assert size == 60


def test_an_earlier_state_is_read_entry_by_entry_beside_the_present_one(tmp_path: Path) -> None:
    """A process that has just scanned a content knows it, and does not scan the same content of a shadow copy again."""
    for volume in ("v01", "v01.1", "v02"):
        _write(tmp_path, volume, range(3))
    cut_batches(tmp_path, read_contents=True, present={"v01.1": "v01"})
    beside = [(volume, address) for address in range(3) for volume in ("v01", "v01.1")]
    assert _order(tmp_path) == [*beside, *(("v02", address) for address in range(3))]
