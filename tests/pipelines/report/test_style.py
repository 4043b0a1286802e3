from __future__ import annotations

import re
from pathlib import Path

import pytest

import pipelines.report

CSS = (Path(pipelines.report.__file__).parent / "style.css").read_text(encoding="utf-8")
PALETTES = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)]
GROUNDS = {
    "ink": ("paper", "tint", "code", "good-tint", "bad-tint", "open-tint"),
    "soft": ("paper", "tint", "open-tint"),
    "link": ("paper", "tint", "open-tint"),
    "good": ("good-tint",),
    "bad": ("paper", "bad-tint", "open-tint"),
    "open": ("paper", "open-tint"),
}
PAIRS = [(text, ground) for text, grounds in GROUNDS.items() for ground in grounds]


def luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, "contrast ratio"."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_there_are_palettes_for_light_dark_and_print() -> None:
    assert len(PALETTES) == 3


@pytest.mark.parametrize(("text", "ground"), PAIRS)
@pytest.mark.parametrize("palette", range(3))
def test_text_can_be_read_on_its_ground(palette: int, text: str, ground: str) -> None:
    """WCAG 2.2, success criterion 1.4.3 (AA): at least 4.5 to 1."""
    colours = PALETTES[0] | PALETTES[palette]
    assert contrast(colours[text], colours[ground]) >= 4.5


def test_style_fetches_nothing() -> None:
    assert not re.search(r"url\(|@import|@font-face|https?:|//", CSS)
