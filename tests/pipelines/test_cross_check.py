"""One filesystem by two engines: nothing is written where they agree, and why where they are known to differ; and either is forced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from running import SAMPLES, rows_of, run, tables_of, unpack

if TYPE_CHECKING:
    from pathlib import Path


def _differences(tmp_path: Path, sample: str) -> tuple[list[tuple[str, str, str, str]], list[dict[str, Any]]]:
    tables = tables_of(run(unpack(sample, tmp_path / f"{sample}.dd"), tmp_path / "case", cross_check=True, rules=()))
    rows = [(row["volume"], row["path"], row["what"], row["known"]) for row in rows_of(tables, "cross_check")]
    return rows, [problem for problem in rows_of(tables, "problems") if problem["stage"] == "filesystem"]


def test_what_dissect_is_known_to_do_with_fat_is_said_and_ext4_is_the_same(tmp_path: Path) -> None:
    """fls lists these files, which mcopy and the kernel wrote, as TSK does."""
    rows, problems = _differences(tmp_path, "gpt-fat32-ext4")
    case = "dissect.fat ignores the flags that make an 8.3 name lower case"
    assert rows == [
        ("v01", "EVIDEX", "missing in tsk", "dissect.fat lists the volume label as a file"),
        ("v01", "FOLDER/NOISE.BIN", "missing in tsk", case),
        ("v01", "FOLDER/noise.bin", "missing in dissect", case),
        ("v01", "LOWER.TXT", "missing in tsk", case),
        ("v01", "lower.txt", "missing in dissect", case),
    ]
    assert problems == []


@pytest.mark.parametrize("sample", ["ntfs-mbr", "linux", "windows"])
def test_nothing_is_written_where_the_engines_agree(tmp_path: Path, sample: str) -> None:
    assert _differences(tmp_path, sample) == ([], [])


def test_without_being_asked_for_nothing_is_compared(tmp_path: Path) -> None:
    tables = tables_of(run(unpack("gpt-fat32-ext4", tmp_path / "a.dd"), tmp_path / "case", rules=()))
    assert rows_of(tables, "cross_check") == []


@pytest.mark.parametrize(("sample", "volume"), [("ntfs-mbr", "v01"), ("gpt-fat32-ext4", "v02"), ("linux", "v01")])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_forced_reader_gives_the_contents_that_icat_gives(tmp_path: Path, sample: str, volume: str, workers: int) -> None:
    image = unpack(sample, tmp_path / "a.dd")
    tables = tables_of(run(image, tmp_path / "case", readers=((volume, "dissect"),), rules=(), workers=workers))
    assert {row["volume"]: row["reader"] for row in rows_of(tables, "volumes")}[volume] == "dissect"
    entries = [row for row in rows_of(tables, "entries") if row["volume"] == volume and row["recovery"] == "allocated"]
    ours = {f"{row['path']}:{row['stream']}": row["sha256"] for row in entries}
    lines = (SAMPLES / sample / "expected" / "entries.jsonl").read_text().splitlines()[1:]
    files = [row for row in map(json.loads, lines) if row["volume"] == volume and row["kind"] == "file" and row["recovery"] == "allocated"]
    stated = {f"{row['path']}:{row['stream']}": row["sha256"] for row in files if row.get("sha256") and not row["path"].startswith("$")}
    assert stated
    assert {path: ours.get(path) for path in stated} == stated


def test_a_reader_that_cannot_read_what_it_is_forced_on_says_so(tmp_path: Path) -> None:
    tables = tables_of(run(unpack("exfat", tmp_path / "a.dd"), tmp_path / "case", readers=(("v01", "dissect"),), rules=()))
    (volume,) = rows_of(tables, "volumes")
    assert (volume["reader"], volume["status"]) == ("raw", "raw")
    assert {row["code"] for row in rows_of(tables, "problems")} >= {"volume-not-read"}
