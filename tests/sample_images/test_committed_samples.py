"""The committed samples: their size, their descriptions, and whether the tools still say what the expected files say."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path

import pytest

from pipelines.sample import find_samples, read_sample
from sample_images.make_samples import ARTIFACTS, SAMPLES, regenerate

_FOLDER = Path(__file__).resolve().parents[2] / "sample_images"
_FIVE_MEGABYTES = 5 * 1000 * 1000
_NAMES = tuple(path.name for path in find_samples(_FOLDER))
_TOOLS = ("fls", "icat", "istat", "mmls", "fsstat", "ewfverify", "ewfexport", "yara")


def test_all_samples_together_stay_under_five_megabytes() -> None:
    files = [path for path in _FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert files
    assert sum(path.stat().st_size for path in files) < _FIVE_MEGABYTES


def test_every_sample_that_can_be_made_is_committed_and_the_other_way_round() -> None:
    assert set(_NAMES) == set(SAMPLES)


@pytest.mark.parametrize("name", _NAMES)
def test_every_expected_file_is_named_in_the_description_and_has_rows_of_somebody_else(name: str) -> None:
    sample = read_sample(_FOLDER / name)
    told = tomllib.loads((_FOLDER / name / "sample.toml").read_text())["expected"]
    assert sorted(told) == sorted(path.name for path in (_FOLDER / name / "expected").iterdir())
    for expected in sample.expectations:
        assert expected.source
        assert "evidex" not in expected.source.lower()
        assert expected.rows or expected.table == "hits"


@pytest.mark.parametrize("name", _NAMES)
def test_the_volumes_and_gaps_expected_tile_the_media(name: str) -> None:
    rows = {one.table: one.rows for one in read_sample(_FOLDER / name).expectations}
    position = 0
    for row in rows["volumes"]:
        assert row["start_byte"] == position
        position += row["size_bytes"]
    assert position == rows["sources"][0]["media_size"]


def test_each_kind_of_entry_and_each_way_of_recovery_is_in_some_sample() -> None:
    rows = [row for name in _NAMES for one in read_sample(_FOLDER / name).expectations if one.table == "entries" for row in one.rows]
    assert {row.get("kind") for row in rows} >= {"file", "directory", "link", "fifo", "virtual"}
    assert {row["recovery"] for row in rows} >= {"allocated", "deleted metadata", "orphan", "unallocated", "archive member"}
    assert any(row.get("stream") == "Zone.Identifier" for row in rows)
    assert any(row.get("path_bytes") for row in rows)


def test_what_was_deleted_is_recovered_whole_or_not_as_stated() -> None:
    # The digests are those of the stated contents; icat must find them, and must not find what was overwritten.
    from hashlib import sha256

    from sample_images.ntfs_mbr import DELETED, OVERWRITTEN

    (entries,) = (one.rows for one in read_sample(_FOLDER / "ntfs-mbr").expectations if one.table == "entries" and one.complete)
    found = {(row["path"].encode(), row["stream"]): row.get("sha256") for row in entries}
    for gone in DELETED:
        assert found[gone.path, ""] == sha256(gone.content).hexdigest()
    assert found[OVERWRITTEN.path, ""] != sha256(OVERWRITTEN.content).hexdigest()


@pytest.mark.parametrize("name", _NAMES)
def test_the_stated_contents_are_in_the_image_as_the_tools_read_it(name: str) -> None:
    from hashlib import sha256

    module = SAMPLES[name]
    stated = [one for attribute in ("KEPT", "FILES", "FAT_FILES", "EXT_FILES") for one in getattr(module, attribute, ())]
    if hasattr(module, "files"):
        stated += module.files()
    (entries,) = (one.rows for one in read_sample(_FOLDER / name).expectations if one.table == "entries" and "stream" in one.key)
    digests = {(_raw(row), row["stream"]): row.get("sha256") for row in entries}
    assert stated
    for one in stated:
        assert digests[one.path, ""] == sha256(one.content).hexdigest(), one.path
        for stream, content in one.streams.items():
            assert digests[one.path, stream] == sha256(content).hexdigest(), (one.path, stream)


@pytest.mark.parametrize("name", _NAMES)
def test_the_tools_say_today_what_the_expected_files_say(name: str, tmp_path: Path) -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        if os.environ.get("CI"):
            pytest.fail(f"not installed, and CI is set: {', '.join(missing)}")
        pytest.skip(f"not installed: {', '.join(missing)}")
    regenerate(name, tmp_path)
    for path in sorted(tmp_path.iterdir()):
        committed = (_FOLDER / name / "expected" / path.name).read_text().splitlines()
        now = path.read_text().splitlines()
        assert [json.loads(line) for line in now[1:]] == [json.loads(line) for line in committed[1:]], path.name


def test_artifact_rows_are_expected_of_the_windows_sample() -> None:
    assert {"runkeys", "evtx", "prefetch", "usb", "browser_history"} <= set(ARTIFACTS["windows"]())


def _raw(row: dict[str, object]) -> bytes:
    stored = row.get("path_bytes")
    return bytes.fromhex(stored["hex"]) if isinstance(stored, dict) else str(row["path"]).encode()
