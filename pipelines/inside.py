"""A content that holds other files -> its members, each given the one pass: rows of `entries` below the container's path.

A member's path is its container's, "//", and the path inside; `metadata_address` stays that of the file on the volume, and
`address_chain` says how to come from there to the member.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from forensics.errors import Problem, Stage
from forensics.expansion.base import END_BYTES
from forensics.expansion.bounds import ExpansionLimitError
from forensics.expansion.choice import choose
from forensics.expansion.disk_image import DISK_IMAGE
from forensics.expansion.kinds import ALL_OPENERS
from forensics.expansion.walk import SEPARATOR, Content, expand
from forensics.filesystems.base import Kind, Recovery
from forensics.names import display_path, escape_text
from pipelines.content_rows import EMPTY_ROW, NOTHING, content_columns, hit_rows, place_of
from pipelines.listing import time_columns
from pipelines.siblings import beside
from pipelines.space import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.content import ContentReader, ContentResult
    from forensics.expansion.walk import Item
    from forensics.rule_externals import Externals
    from forensics.spooled import SpooledContent
    from pipelines.contents import Batch

# Images come first: a DMG begins like the compressed data that it holds, an AFF4 image is a ZIP file too.
OPENERS = (DISK_IMAGE, *ALL_OPENERS)
_LONGEST_ADDRESS = 1000


def look_inside(batch: Batch, row: dict[str, Any], result: ContentResult, content: SpooledContent) -> None:
    """Goes through everything inside the content of a row, to the depth and within the bounds of the run."""
    context = batch.exhibit.context
    name, head = row["path"].rpartition("/")[2], content.head()
    openers = (*OPENERS, batch.containers)
    end = content.read_at(max(0, content.size - END_BYTES), END_BYTES)
    opener = choose(openers, head=head, end=end, mime_type=result.mime_type, name=name)
    if opener is None:
        return
    listing = context.work / "listings" / f"{row['volume']}.arrow"
    opener = beside(opener, row, batch.exhibit.reader(row["volume"]), lambda: pa.ipc.open_file(pa.memory_map(str(listing))).read_all())
    before = batch.containers.unopened
    with content.open() as file:
        container = Content(file=file, size=content.size, head=head, mime_type=result.mime_type, name=name)
        walk = _Inside(batch, row)
        found = expand(container, walk.take, bounds=context.bounds, credentials=context.credentials, openers=openers, outermost=opener)
        for problem in found:
            path = SEPARATOR.decode().join((row["path"], problem.path)) if problem.path else row["path"]
            batch.problems.append(replace(problem, **{**place_of(row), "path": path}))
    if not batch.random_example and batch.containers.unopened != before:
        batch.random_example = row["path"]


def take_copy(
    contents: ContentReader, item: Item, externals: Callable[[bytes], Externals], name: str
) -> tuple[ContentResult, Content | None]:
    """One pass over a member: its result, and its content for a look whether it holds more; the walk lets that go."""
    assert item.blocks is not None, "the caller has looked"
    with ExitStack() as kept:
        result, content = kept.enter_context(contents.opened(item.blocks, item.member.size, externals))
        if content.spool_failure is not None:
            return result, None
        file = kept.enter_context(content.open())
        head, mime_type = content.head(), result.mime_type
        return result, Content(file=file, size=content.size, head=head, mime_type=mime_type, name=name, let_go=kept.pop_all().close)


def address_chain(item: Item) -> list[str]:
    """The way to a member from its outermost container, a step each."""
    return [escape_text(f"{step.opener}: {step.address}")[:_LONGEST_ADDRESS] for step in item.steps]


def _noting(blocks: Iterator[bytes], cuts: list[ExpansionLimitError]) -> Iterator[bytes]:
    """The blocks; a bound that ends them is noted in `cuts`."""
    try:
        yield from blocks
    except ExpansionLimitError as error:
        cuts.append(error)
        raise


class _Inside:
    """Takes the members of one container."""

    def __init__(self, batch: Batch, row: dict[str, Any]) -> None:
        self._batch, self._row = batch, row
        self._container = row["path_bytes"] or row["path"].encode()

    def take(self, item: Item) -> Content | None:
        """One pass over a member, its rows, and its content for a look whether it holds more."""
        member_row = self._member_row(item)
        exhibit = self._batch.exhibit
        if item.blocks is None:
            reads = item.is_cut or (item.member.problem is not None and item.member.kind is Kind.FILE)
            unread = {"scan": "skipped"} if item.is_cut else {"scan": "failed", "bytes_read": 0}
            self._batch.entries.add([{**member_row, **NOTHING, **(unread if reads else {})}])
            return None
        cuts: list[ExpansionLimitError] = []
        result, content = take_copy(
            exhibit.contents,
            replace(item, blocks=_noting(item.blocks, cuts)),
            partial(self._batch.externals, {**self._row, **member_row}),
            member_row["path"].rpartition("/")[2],
        )
        if member_row["size"] is None and result.is_whole:
            member_row["size"] = result.bytes_read  # its container does not state it
        self._batch.entries.add([{**member_row, **content_columns(member_row, result)}])
        self._batch.hits.add(hit_rows(exhibit.context.exhibit, member_row, result, NOWHERE.volume_offset))
        # A bound that cut the member short is recorded once for the outermost container, by the walk.
        own = [problem for problem in result.problems if not (cuts and problem.why == str(cuts[0]))]
        self._batch.problems.extend(replace(problem, **place_of(member_row)) for problem in own)
        return content

    def _member_row(self, item: Item) -> dict[str, Any]:
        member, row = item.member, self._row
        path, path_bytes = display_path(SEPARATOR.join((self._container, *(step.path for step in item.steps))))
        times, out_of_range = time_columns(member.times)
        member_row = {
            **EMPTY_ROW,
            "exhibit": self._batch.exhibit.context.exhibit,
            "volume": row["volume"],
            "metadata_address": row["metadata_address"],
            "stream": row["stream"],
            "path": path,
            "path_bytes": path_bytes,
            "attribute_type": row["attribute_type"],
            "attribute_id": row["attribute_id"],
            "kind": str(member.kind),
            "link_target": member.link_target,
            "recovery": str(Recovery.MEMBER),
            "metadata_allocated": False if member.deleted else None,
            "unlocked_with": member.unlocked_with or None,
            "address_chain": address_chain(item),
            "size": member.size,
            **times,
            "tz_basis": "local, unknown zone" if member.has_local_times else "UTC",
        }
        self._batch.problems.extend(
            Problem(
                stage=Stage.CONTENT,
                code="time-out-of-range",
                what=f"the time {name!r} of a member lies outside 1677 to 2262 and was left empty",
                why=f"stored value: {raw}",
                **place_of(member_row),
            )
            for name, raw in out_of_range
        )
        return member_row
