from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from forensics import schema
from pipelines.report.errors import ReportError
from pipelines.report.tables import Kind, RunTables, above, equals, one_of

from .case_builder import MOMENT, NS, RUN, build_case, entry, hit, moment, write_table

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400 * NS


def tables_of(case: Path) -> RunTables:
    return RunTables(case / "runs" / RUN)


def test_rows_come_in_the_order_of_parts_and_rows(tmp_path: Path) -> None:
    tables = tables_of(build_case(tmp_path / "case", entries=[entry(number, f"/{number}") for number in range(10_000)], parts=3))
    assert [address for (address,) in tables.rows("entries", ["metadata_address"])] == list(range(10_000))
    assert [address for (address,) in tables.rows("entries", ["metadata_address"], skip=9_990)] == list(range(9_990, 10_000))


def test_filters_keep_what_they_say(tmp_path: Path) -> None:
    rows = [entry(1, "/a", hits=2), entry(2, "/b", hits=None, recovery="orphan"), entry(3, "/c", hits=0)]
    tables = tables_of(build_case(tmp_path / "case", entries=rows))
    found = [
        [path for (path,) in tables.rows("entries", ["path"], where)]
        for where in (above("hits", 0), one_of("recovery", ("orphan",)), equals(path="/c"))
    ]
    assert found == [["/a"], ["/b"], ["/c"]]
    assert tables.count("entries", above("hits", 0)) == 1


def test_times_keep_their_digits_whatever_their_unit(tmp_path: Path) -> None:
    columns = pa.schema(
        [*schema.ARTIFACT_FIELDS, pa.field("ns", schema.TIME), pa.field("us", pa.timestamp("us", "UTC")), pa.field("s", pa.timestamp("s"))]
    )
    moment_us = datetime(2021, 3, 4, 10, 11, 12, 123456, tzinfo=UTC)
    row = {"exhibit": "A", "record_type": "x", "ns": MOMENT, "us": moment_us, "s": 0}
    tables = tables_of(build_case(tmp_path / "case", artifacts={"artifact_x": (columns, [row, row | {"ns": None}])}))
    assert list(tables.rows("artifact_x", ["ns", "us", "s"])) == [
        ("2021-03-04 10:11:12.1234567", "2021-03-04 10:11:12.123456", "1970-01-01 00:00:00"),
        (None, "2021-03-04 10:11:12.123456", "1970-01-01 00:00:00"),
    ]


def test_parts_with_other_columns_are_read_as_one_table(tmp_path: Path) -> None:
    case = build_case(tmp_path / "case")
    run = case / "runs" / RUN
    first = pa.schema([*schema.ARTIFACT_FIELDS, pa.field("a", pa.string())])
    second = pa.schema([*schema.ARTIFACT_FIELDS, pa.field("b", pa.int64())])
    write_table(run, "artifact_x", first, [{"exhibit": "A", "record_type": "x", "a": "one"}])
    write_table(case / "other", "artifact_x", second, [{"exhibit": "A", "record_type": "x", "b": 2}])
    (case / "other" / "tables" / "artifact_x" / "part-00000.parquet").rename(run / "tables" / "artifact_x" / "part-00001.parquet")
    assert list(tables_of(case).rows("artifact_x", ["a", "b"])) == [("one", None), (None, 2)]


def test_columns_carry_kind_meaning_and_unit(tmp_path: Path) -> None:
    columns = {one.name: one for one in tables_of(build_case(tmp_path / "case")).columns("hits")}
    assert (columns["offset"].kind, columns["offset"].unit) == (Kind.NUMBER, "bytes")
    assert columns["meta"].kind is Kind.MAP
    assert columns["tags"].kind is Kind.LIST
    assert columns["matched"].kind is Kind.BYTES
    assert columns["rule"].meaning == "rule that matches"


def test_tallies_add_up(tmp_path: Path) -> None:
    rows = [entry(1, "/a", scan="complete"), entry(2, "/b", scan=None), entry(3, "/c", scan="complete")]
    assert tables_of(build_case(tmp_path / "case", entries=rows, parts=2)).tallies("entries", "scan") == {("complete",): 2, (None,): 1}


def test_days_before_1970_are_not_rounded_towards_it(tmp_path: Path) -> None:
    rows = [moment(-1), moment(-DAY), moment(0), moment(DAY - 1), moment(DAY, table="artifact_x")]
    days = tables_of(build_case(tmp_path / "case", timeline=rows)).days()
    assert days.files == {-1: 2, 0: 2}
    assert days.artifacts == {1: 1}


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="'nothing'"):
        list(tables_of(build_case(tmp_path / "case")).rows("hits", ["nothing"]))


def test_a_run_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no folder 'tables'"):
        RunTables(tmp_path)


def test_maps_come_as_pairs(tmp_path: Path) -> None:
    tables = tables_of(build_case(tmp_path / "case", hits=[hit(1, "/a", meta=[("k", "v"), ("k2", "v2")])]))
    assert list(tables.rows("hits", ["meta"])) == [([("k", "v"), ("k2", "v2")],)]
