"""What each artifact table tells a reader who is no technician: a heading, a sentence, and the columns to show first.

The words stand in artifact_words.toml. The tables are dissect's functions with dots as underscores; what is not listed there is
shown under its own name.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

_WORDS: Final = Path(__file__).with_suffix(".toml")


class Group(StrEnum):
    """Headings on page one, in their order."""

    COMPUTER = "The computer"
    USERS = "Users"
    PROGRAMS = "Programs started or installed"
    STARTUP = "What starts by itself"
    FILES = "Files opened, sought or deleted"
    DEVICES = "Devices and drives"
    WEB = "Web, downloads and messages"
    LOGINS = "Logins and commands"
    NETWORK = "Network and remote access"
    LOGS = "System logs"
    OTHER = "Other traces"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How one artifact table is presented.

    Attributes:
        group: its heading on page one.
        title: its name in plain words.
        meaning: what a row shows, and what it does not prove, one or two sentences.
        columns: the columns that say most, in order; those a table lacks are passed over.
        examples: rows named on page one; 0 for none.
        headline: whether the summary names its first values.
    """

    group: Group
    title: str
    meaning: str
    columns: tuple[str, ...] = ()
    examples: int = 0
    headline: bool = False


@cache
def _all() -> tuple[tuple[re.Pattern[str], Words], ...]:
    return tuple(
        (
            re.compile(one["function"]),
            Words(
                group=Group(one["group"]),
                title=one["title"],
                meaning=one["meaning"],
                columns=tuple(one.get("columns", "").split()),
                examples=one.get("examples", 0),
                headline=one.get("headline", False),
            ),
        )
        for one in tomllib.loads(_WORDS.read_text(encoding="utf-8"))["artifact"]
    )


def plain_name(table: str) -> str:
    """artifact_browser_history -> "browser history"."""
    return table.removeprefix("artifact_").replace("_", " ")


def words_for(table: str) -> Words:
    """How a table is presented; one that is not known keeps its name, under "Other traces"."""
    name = table.removeprefix("artifact_")
    for pattern, words in _all():
        if pattern.fullmatch(name):
            return words
    return Words(
        group=Group.OTHER, title=plain_name(table).capitalize(), meaning="Records that dissect read with the function of this name."
    )
