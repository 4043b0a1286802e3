"""The tables of one run, read a batch at a time, so that a table of any length needs the same memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from forensics import schema
from pipelines.report.errors import ReportError
from pipelines.report.wording import time_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Filter: TypeAlias = ds.Expression

_BATCH_ROWS: Final = 4096
_NS_OF: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}


class Kind(Enum):
    """How the values of a column come back from `rows`."""

    TIME = "str, UTC, with as many decimals as the value has"
    NUMBER = "int or float"
    TEXT = "str"
    BYTES = "bytes"
    FLAG = "bool"
    LIST = "list of any of these"
    MAP = "list of (str, str)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table as its schema explains it."""

    name: str
    kind: Kind
    meaning: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """How many times of the table `timeline` fall on each day since 1970: times of files, and times of artifacts."""

    files: dict[int, int]
    artifacts: dict[int, int]


def equals(**values: str | int | bool) -> Filter:
    """A filter: every named column has the given value."""
    expression = pc.scalar(True)  # noqa: FBT003 - the neutral element
    for name, value in values.items():
        expression = expression & (pc.field(name) == value)
    return expression


def one_of(name: str, values: Sequence[str]) -> Filter:
    """A filter: the column has one of the values."""
    return pc.field(name).isin(list(values))


def above(name: str, value: int) -> Filter:
    """A filter: the column has a value greater than the given."""
    return pc.field(name) > value


def _kind(type_: pa.DataType) -> Kind:
    tests = (
        (pa.types.is_timestamp, Kind.TIME),
        (pa.types.is_boolean, Kind.FLAG),
        (pa.types.is_map, Kind.MAP),
        (pa.types.is_list, Kind.LIST),
        (pa.types.is_binary, Kind.BYTES),
        (pa.types.is_large_binary, Kind.BYTES),
        (pa.types.is_integer, Kind.NUMBER),
        (pa.types.is_floating, Kind.NUMBER),
    )
    return next((kind for test, kind in tests if test(type_)), Kind.TEXT)


def _times(array: pa.Array) -> list[str | None]:
    """Times as text. `as_py` would need pandas for nanoseconds, and would round without it."""
    step = _NS_OF[array.type.unit]
    return [None if value is None else time_text(value * step) for value in array.cast(pa.int64()).to_pylist()]


def _values(array: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(array.type):
        return _times(array)
    if pa.types.is_list(array.type) and pa.types.is_timestamp(array.type.value_type):
        flat = _times(array.flatten())
        lengths = pc.list_value_length(array).to_pylist()
        taken = iter(flat)
        return [None if length is None else [next(taken) for _ in range(length)] for length in lengths]
    return list(array.to_pylist())


@contextmanager
def _reading(table: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        message = f"table {table!r} cannot be read: {error}; `evidex verify` says whether it was changed"
        raise ReportError(message) from error


class RunTables:
    """Reads CASE/runs/<run>/tables. A table that was not written counts as one without rows."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / "tables"
        if not self._folder.is_dir():
            message = f"{run_folder} has no folder 'tables': it is no finished run, so there is nothing to report"
            raise ReportError(message)

    def artifacts(self) -> tuple[str, ...]:
        """Names of the artifact tables that were written, sorted; also those without rows."""
        return tuple(sorted(one.name for one in self._folder.iterdir() if one.is_dir() and one.name.startswith(schema.ARTIFACT_PREFIX)))

    def _files(self, table: str) -> list[Path]:
        return sorted((self._folder / table).glob("*.parquet"))

    def _dataset(self, table: str) -> ds.Dataset:
        files = self._files(table)
        if not files:
            known = {one.name: one.schema for one in schema.TABLES}
            return ds.dataset(known.get(table, pa.schema(schema.ARTIFACT_FIELDS)).empty_table())
        with _reading(table):
            # Parts of an artifact table may differ in columns; null stands where a part lacks one.
            unified = pa.unify_schemas([ds.dataset(str(file), format="parquet").schema for file in files], promote_options="permissive")
            return ds.dataset([str(file) for file in files], format="parquet", schema=unified)

    def _batches(self, table: str, columns: Sequence[str], where: Filter | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in order, a few thousand at a time."""
        dataset = self._dataset(table)
        missing = set(columns) - set(dataset.schema.names)
        if missing:
            message = f"table {table!r} has no column {min(missing)!r}: it was written by another version of Evidex"
            raise ReportError(message)
        with _reading(table):
            yield from dataset.to_batches(
                columns=list(columns), filter=where, batch_size=_BATCH_ROWS, batch_readahead=2, fragment_readahead=1
            )

    def columns(self, table: str) -> tuple[Column, ...]:
        """The columns of a table in order, with what their metadata says."""
        return tuple(
            Column(
                name=field.name,
                kind=_kind(field.type),
                meaning=(field.metadata or {}).get(b"meaning", b"").decode("utf-8", "replace"),
                unit=(field.metadata or {}).get(b"unit", b"").decode("utf-8", "replace"),
            )
            for field in self._dataset(table).schema
        )

    def count(self, table: str, where: Filter | None = None) -> int:
        """Number of rows, or of those that pass the filter."""
        dataset = self._dataset(table)
        with _reading(table):
            return int(dataset.count_rows(filter=where))

    def rows(self, table: str, columns: Sequence[str], where: Filter | None = None, *, skip: int = 0) -> Iterator[tuple[Any, ...]]:
        """The rows in the order of the table, as tuples of the named columns; `Kind` says how a value comes back.

        Raises:
            ReportError: the table cannot be read, or lacks a column.
        """
        for batch in self._batches(table, columns, where):
            passed = min(skip, batch.num_rows)
            skip -= passed
            yield from zip(*(_values(batch.column(place).slice(passed)) for place in range(len(columns))), strict=True)

    def tallies(self, table: str, *columns: str) -> dict[tuple[Any, ...], int]:
        """How many rows hold each combination of the named columns, sorted by it; for columns with few values."""
        sums: dict[tuple[Any, ...], int] = {}
        for batch in self._batches(table, columns):
            grouped = pa.Table.from_batches([batch]).group_by(list(columns)).aggregate([([], "count_all")])
            for *key, number in zip(*(grouped.column(name).to_pylist() for name in (*columns, "count_all")), strict=True):
                sums[tuple(key)] = sums.get(tuple(key), 0) + number
        return dict(sorted(sums.items(), key=lambda pair: tuple((value is None, value) for value in pair[0])))

    def days(self) -> Days:
        """Number of times a day in the table `timeline`."""
        found = Days(files={}, artifacts={})
        for batch in self._batches(schema.TIMELINE.name, ["time", "table"]):
            artifact = pc.starts_with(batch.column("table"), schema.ARTIFACT_PREFIX)
            # Casting to a date rounds towards 1970; the floor does not.
            day = pc.floor_temporal(batch.column("time"), unit="day").cast(pa.date32()).cast(pa.int32())
            for series, mask in ((found.artifacts, artifact), (found.files, pc.invert(artifact))):
                for pair in pc.value_counts(day.filter(mask)).to_pylist():
                    series[pair["values"]] = series.get(pair["values"], 0) + pair["counts"]
        return found
