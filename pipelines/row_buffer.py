"""Rows that come one by one, held as Arrow until they are written, because a million of them as Python objects would fill the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from forensics.schema import check_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forensics.schema import Table

_ROWS_A_BATCH = 10_000


class RowBuffer:
    """Rows of one table, checked against its schema as they come."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._waiting: list[dict[str, Any]] = []
        self._batches: list[pa.RecordBatch] = []
        self.count = 0

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Takes more rows.

        Raises:
            SchemaError: a row does not fit the table.
        """
        before = len(self._waiting)
        self._waiting.extend(rows)
        self.count += len(self._waiting) - before
        if len(self._waiting) >= _ROWS_A_BATCH:
            self._pack()

    def table(self, first: pa.Table | None = None) -> pa.Table:
        """All rows, those of `first` among them, in the table's order; rows that are equal in it stay in the order in which they came."""
        self._pack()
        own = pa.Table.from_batches(self._batches, schema=self._table.schema)
        rows = own if first is None else pa.concat_tables([first, own])
        return rows if self.count == 0 else rows.take(stable_order(rows, self._table.order))

    def _pack(self) -> None:
        if self._waiting:
            check_rows(self._waiting, self._table.schema)
            self._batches.append(pa.RecordBatch.from_pylist(self._waiting, schema=self._table.schema))
            self._waiting = []


def stable_order(rows: pa.Table, keys: tuple[str, ...]) -> pa.Array:
    """The numbers of the rows in the order of the keys, nulls first, ties in the order in which they stand."""
    numbered = rows.select(list(dict.fromkeys(keys))).append_column("\0row", pa.array(range(rows.num_rows), pa.int64()))
    return pc.sort_indices(numbered, sort_keys=[*((key, "ascending", "at_start") for key in keys), ("\0row", "ascending", "at_end")])
