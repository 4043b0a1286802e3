"""One batch of listed entries -> their contents read, hashed, typed and scanned: rows of `entries` and `hits`.

What is found inside a content — files carved from free space, members of archives — gets the same pass while the content is at hand,
and rows of its own in the same part.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from forensics.boundary import attempt
from forensics.expansion.encrypted_container import EncryptedContainer
from forensics.filesystems.base import Content, Recovery, StreamAddress
from forensics.logical.stated import Computed, stated_problem
from forensics.readable import iter_readable
from forensics.rule_externals import Externals, filetype_word
from forensics.schema import CARVED, ENTRIES, HITS
from pipelines.carve import carve
from pipelines.content_rows import FILLED, NOTHING, content_columns, crashed, hit_rows, not_read, place_of
from pipelines.inside import look_inside
from pipelines.problems import write_problems
from pipelines.row_buffer import RowBuffer
from pipelines.space import NOWHERE, Pieces
from pipelines.tables import write_batches
from pipelines.tasks import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.content import ContentResult
    from forensics.errors import Problem
    from forensics.filesystems.base import SpaceReader
    from forensics.spooled import SpooledContent
    from pipelines.crashes import Marker
    from pipelines.tasks import ReadContents
    from pipelines.worker import OpenExhibit

_NEEDED = [
    *("volume", "metadata_address", "stream", "path", "path_bytes", "attribute_type", "attribute_id", "size", "recovery", "owner"),
    *("start_byte", "content"),
]
_WINDOWS = ("ntfs", "fat12", "fat16", "fat32", "exfat")
_SPACE = (Recovery.UNALLOCATED, Recovery.UNOWNED, Recovery.SLACK)
# What a process does with a row, one after the other, each an item that it may die at without the others' being lost.
_STEPS = 3
_READ, _CARVE, _EXPAND = range(_STEPS)


def read_contents(exhibit: OpenExhibit, task: ReadContents, marker: Marker, left_out: frozenset[int]) -> Receipt:
    """Reads the batch's contents and writes its parts of `entries`, `hits`, `carved` and `problems`.

    Args:
        exhibit: the exhibit, open.
        task: which batch.
        marker: is told each step of each row before it is done.
        left_out: steps of rows that processes died of; they are not done.
    """
    context = exhibit.context
    with pa.OSFile(str(context.work / "batches" / f"{task.number:06d}.arrow")) as file:
        listing = pa.ipc.open_file(file).read_all()
    work = Batch(exhibit, marker, left_out)
    filled = [work.fill(number, row) for number, row in enumerate(listing.select(_NEEDED).to_pylist())]
    for name in FILLED:
        type_ = ENTRIES.schema.field(name).type
        listing = listing.set_column(listing.schema.get_field_index(name), name, pa.array([row[name] for row in filled], type=type_))
    entries = work.entries.table(listing.select(ENTRIES.schema.names).cast(ENTRIES.schema))
    parts = [write_batches(context.tables, ENTRIES.name, task.name, ENTRIES.schema, entries.to_batches())]
    for table, rows in ((HITS, work.hits), (CARVED, work.carved)):
        if rows.count:
            parts.append(write_batches(context.tables, table.name, task.name, table.schema, rows.table().to_batches()))
    parts += write_problems(context.tables, task.name, context.exhibit, work.problems)
    items = len(filled) + work.entries.count
    return Receipt(
        task=task.name,
        parts=tuple(parts),
        items=items,
        bytes_read=work.bytes_read,
        problems=len(work.problems),
        random_files=replace(work.containers.unopened, example=work.random_example),
    )


class Batch:
    """Collects what one batch gives.

    Attributes:
        entries: rows of what was found inside contents; those of the listing are filled in place.
        containers: opens what may be encrypted containers, and counts those that it did not.
        random_example: path of the first file of the batch in which it did not; "" if there is none.
    """

    def __init__(self, exhibit: OpenExhibit, marker: Marker, left_out: frozenset[int]) -> None:
        self.exhibit = exhibit
        self._marker, self._left_out = marker, left_out
        self._named_rules = exhibit.contents.rules is not None and exhibit.contents.rules.named_rules is not None
        self._last: tuple[tuple[str, StreamAddress], ContentResult] | None = None
        self.entries, self.hits, self.carved = RowBuffer(ENTRIES), RowBuffer(HITS), RowBuffer(CARVED)
        self.problems: list[Problem] = []
        self.containers, self.random_example = EncryptedContainer(), ""
        self.bytes_read = 0

    def fill(self, number: int, row: dict[str, Any]) -> dict[str, Any]:
        """The content columns of row `number` of the listing."""
        if row["content"] == Content.NONE:
            return NOTHING
        if row["content"] == Content.SKIP or not self.exhibit.context.read_contents:
            return {**NOTHING, "scan": "skipped"}
        if not self._begin(number, _READ):
            self.problems.append(crashed("a file could not be read: the process that read it died", place_of(row)))
            return {**NOTHING, "bytes_read": 0, "scan": "failed"}
        result: ContentResult | None = None

        def read() -> None:
            nonlocal result
            for result in self._read(number, row):  # noqa: B007 - what is done with the content while it is open, is done in there
                pass

        error = attempt(read)
        place = place_of(row)
        if result is None:
            self.problems.append(not_read(error, row["size"], place))
            return {**NOTHING, "bytes_read": 0, "scan": "skipped" if self.exhibit.contents.rules is None else "failed"}
        if error is not None:
            self.problems.append(replace(not_read(error, None, place), what="what is inside a file could not be looked at to its end"))
        self.problems.extend(replace(problem, **place) for problem in result.problems)
        return content_columns(row, result)

    def _read(self, number: int, row: dict[str, Any]) -> Iterator[ContentResult]:
        """The result of one pass, and then what is inside; read once for all names of one stream."""
        address = StreamAddress(row["metadata_address"], row["attribute_type"], row["attribute_id"], row["recovery"] == Recovery.SLACK)
        key = (row["volume"], address)
        if self._last is not None and self._last[0] == key and not self._named_rules:
            result = self._last[1]
            self.hits.add(hit_rows(self.exhibit.context.exhibit, row, result, NOWHERE.volume_offset))
            yield result
            return
        reader = self.exhibit.reader(row["volume"])
        stream = reader.open_stream(address)
        with self.exhibit.contents.opened(iter_readable(stream), stream.size, partial(self.externals, row)) as (result, content):
            is_first_name = self._last is None or self._last[0] != key
            self._last = (key, result)
            self.bytes_read += result.bytes_read
            if result.is_whole:
                wrong = stated_problem(stream, Computed(md5=result.md5, sha1=result.sha1, sha256=result.sha256))
                self.problems.extend([replace(wrong, **place_of(row))] if wrong is not None else [])
            pieces = self._pieces(row, address)
            self.hits.add(hit_rows(self.exhibit.context.exhibit, row, result, pieces.volume_offset))
            yield result
            if is_first_name:
                self._look_further(number, row, result, content, pieces)

    def _look_further(self, number: int, row: dict[str, Any], result: ContentResult, content: SpooledContent, pieces: Pieces) -> None:
        """Carves free space; opens what holds other files."""
        if content.spool_failure is not None:
            return  # a problem says so already
        if row["recovery"] in _SPACE:
            if self._begin(number, _CARVE):
                carve(self, row, content, pieces)
            else:
                self.problems.append(crashed("nothing was carved from a piece of free space", place_of(row)))
        elif self._begin(number, _EXPAND):
            content.cut()
            look_inside(self, row, result, content)
        else:
            self.problems.append(crashed("what is inside a file was not looked at", place_of(row)))

    def _begin(self, number: int, step: int) -> bool:
        """Notes that the process begins with this step of a row; False if others died of it."""
        item = number * _STEPS + step
        if item in self._left_out:
            return False
        self._marker.at(item)
        return True

    def _pieces(self, row: dict[str, Any], address: StreamAddress) -> Pieces:
        if row["recovery"] not in _SPACE:
            return NOWHERE
        if row["start_byte"] is not None:
            return Pieces(((row["start_byte"], row["size"]),))
        return Pieces(cast("SpaceReader", self.exhibit.reader(row["volume"])).runs_of(address))

    def externals(self, row: dict[str, Any], first_bytes: bytes) -> Externals:
        """What rules that ask for a name are told about the content of a row."""
        path = f"{row['path']}:{row['stream']}" if row["stream"] else row["path"]
        windows = self.exhibit.reader(row["volume"]).filesystem in _WINDOWS
        return Externals.of_path(path, windows=windows, filetype=filetype_word(first_bytes), owner=str(row["owner"] or 0))
