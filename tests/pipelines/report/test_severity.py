from __future__ import annotations

import pytest

from pipelines.report.severity import Severity, severity_of


def test_members_run_from_the_gravest_to_the_unrated() -> None:
    assert [one.rank for one in Severity] == [0, 1, 2, 3, 4, 5]
    assert next(iter(Severity)) is Severity.CRITICAL


def test_marks_tell_the_grades_apart_without_colour() -> None:
    assert len({one.marks for one in Severity}) == len(Severity)
    assert Severity.CRITICAL.marks == "■■■■■"


@pytest.mark.parametrize(
    ("meta", "grade"),
    [
        ({}, Severity.UNRATED),
        ({"description": "x"}, Severity.UNRATED),
        ({"severity": "High"}, Severity.HIGH),
        ({"SEVERITY": " critical "}, Severity.CRITICAL),
        ({"severity": "moderate"}, Severity.MEDIUM),
        ({"score": "80"}, Severity.HIGH),
        ({"score": "95"}, Severity.CRITICAL),
        ({"score": "60"}, Severity.MEDIUM),
        ({"score": "5"}, Severity.LOW),
        ({"threat_level": "8"}, Severity.HIGH),
        ({"threat_level": "10"}, Severity.CRITICAL),
        ({"severity": "0"}, Severity.INFORMATION),
        ({"severity": "no idea", "score": "75"}, Severity.HIGH),
        ({"severity": "low", "score": "99"}, Severity.LOW),
        ({"score": "-3"}, Severity.UNRATED),
        ({"score": "²"}, Severity.UNRATED),
    ],
)
def test_grade_is_what_the_meta_values_state(meta: dict[str, str], grade: Severity) -> None:
    assert severity_of(meta) is grade
