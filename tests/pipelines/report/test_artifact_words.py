from __future__ import annotations

import re

import pytest

from forensics.artifacts.functions import functions_for
from forensics.artifacts.layout import table_name
from pipelines.report.artifact_words import Group, words_for

FUNCTIONS = sorted({name for os in ("windows", "linux", "macos", "default") for name in functions_for("full", os)})


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_of_a_profile_has_words(function: str) -> None:
    words = words_for(table_name(function))
    assert words.meaning.endswith(".")
    assert "function of this name" not in words.meaning


@pytest.mark.parametrize(
    ("table", "group"),
    [
        ("artifact_users", Group.USERS),
        ("artifact_passwords", Group.USERS),
        ("artifact_browser_passwords", Group.WEB),
        ("artifact_browser_history", Group.WEB),
        ("artifact_prefetch", Group.PROGRAMS),
        ("artifact_usb", Group.DEVICES),
        ("artifact_commandhistory", Group.LOGINS),
        ("artifact_evtx", Group.LOGS),
    ],
)
def test_table_stands_under_the_heading_where_a_reader_looks(table: str, group: Group) -> None:
    assert words_for(table).group is group


def test_unknown_table_keeps_its_name() -> None:
    words = words_for("artifact_something_new")
    assert (words.group, words.title) == (Group.OTHER, "Something new")


def test_columns_are_plain_names() -> None:
    for function in FUNCTIONS:
        assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in words_for(table_name(function)).columns)
