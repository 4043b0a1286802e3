from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.histogram import first_of, histogram, month_of
from pipelines.report.picture import draw, height_of

EPOCH = date(1970, 1, 1)


def day(year: int, month: int, number: int) -> int:
    return (date(year, month, number) - EPOCH).days


def test_no_times_give_no_bars() -> None:
    assert histogram({}, {}).bars == ()


def test_a_few_weeks_are_shown_day_by_day_without_a_hole() -> None:
    bars = histogram({day(2021, 3, 1): 2, day(2021, 3, 31): 1})
    assert bars.unit == "day"
    assert [bar.first_day for bar in bars.bars] == list(range(day(2021, 3, 1), day(2021, 3, 31) + 1))
    assert [bar.counts for bar in bars.bars if bar.counts != (0,)] == [(2,), (1,)]


def test_a_single_day_stands_among_empty_ones() -> None:
    bars = histogram({day(2021, 3, 8): 4})
    assert [bar.counts[0] for bar in bars.bars] == [0] * 7 + [4] + [0] * 7


def test_years_are_shown_month_by_month() -> None:
    bars = histogram({day(2019, 12, 31): 5}, {day(2021, 1, 1): 7})
    assert bars.unit == "month"
    assert [bar.label for bar in (bars.bars[0], bars.bars[1], bars.bars[-1])] == ["December 2019", "January 2020", "January 2021"]
    assert len(bars.bars) == 14
    assert (bars.bars[0].counts, bars.bars[-1].counts) == ((5, 0), (0, 7))


def test_a_stray_date_does_not_stretch_the_picture_and_is_counted() -> None:
    bars = histogram({day(1980, 1, 1): 1, day(2021, 3, 1): 1000, day(2021, 3, 9): 500, day(2106, 2, 7): 2})
    assert (bars.unit, bars.before, bars.after) == ("day", 1, 2)
    assert [bar.label for bar in bars.bars if any(bar.counts)] == ["1 March 2021", "9 March 2021"]
    assert bars.total(0) == 1500


@given(
    st.lists(
        st.dictionaries(st.integers(min_value=-100_000, max_value=100_000), st.integers(min_value=1, max_value=10**6), max_size=30),
        min_size=1,
        max_size=2,
    )
)
def test_every_time_is_in_a_bar_or_in_a_remainder(series: list[dict[int, int]]) -> None:
    """The bars of all series and the two remainders add up to all times, whatever the dates are."""
    bars = histogram(*series)
    inside = sum(bars.total(number) for number in range(len(series)))
    assert inside + bars.before + bars.after == sum(sum(one.values()) for one in series)
    assert len(bars.bars) <= 180


@given(st.integers(min_value=-107_000, max_value=106_000))
def test_month_begins_on_its_first_day(number: int) -> None:
    """A day lies in its month, and the first of a month is a first."""
    first = EPOCH + timedelta(days=first_of(month_of(number)))
    moment = EPOCH + timedelta(days=number)
    assert (first.year, first.month, first.day) == (moment.year, moment.month, 1)


def test_one_is_visible_and_none_is_not() -> None:
    assert height_of(0, 10**6) == 0
    assert 0.02 < height_of(1, 10**6) < height_of(10, 10**6) < height_of(10**6, 10**6) == 1


def test_picture_has_a_panel_only_for_a_series_with_times() -> None:
    both = draw(histogram({1: 1}, {2: 2}), (("A", "use"), ("B", "files")))
    one = draw(histogram({}, {2: 2}), (("A", "use"), ("B", "files")))
    assert [panel.title for panel in both.panels] == ["A", "B"]
    assert [panel.title for panel in one.panels] == ["B"]
    assert one.height < both.height


def test_bars_stay_inside_the_picture() -> None:
    picture = draw(histogram({day(2020, month, 1): 10**month for month in range(1, 13)}), (("A", "use"),))
    for box in picture.panels[0].boxes:
        assert picture.left <= box.x
        assert box.x + box.width <= picture.width
        assert box.y >= 0
        assert box.y + box.height <= picture.axis_y + 0.01


def test_fifteen_years_with_the_most_times_are_kept_whole() -> None:
    bars = histogram({day(1980, 1, 1): 400, day(2001, 5, 1): 1, day(2010, 1, 1): 300, day(2015, 12, 31): 500, day(2030, 1, 1): 2})
    assert (bars.before, bars.after) == (400, 2)
    assert (bars.bars[0].label, bars.bars[-1].label) == ("May 2001", "December 2015")
