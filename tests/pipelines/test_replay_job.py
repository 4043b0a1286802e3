"""The main job over committed samples, for real: nothing here stands in for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.expectation import ReplayError
from pipelines.replay import describe, render, replay
from pipelines.replay_job import Job, run_job
from pipelines.sample import find_samples, read_sample

_ROOT = Path(__file__).resolve().parents[2]
_SAMPLES = _ROOT / "sample_images"
_RULES = (_ROOT / "rules",)
_GOLDEN = "golden (our own output)"


@pytest.mark.parametrize("folder", find_samples(_SAMPLES), ids=lambda folder: folder.name)
def test_what_independent_tools_and_the_statement_say_of_a_sample_is_what_a_run_gives(folder: Path) -> None:
    (sample,) = replay(folder, rules=_RULES).samples
    assert not sample.error
    # The golden part says that our output changed, not that it is wrong; `evidex replay` in CI watches it.
    assert [describe(one) for one in sample.differences if one.source != _GOLDEN] == []
    if all(one.complete for one in read_sample(folder).expectations if one.table == "entries" and "stream" in one.key):
        assert sample.checked["entries"] == sample.rows["entries"]


def test_a_tampered_expected_digest_makes_a_real_replay_fail_naming_the_file(tmp_path: Path) -> None:
    shutil.copytree(_SAMPLES / "iso9660", tmp_path / "iso9660")
    path = tmp_path / "iso9660" / "expected" / "entries.jsonl"
    lines = path.read_text().splitlines()
    (at,) = (number for number, line in enumerate(lines) if '"readme.txt"' in line)
    before, after = lines[at].split('"sha256": "')
    lines[at] = f'{before}"sha256": "{"0" * 64}{after[64:]}'
    path.write_text("\n".join(lines) + "\n")
    result = replay(tmp_path, rules=_RULES)
    assert not result.passed
    (told,) = (line for line in render(result) if "sha256" in line and "golden" not in line)
    assert 'path="readme.txt"' in told
    assert f'expected "{"0" * 64}", got "{after[:64]}"' in told


def test_a_replay_writes_nothing_but_the_golden_part_and_only_when_asked(tmp_path: Path) -> None:
    folder = tmp_path / "iso9660"
    shutil.copytree(_SAMPLES / "iso9660", folder, ignore=shutil.ignore_patterns("golden.json"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    replay(folder, rules=_RULES)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    replay(folder, rules=_RULES, update=True)
    assert {path for path in folder.rglob("*") if path.is_file()} - before.keys() == {folder / "golden.json"}
    assert {path: path.read_bytes() for path in before} == before


def test_two_replays_give_the_same_golden_part(tmp_path: Path) -> None:
    goldens = []
    for name in ("first", "second"):
        shutil.copytree(_SAMPLES / "iso9660", tmp_path / name / "iso9660")
        replay(tmp_path / name, rules=_RULES, update=True)
        goldens.append((tmp_path / name / "iso9660" / "golden.json").read_bytes())
    assert goldens[0] == goldens[1]


@pytest.mark.parametrize(("content", "profile"), [(b"", "triage"), (b"x" * 4096, "no such profile")])
def test_what_cannot_be_run_is_refused_in_one_line_that_names_the_image(tmp_path: Path, content: bytes, profile: str) -> None:
    image = tmp_path / "broken.dd"
    image.write_bytes(content)
    with pytest.raises(ReplayError, match=r"^broken\.dd: [^\n]+$"):
        run_job(Job(image=image, case=tmp_path / "case", exhibit="X", profile=profile, rules=_RULES))
