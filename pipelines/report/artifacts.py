"""The artifact tables: one paged listing each, and the few rows that page one names."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipelines.report.artifact_words import Group, Words, plain_name, words_for
from pipelines.report.escaping import Html, inline, join, show
from pipelines.report.listing import Head, Listing, Row, cell, label, labelled, write_listing
from pipelines.report.tables import Column, Kind, RunTables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.report.rendering import Site

_MAIN_COLUMNS: Final = 6
_COMMON: Final = ("exhibit", "record_type", "source_path", "hostname", "domain")
_TO_THE_SECOND: Final = len("2021-03-04 10:11:12")
_EXAMPLE_LIMIT: Final = 120
# Distinct rows held while looking for the newest, so that a table of any length needs the same memory.
_REMEMBERED: Final = 5000
_SAFE_NAME: Final = re.compile(r"[a-z0-9_]{1,80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRow:
    """A row that page one names.

    Attributes:
        first: its first value that is no time.
        text: its values in one line.
        time: its first time, "" if it has none.
        number: the number of its row in the listing.
    """

    first: Html
    text: Html
    time: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactPages:
    """An artifact table as page one presents it."""

    table: str
    name: str
    words: Words
    rows: int
    first_page: str
    examples: tuple[ExampleRow, ...]
    example_links: tuple[str, ...]
    newest_first: bool


def main_columns(columns: tuple[Column, ...], words: Words) -> tuple[Column, ...]:
    """The columns with a heading of their own: those the words name, then times, then the others, six in all."""
    own = {one.name: one for one in columns if one.name not in _COMMON}
    named = [own[name] for name in words.columns if name in own]
    times = [one for one in own.values() if one.kind is Kind.TIME and one not in named]
    others = [one for one in own.values() if one.kind is not Kind.TIME and one not in named]
    return tuple((named + times + others)[:_MAIN_COLUMNS])


def _heading(column: Column) -> str:
    """The column's name as words; dissect calls a record's main time `ts`."""
    words = "time" if column.name == "ts" else column.name.replace("_", " ")
    return f"{words} (UTC)" if column.kind is Kind.TIME else words


def _heads(main: tuple[Column, ...]) -> tuple[Head, ...]:
    styles = {Kind.TIME: "moment", Kind.NUMBER: "num", Kind.FLAG: ""}
    titled = [
        Head(
            title=_heading(one),
            meaning=one.meaning + (f" ({one.unit})" if one.unit else ""),
            style=styles.get(one.kind, "text"),
        )
        for one in main
    ]
    return (*titled, Head(title="other values", meaning="every other column that holds a value in this row", style="wide rest"))


def _rows(tables: RunTables, table: str, main: tuple[Column, ...]) -> Iterator[Row]:
    columns = tables.columns(table)
    taken = {one.name for one in main}
    places = {one.name: place for place, one in enumerate(columns)}
    shown = [(places[one.name], one.unit == "bytes") for one in main]
    # hostname and domain are the system's own in every row; source and kind of the record close the row.
    # hostname and domain are the system's own in every row; source and kind of the record close the row.
    others = [one.name for one in columns if one.name not in taken and one.name not in _COMMON]
    rest = [(label(name), places[name]) for name in (*others, "source_path", "record_type") if name in places]
    for number, values in enumerate(tables.rows(table, [one.name for one in columns]), 1):
        cells = [cell(values[place], grouped=grouped) for place, grouped in shown]
        yield Row(anchor=f"row-{number}", cells=(*cells, labelled((name, values[place]) for name, place in rest)))


def _examples(tables: RunTables, table: str, words: Words, main: tuple[Column, ...]) -> tuple[ExampleRow, ...]:
    """The newest rows by the first time column, else the first ones; rows alike in all that is shown of them count once."""
    shown = tuple(one for one in main if one.name in words.columns) or main
    time = next((place for place, one in enumerate(shown) if one.kind is Kind.TIME), None)
    newest: dict[tuple[Any, ...], tuple[str, int]] = {}
    for number, values in enumerate(tables.rows(table, [one.name for one in shown]), 1):
        key = tuple("" if value is None or place == time else str(value) for place, value in enumerate(values))
        when = (values[time] or "") if time is not None else ""
        if key not in newest or when > newest[key][0]:
            newest[key] = (when, number)
        if len(newest) > _REMEMBERED:
            newest = dict(_latest(newest, words.examples))
        if time is None and len(newest) >= words.examples:
            break
    return tuple(
        ExampleRow(first=inline(next(filter(None, key), ""), limit=60), text=_line(shown, key), time=when, number=number)
        for key, (when, number) in _latest(newest, words.examples)
    )


def _latest(rows: dict[tuple[Any, ...], tuple[str, int]], number: int) -> list[tuple[tuple[Any, ...], tuple[str, int]]]:
    return heapq.nlargest(number, rows.items(), key=lambda pair: (pair[1][0], -pair[1][1]))


def _line(columns: tuple[Column, ...], values: tuple[str, ...]) -> Html:
    """The values in one line; times and numbers, which say nothing by themselves, behind the name of their column."""
    parts = [
        join((show(one.name.replace("_", " ") + " "), inline(value[:_TO_THE_SECOND] if one.kind is Kind.TIME else value)))
        if one.kind in {Kind.TIME, Kind.NUMBER}
        else inline(value, limit=_EXAMPLE_LIMIT)
        for one, value in zip(columns, values, strict=True)
        if value
    ]
    return join(parts, by=' <span class="sep">&middot;</span> ')


def _page_key(table: str, number: int) -> str:
    """Beginning of the page names: the table's name where it is a plain one, else a number."""
    return table if _SAFE_NAME.fullmatch(table) else f"artifact-{number:03d}"


def _write_one(site: Site, tables: RunTables, table: str, number: int, query: str) -> ArtifactPages:
    words = words_for(table)
    main = main_columns(tables.columns(table), words)
    total = tables.count(table)
    listing = Listing(
        key=_page_key(table, number),
        title=words.title,
        caption=f"A row is one record of the artifact function {plain_name(table)}.",
        notes=(words.meaning,),
        heads=_heads(main),
        total=total,
        query=query.format(table=table),
    )
    write_listing(site, listing, _rows(tables, table, main))
    examples = _examples(tables, table, words, main) if words.examples and total else ()
    return ArtifactPages(
        table=table,
        name=plain_name(table),
        words=words,
        rows=total,
        first_page=listing.first_page,
        examples=examples,
        example_links=tuple(_link(listing, one.number) for one in examples),
        newest_first=any(one.time for one in examples),
    )


def _link(listing: Listing, number: int) -> str:
    """The row's link; "" where the limit left it out."""
    return f"{listing.page((number - 1) // listing.rows_per_page + 1)}#row-{number}" if number <= listing.shown else ""


def write_artifacts(site: Site, tables: RunTables, *, query: str) -> tuple[ArtifactPages, ...]:
    """Writes a listing for every artifact table, also for those without rows: an empty table is an answer."""
    return tuple(_write_one(site, tables, table, number, query) for number, table in enumerate(tables.artifacts(), 1))


def grouped(pages: tuple[ArtifactPages, ...]) -> tuple[tuple[Group, tuple[tuple[ArtifactPages, ...], ...]], ...]:
    """The tables with rows under their headings, in the order of the headings; tables of one title stand together.

    Titles with examples come first, then by the name of their first table.
    """
    filled: dict[Group, dict[str, list[ArtifactPages]]] = {group: {} for group in Group}
    for one in pages:
        if one.rows:
            filled[one.words.group].setdefault(one.words.title, []).append(one)
    return tuple(
        (group, tuple(sorted(map(tuple, titles.values()), key=lambda members: (not members[0].examples, members[0].table))))
        for group, titles in filled.items()
        if titles
    )
