from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics.schema import COVERAGE, ENTRIES, VOLUMES, check_rows
from forensics.survey import FoundVolume
from forensics.volumes import Extent
from pipelines.coverage import count_streams, coverage_rows, volume_rows
from pipelines.tables import write_rows

if TYPE_CHECKING:
    from pathlib import Path


def _found(volume: str, *, gap: bool = False, filesystem: str | None = None, encrypted: bool = False, read: bool = False) -> FoundVolume:
    extent = Extent(volume=volume, is_gap=gap, scheme="dos", slot="", start_byte=0, size_bytes=10, origin_byte=0, type="x")
    return FoundVolume(
        extent=extent,
        filesystem=filesystem,
        label=None,
        block_size=None,
        encrypted=encrypted,
        reader="tsk" if read else "none",
        reason="" if read else "because",
    )


_ALL = [
    _found("g01", gap=True),
    _found("v01", filesystem="ntfs", read=True),
    _found("v02", filesystem="BitLocker", encrypted=True),
    _found("v03", filesystem="APFS"),
    _found("v04"),
    _found("v05", filesystem="ext4", read=True),
]


def test_rows_fit_their_tables() -> None:
    check_rows(volume_rows("E", _ALL), VOLUMES.schema)
    check_rows(coverage_rows("E", _ALL, {}), COVERAGE.schema)


def test_each_range_has_one_state_and_a_reason_unless_processed() -> None:
    rows = coverage_rows("E", _ALL, {"v01": (5, 4, 1)})
    assert {row["volume"]: row["state"] for row in rows} == {
        "g01": "skipped",
        "v01": "processed",
        "v02": "skipped",
        "v03": "skipped",
        "v04": "failed",
        "v05": "failed",  # it was opened, and not one entry was listed
    }
    assert all(bool(row["reason"]) == (row["state"] != "processed") for row in rows)
    assert [(row["streams"], row["streams_read"], row["streams_failed"]) for row in rows if row["volume"] == "v01"] == [(5, 4, 1)]


def test_streams_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    def entry(number: int, **values: Any) -> dict[str, Any]:
        stated = {"exhibit": "E", "volume": "v01", "stream": "", "kind": "file", "recovery": "allocated", "tz_basis": "UTC"}
        return {**dict.fromkeys(ENTRIES.schema.names), **stated, "metadata_address": number, **values}

    rows = [
        entry(1, scan="complete", size=10, bytes_read=10),
        entry(2, scan="partial", size=10, bytes_read=4),
        entry(3, scan="failed", size=10, bytes_read=0),
        entry(4, scan="skipped", size=10),
        entry(5, kind="directory"),
        entry(6, scan="complete", size=0, bytes_read=0),
        entry(7, scan="complete", size=1, bytes_read=1, volume="v02"),
    ]
    write_rows(tmp_path, ENTRIES, "0", rows)
    assert count_streams(tmp_path) == {"v01": (5, 2, 2), "v02": (1, 1, 0)}
