"""Spooled rows of any shapes -> the sorted rows of one typed table.

Sorting by all columns makes the table the same whatever order dissect found things in (some of its functions walk sets, whose
order changes with Python's hash seed). It happens over a memory-mapped file, so memory holds the row numbers and a batch.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.artifacts.layout import OTHER, source_field
from forensics.artifacts.values import plain
from forensics.schema import ARTIFACT_FIELDS, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forensics.artifacts.layout import Layout
    from forensics.artifacts.spool import RowSpool, Shape

_BATCH_ROWS = 16_384
# Arrow does not sort by lists, so a row's lists stand once more as text while it is sorted.
_LISTS = ""


def unify(spool: RowSpool, layout: Layout, exhibit: str, path: Path) -> None:
    """Writes all rows, in the table's columns and in no order, as one Arrow IPC file."""
    schema = layout.schema.append(pa.field(_LISTS, TEXT))
    with pa.ipc.new_file(str(path), schema) as writer:
        for some in _gathered(_table_batches(spool, layout, exhibit, schema)):
            writer.write_table(pa.Table.from_batches(some).combine_chunks())


def iter_sorted(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of such a file, sorted by all columns from left to right, nulls last."""
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
        sortable = [one.name for one in table.schema if not pa.types.is_nested(one.type)]
        keys = [(name, "ascending") for name in sortable]
        order = pc.sort_indices(table, sort_keys=keys).to_numpy().astype(np.int64)
        chunks = table.drop_columns([_LISTS]).to_batches()
        starts = np.cumsum([0, *(chunk.num_rows for chunk in chunks)])
        for start in range(0, len(order), _BATCH_ROWS):
            yield _pick(chunks, starts, order[start : start + _BATCH_ROWS]).cast(schema)


def _table_batches(spool: RowSpool, layout: Layout, exhibit: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for shape, batch in spool.iter_batches():
        arrays = _table_columns(shape, batch, layout, exhibit)
        arrays.append(_lists_as_text(arrays, batch.num_rows))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Batches in groups of enough rows: a function of many shapes gives many small ones, and picking rows from those is slow."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= _BATCH_ROWS:
            yield waiting
            waiting, rows = [], 0
    if waiting:
        yield waiting


def _pick(chunks: list[pa.RecordBatch], starts: np.ndarray, rows: np.ndarray) -> pa.RecordBatch:
    """Those rows in that order. Taking from the whole table at once would copy all of its text into memory."""
    owner = np.searchsorted(starts, rows, side="right") - 1
    by_chunk = np.argsort(owner, kind="stable")
    pieces = [chunks[one].take(pa.array(rows[by_chunk][owner[by_chunk] == one] - starts[one])) for one in np.unique(owner)]
    back = np.empty_like(by_chunk)
    back[by_chunk] = np.arange(len(by_chunk))
    return pa.Table.from_batches(pieces).take(pa.array(back)).combine_chunks().to_batches()[0]


def _table_columns(shape: Shape, batch: pa.RecordBatch, layout: Layout, exhibit: str) -> list[pa.Array]:
    source = source_field(shape)
    known = {layout.columns[name]: name for name in batch.schema.names if name and name != source and name in layout.columns}
    rows = batch.num_rows
    first = {
        "exhibit": pa.repeat(pa.scalar(exhibit, TEXT), rows),
        "record_type": pa.repeat(pa.scalar(shape.name, TEXT), rows),
        "source_path": pa.nulls(rows, TEXT) if source is None else batch.column(source),
    }
    arrays = [first[one.name] for one in ARTIFACT_FIELDS]
    for field in list(layout.schema)[len(ARTIFACT_FIELDS) :]:
        if field.name in known:
            arrays.append(_as_type(batch.column(known[field.name]), field.type))
        elif layout.has_other and field.name == OTHER:
            arrays.append(_others(batch, [n for n in batch.schema.names if n and n != source and n not in layout.columns]))
        else:
            arrays.append(pa.nulls(rows, field.type))
    return arrays


def _as_type(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """The array, as text where the table's column is text because the shapes disagree."""
    if array.type == type_:
        return array
    if pa.types.is_list(type_):
        return pa.array([None if one is None else [None if x is None else _json(x) for x in one] for one in array.to_pylist()], type_)
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        return pa.array([None if one is None else _json(one) for one in array.to_pylist()], TEXT)
    return pc.cast(array, TEXT)


def _json(value: object) -> str:
    shown = plain(value)
    return shown if isinstance(shown, str) else json.dumps(shown, sort_keys=True, ensure_ascii=False)


def _others(batch: pa.RecordBatch, names: list[str]) -> pa.Array:
    """The columns of those names as one JSON object a row, nulls left out; null where nothing is left."""
    columns = [_jsonable(batch.column(name)).to_pylist() for name in sorted(names)]
    rows = ({n: plain(v) for n, v in zip(sorted(names), row, strict=True) if v is not None} for row in zip(*columns, strict=True))
    found = [json.dumps(row, ensure_ascii=False) if row else None for row in rows]
    return pa.array(found or [None] * batch.num_rows, TEXT)


def _jsonable(array: pa.Array) -> pa.Array:
    # Python's datetime has no nanoseconds, so times become text in Arrow.
    return pc.cast(array, TEXT) if pa.types.is_timestamp(array.type) else array


def _lists_as_text(arrays: list[pa.Array], rows: int) -> pa.Array:
    lists = [array.to_pylist() for array in arrays if pa.types.is_nested(array.type)]
    if not lists:
        return pa.nulls(rows, TEXT)
    return pa.array([json.dumps(plain(row)) for row in zip(*lists, strict=True)], TEXT)
