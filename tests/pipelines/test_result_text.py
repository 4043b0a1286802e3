from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.result_text import render_rows

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("form", ["table", "csv", "jsonl"])
@given(text=st.text())
def test_no_line_of_an_answer_acts_on_a_terminal(form: str, text: str) -> None:
    """Law 9."""
    lines = list(render_rows(["a"], [[text]], form))
    assert not any(_ACTING.search(line) or "\n" in line for line in lines)


@given(st.text())
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    """OWASP, CSV injection: a cell that starts with = + - @ or a tab or a return."""
    line = list(render_rows(["a"], [[text]], "csv"))[1]
    rows = list(csv.reader(io.StringIO(line)))
    assert not rows or not rows[0] or not rows[0][0].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_formula_is_kept_as_text() -> None:
    assert list(render_rows(["a"], [["=1+1|' /C calc'!A0"]], "csv"))[1] == "'=1+1|' /C calc'!A0"


def test_a_negative_number_stays_a_number() -> None:
    assert list(render_rows(["a", "b"], [[-5, -0.5]], "csv"))[1] == "-5,-0.5"


def test_json_lines_keep_every_value() -> None:
    row = ["\x1b[31m", None, 1, 1.5, True, b"\xff", datetime(2026, 1, 1, tzinfo=UTC), {"k": [1]}]
    (line,) = render_rows([*"abcdefgh"], [row], "jsonl")
    assert json.loads(line) == {
        "a": "\x1b[31m",
        "b": None,
        "c": 1,
        "d": 1.5,
        "e": True,
        "f": "/w==",
        "g": "2026-01-01T00:00:00+00:00",
        "h": {"k": [1]},
    }


def test_a_table_says_that_it_was_cut() -> None:
    lines = list(render_rows(["a"], ([n] for n in range(1001)), "table"))
    assert "more than 1000 rows" in lines[-1]
    assert "more than" not in list(render_rows(["a"], ([n] for n in range(1000)), "table"))[-1]
