"""Counts a day -> bars a day or a month, in a window that a stray date cannot stretch. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from pipelines.report.wording import MONTHS, day_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_EPOCH: Final = date(1970, 1, 1)
_FEWEST_DAYS: Final = 15
_MOST_DAYS: Final = 92
# Fifteen years: longer than most computers are used, and still a bar that can be seen. What lies outside is counted, not drawn:
# formatting tools and wrong clocks leave a few dates decades away.
_MOST_MONTHS: Final = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day or one month.

    Attributes:
        label: the day or month in words.
        tick: short label for the axis, or "" where the axis needs none.
        first_day: its first day, in days since 1970.
        counts: number of times a series, in the order of the series.
    """

    label: str
    tick: str
    first_day: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """All times, as bars in order of time and two remainders; every time is in exactly one of them.

    Attributes:
        unit: "day" or "month".
        bars: without a hole, so that equal widths mean equal spans (a month counts as one).
        before: times earlier than the first bar, all series together.
        after: times later than the last bar, all series together.
    """

    unit: str
    bars: tuple[Bar, ...]
    before: int
    after: int

    def total(self, series: int) -> int:
        """Number of times of one series that are in the picture."""
        return sum(bar.counts[series] for bar in self.bars)

    def highest(self, series: int) -> int:
        """The largest count of one series, 0 where there is none."""
        return max((bar.counts[series] for bar in self.bars), default=0)


def month_of(day: int) -> int:
    """Months since year 0 of a day since 1970."""
    moment = _EPOCH + timedelta(days=day)
    return moment.year * 12 + moment.month - 1


def first_of(month: int) -> int:
    """First day, since 1970, of a month since year 0."""
    return (date(month // 12, month % 12 + 1, 1) - _EPOCH).days


def _window(counts: Mapping[int, int], most: int) -> tuple[int, int]:
    """First and last key of the span of at most `most` keys that holds the most; of equal ones the latest."""
    keys = sorted(counts)
    best, chosen = -1, (keys[0], keys[-1])
    inside, start = 0, 0
    for key in keys:
        inside += counts[key]
        while key - keys[start] >= most:
            inside -= counts[keys[start]]
            start += 1
        if inside >= best:
            best, chosen = inside, (keys[start], key)
    return chosen


def _widened(first: int, last: int) -> tuple[int, int]:
    """At least a fortnight, so that a single busy day does not look like all there is."""
    more = max(0, _FEWEST_DAYS - (last - first + 1))
    return first - more // 2, last + more - more // 2


def _summed(days: Mapping[int, int], *, by_month: bool) -> dict[int, int]:
    sums: dict[int, int] = {}
    for day, number in days.items():
        key = month_of(day) if by_month else day
        sums[key] = sums.get(key, 0) + number
    return sums


def _month_bar(month: int, series: list[dict[int, int]]) -> Bar:
    year, number = divmod(month, 12)
    return Bar(
        label=f"{MONTHS[number]} {year}",
        tick=str(year) if number == 0 else "",
        first_day=first_of(month),
        counts=tuple(one.get(month, 0) for one in series),
    )


def _day_bar(day: int, series: list[dict[int, int]]) -> Bar:
    moment = _EPOCH + timedelta(days=day)
    return Bar(
        label=day_text(day),
        tick=f"{moment.day} {MONTHS[moment.month - 1][:3]}" if moment.weekday() == 0 else "",
        first_day=day,
        counts=tuple(one.get(day, 0) for one in series),
    )


def histogram(*series: Mapping[int, int]) -> Histogram:
    """Bars of all series over one common axis.

    Args:
        series: counts by day since 1970; a day that is not there counts 0.
    """
    every: dict[int, int] = {}
    for one in series:
        for day, number in one.items():
            every[day] = every.get(day, 0) + number
    if not every:
        return Histogram(unit="day", bars=(), before=0, after=0)
    months = _summed(every, by_month=True)
    first, last = _window(months, _MOST_MONTHS)
    kept = [day for day in every if first <= month_of(day) <= last]
    by_month = max(kept) - min(kept) >= _MOST_DAYS
    if not by_month:
        first, last = _widened(min(kept), max(kept))
    sums = months if by_month else every
    parts = [_summed(one, by_month=by_month) for one in series]
    make = _month_bar if by_month else _day_bar
    return Histogram(
        unit="month" if by_month else "day",
        bars=tuple(make(key, parts) for key in range(first, last + 1)),
        before=sum(number for key, number in sums.items() if key < first),
        after=sum(number for key, number in sums.items() if key > last),
    )
