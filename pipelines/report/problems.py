"""What could not be read: problems grouped by kind, each with what it means for the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipelines.report.escaping import join, show, trusted
from pipelines.report.files import address_line
from pipelines.report.listing import Head, Listing, Row, cell, stacked, write_listing
from pipelines.report.rendering import Site, anchor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipelines.report.listing import Written
    from pipelines.report.tables import RunTables

_COLUMNS: Final = ("stage", "code", "what", "why", "advice", "volume", "metadata_address", "stream", "path", "start_byte", "size_bytes")
_HEADS: Final = (
    Head(title="What could not be done", style="wide"),
    Head(title="Cause, as the format or the library states it", style="wide"),
    Head(title="Where", style="wide"),
    Head(title="Advice", style="note"),
)
# What a problem of each stage means for a reader of the results.
_MEANINGS: Final = {
    "image": "Part of the image is damaged, missing or does not match. What lies in that part may be wrong or absent in everything below.",
    "volumes": "Part of the disk's division could not be understood. Files in that part may not be listed.",
    "filesystem": "A filesystem, or part of it, could not be listed. Files in it may be missing from this report.",
    "content": "The content of a file could not be read, or not to its end. It has no digest, and a search of it is not complete.",
    "yara": "A rule could not be used, or a file could not be searched. No hit there does not mean that there is nothing.",
    "artifacts": "A kind of trace could not be extracted, or only partly. Its absence here does not mean that it is absent on the exhibit.",
    "report": "Something could not be shown in this report. It is in the tables.",
}


_TITLES: Final = {
    "image": "The image",
    "volumes": "Division of the disk",
    "filesystem": "Filesystems",
    "content": "Contents of files",
    "yara": "Search with YARA rules",
    "artifacts": "Artifacts",
    "report": "This report",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemGroup:
    """Problems of one stage and code.

    Attributes:
        stage: where they arose.
        code: their kind.
        number: how many there are.
        meaning: what they mean for the result.
        example: the first of them, in its own words.
        advice: what the first of them advises; "" if nothing.
        first_row: number of its row, counted from 1.
    """

    stage: str
    code: str
    number: int
    meaning: str
    example: str
    advice: str
    first_row: int


def meaning_of(stage: str) -> str:
    """What a problem of this stage means for whoever relies on the results."""
    return _MEANINGS.get(stage, "Something could not be done; the row says what.")


def title_of(stage: str) -> str:
    """The stage as a heading."""
    return _TITLES.get(stage, stage)


def group_problems(tables: RunTables) -> tuple[ProblemGroup, ...]:
    """All problems by stage and code, stages in the order of the work, then the most frequent first."""
    counts: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, str], tuple[str, str, int]] = {}
    for number, (stage, code, what, advice) in enumerate(tables.rows("problems", ("stage", "code", "what", "advice")), 1):
        counts[stage, code] = counts.get((stage, code), 0) + 1
        first.setdefault((stage, code), (what, advice, number))
    stages = list(_MEANINGS)
    groups = (
        ProblemGroup(
            stage=key[0],
            code=key[1],
            number=number,
            meaning=meaning_of(key[0]),
            example=first[key][0],
            advice=first[key][1],
            first_row=first[key][2],
        )
        for key, number in counts.items()
    )
    return tuple(
        sorted(groups, key=lambda one: (stages.index(one.stage) if one.stage in stages else len(stages), one.stage, -one.number, one.code))
    )


def by_stage(groups: tuple[ProblemGroup, ...]) -> tuple[tuple[str, str, int, tuple[ProblemGroup, ...]], ...]:
    """(heading, meaning, number, its groups), in the order of the groups."""
    stages = dict.fromkeys(one.stage for one in groups)
    return tuple(
        (title_of(stage), meaning_of(stage), sum(one.number for one in members), members)
        for stage in stages
        if (members := tuple(one for one in groups if one.stage == stage))
    )


def _where(row: dict[str, Any], places: Mapping[str, str]) -> tuple[Any, ...]:
    below = [address_line(row["volume"], row["metadata_address"], row["stream"])]
    if row["start_byte"] is not None or row["size_bytes"] is not None:
        start = "start not known" if row["start_byte"] is None else f"from byte {row['start_byte']:,}"
        length = "" if row["size_bytes"] is None else f", {row['size_bytes']:,} bytes"
        below.append(show(start + length))
    place = places.get(anchor(row["volume"], row["metadata_address"], row["path"], row["stream"]))
    if place and row["metadata_address"] is not None:
        below.append(trusted(f'<a href="{place}">row of this file</a>'))
    return tuple(below)


def _rows(tables: RunTables, places: Mapping[str, str]) -> Iterator[Row]:
    for number, values in enumerate(tables.rows("problems", _COLUMNS), 1):
        row = dict(zip(_COLUMNS, values, strict=True))
        yield Row(
            anchor=f"row-{number}",
            cells=(
                stacked(cell(row["what"]), join((show(row["stage"]), show(row["code"])), by=" &middot; ")),
                cell(row["why"]),
                stacked(cell(row["path"]), *_where(row, places)),
                cell(row["advice"]),
            ),
        )


def write_problems(site: Site, tables: RunTables, *, query: str, places: Mapping[str, str]) -> Written:
    """Writes the listing of all problems; `places` are the links to the rows of the files."""
    listing = Listing(
        key="problem-rows",
        title="All problems",
        caption="A row is one recorded failure on one item.",
        heads=_HEADS,
        total=tables.count("problems"),
        query=query.format(table="problems"),
    )
    return write_listing(site, listing, _rows(tables, places))
