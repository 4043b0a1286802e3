from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from forensics.errors import SegmentMissingError
from forensics.segment_sets import ad1_set, ewf_set, l01_set, next_ad1_name, next_ewf_name, next_l01_name, split_raw_set

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def laid(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x")


def names_of(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize(
    "names",
    [
        ["d.001", "d.002", "d.003"],
        ["d.000", "d.001"],
        ["d.01", "d.02"],
        ["d.aa", "d.ab", "d.ac"],
        ["d.AAA", "d.AAB"],
        ["d.dd.0001", "d.dd.0002"],
    ],
)
def test_a_split_raw_set_is_found_from_any_of_its_segments(tmp_path: Path, names: list[str]) -> None:
    laid(tmp_path, *names, "other.001", "d.txt", "d.log", "d.dd")
    for name in names:
        paths, problems = split_raw_set(tmp_path / name)
        assert names_of(paths) == names
        assert problems == ()


def test_letters_go_on_after_z(tmp_path: Path) -> None:
    names = [f"d.a{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"] + ["d.ba", "d.bb"]
    laid(tmp_path, *names)
    assert names_of(split_raw_set(tmp_path / "d.aa")[0]) == names


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["d.001", "d.003"], "d.002"),
        (["d.000", "d.001", "d.003"], "d.002"),
        (["d.002", "d.003"], "d.001"),
        (["d.aa", "d.ac"], "d.ab"),
    ],
)
def test_a_gap_in_a_split_raw_set_names_the_missing_segment(tmp_path: Path, names: list[str], missing: str) -> None:
    laid(tmp_path, *names)
    with pytest.raises(SegmentMissingError, match=rf"segment \S*{missing} is missing"):
        split_raw_set(tmp_path / names[0])


def test_a_lone_numbered_file_is_taken_with_a_problem(tmp_path: Path) -> None:
    laid(tmp_path, "d.001")
    paths, problems = split_raw_set(tmp_path / "d.001")
    assert names_of(paths) == ["d.001"]
    assert [problem.code for problem in problems] == ["segment-alone"]


@pytest.mark.parametrize("name", ["d.dd", "d.img", "d.raw", "d", "d.E01x", "d.bin"])
def test_an_extension_that_is_a_word_is_no_segment(tmp_path: Path, name: str) -> None:
    laid(tmp_path, name, "d.aa", "d.txt", "d.log")
    paths, problems = split_raw_set(tmp_path / name)
    assert (names_of(paths), problems) == ([name], ())


def test_an_ewf_set_is_found_from_any_of_its_segments_and_words_are_none_of_it(tmp_path: Path) -> None:
    names = ["d.E01", "d.E02", "d.E03"]
    laid(tmp_path, *names, "d.txt", "d.log", "d.raw", "d.RAW", "d.exe", "e.E04")
    for name in names:
        assert names_of(ewf_set(tmp_path / name)) == names


def test_an_ewf_set_may_be_in_lower_case(tmp_path: Path) -> None:
    laid(tmp_path, "d.e01", "d.e02")
    assert names_of(ewf_set(tmp_path / "d.e01")) == ["d.e01", "d.e02"]


def test_where_both_cases_lie_there_the_given_one_wins(tmp_path: Path) -> None:
    laid(tmp_path, "d.e01", "d.E01", "d.e02", "d.E02")
    assert names_of(ewf_set(tmp_path / "d.e01")) == ["d.e01", "d.e02"]
    assert names_of(ewf_set(tmp_path / "d.E02")) == ["d.E01", "d.E02"]


def test_an_ewf_set_goes_on_with_letters_after_99(tmp_path: Path) -> None:
    """EWF specification: .E99 is followed by .EAA, and .EZZ by .FAA."""
    names = [f"d.E{number:02}" for number in range(1, 100)] + ["d.EAA", "d.EAB"]
    laid(tmp_path, *names)
    assert names_of(ewf_set(tmp_path / "d.E01")) == names
    assert names_of(ewf_set(tmp_path / "d.EAB")) == names
    assert next_ewf_name(tmp_path / "d.E01", 99 + 26 * 26 + 1) == "d.FAA"


@pytest.mark.parametrize(
    ("names", "missing"), [(["d.E01", "d.E03"], "d.E02"), (["d.E02"], "d.E01"), (["d.e01", "d.e02", "d.e04"], "d.e03")]
)
def test_a_gap_in_an_ewf_set_names_the_missing_segment(tmp_path: Path, names: list[str], missing: str) -> None:
    laid(tmp_path, *names)
    with pytest.raises(SegmentMissingError, match=rf"segment \S*{missing} is missing"):
        ewf_set(tmp_path / names[0])


@pytest.mark.parametrize(
    ("find", "names"),
    [
        (l01_set, ["d.L01", "d.L02"]),
        (l01_set, ["d.Lx01", "d.Lx02"]),
        (l01_set, [*(f"d.L{number:02}" for number in range(1, 100)), "d.LAA", "d.LAB"]),
        (ad1_set, [f"d.ad{number}" for number in range(1, 12)]),
        (ad1_set, ["d.AD1", "d.AD2"]),
    ],
)
def test_a_set_of_logical_evidence_is_found_from_any_of_its_segments(
    tmp_path: Path, find: Callable[[Path], tuple[Path, ...]], names: list[str]
) -> None:
    laid(tmp_path, *names, "other.L01", "other.ad2", "d.txt", "d.E01", "d.adx", "d.ad")
    for name in (names[0], names[-1]):
        assert names_of(find(tmp_path / name)) == names


@pytest.mark.parametrize(
    ("find", "names", "missing"),
    [
        (l01_set, ["d.L01", "d.L03"], "d.L02"),
        (l01_set, ["d.Lx02"], "d.Lx01"),
        (ad1_set, ["d.ad1", "d.ad2", "d.ad4"], "d.ad3"),
        (ad1_set, ["d.ad12"], "d.ad1"),
    ],
)
def test_a_gap_in_a_set_of_logical_evidence_names_the_missing_segment(
    tmp_path: Path, find: Callable[[Path], tuple[Path, ...]], names: list[str], missing: str
) -> None:
    laid(tmp_path, *names)
    with pytest.raises(SegmentMissingError, match=rf"segment \S*{missing} is missing"):
        find(tmp_path / names[0])


@pytest.mark.parametrize("name", ["d.bin", "d.adx", "d.L0"])
def test_a_name_that_does_not_count_stands_alone(tmp_path: Path, name: str) -> None:
    laid(tmp_path, name, "d.L01", "d.ad1")
    assert names_of(l01_set(tmp_path / name)) == [name]
    assert names_of(ad1_set(tmp_path / name)) == [name]
    assert next_l01_name(tmp_path / name, 2) == next_ad1_name(tmp_path / name, 2) == ""


def test_the_next_segment_of_logical_evidence_has_a_name(tmp_path: Path) -> None:
    assert next_l01_name(tmp_path / "d.L01", 100) == "d.LAA"
    assert next_l01_name(tmp_path / "d.Lx01", 100) == "d.LxAA"
    assert next_ad1_name(tmp_path / "d.AD1", 10) == "d.AD10"
