"""What one pass over a content gave -> columns of its row in `entries`, and its rows in `hits`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics.errors import ForensicsError, Problem, Stage
from forensics.filesystems.base import Recovery
from forensics.filetype import extension_mismatch
from forensics.names import extension_of
from forensics.schema import ENTRIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.content import ContentResult

FILLED = ("bytes_read", "md5", "sha1", "sha256", "mime_type", "description", "extension_mismatch", "entropy", "scan", "hits")
"""Columns of `entries` that reading a content fills."""
NOTHING: dict[str, Any] = dict.fromkeys(FILLED)
"""Those columns for what has no content."""
EMPTY_ROW: dict[str, Any] = dict.fromkeys(ENTRIES.schema.names)
_PLACE = ("volume", "metadata_address", "stream", "path")
# What is left of these is identified by what is left; anything else is only what it is as a whole.
_REMAINS = (Recovery.DELETED, Recovery.ORPHAN, Recovery.UNALLOCATED, Recovery.UNOWNED, Recovery.SLACK, Recovery.CARVED)
_SPACE = (Recovery.UNALLOCATED, Recovery.UNOWNED, Recovery.SLACK)


def place_of(row: dict[str, Any]) -> dict[str, Any]:
    """The columns that say where a row's content stands, as `hits` and `problems` have them too."""
    return {name: row[name] for name in _PLACE}


def is_identified(row: dict[str, Any], result: ContentResult) -> bool:
    """Whether the digests identify the row's content: it was read whole, or is a remnant of which something was read."""
    return result.is_whole or (result.bytes_read > 0 and row["recovery"] in _REMAINS)


def content_columns(row: dict[str, Any], result: ContentResult) -> dict[str, Any]:
    """The columns FILLED of the row."""
    identified = is_identified(row, result)
    scanned = result.scan in ("complete", "partial")
    named = not row["stream"] and row["recovery"] not in _SPACE
    return {
        "bytes_read": result.bytes_read,
        "md5": result.md5 if identified else None,
        "sha1": result.sha1 if identified else None,
        "sha256": result.sha256 if identified else None,
        "mime_type": result.mime_type,
        "description": result.description,
        "extension_mismatch": extension_mismatch(result.mime_type, extension_of(row["path"].rpartition("/")[2])) if named else None,
        "entropy": result.entropy,
        "scan": str(result.scan),
        "hits": len({(match.namespace, match.rule) for match in result.matches}) if scanned else None,
    }


def hit_rows(exhibit: str, row: dict[str, Any], result: ContentResult, volume_offset: Callable[[int], int | None]) -> list[dict[str, Any]]:
    """The rows of `hits` for the content; `volume_offset` gives a place in the content as one in the volume."""
    sha256 = result.sha256 if is_identified(row, result) else None
    place = place_of(row)
    return [
        {
            "exhibit": exhibit,
            **place,
            "sha256": sha256,
            "rule": match.rule,
            "namespace": match.namespace,
            "tags": list(match.tags),
            "meta": list(match.meta),
            "string": match.string,
            "offset": match.offset,
            "volume_offset": volume_offset(match.offset) if match.offset is not None else None,
            "length": match.length,
            "matched": match.matched,
            "instances": match.instances,
        }
        for match in result.matches
    ]


def not_read(error: Exception | None, size: int | None, place: dict[str, Any]) -> Problem:
    """The problem of a content of which nothing could be read."""
    why = str(error) if isinstance(error, ForensicsError) else f"{type(error).__name__}: {error}"
    return Problem(
        stage=Stage.CONTENT,
        code="stream-unreadable",
        what="a file could not be read at all",
        why=why,
        advice="read it with another tool; if the image is damaged, go back to the original",
        start_byte=0,
        size_bytes=size,
        **place,
    )


def crashed(what: str, place: dict[str, Any]) -> Problem:
    """The problem of something that two worker processes died of."""
    return Problem(
        stage=Stage.CONTENT,
        code="parser-crashed",
        what=what,
        why="two worker processes died of it",
        advice="read it with another tool; a crash of a parser is worth a report to its authors",
        **place,
    )
