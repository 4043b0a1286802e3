"""An image of a folder keeps its number, whatever is put into the folder later or taken out of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from running import evidex, request, rows_of, unpack

from pipelines.case import open_case, read_case
from pipelines.exhibit_numbers import numbered
from pipelines.exhibits import Exhibits, exhibits_of

if TYPE_CHECKING:
    from pathlib import Path


def found(folder: Path, *names: str) -> Exhibits:
    return Exhibits(images=tuple((folder / name,) for name in names), of_folder=True)


def numbers(case: Path, folder: Path, *names: str, reserved: tuple[str, ...] = ()) -> dict[str, str]:
    """The number of each image of a folder, and the case remembers them, as it does when the first of them is processed."""
    requests = numbered(request(folder, case, exhibit="K"), found(folder, *names), reserved)
    open_case(case).with_exhibit(requests[0].exhibit, requests[0].folder_images)
    return {one.images[0].name: one.exhibit for one in requests}


def test_a_new_image_gets_the_number_behind_the_last(tmp_path: Path) -> None:
    case = tmp_path / "case"
    assert numbers(case, tmp_path, "a.dd", "c.dd") == {"a.dd": "K.1", "c.dd": "K.2"}
    assert numbers(case, tmp_path, "a.dd", "b.dd", "c.dd") == {"a.dd": "K.1", "b.dd": "K.3", "c.dd": "K.2"}
    assert numbers(case, tmp_path, "c.dd") == {"c.dd": "K.2"}
    assert numbers(case, tmp_path, "0.dd", "c.dd") == {"0.dd": "K.4", "c.dd": "K.2"}
    assert read_case(case).folder_images == (("K.1", "a.dd"), ("K.2", "c.dd"), ("K.3", "b.dd"), ("K.4", "0.dd"))


def test_an_image_that_was_alone_in_the_folder_keeps_the_bare_number(tmp_path: Path) -> None:
    case = tmp_path / "case"
    assert numbers(case, tmp_path, "b.dd") == {"b.dd": "K"}
    assert numbers(case, tmp_path, "a.dd", "b.dd") == {"a.dd": "K.2", "b.dd": "K"}


def test_numbers_of_other_exhibits_are_not_taken(tmp_path: Path) -> None:
    case = tmp_path / "case"
    open_case(case).with_exhibit("K.2").with_exhibit("K").with_exhibit("K.x").with_exhibit("KK.9")
    assert numbers(case, tmp_path, "a.dd", "b.dd", reserved=("K.4",)) == {"a.dd": "K.5", "b.dd": "K.6"}


def test_names_that_toml_has_to_escape_are_remembered(tmp_path: Path) -> None:
    case = tmp_path / "case"
    names = ('a "b".dd', "b\\c.dd", "ö.dd", "\udcff.dd", "x\ny.dd")
    first = numbers(case, tmp_path, *names)
    assert len(set(first.values())) == len(names)
    assert numbers(case, tmp_path, "0.dd", *names) == {"0.dd": "K.6", **first}


def test_what_is_of_no_folder_keeps_the_number_as_it_is(tmp_path: Path) -> None:
    asked = request(tmp_path / "a.dd", tmp_path / "case", exhibit="K")
    assert numbered(asked, exhibits_of(asked.images)) == (asked,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    seized = tmp_path / "seized"
    for name in ("a.dd", "c.dd"):
        unpack("exfat", seized / name)
    return seized


def test_an_image_that_is_added_to_a_folder_is_processed_and_no_other_again(tmp_path: Path, folder: Path) -> None:
    """Numbered by position, a new b.dd was passed over as done before, and c.dd was processed twice."""
    case = tmp_path / "case"
    arguments = ("process", folder, "--case", case, "--exhibit", "K", "--examiner", "E", "--workers", "0", "--profile", "triage")
    assert evidex(*arguments, state=tmp_path / "state").returncode in (0, 3)
    shutil.copyfile(folder / "a.dd", folder / "b.dd")
    with (folder / "b.dd").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\1")
    answer = evidex(*arguments, state=tmp_path / "state")
    assert answer.returncode in (0, 3), answer.stderr
    told = [line.split(": ")[:2] for line in answer.stdout.splitlines() if line.startswith("exhibit ")]
    assert told[0] == ["exhibit K.1 (a.dd)", "done before"]
    assert told[1][0] == "exhibit K.3 (b.dd)"
    assert told[1][1] in ("complete", "complete with problems")
    assert told[2] == ["exhibit K.2 (c.dd)", "done before"]
    sources = [row for run in sorted((case / "runs").iterdir()) for row in rows_of(run / "tables", "sources")]
    assert [(row["exhibit"], row["segments"]) for row in sources] == [("K.1", ["a.dd"]), ("K.2", ["c.dd"]), ("K.3", ["b.dd"])]
