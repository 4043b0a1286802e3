from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.wording import count, counted, day_text, exact_size, share, size, time_text


def test_count_groups_digits_and_says_when_there_is_no_number() -> None:
    assert count(1234567) == "1,234,567"
    assert count(None) == "not recorded"


def test_counted_takes_the_plural_for_all_but_one() -> None:
    assert [counted(0, "file"), counted(1, "file"), counted(2, "entry", "entries")] == ["0 files", "1 file", "2 entries"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1610612736, "1.61 GB"),
        (2 * 10**15, "2 PB"),
        (3 * 10**18, "3e+03 PB"),
        (None, "not recorded"),
    ],
)
def test_size_in_decimal_units(number: int | None, words: str) -> None:
    assert size(number) == words


def test_exact_size_says_the_bytes_too() -> None:
    assert exact_size(1610612736) == "1.61 GB (1,610,612,736 bytes)"
    assert exact_size(12) == "12 bytes"


@pytest.mark.parametrize(
    ("part", "whole", "words"), [(0, 10, "0.0 %"), (10, 10, "100 %"), (1, 10**9, "0.1 %"), (10**9 - 1, 10**9, "99.9 %"), (0, 0, "no share")]
)
def test_share_never_rounds_to_nothing_or_all(part: int, whole: int, words: str) -> None:
    assert share(part, whole) == words


def test_time_keeps_every_decimal_it_has() -> None:
    # `date -u -d @1614852672` says 2021-03-04 10:11:12.
    assert time_text(1_614_852_672 * 10**9) == "2021-03-04 10:11:12"
    assert time_text(1_614_852_672 * 10**9 + 123_456_700) == "2021-03-04 10:11:12.1234567"
    assert time_text(-1) == "1969-12-31 23:59:59.999999999"


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_times_of_the_whole_range_can_be_told(nanoseconds: int) -> None:
    """timestamp[ns] holds 1677-09-21 to 2262-04-11."""
    assert "1677-09-21" <= time_text(nanoseconds) <= "2262-04-12"


def test_day_in_words() -> None:
    assert day_text(18690) == "4 March 2021"
    assert day_text(-1) == "31 December 1969"
