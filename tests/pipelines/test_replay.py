from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest

from pipelines.expectation import DifferenceKind, ReplayError
from pipelines.replay import ReplayResult, render, replay
from pipelines.replay_job import Done, Job
from pipelines.tables import write_batches

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = {"table": "entries", "key": ["path"], "complete": True, "tool": "fls", "version": "4.11.1"}
_ROW = {"path": "a.txt", "size": 3}
_PROBLEM = {"code": "chunk-checksum", "what": "a chunk is damaged", "why": "its checksum fails", "path": None}


@dataclass
class Tables:
    """Writes the same tables for each job that it is given, and remembers the jobs: a run without the reading."""

    entries: list[dict[str, Any]] = field(default_factory=lambda: [dict(_ROW)])
    problems: list[dict[str, Any]] = field(default_factory=list)
    unverified: tuple[str, ...] = ()
    jobs: list[Job] = field(default_factory=list)

    def __call__(self, job: Job) -> Done:
        assert job.image.read_bytes() == b"media"
        self.jobs.append(job)
        folder = job.case / "tables"
        for name, rows in (("entries", self.entries), ("problems", self.problems)):
            if rows:
                table = pa.Table.from_pylist(rows)
                write_batches(folder, name, "0", table.schema, table.to_batches())
        return Done(tables=folder, unverified=self.unverified)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A folder with one sample, "one", that passes."""
    sample = tmp_path / "samples" / "one"
    (sample / "expected").mkdir(parents=True)
    (sample / "image.dd").write_bytes(b"media")
    (sample / "expected" / "entries.jsonl").write_text(f"{json.dumps({'expected': _HEAD})}\n{json.dumps(_ROW)}\n")
    (sample / "sample.toml").write_text(
        'title = "t"\nfiles = ["image.dd"]\nprofile = "triage"\nexpected = ["entries.jsonl"]\nproblems = {}\n'
    )
    replay(sample.parent, rules=(), update=True, runner=Tables())
    return sample.parent


def _differences(result: ReplayResult) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.table, one.column) for sample in result.samples for one in sample.differences]


def test_a_sample_passes_when_nothing_differs(samples: Path) -> None:
    runner = Tables()
    result = replay(samples, rules=(), runner=runner)
    assert result.passed
    assert (runner.jobs[0].exhibit, runner.jobs[0].profile) == ("one", "triage")
    assert list(render(result))[-1] == "1 samples, all passed"


def test_a_tampered_expected_file_makes_it_fail_naming_the_row(samples: Path) -> None:
    path = samples / "one" / "expected" / "entries.jsonl"
    path.write_text(path.read_text().replace('"size": 3', '"size": 4'))
    result = replay(samples, rules=(), runner=Tables())
    assert not result.passed
    assert _differences(result) == [("differs", "entries", "size")]
    assert 'one: entries: differs: path="a.txt": size: expected 4, got 3 [fls 4.11.1]' in list(render(result))


def test_a_row_too_few_or_too_many_makes_it_fail(samples: Path) -> None:
    result = replay(samples, rules=(), runner=Tables(entries=[{"path": "b.txt", "size": 3}]))
    assert _differences(result) == [("missing", "entries", ""), ("extra", "entries", ""), ("differs", "entries", "digest")]


def test_a_table_that_is_not_there_has_no_rows(samples: Path) -> None:
    result = replay(samples, rules=(), runner=Tables(entries=[], problems=[_PROBLEM]))
    assert ("missing", "entries", "") in _differences(result)


def test_a_problem_that_the_description_does_not_name_makes_it_fail(samples: Path) -> None:
    result = replay(samples, rules=(), update=True, runner=Tables(problems=[_PROBLEM]))
    assert _differences(result) == [("differs", "problems", "count")]
    assert "chunk-checksum" in result.samples[0].differences[0].row


def test_a_problem_that_the_description_names_must_be_there(samples: Path) -> None:
    path = samples / "one" / "sample.toml"
    path.write_text(path.read_text().replace("problems = {}", 'problems = { "chunk-checksum" = 1 }'))
    assert replay(samples, rules=(), update=True, runner=Tables(problems=[_PROBLEM])).passed
    assert _differences(replay(samples, rules=(), update=True, runner=Tables())) == [("differs", "problems", "count")]


def test_a_case_that_does_not_verify_makes_it_fail(samples: Path) -> None:
    result = replay(samples, rules=(), runner=Tables(unverified=("the log was changed",)))
    assert [one.got for one in result.samples[0].differences] == ["the log was changed"]


def test_our_own_output_is_watched_also_where_nothing_is_expected(samples: Path) -> None:
    changed = Tables(entries=[{**_ROW, "entropy": 1.5}])
    assert _differences(replay(samples, rules=(), runner=changed)) == [("differs", "entries", "digest")]
    assert replay(samples, rules=(), update=True, runner=changed).passed
    assert replay(samples, rules=(), runner=changed).passed


def test_update_writes_the_golden_part_and_never_what_is_expected(samples: Path) -> None:
    path = samples / "one" / "expected" / "entries.jsonl"
    before = path.read_bytes()
    result = replay(samples, rules=(), update=True, runner=Tables(entries=[{"path": "b.txt", "size": 3}]))
    assert not result.passed
    assert path.read_bytes() == before
    assert json.loads((samples / "one" / "golden.json").read_text())["about"].endswith("no proof of correctness.")


def test_a_sample_without_a_golden_part_says_how_to_get_one(samples: Path) -> None:
    (samples / "one" / "golden.json").unlink()
    result = replay(samples, rules=(), runner=Tables())
    assert [(one.kind, one.table) for one in result.samples[0].differences] == [(DifferenceKind.MISSING, "golden")]


def test_a_sample_that_cannot_be_run_fails_and_the_others_go_on(samples: Path) -> None:
    shutil.copytree(samples / "one", samples / "two")
    (samples / "one" / "image.dd").unlink()
    result = replay(samples, rules=(), runner=Tables())
    assert [(sample.name, sample.passed) for sample in result.samples] == [("one", False), ("two", True)]
    assert "image.dd" in result.samples[0].error
    assert any("image.dd" in line for line in render(result))


def test_a_run_that_is_refused_is_the_error_of_its_sample(samples: Path) -> None:
    def refuse(job: Job) -> Done:
        message = f"{job.image}: no image"
        raise ReplayError(message)

    result = replay(samples, rules=(), runner=refuse)
    assert (result.passed, result.samples[0].error.endswith("no image")) == (False, True)


def test_the_junit_file_names_each_difference(samples: Path, tmp_path: Path) -> None:
    path = samples / "one" / "expected" / "entries.jsonl"
    path.write_text(path.read_text().replace("a.txt", "a\\u001b.txt"))
    out = tmp_path / "replay.xml"
    replay(samples, rules=(), junit=out, runner=Tables())
    root = ET.fromstring(out.read_text())
    (failure,) = root.iter("failure")
    assert failure.text is not None
    assert [line.split(": ")[1] for line in failure.text.splitlines()] == ["missing", "extra"]
    assert {case.attrib["name"] for case in root.iter("testcase")} == {"run", "entries", "problems", "case", "golden"}


def test_no_line_can_act_on_a_terminal(samples: Path) -> None:
    name = "evil\x1b[2J\u202e\n.txt"
    lines = list(
        render(
            replay(
                samples, rules=(), update=True, runner=Tables(entries=[{"path": name, "size": 3}], problems=[{**_PROBLEM, "what": name}])
            )
        )
    )
    assert any("evil" in line for line in lines)
    assert not [line for line in lines if any(ord(c) < 0x20 or c in "\x7f\x9b\u202e" for c in line)]
