"""Checked rows -> one Parquet part, written whole or not at all.

Parts hold nothing of the clock or the host, so equal rows give equal bytes. The owner file of pyarrow.parquet.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from forensics.schema import check_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from forensics.schema import Table

_ROW_GROUP = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Parquet file of a run: its table, its name inside the table's folder, its rows and its SHA-256."""

    table: str
    name: str
    rows: int
    sha256: str


def write_rows(tables: Path, table: Table, name: str, rows: Sequence[Mapping[str, Any]]) -> Part:
    """Writes rows, put in the table's order, as the part `name` under `tables`.

    Raises:
        SchemaError: a row does not fit the table.
    """
    check_rows(rows, table.schema)
    ordered = sorted(rows, key=lambda row: [(row[key] is not None, row[key]) for key in table.order])
    batch = pa.RecordBatch.from_pylist(list(ordered), schema=table.schema)
    return write_batches(tables, table.name, name, table.schema, [batch])


def write_batches(tables: Path, table: str, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Part:
    """Writes record batches, in the order given, as the part `name` of `table` under `tables`."""
    folder = tables / table
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"part-{name}.parquet"
    partial = folder / f".{final.name}.writing"
    rows = 0
    with pq.ParquetWriter(partial, schema, compression="zstd", compression_level=3, version="2.6") as writer:
        for batch in batches:
            if batch.num_rows:
                writer.write_batch(batch, row_group_size=_ROW_GROUP)
                rows += batch.num_rows
    sha256 = file_sha256(partial)
    sync(partial)
    partial.replace(final)
    sync(folder)
    return Part(table=table, name=final.name, rows=rows, sha256=sha256)


def read_table(tables: Path, table: str, columns: list[str] | None = None) -> pa.Table:
    """All rows of a table of a run, parts in the order of their names."""
    parts = sorted((tables / table).glob("part-*.parquet"))
    return pa.concat_tables(pq.read_table(part, columns=columns) for part in parts)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, and on disk when this returns."""
    partial = path.with_name(f".{path.name}.writing")
    partial.write_bytes(data)
    sync(partial)
    partial.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Returns when the file or folder is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
