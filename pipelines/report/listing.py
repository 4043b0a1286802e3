"""One long table over many pages: how many pages, what is left out and said to be, and each row's place."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pipelines.report.escaping import TEXT_LIMIT, Html, join, show, show_bytes, trusted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipelines.report.rendering import Site

ROWS_PER_PAGE: Final = 500
# 50,000 rows are 100 pages and about 50 MB: what a browser and a reader can still leaf through. The page says what is left out.
MOST_ROWS: Final = 50_000
_NEIGHBOURS: Final = 3
NOTHING: Final = trusted('<span class="null" title="no value recorded">&middot;</span>')


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A column's heading, its meaning, and its style: "", "num", "time", "moment", "type", "text", "state", "note", "wide" or "mono"."""

    title: str
    meaning: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as it is written: its anchor, its cells as markup, and a style for the whole row ("" or "gone")."""

    anchor: str
    cells: tuple[Html, ...]
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is said about a table beside its rows.

    Attributes:
        key: beginning of the names of its pages; ours.
        title: heading of its pages.
        caption: what a row is, one sentence.
        notes: more for the reader, one paragraph each.
        heads: one a cell.
        total: number of rows there are.
        query: the command that gives all rows; None where every row is shown anyhow.
        first_number: number of the first row shown, where the listing starts inside the table.
        rows_per_page: rows on a page.
        most_rows: rows shown at the most.
    """

    key: str
    title: str
    caption: str
    heads: tuple[Head, ...]
    total: int
    query: str
    notes: tuple[str, ...] = ()
    first_number: int = 1
    rows_per_page: int = ROWS_PER_PAGE
    most_rows: int = MOST_ROWS

    @property
    def shown(self) -> int:
        """Number of rows that get onto pages."""
        return min(self.total, self.most_rows)

    @property
    def pages(self) -> int:
        """Number of pages; one even without rows, which then says that there are none."""
        return max(1, -(-self.shown // self.rows_per_page))

    def page(self, number: int) -> str:
        """File name of the page with that number, counted from 1."""
        return f"{self.key}-{number:04d}.html"

    @property
    def first_page(self) -> str:
        """File name of the first page."""
        return self.page(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A listing that was written.

    Attributes:
        listing: what was written.
        places: for each anchor that was asked for and shown, the link to its row.
    """

    listing: Listing
    places: dict[str, str] = field(default_factory=dict)


def pager(number: int, pages: int) -> tuple[int | None, ...]:
    """Page numbers to offer on a page: first, last, neighbours, every tenth; None where some are left out between two."""
    near = range(number - _NEIGHBOURS, number + _NEIGHBOURS + 1)
    tens = range(10, pages, 10 if pages <= 200 else 50)  # noqa: PLR2004 - not more than some twenty links
    kept = sorted({1, pages, *(n for n in near if 1 <= n <= pages), *tens})
    offered: list[int | None] = []
    for before, one in zip([0, *kept], kept, strict=False):
        if one - before > 1:
            offered.append(None)
        offered.append(one)
    return tuple(offered)


def cell(value: Any, *, limit: int = TEXT_LIMIT, grouped: bool = False) -> Html:
    """A value of a table as markup, whatever its type; text and bytes of the evidence made harmless."""
    if value is None or value == "":
        return NOTHING
    match value:
        case bytes():
            markup = show_bytes(value)
        case list():
            markup = _list_cell(value, limit=limit)
        case bool():
            markup = show("yes" if value else "no")
        case int() if grouped:
            markup = show(f"{value:,}")
        case float():
            markup = show(f"{value:.2f}")
        case _:
            markup = show(str(value), limit=limit)
    return markup


def _list_cell(values: list[Any], *, limit: int, most: int = 20) -> Html:
    parts = [
        join((show(str(one[0])), show(": "), cell(one[1], limit=limit))) if isinstance(one, tuple) else cell(one, limit=limit)
        for one in values[:most]
    ]
    if len(values) > most:
        parts.append(trusted(f'<span class="cut">… {len(values) - most:,} more values</span>'))
    return join(parts, by="<br>") if parts else NOTHING


def _row_html(row: Row, heads: tuple[Head, ...], number: int) -> str:
    style = f' class="{row.style}"' if row.style else ""
    cells = "".join(
        f'<td class="{head.style}">{html}</td>' if head.style else f"<td>{html}</td>" for head, html in zip(heads, row.cells, strict=True)
    )
    return f'<tr id="{row.anchor}"{style}><th scope="row"><a href="#{row.anchor}">{number:,}</a></th>{cells}</tr>\n'


def _numbered(rows: Iterator[Row], listing: Listing, page: int, seen: set[str]) -> Iterator[tuple[str, str]]:
    """(anchor as asked for, html) of the rows of one page. Two rows with one address get different anchors."""
    start = (page - 1) * listing.rows_per_page
    for number, row in enumerate(islice(rows, min(listing.rows_per_page, listing.shown - start)), listing.first_number + start):
        own = row.anchor if row.anchor not in seen else f"{row.anchor}-{number}"
        seen.add(own)
        unique = row if own == row.anchor else Row(anchor=own, cells=row.cells, style=row.style)
        yield row.anchor, _row_html(unique, listing.heads, number)


def write_listing(site: Site, listing: Listing, rows: Iterable[Row], *, wanted: frozenset[str] = frozenset()) -> Written:
    """Writes all pages of a listing; holds one page of rows in memory.

    Args:
        site: where the pages go.
        listing: what is said beside the rows.
        rows: the rows in order; read no further than needed.
        wanted: anchors whose places the caller wants to link to.
    """
    remaining = iter(rows)
    places: dict[str, str] = {}
    for page in range(1, listing.pages + 1):
        html: list[str] = []
        for anchor, row_html in _numbered(remaining, listing, page, set()):
            html.append(row_html)
            if anchor in wanted:
                places.setdefault(anchor, f"{listing.page(page)}#{anchor}")
        site.write(
            listing.page(page),
            "listing.html",
            listing=listing,
            number=page,
            offered=pager(page, listing.pages),
            first=listing.first_number + (page - 1) * listing.rows_per_page,
            last=listing.first_number + (page - 1) * listing.rows_per_page + len(html) - 1,
            rows=trusted("".join(html)),
        )
    return Written(listing=listing, places=places)


def stacked(first: Html, *below: Html) -> Html:
    """A cell with a main line and small lines below it."""
    return join((first, *(trusted(f'<small class="below">{line}</small>') for line in below)))


def label(name: str) -> Html:
    """The name of a column, for `labelled`; made once for all rows."""
    return trusted(f"<b>{show(name)}</b> ")


def labelled(pairs: Iterable[tuple[Html, Any]]) -> Html:
    """Label and value of what has a value, one after the other."""
    parts = [name + cell(value) for name, value in pairs if value is not None and value not in ("", [])]
    return join(parts, by=' <span class="sep">&middot;</span> ') if parts else NOTHING
