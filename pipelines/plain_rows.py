"""Rows of a table as plain values that JSON can hold, without loss, and a digest of them.

Times are text in UTC with nine decimals ("2024-03-01T09:30:00.000000000Z"), bytes {"hex": "…"}, maps objects.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows in their order, each with all columns of the table."""
    columns = [_plain_column(table.column(name)) for name in table.column_names]
    return [dict(zip(table.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def rows_digest(rows: list[dict[str, Any]]) -> str:
    """SHA-256, hex, of the rows as JSON lines with sorted keys: it does not depend on how Parquet packs them."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _plain_column(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_timestamp(kind):
        # Through integers, because Python's datetime has no nanoseconds.
        return [None if value is None else _time(value, _UNITS_A_SECOND[kind.unit]) for value in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_list(kind) and pa.types.is_timestamp(kind.value_type):
        integers = column.cast(pa.list_(pa.int64())).to_pylist()
        scale = _UNITS_A_SECOND[kind.value_type.unit]
        return [None if values is None else [None if one is None else _time(one, scale) for one in values] for values in integers]
    if pa.types.is_map(kind):
        return [None if pairs is None else {key: _plain(value) for key, value in pairs} for pairs in column.to_pylist()]
    return [_plain(value) for value in column.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def _time(value: int, units_a_second: int) -> str:
    seconds, rest = divmod(value, units_a_second)
    nanoseconds = rest * (1_000_000_000 // units_a_second)
    return f"{(_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')}.{nanoseconds:09d}Z"
