"""All times of all tables of a run, in order: the table `timeline`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from forensics.schema import ARTIFACT_FIELDS, ARTIFACT_PREFIX, TIMELINE
from pipelines.query import iter_timeline
from pipelines.tables import write_batches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.tables import Part

_DESCRIBING_COLUMNS = 4
_DESCRIPTION_LENGTH = 300
# Tables whose times stand in `entries` already, or hold one time many times over.
_LEFT_OUT = ("artifact_mft_records", "artifact_mft_timeline", "artifact_usnjrnl", "artifact_walkfs")


def write_timeline(run: Path, exhibit: str, scratch: Path) -> Part:
    """Writes the run's timeline from its other tables; a sort that does not fit into memory goes to `scratch`."""
    times = [entry for folder in sorted((run / "tables").glob(f"{ARTIFACT_PREFIX}*")) for entry in _times_of(folder)]
    batches = iter_timeline(run, exhibit, times, scratch)
    return write_batches(run / "tables", TIMELINE.name, "000000", TIMELINE.schema, _cast(batches))


def _times_of(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """For each time column of an artifact table: table, column, and SQL for a description and a path."""
    part = next(iter(sorted(folder.glob("part-*.parquet"))), None)
    if part is None or folder.name in _LEFT_OUT:
        return
    schema = pq.read_schema(part)
    own = [field for field in schema if field.name not in {f.name for f in ARTIFACT_FIELDS}]
    texts = [field.name for field in own if pa.types.is_string(field.type) or pa.types.is_integer(field.type)]
    chosen = texts[:_DESCRIBING_COLUMNS]
    words = ", ".join(f"{_literal(name)} || ': ' || CAST({_column(name)} AS VARCHAR)" for name in chosen)
    label = folder.name.removeprefix(ARTIFACT_PREFIX)
    text = f"left(concat_ws('; ', {_literal(label)}{', ' + words if words else ''}), {_DESCRIPTION_LENGTH})"
    for field in own:
        if pa.types.is_timestamp(field.type):
            yield folder.name, field.name, text, "source_path"


def _cast(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from pa.Table.from_batches([batch]).select(TIMELINE.schema.names).cast(TIMELINE.schema).to_batches()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _column(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
