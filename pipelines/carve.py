"""Free space -> the files found in it by their structure: rows of `carved`, and of `entries` for their contents."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from forensics.carving.carver import iter_carved
from forensics.errors import Problem
from forensics.filesystems.base import Kind, Recovery
from forensics.filesystems.raw_space import RangeStream
from forensics.readable import iter_readable
from pipelines.content_rows import EMPTY_ROW, content_columns, hit_rows, place_of
from pipelines.inside import look_inside

if TYPE_CHECKING:
    from forensics.carving.base import Carved
    from forensics.spooled import SpooledContent
    from pipelines.contents import Batch
    from pipelines.space import Pieces

FOLDER = "$Carved"
"""Folder, made up, in which carved files are listed."""
# Files begin where a block does, and no filesystem has blocks of less; slack begins anywhere.
_SECTOR_BYTES = 512


def carve(batch: Batch, row: dict[str, Any], content: SpooledContent, pieces: Pieces) -> None:
    """Carves the content of a row of free space, each file found getting the one pass, and what is inside it too."""
    alignment = 1 if row["recovery"] == Recovery.SLACK else _SECTOR_BYTES
    for found in iter_carved(content, alignment=alignment):
        if isinstance(found, Problem):
            batch.problems.append(replace(found, **place_of(row)))
        else:
            _take(batch, row, content, pieces, found)


def _take(batch: Batch, row: dict[str, Any], content: SpooledContent, pieces: Pieces, found: Carved) -> None:
    exhibit = batch.exhibit
    start = pieces.volume_offset(found.offset)
    path = f"{FOLDER}/{start if start is not None else found.offset:015d}.{found.extension}"
    carved_row = {
        **EMPTY_ROW,
        "exhibit": exhibit.context.exhibit,
        "volume": row["volume"],
        "metadata_address": row["metadata_address"],
        "stream": row["stream"],
        "path": path,
        "kind": str(Kind.FILE),
        "recovery": str(Recovery.CARVED),
        "size": found.length,
        "start_byte": start,
        "tz_basis": "UTC",
    }
    stream = RangeStream(content, found.offset, found.length)
    own_pieces = pieces.part(found.offset, found.length)
    with exhibit.contents.opened(iter_readable(stream), stream.size, partial(batch.externals, {**carved_row, "owner": None})) as (
        result,
        copy,
    ):
        batch.problems.extend(replace(problem, **place_of(carved_row)) for problem in result.problems)
        batch.entries.add([{**carved_row, **content_columns(carved_row, result)}])
        batch.hits.add(hit_rows(exhibit.context.exhibit, carved_row, result, own_pieces.volume_offset))
        batch.carved.add(
            [
                {
                    "exhibit": exhibit.context.exhibit,
                    **place_of(carved_row),
                    "found_in": row["path"],
                    "offset": found.offset,
                    "start_byte": start,
                    "length": found.length,
                    "kind": found.kind,
                    "validated": found.validated,
                    "why": found.why,
                    "fragmented": pieces.is_broken(found.offset, found.length),
                    "sha256": result.sha256,
                }
            ]
        )
        look_inside(batch, carved_row, result, copy)
