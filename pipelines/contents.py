"""One batch of listed entries -> their contents read, hashed, typed and scanned: rows of `entries` and `hits`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from forensics.boundary import attempt
from forensics.errors import ForensicsError, Problem, Stage
from forensics.filesystems.base import Content, Recovery, StreamAddress
from forensics.filetype import extension_mismatch
from forensics.names import extension_of
from forensics.rule_externals import Externals, filetype_word
from forensics.schema import ENTRIES, HITS
from pipelines.problems import write_problems
from pipelines.tables import write_batches, write_rows
from pipelines.tasks import Receipt

if TYPE_CHECKING:
    from forensics.content import ContentResult
    from pipelines.crashes import Marker
    from pipelines.tasks import ReadContents
    from pipelines.worker import OpenExhibit

_NEEDED = ["volume", "metadata_address", "stream", "path", "attribute_type", "attribute_id", "size", "recovery", "owner", "content"]
_FILLED = ["bytes_read", "md5", "sha1", "sha256", "mime_type", "description", "extension_mismatch", "entropy", "scan", "hits"]
_WINDOWS = ("ntfs", "fat12", "fat16", "fat32", "exfat")
_NOTHING: dict[str, Any] = dict.fromkeys(_FILLED)


def read_contents(exhibit: OpenExhibit, task: ReadContents, marker: Marker, left_out: frozenset[int]) -> Receipt:
    """Reads the batch's contents and writes its parts of `entries`, `hits` and `problems`.

    Args:
        exhibit: the exhibit, open.
        task: which batch.
        marker: is told each row before it is read.
        left_out: rows of the batch that processes died of; they are not read.
    """
    context = exhibit.context
    with pa.OSFile(str(context.work / "batches" / f"{task.number:06d}.arrow")) as file:
        listing = pa.ipc.open_file(file).read_all()
    work = _Batch(exhibit)
    filled = []
    for number, row in enumerate(listing.select(_NEEDED).to_pylist()):
        if number in left_out:
            filled.append(work.leave_out(row))
            continue
        if row["content"] == Content.READ:
            marker.at(number)
        filled.append(work.fill(row))
    for name in _FILLED:
        type_ = ENTRIES.schema.field(name).type
        listing = listing.set_column(listing.schema.get_field_index(name), name, pa.array([row[name] for row in filled], type=type_))
    entries = listing.select(ENTRIES.schema.names).cast(ENTRIES.schema)
    parts = [write_batches(context.tables, ENTRIES.name, task.name, ENTRIES.schema, entries.to_batches())]
    if work.hits:
        parts.append(write_rows(context.tables, HITS, task.name, work.hits))
    parts += write_problems(context.tables, task.name, context.exhibit, work.problems)
    return Receipt(task=task.name, parts=tuple(parts), items=len(filled), bytes_read=work.bytes_read, problems=len(work.problems))


class _Batch:
    """Collects what one batch gives."""

    def __init__(self, exhibit: OpenExhibit) -> None:
        self._exhibit = exhibit
        self._named_rules = exhibit.contents.rules is not None and exhibit.contents.rules.named_rules is not None
        self._last: tuple[tuple[str, StreamAddress], ContentResult] | None = None
        self.hits: list[dict[str, Any]] = []
        self.problems: list[Problem] = []
        self.bytes_read = 0

    def leave_out(self, row: dict[str, Any]) -> dict[str, Any]:
        """The content columns of a row that two processes have died of."""
        self.problems.append(
            Problem(
                stage=Stage.CONTENT,
                code="parser-crashed",
                what="a file could not be read: the process that read it died",
                why="two worker processes died of it",
                advice="read it with another tool; a crash of a parser is worth a report to its authors",
                **_place(row),
            )
        )
        return {**_NOTHING, "bytes_read": 0, "scan": "failed"}

    def fill(self, row: dict[str, Any]) -> dict[str, Any]:
        """The content columns of a listed row."""
        if row["content"] == Content.NONE:
            return _NOTHING
        if row["content"] == Content.SKIP or not self._exhibit.context.read_contents:
            return {**_NOTHING, "scan": "skipped"}
        result: ContentResult | None = None

        def read() -> None:
            nonlocal result
            result = self._read(row)

        error = attempt(read)
        place = _place(row)
        if error is not None or result is None:
            self.problems.append(_not_read(error, row["size"], place))
            return {**_NOTHING, "bytes_read": 0, "scan": "skipped" if self._exhibit.contents.rules is None else "failed"}
        self.problems.extend(replace(problem, **place) for problem in result.problems)
        return self._columns(row, result, place)

    def _read(self, row: dict[str, Any]) -> ContentResult:
        """The content, read once for all names of one stream."""
        address = StreamAddress(row["metadata_address"], row["attribute_type"], row["attribute_id"])
        key = (row["volume"], address)
        if self._last is not None and self._last[0] == key and not self._named_rules:
            return self._last[1]
        reader = self._exhibit.reader(row["volume"])
        result = self._exhibit.contents.read(reader.open_stream(address), partial(self._externals, row))
        self._last = (key, result)
        self.bytes_read += result.bytes_read
        return result

    def _externals(self, row: dict[str, Any], first_bytes: bytes) -> Externals:
        path = f"{row['path']}:{row['stream']}" if row["stream"] else row["path"]
        windows = self._exhibit.reader(row["volume"]).filesystem in _WINDOWS
        return Externals.of_path(path, windows=windows, filetype=filetype_word(first_bytes), owner=str(row["owner"] or 0))

    def _columns(self, row: dict[str, Any], result: ContentResult, place: dict[str, Any]) -> dict[str, Any]:
        # What is left of a deleted file is identified by what is left; an allocated file is only what it is as a whole.
        identified = result.is_whole or (result.bytes_read > 0 and row["recovery"] in (Recovery.DELETED, Recovery.ORPHAN))
        sha256 = result.sha256 if identified else None
        self.hits.extend(
            {
                "exhibit": self._exhibit.context.exhibit,
                **place,
                "sha256": sha256,
                "rule": match.rule,
                "namespace": match.namespace,
                "tags": list(match.tags),
                "meta": list(match.meta),
                "string": match.string,
                "offset": match.offset,
                "length": match.length,
                "matched": match.matched,
                "instances": match.instances,
            }
            for match in result.matches
        )
        scanned = result.scan in ("complete", "partial")
        return {
            "bytes_read": result.bytes_read,
            "md5": result.md5 if identified else None,
            "sha1": result.sha1 if identified else None,
            "sha256": sha256,
            "mime_type": result.mime_type,
            "description": result.description,
            "extension_mismatch": extension_mismatch(result.mime_type, extension_of(row["path"].rpartition("/")[2]))
            if not row["stream"]
            else None,
            "entropy": result.entropy,
            "scan": str(result.scan),
            "hits": len({(match.namespace, match.rule) for match in result.matches}) if scanned else None,
        }


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("volume", "metadata_address", "stream", "path")}


def _not_read(error: Exception | None, size: int | None, place: dict[str, Any]) -> Problem:
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
