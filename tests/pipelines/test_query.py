"""What a query of a case can do and, above all, what it cannot: SQL is typed by people and pasted from anywhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from forensics.schema import TABLES
from pipelines.case import Case, open_case
from pipelines.errors import PipelineError
from pipelines.query import query_case
from pipelines.tables import write_rows

if TYPE_CHECKING:
    from pathlib import Path

_ENTRY = {
    "exhibit": "KH-1",
    "volume": "v01",
    "stream": "",
    "kind": "file",
    "recovery": "allocated",
    "tz_basis": "UTC",
    "path": "a.txt",
    # 2026-11-23T20:45:36.127143700Z: seven digits behind the point, as a FILETIME has them
    "modified": 1_795_466_736_127_143_700,
}


def _seal(run: Path) -> None:
    """Leaves what marks a run as finished and sealed."""
    (run / "run.json").write_text("{}")
    manifests = run.parents[1] / "custody" / "manifests"
    manifests.mkdir(parents=True, exist_ok=True)
    (manifests / f"{run.name}.sha256").touch()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A case with one finished run of one entry."""
    case = open_case(tmp_path / "case")
    tables = case.runs / "001-KH-1" / "tables"
    for table in TABLES:
        rows = [{**dict.fromkeys(table.schema.names), **_ENTRY}] if table.name == "entries" else []
        write_rows(tables, table, "000000", rows)
    _seal(case.runs / "001-KH-1")
    return case


def _answer(case: Case, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in query_case(case, sql)[1]]


def test_each_table_is_a_view(case: Case) -> None:
    for table in TABLES:
        assert _answer(case, f'SELECT count(*) FROM "{table.name}"') == [(int(table.name == "entries"),)]


def test_the_columns_are_named(case: Case) -> None:
    columns, rows = query_case(case, "SELECT path AS p, 1 AS n FROM entries")
    assert columns == ["p", "n"]
    assert list(rows) == [("a.txt", 1)]


def test_times_keep_their_last_digit(case: Case) -> None:
    assert _answer(case, "SELECT epoch_ns(modified) FROM entries") == [(_ENTRY["modified"],)]
    assert "36.1271437" in str(_answer(case, "SELECT modified FROM entries")[0][0])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('https://192.0.2.1/x.parquet')",
        "ATTACH '/tmp/evidex-test.db' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "COPY (SELECT 1) TO '/tmp/evidex-test.csv'",
        "SELECT * FROM read_text('{case}/case.toml')",
        "SELECT getenv('HOME')",
    ],
)
def test_a_query_reads_and_writes_nothing_but_the_tables(case: Case, sql: str) -> None:
    with pytest.raises(PipelineError):
        _answer(case, sql.replace("{case}", str(case.folder)))


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1 AS a) TO '{run}/tables/entries/part-zzz.parquet'",
        "COPY (SELECT 1 AS a) TO '{run}/run.json' (FORMAT json)",
        "ATTACH '{run}/x.db' AS other",
        "EXPORT DATABASE '{run}/export'",
        "SELECT 1; COPY (SELECT 1 AS a) TO '{run}/second.csv'",
    ],
)
def test_a_query_never_writes_into_a_sealed_run(case: Case, sql: str) -> None:
    run = case.runs / "001-KH-1"
    before = _state(run)
    with pytest.raises(PipelineError):
        _answer(case, sql.replace("{run}", str(run)))
    assert _state(run) == before


def _state(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("sql", ["SELEC", "SELECT * FROM nothing", "", "   ", ";"])
def test_a_statement_that_is_none_names_the_views(case: Case, sql: str) -> None:
    with pytest.raises(PipelineError, match="entries"):
        _answer(case, sql)


@pytest.mark.parametrize(
    "sql", ["DESCRIBE entries", "SHOW TABLES", "FROM entries", "WITH a AS (SELECT 1) SELECT * FROM a", "SUMMARIZE coverage"]
)
def test_statements_that_only_read_are_answered(case: Case, sql: str) -> None:
    assert query_case(case, sql)[0]


def test_an_error_while_rows_are_made_is_an_error_of_the_query(case: Case) -> None:
    with pytest.raises(PipelineError):
        _answer(case, "SELECT CAST(path AS INTEGER) FROM entries")


def test_a_case_without_a_finished_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no finished run"):
        query_case(open_case(tmp_path / "case"), "SELECT 1")


def test_a_folder_with_a_quote_in_its_name_is_only_a_name(tmp_path: Path) -> None:
    case = open_case(tmp_path / "it's; DROP")
    run = case.runs / "001-KH-1"
    for table in TABLES:
        write_rows(run / "tables", table, "000000", [])
    _seal(run)
    assert _answer(case, "SELECT count(*) FROM entries") == [(0,)]


def test_a_folder_with_a_star_in_its_name_reads_no_other_case(tmp_path: Path) -> None:
    for name, rows in (("case*", 0), ("case-other", 1)):
        case = open_case(tmp_path / name)
        run = case.runs / "001-KH-1"
        for table in TABLES:
            entries = [{**dict.fromkeys(table.schema.names), **_ENTRY}] if table.name == "entries" and rows else []
            write_rows(run / "tables", table, "000000", entries)
        _seal(run)
    assert _answer(open_case(tmp_path / "case*"), "SELECT count(*) FROM entries") == [(0,)]
