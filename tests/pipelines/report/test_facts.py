from __future__ import annotations

import pytest

from pipelines.report.facts import NOT_RECORDED, compare, parse_run


def test_what_is_not_stated_is_said_to_be_unrecorded() -> None:
    facts = parse_run({}, "001-A")
    assert facts.run == "001-A"
    assert {facts.exhibit, facts.profile, facts.tool, facts.examiner, facts.case_number, facts.agency} == {NOT_RECORDED}
    assert facts.versions == facts.rules == facts.limits == facts.counts == facts.others == ()


def test_what_is_stated_is_shown_sorted() -> None:
    facts = parse_run(
        {
            "tool": {"name": "evidex", "version": "1"},
            "versions": {"b": "2", "a": None},
            "counts": {"hits": 3, "bad": "x"},
            "config_sha256": "ab",
        },
        "r",
    )
    assert facts.tool == "evidex 1"
    assert facts.versions == (("a", NOT_RECORDED), ("b", "2"))
    assert facts.counts == (("hits", 3),)
    assert facts.others == (("config_sha256", "ab"),)


def test_members_of_a_wrong_type_are_no_reason_to_fail() -> None:
    facts = parse_run({"tool": [], "versions": "x", "examiner": "A", "counts": 5, "exhibit": 7}, "r")
    assert (facts.tool, facts.versions, facts.examiner, facts.counts, facts.exhibit) == (NOT_RECORDED, (), "A", (), "7")


@pytest.mark.parametrize(("rules", "without"), [({"count": 0}, True), ({"count": 5}, False), ({}, False)])
def test_a_run_without_rules_is_told_from_one_that_does_not_say(rules: dict[str, int], *, without: bool) -> None:
    assert parse_run({"rules": rules}, "r").without_rules is without


@pytest.mark.parametrize(
    ("computed", "stated", "word"),
    [
        ("ab", "AB", "same"),
        ("ab", "cd", "DIFFERENT"),
        ("ab", None, "nothing to compare with"),
        ("ab", "abcd", "nothing to compare with"),
        (None, "ab", "not computed"),
    ],
)
def test_digests_are_compared_only_with_their_like(computed: str | None, stated: str | None, word: str) -> None:
    assert compare(computed, stated) == word
