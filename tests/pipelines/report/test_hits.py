from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.hits import find_rules, shares
from pipelines.report.severity import Severity
from pipelines.report.tables import RunTables

from .case_builder import RUN, build_case, hit

if TYPE_CHECKING:
    from pathlib import Path


def test_rules_come_by_severity_then_by_number_of_files(tmp_path: Path) -> None:
    low, high = [("severity", "low")], [("severity", "high"), ("desc", "words"), ("false_positives", "manuals")]
    hits = [
        hit(1, "/a", "Few", meta=high, offset=1),
        hit(1, "/a", "Few", meta=high, offset=2),
        hit(1, "/a", "Low", meta=low),
        hit(1, "/a", "Many", meta=high),
        hit(2, "/b", "Low", meta=low),
        hit(2, "/b", "Many", meta=high),
        hit(2, "/b", "Many", meta=high, stream="s"),
        hit(3, "/c", "Unrated", meta=[]),
    ]
    found = find_rules(RunTables(build_case(tmp_path / "case", hits=hits) / "runs" / RUN))
    assert [(one.rule, one.streams, one.rows) for one in found] == [("Many", 3, 3), ("Few", 1, 2), ("Low", 2, 2), ("Unrated", 1, 1)]
    assert [one.severity for one in found] == [Severity.HIGH, Severity.HIGH, Severity.LOW, Severity.UNRATED]
    assert (found[0].description, found[0].harmless) == ("words", "manuals")
    assert [one.path for one in found[0].examples] == ["/a", "/b", "/b"]


def test_rules_of_one_name_in_two_files_are_two(tmp_path: Path) -> None:
    hits = [hit(1, "/a", "R", namespace="one.yar"), hit(1, "/a", "R", namespace="two.yar")]
    found = find_rules(RunTables(build_case(tmp_path / "case", hits=hits) / "runs" / RUN))
    assert [one.namespace for one in found] == ["one.yar", "two.yar"]


@given(st.lists(st.integers(min_value=0, max_value=10_000), max_size=30))
def test_shares_serve_the_gravest_first_within_both_bounds(rows: list[int]) -> None:
    """No rule gets more than it has or may have, all together no more than all may; the first one that is cut is the last that gets any."""
    given_ = shares(rows, each=5_000, all_=20_000)
    assert all(share <= min(number, 5_000) for share, number in zip(given_, rows, strict=True))
    assert sum(given_) <= 20_000
    full = [share == min(number, 5_000) for share, number in zip(given_, rows, strict=True)]
    first_cut = full.index(False) if False in full else len(full)
    assert sum(given_[first_cut + 1 :]) == 0
    assert False not in full or sum(given_) == 20_000
