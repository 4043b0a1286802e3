"""The timeline: the picture of all times, and the listing of the latest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipelines.report.artifact_words import plain_name
from pipelines.report.escaping import show, trusted
from pipelines.report.files import address_line
from pipelines.report.histogram import Histogram, histogram
from pipelines.report.listing import MOST_ROWS, Head, Listing, Row, cell, stacked, write_listing
from pipelines.report.picture import Picture, draw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.report.rendering import Site
    from pipelines.report.tables import RunTables

_COLUMNS: Final = ("time", "tz_basis", "table", "event", "volume", "metadata_address", "stream", "path", "description")
_HEADS: Final = (
    Head(title="Time (UTC)", style="time"),
    Head(title="What", meaning="which time of what kind of row"),
    Head(title="The row in a few words", style="wide"),
    Head(title="Where", style="wide"),
)
SERIES: Final = (("Traces of use: logins, programs, web, logs", "use"), ("Times of files: created, modified, opened", "files"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What page one and the timeline page show."""

    bars: Histogram
    picture: Picture
    total: int
    shown: int
    first_page: str


def _rows(tables: RunTables, skip: int) -> Iterator[Row]:
    for number, (time, basis, table, event, volume, address, stream, path, description) in enumerate(
        tables.rows("timeline", _COLUMNS, skip=skip), skip + 1
    ):
        when = [show(time)]
        if basis != "UTC":
            when.append(trusted(f'<em class="warn">{show(basis)}</em>'))
        yield Row(
            anchor=f"row-{number}",
            cells=(
                stacked(*when),
                stacked(show(event.replace("_", " ")), show(plain_name(table))),
                cell(description),
                stacked(cell(path), address_line(volume, address, stream)),
            ),
        )


def write_timeline(site: Site, tables: RunTables, *, query: str) -> Timeline:
    """Writes the listing; of a long timeline its end, because what was done last is asked for first."""
    total = tables.count("timeline")
    skip = max(0, total - MOST_ROWS)
    days = tables.days()
    bars = histogram(days.artifacts, days.files)
    notes = ["Times marked 'local' were stored as wall-clock time without a zone; they may be hours off against the others."]
    if skip:
        notes.append(f"The latest {MOST_ROWS:,} of {total:,} times are shown; row numbers count from the earliest.")
    listing = Listing(
        key="timeline-rows",
        title="Timeline",
        caption="A row is one time of one row of another table, in order of time.",
        notes=tuple(notes),
        heads=_HEADS,
        total=total,
        query=f"{query.format(table='timeline')} ORDER BY time",
        first_number=skip + 1,
    )
    write_listing(site, listing, _rows(tables, skip))
    return Timeline(bars=bars, picture=draw(bars, SERIES), total=total, shown=listing.shown, first_page=listing.first_page)
