from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from forensics.errors import Stage
from pipelines.report.problems import by_stage, group_problems, meaning_of
from pipelines.report.tables import RunTables

from .case_builder import RUN, build_case, problem

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_says_what_it_means_for_the_reader(stage: Stage) -> None:
    assert "the row says what" not in meaning_of(stage)


def test_problems_are_grouped_in_the_order_of_the_work(tmp_path: Path) -> None:
    rows = [
        problem("slow", stage="artifacts"),
        problem("once", what="first"),
        problem("often", what="second", advice="look"),
        problem("often", what="third"),
        problem("checksum", stage="image"),
    ]
    groups = group_problems(RunTables(build_case(tmp_path / "case", problems=rows) / "runs" / RUN))
    assert [(one.stage, one.code, one.number, one.example, one.first_row) for one in groups] == [
        ("image", "checksum", 1, "a file could not be read", 5),
        ("content", "often", 2, "second", 3),
        ("content", "once", 1, "first", 2),
        ("artifacts", "slow", 1, "a file could not be read", 1),
    ]
    assert [(title, number) for title, _, number, _ in by_stage(groups)] == [("The image", 1), ("Contents of files", 3), ("Artifacts", 1)]
