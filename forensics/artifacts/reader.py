"""One function of dissect over one image -> one artifact table and the problems met.

A function that fails keeps the rows it gave before. A function that does not apply to the image gives a table that says so, and
no problem: that is the normal case for most functions on most images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forensics.artifacts.dissect_source import NotApplicableError
from forensics.artifacts.layout import lay_out, table_name
from forensics.artifacts.mapper import iter_sorted, unify
from forensics.artifacts.remarks import Remarks, listening
from forensics.artifacts.spool import RowSpool, Shape, SpoolError, shape_of
from forensics.artifacts.values import typename_of
from forensics.boundary import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from forensics.artifacts.dissect_source import ArtifactSource, FunctionRun
    from forensics.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactTable:
    """The rows that one function gave, in a spool file until `close`.

    Attributes:
        function: name of the function.
        table: name of the table, `artifact_<function>`.
        applicable: whether the function applies to the image; if not, there is nothing to write.
        schema: the table's Arrow schema.
        rows: how many rows there are.
        problems: what went wrong; path names the function.
        path: the spool file; there is none where there are no rows.
    """

    function: str
    table: str
    applicable: bool
    schema: pa.Schema
    rows: int
    problems: tuple[Problem, ...]
    path: Path

    def iter_batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, sorted by all columns; may be called again."""
        if self.rows:
            yield from iter_sorted(self.path, self.schema)

    def close(self) -> None:
        """Removes the spool file."""
        self.path.unlink(missing_ok=True)


def read_artifact(source: ArtifactSource, function: str, *, exhibit: str, spool: Path) -> ArtifactTable:
    """The table of one function.

    Args:
        source: the image, opened for artifacts.
        function: a function of dissect.target, e.g. "amcache.files".
        exhibit: number of the exhibit, for the rows.
        spool: a folder for temporary files; two calls for one function at a time need two folders.

    Raises:
        SpoolError: the folder cannot be written to.
    """
    return map_function(function, lambda: source.prepare(function), known=source.reported, exhibit=exhibit, spool=spool)


def map_function(
    function: str, prepare: Callable[[], FunctionRun], *, known: frozenset[str] = frozenset(), exhibit: str, spool: Path
) -> ArtifactTable:
    """The table of what `prepare` makes ready, under the name of `function`; messages that are `known` are no problems of it."""
    remarks = Remarks(function, known)
    table = table_name(function)
    raw, path = spool / f"{table}.rows", spool / f"{table}.arrow"
    raw.unlink(missing_ok=True)
    rows = RowSpool(raw, remarks)
    with listening(remarks):
        applicable = _collect(prepare, function, rows, remarks)
    rows.flush()
    layout = lay_out(function, rows.types)
    if rows.rows:
        unify(rows, layout, exhibit, path)
    raw.unlink(missing_ok=True)
    return ArtifactTable(
        function=function,
        table=table,
        applicable=applicable or rows.rows > 0,
        schema=layout.schema,
        rows=rows.rows,
        # That something is not there is what makes a function not apply.
        problems=tuple(one for one in remarks.problems() if applicable or one.code != "artifact-absent"),
        path=path,
    )


def _collect(prepare: Callable[[], FunctionRun], function: str, rows: RowSpool, remarks: Remarks) -> bool:
    """Spools what the function yields, up to where it fails; False where it does not apply."""

    def run() -> None:
        prepared = prepare()
        for descriptor in prepared.declared:
            rows.declare(shape_of(descriptor.name, descriptor.get_field_tuples()))
        for value in prepared.iter_values():
            _take(value, rows)

    try:
        error = attempt(run, passing=(NotApplicableError, SpoolError))
    except NotApplicableError:
        return False
    if error is not None:
        what = f"the function {function} stopped after {rows.rows} rows; what came before is kept"
        remarks.note("function-failed", what, f"{type(error).__name__}: {error}", "later rows of this kind may be missing from the table")
    return True


@dataclass(frozen=True, slots=True)
class _Plain:
    """A plain value, in the form of a record."""

    value: Any


def _take(value: Any, rows: RowSpool) -> None:
    descriptor = getattr(value, "_desc", None)
    if descriptor is None:
        rows.add(Shape("value", ((typename_of(value), "value"),)), _Plain(value))
    else:
        rows.add(shape_of(descriptor.name, descriptor.get_field_tuples()), value)
