"""SQL over the tables of a case, in place: each table of every finished run as a DuckDB view. The owner file of DuckDB."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import duckdb

from forensics.schema import TABLES
from pipelines.case import Case, iter_finished_runs
from pipelines.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

_GLOB = re.compile(r"[*?\[]")


def open_tables(runs: Sequence[Path], *, memory: str = "2GB", threads: int = 2, scratch: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection in which each table of the runs is a view of its name. It can read no other file and reach no network."""
    connection = duckdb.connect(":memory:", config={"memory_limit": memory, "threads": threads, "preserve_insertion_order": True})
    connection.execute("SET TimeZone = 'UTC'")
    # Without a folder of its own DuckDB would spill into the one that the examiner happens to be in; then it may not spill at all.
    connection.execute(f"SET temp_directory = {_quoted(str(scratch) if scratch is not None else '')}")
    folders: dict[str, list[str]] = {}
    for run in runs:
        for folder in sorted((run / "tables").iterdir()):
            if folder.is_dir() and any(folder.glob("part-*.parquet")):
                folders.setdefault(folder.name, []).append(_literal_glob(f"{folder}/") + "part-*.parquet")
    # DuckDB holds the pattern as well as each file to this list, so a folder with a star in its name stands in it twice.
    allowed = {f"{run}/" for run in runs} | {_literal_glob(f"{run}/") for run in runs}
    connection.execute("SET allowed_directories = [" + ", ".join(map(_quoted, sorted(allowed))) + "]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    for name, globs in sorted(folders.items()):
        union = ", ".join(map(_quoted, globs))
        view = '"' + name.replace('"', '""') + '"'
        connection.execute(f"CREATE VIEW {view} AS SELECT * FROM read_parquet([{union}], union_by_name = true, hive_partitioning = false)")  # noqa: S608 - quoted
    return connection


def query_case(case: Case, sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """The answer to a SQL statement over all finished runs of the case: column names, then rows.

    Raises:
        PipelineError: there is no finished run, or DuckDB refuses the statement.
    """
    runs = [case.runs / name for name in iter_finished_runs(case)]
    if not runs:
        message = f"{case.folder} has no finished run; `evidex process` makes one"
        raise PipelineError(message)
    return _query(runs, sql)


def query_run(run: Path, sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """The answer to a SQL statement over one run: column names, then rows.

    Raises:
        PipelineError: DuckDB refuses the statement.
    """
    return _query([run], sql)


def _query(runs: Sequence[Path], sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    connection = open_tables(runs)
    try:
        answer = connection.sql(_only_read(connection, sql))
        columns = answer.columns
        shown = [_as_text(name) if "TIMESTAMP" in str(kind) else _name(name) for name, kind in zip(columns, answer.types, strict=True)]
        if len(set(map(str.lower, columns))) < len(columns):
            message = f"two columns of the answer have one name: {', '.join(columns)}; tell them apart with AS"
            raise PipelineError(message)
        return columns, _iter_rows(connection.execute(answer.project(", ".join(shown)).sql_query()))
    except duckdb.Error as error:
        message = f"the query cannot be answered: {error}; `evidex schema` lists the tables, and views are: {', '.join(_views(runs))}"
        raise PipelineError(message) from error


def _only_read(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one statement in the text; DuckDB would let COPY and ATTACH write into the very folders that it may read."""
    statements = connection.extract_statements(sql)
    if [statement.type for statement in statements] == [duckdb.StatementType.SELECT]:
        return statements[0]
    message = "one SELECT, DESCRIBE, SHOW or SUMMARIZE is answered, and nothing else: a finished run is only read"
    raise duckdb.InvalidInputException(message)


def iter_timeline(run: Path, exhibit: str, artifact_times: Sequence[tuple[str, str, str, str]], scratch: Path) -> Iterator[pa.RecordBatch]:
    """Rows of the table `timeline` in order: each time of each entry and of each artifact row.

    Args:
        run: CASE/runs/<run>.
        exhibit: number of the exhibit.
        artifact_times: (table, time column, SQL expression of a description, SQL expression of a path) for each.
        scratch: where a sort that does not fit into memory goes.
    """
    parts = [
        f"SELECT {name} AS time, tz_basis, 'entries' AS \"table\", '{name}' AS event, volume, metadata_address, stream, path, "  # noqa: S608
        f"kind || ', ' || recovery AS description FROM entries WHERE {name} IS NOT NULL AND stream = ''"
        for name in (
            "created",
            "modified",
            "accessed",
            "metadata_changed",
            "name_created",
            "name_modified",
            "name_accessed",
            "name_metadata_changed",
        )
    ]
    parts += [
        f"SELECT {_name(column)} AS time, 'UTC' AS tz_basis, {_quoted(table)} AS \"table\", {_quoted(column)} AS event, '' AS volume, "  # noqa: S608
        f"CAST(NULL AS BIGINT) AS metadata_address, '' AS stream, {path} AS path, {text} AS description FROM {_name(table)} "
        f"WHERE {_name(column)} IS NOT NULL"
        for table, column, text, path in artifact_times
    ]
    order = 'time, "table", event, volume, metadata_address NULLS FIRST, path NULLS FIRST, stream, description'
    with open_tables([run], scratch=scratch) as connection:
        sql = f"SELECT {_quoted(exhibit)} AS exhibit, * FROM ({' UNION ALL '.join(parts)}) ORDER BY {order}"  # noqa: S608
        yield from connection.sql(sql).to_arrow_reader(100_000)


def _iter_rows(answer: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    """The rows; an error that only a value shows comes while they are read."""
    try:
        while row := answer.fetchone():
            yield row
    except duckdb.Error as error:
        message = f"the query cannot be answered: {error}"
        raise PipelineError(message) from error


def _as_text(column: str) -> str:
    """SQL for a column of times as ISO 8601 text: Python's own type would cut the last digit of a FILETIME."""
    return f"replace(CAST({_name(column)} AS VARCHAR), ' ', 'T') AS {_name(column)}"


def _literal_glob(path: str) -> str:
    """A pattern that matches this path alone."""
    return _GLOB.sub(r"[\g<0>]", path)


def _views(runs: Sequence[Path]) -> list[str]:
    made = {folder.name for run in runs for folder in (run / "tables").iterdir() if folder.is_dir()}
    return sorted(made | {table.name for table in TABLES})


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
