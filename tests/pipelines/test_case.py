from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.case import check_exhibit, iter_finished_runs, lock_case, open_case, read_case
from pipelines.errors import CaseBusyError, CaseError

if TYPE_CHECKING:
    from pathlib import Path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(number=st.text(), agency=st.text())
def test_what_was_typed_is_read_back(tmp_path_factory: pytest.TempPathFactory, number: str, agency: str) -> None:
    folder = tmp_path_factory.mktemp("case")
    open_case(folder, number=number, agency=agency)
    case = read_case(folder)
    assert (case.number, case.agency) == (number, agency)


def test_an_empty_folder_and_none_become_a_case(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "new" / "below"):
        assert read_case(open_case(folder).folder).exhibits == ()


def test_another_case_number_is_refused_and_the_same_is_not(tmp_path: Path) -> None:
    open_case(tmp_path / "case", number="1")
    assert open_case(tmp_path / "case", number="1").number == "1"
    assert open_case(tmp_path / "case").number == "1"
    with pytest.raises(CaseError, match="'1'"):
        open_case(tmp_path / "case", number="2")


@pytest.mark.parametrize("text", ["", "x", "case_number = 1", 'case_number = "a"\nagency = "b"\nexhibits = 5', "\xff"])
def test_a_case_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "case.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(CaseError, match=r"case\.toml"):
        read_case(tmp_path)


def test_exhibits_are_added_once_in_order(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case").with_exhibit("B").with_exhibit("A").with_exhibit("B")
    assert read_case(case.folder).exhibits == ("A", "B")


def test_runs_are_numbered_on_beyond_999(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    assert case.new_run_name("KH-1") == "001-KH-1"
    for name in ("002-KH-1", "999-KH-2", "1000-KH-1", "other"):
        (case.runs / name).mkdir(parents=True)
    assert case.run_names() == ["002-KH-1", "999-KH-2", "1000-KH-1"]
    assert case.new_run_name("KH-1") == "1001-KH-1"


def test_a_run_is_unfinished_while_it_has_work(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    (case.runs / "001-KH-1").mkdir(parents=True)
    manifests = case.folder / "custody" / "manifests"
    manifests.mkdir(parents=True)
    (manifests / "001-KH-1.sha256").touch()
    case.work_of("001-KH-1").mkdir(parents=True)
    assert case.unfinished_run("KH-1") == "001-KH-1"
    assert case.unfinished_run("KH") is None
    assert list(iter_finished_runs(case)) == []
    case.drop_work("001-KH-1")
    assert case.unfinished_run("KH-1") is None
    assert list(iter_finished_runs(case)) == ["001-KH-1"]


def test_one_lock_at_a_time(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    with lock_case(case), pytest.raises(CaseBusyError):
        lock_case(case)
    with lock_case(case):
        pass


@given(st.text())
def test_an_exhibit_number_that_is_accepted_can_name_a_folder(text: str) -> None:
    try:
        accepted = check_exhibit(text)
    except CaseError:
        return
    assert accepted == text
    assert text not in (".", "..")
    assert text.isascii()
    assert not set(text) & set('/\\:*?"<>| \0\n')
    assert not text.endswith(".")


@pytest.mark.parametrize("name", ["KH-1", "2026_A.1", "a", "A" * 64])
def test_usual_exhibit_numbers_are_accepted(name: str) -> None:
    assert check_exhibit(name) == name


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a\\b", "A" * 65, "a b", "-x", "x.", "a\n", "é", "=1"])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(CaseError):
        check_exhibit(name)
