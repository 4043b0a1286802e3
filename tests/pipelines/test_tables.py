from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forensics.errors import SchemaError
from forensics.schema import PROBLEMS, TABLES
from pipelines.tables import read_table, write_atomically, write_batches, write_rows

if TYPE_CHECKING:
    from pathlib import Path

_ROW: dict[str, Any] = {
    **dict.fromkeys(PROBLEMS.schema.names),
    "exhibit": "E",
    "stage": "image",
    "code": "c",
    "what": "w",
    "why": "y",
    "advice": "",
    "volume": "",
    "stream": "",
}


@pytest.mark.parametrize(
    "row",
    [
        {**_ROW, "unknown": 1},
        {name: value for name, value in _ROW.items() if name != "why"},
        {**_ROW, "what": None},
    ],
    ids=["a key too many", "a key too few", "null where none may be"],
)
def test_a_row_that_does_not_fit_is_refused_and_nothing_is_written(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        write_rows(tmp_path, PROBLEMS, "000000", [_ROW, row])
    assert list(tmp_path.rglob("*.parquet")) == []


def test_rows_come_out_in_the_tables_order_whatever_order_they_came_in(tmp_path: Path) -> None:
    rows = [{**_ROW, "metadata_address": n} for n in (3, None, 1)]
    first = write_rows(tmp_path / "a", PROBLEMS, "0", rows)
    second = write_rows(tmp_path / "b", PROBLEMS, "0", rows[::-1])
    assert first == second
    assert read_table(tmp_path / "a", "problems")["metadata_address"].to_pylist() == [None, 1, 3]


def test_the_receipt_names_the_bytes_that_are_there(tmp_path: Path) -> None:
    part = write_rows(tmp_path, PROBLEMS, "0", [_ROW])
    assert part.sha256 == hashlib.sha256((tmp_path / "problems" / part.name).read_bytes()).hexdigest()
    assert part.rows == 1


def test_a_part_that_fails_in_the_middle_is_never_a_part(tmp_path: Path) -> None:
    def batches():
        yield pa.RecordBatch.from_pylist([_ROW], schema=PROBLEMS.schema)
        message = "stop"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError):
        write_batches(tmp_path, "problems", "0", PROBLEMS.schema, batches())
    assert not list(tmp_path.rglob("part-*.parquet"))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_meaning_and_unit_of_every_column_survive_into_parquet(tmp_path: Path) -> None:
    for table in TABLES:
        write_rows(tmp_path, table, "0", [])
        stored = pq.read_schema(next((tmp_path / table.name).iterdir()))
        assert stored.metadata[b"row"].decode() == table.row
        for field in stored:
            assert field.metadata[b"meaning"]
            assert b"unit" in field.metadata
