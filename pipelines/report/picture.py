"""A histogram as a picture: where each bar and label lies. Pure; the template draws what stands here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipelines.report.histogram import Histogram

WIDTH: Final = 860
_LEFT: Final = 58
_RIGHT: Final = 8
_PANEL: Final = 96
_TITLE: Final = 22
_GAP: Final = 14
_AXIS: Final = 26
# Labels closer than this would run into one another.
_LABEL_WIDTH: Final = 46


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One bar: its rectangle in the picture's units, and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line across or a tick, and its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The bars of one series over its own scale."""

    title: str
    style: str
    title_y: float
    top: float
    bottom: float
    lines: tuple[Mark, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Panels above one another over one common axis of time."""

    width: int
    height: int
    left: int
    right: int
    axis_y: float
    panels: tuple[Panel, ...]
    ticks: tuple[Mark, ...]


def height_of(number: int, highest: int) -> float:
    """Share of the panel's height: a scale on which each tenfold counts the same, and on which one is visible and none is not."""
    return math.log10(number + 1) / math.log10(highest + 1) if number and highest else 0.0


def _powers(highest: int) -> tuple[int, ...]:
    return tuple(10**power for power in range(len(str(highest)) if highest else 0))


def _panel(bars: Histogram, series: int, title: str, style: str, top: float) -> Panel:
    highest = bars.highest(series)
    bottom = top + _PANEL
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(bars.bars))
    width = step - (0.8 if step > 3 else 0)  # noqa: PLR2004 - a gap only where it can be seen
    boxes = []
    for place, bar in enumerate(bars.bars):
        if bar.counts[series]:
            height = height_of(bar.counts[series], highest) * _PANEL
            says = f"{bar.label}: {bar.counts[series]:,}"
            boxes.append(
                Box(
                    x=round(_LEFT + place * step, 2), y=round(bottom - height, 2), width=round(width, 2), height=round(height, 2), says=says
                )
            )
    lines = tuple(Mark(at=round(bottom - height_of(power, highest) * _PANEL, 2), label=f"{power:,}") for power in _powers(highest))
    return Panel(title=title, style=style, title_y=top - 7, top=top, bottom=bottom, lines=lines, boxes=tuple(boxes))


def _ticks(bars: Histogram) -> tuple[Mark, ...]:
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(bars.bars))
    marks: list[Mark] = []
    for place, bar in enumerate(bars.bars):
        at = round(_LEFT + place * step, 2)
        if bar.tick and (not marks or at - marks[-1].at >= _LABEL_WIDTH) and at <= WIDTH - _LABEL_WIDTH:
            marks.append(Mark(at=at, label=bar.tick))
    if bars.bars and not marks:
        marks.append(Mark(at=_LEFT, label=bars.bars[0].label))
    return tuple(marks)


def draw(bars: Histogram, titles: tuple[tuple[str, str], ...]) -> Picture:
    """The picture of a histogram.

    Args:
        bars: the counts.
        titles: (title, style) of each series; a series without a single time gets no panel.
    """
    panels: list[Panel] = []
    top = float(_TITLE)
    for series, (title, style) in enumerate(titles):
        if bars.total(series):
            panels.append(_panel(bars, series, title, style, top))
            top += _PANEL + _GAP + _TITLE
    axis = top - _GAP - _TITLE
    return Picture(
        width=WIDTH, height=round(axis + _AXIS), left=_LEFT, right=WIDTH - _RIGHT, axis_y=axis, panels=tuple(panels), ticks=_ticks(bars)
    )  # fmt: skip
