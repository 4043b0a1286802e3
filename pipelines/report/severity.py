"""How grave a YARA rule says its hit is, read from the rule's own meta values: a claim of the rule's author, not of Evidex."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Severity(StrEnum):
    """From the gravest to what the rule leaves open; the order of the members is the order in the report."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFORMATION = "information"
    UNRATED = "not rated"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return tuple(Severity).index(self)

    @property
    def marks(self) -> str:
        """Filled and empty squares, so that the grade can be told without colour: five for critical, none when not rated."""
        filled = len(Severity) - 1 - self.rank
        return "■" * filled + "□" * (len(Severity) - 1 - filled)


_WORDS: Final = {
    "critical": Severity.CRITICAL,
    "very high": Severity.CRITICAL,
    "severe": Severity.CRITICAL,
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "low": Severity.LOW,
    "info": Severity.INFORMATION,
    "informational": Severity.INFORMATION,
    "information": Severity.INFORMATION,
    "none": Severity.INFORMATION,
}
# Lowest number of each grade. Public rule collections give "score" from 0 to 100 and take 75 and above for an alert,
# 60 to 74 for a warning; "severity" and "threat_level" as numbers run from 0 to 100 or from 0 to 10.
_SCORES: Final = ((90, Severity.CRITICAL), (75, Severity.HIGH), (50, Severity.MEDIUM), (1, Severity.LOW), (0, Severity.INFORMATION))
_KEYS: Final = ("severity", "score", "threat_level", "threatlevel", "risk")
_TEN: Final = 10


def _of_number(number: int) -> Severity:
    return next((grade for least, grade in _SCORES if number >= least), Severity.INFORMATION)


def severity_of(meta: Mapping[str, str]) -> Severity:
    """The grade that the rule's meta values state; UNRATED where they state none that is understood.

    The first of `severity`, `score`, `threat_level`, `risk` that is understood counts; words in any case. A number up to ten
    counts tenfold, except in `score`, which runs to 100.
    """
    lowered = {key.strip().lower(): value.strip().lower() for key, value in meta.items()}
    for key in _KEYS:
        value = lowered.get(key, "")
        if value in _WORDS:
            return _WORDS[value]
        if value.isascii() and value.isdigit():
            number = int(value)
            return _of_number(number * _TEN if key != "score" and number <= _TEN else number)
    return Severity.UNRATED
