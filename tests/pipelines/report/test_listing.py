from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.escaping import show
from pipelines.report.facts import parse_run
from pipelines.report.listing import NOTHING, Head, Listing, Row, cell, pager, write_listing
from pipelines.report.rendering import Site, anchor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site", facts=parse_run({}, "001"), demonstration=False)


def listing(total: int, **values: int) -> Listing:
    return Listing(key="rows", title="Rows", caption="A row.", heads=(Head(title="Value"),), total=total, query="SELECT * FROM t", **values)


def rows(number: int) -> Iterator[Row]:
    return (Row(anchor=f"row-{one}", cells=(show(str(one)),)) for one in range(1, number + 1))


@pytest.mark.parametrize(("total", "pages"), [(0, 1), (1, 1), (500, 1), (501, 2), (30_000, 60), (10**6, 100)])
def test_number_of_pages(total: int, pages: int) -> None:
    assert listing(total).pages == pages


def test_rows_go_onto_pages_in_order_and_each_once(site: Site, tmp_path: Path) -> None:
    write_listing(site, listing(25, rows_per_page=10), rows(25))
    pages = [(tmp_path / "site" / f"rows-{number:04d}.html").read_text() for number in (1, 2, 3)]
    found = [[one for one in range(1, 26) if f'id="row-{one}"' in page] for page in pages]
    assert found == [list(range(1, 11)), list(range(11, 21)), list(range(21, 26))]
    assert "Rows 11 to 20 of 25." in pages[1]


def test_what_the_limit_leaves_out_is_said_with_the_way_to_get_it(site: Site, tmp_path: Path) -> None:
    written = write_listing(site, listing(25, rows_per_page=10, most_rows=15), rows(25))
    last = (tmp_path / "site" / "rows-0002.html").read_text()
    assert written.listing.pages == 2
    assert 'id="row-15"' in last
    assert 'id="row-16"' not in last
    assert "15 of 25 rows are shown" in last
    assert "SELECT * FROM t" in last


def test_a_listing_reads_no_further_than_it_shows(site: Site) -> None:
    read = []

    def endless() -> Iterator[Row]:
        for row in rows(1000):
            read.append(row)
            yield row

    write_listing(site, listing(1000, rows_per_page=10, most_rows=20), endless())
    assert len(read) == 20


def test_an_empty_listing_has_a_page_that_says_so(site: Site, tmp_path: Path) -> None:
    write_listing(site, listing(0), rows(0))
    assert "No rows" in (tmp_path / "site" / "rows-0001.html").read_text()


def test_two_rows_with_one_address_get_different_anchors(site: Site, tmp_path: Path) -> None:
    same = (Row(anchor="v01-5-ab", cells=(show("x"),)) for _ in range(2))
    written = write_listing(site, listing(2), same, wanted=frozenset({"v01-5-ab"}))
    page = (tmp_path / "site" / "rows-0001.html").read_text()
    assert page.count('id="v01-5-ab"') == 1
    assert page.count('id="v01-5-ab-2"') == 1
    assert written.places == {"v01-5-ab": "rows-0001.html#v01-5-ab"}


def test_rows_of_a_listing_may_count_from_elsewhere(site: Site, tmp_path: Path) -> None:
    part = Listing(key="rows", title="Rows", caption="A row.", heads=(Head(title="V"),), total=30, query="", first_number=21, most_rows=10)
    write_listing(site, part, rows(10))
    assert "Rows 21 to 30 of 30." in (tmp_path / "site" / "rows-0001.html").read_text()


@given(st.integers(min_value=1, max_value=100), st.integers(min_value=1, max_value=100))
def test_pager_offers_first_last_and_neighbours_and_marks_what_it_leaves_out(number: int, pages: int) -> None:
    """Offered numbers rise; between two that are no neighbours stands None; no page is more than a few steps away."""
    number = min(number, pages)
    offered = pager(number, pages)
    numbers = [one for one in offered if one is not None]
    assert {1, pages, number} <= set(numbers)
    assert numbers == sorted(set(numbers))
    for before, after in pairwise(offered):
        assert (before is None) is not (after is None) or (before is not None and after is not None and after == before + 1)
    assert len(offered) <= 40


def test_cells_of_every_kind() -> None:
    assert cell(None) == cell("") == cell([]) == NOTHING
    assert [cell(True), cell(0), cell(1234567), cell(1234567, grouped=True), cell(2.5), cell(b"a\0")] == [
        "yes", "0", "1234567", "1,234,567", "2.50", 'a<span class="u">\\x00</span>',
    ]  # fmt: skip
    assert cell(["<a>", None]) == f"&lt;a&gt;<br>{NOTHING}"
    assert cell([("<k>", "v")]) == "&lt;k&gt;: v"
    assert "5 more values" in cell(list(range(25)))


@given(st.text(max_size=8), st.none() | st.integers(), st.none() | st.text(max_size=20), st.text(max_size=20))
def test_anchor_is_plain_whatever_the_evidence_holds(volume: str, address: int | None, path: str | None, stream: str) -> None:
    """Only ASCII letters, digits and '-' stand in an anchor, so it needs no escaping in an attribute or a link."""
    name = anchor(volume, address, path, stream)
    assert name.replace("-", "").isalnum()
    assert name.isascii()


def test_anchor_tells_names_and_streams_of_one_address_apart() -> None:
    assert len({anchor("v01", 5, path, stream) for path in ("/a", "/b", None) for stream in ("", "s")}) == 6
