"""Runs the main job over every sample and holds its tables against what is expected of them.

A sample passes when its run succeeds, its case verifies, each expected file agrees row by row, the problems recorded are those
that its description names, and the golden part (our own earlier output) is unchanged. What a run reads is never written.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from forensics.credentials import read_credentials
from forensics.names import escape_text
from pipelines.expectation import Difference, DifferenceKind, ReplayError, compare
from pipelines.golden import compare_golden, golden_of, read_golden, write_golden
from pipelines.junit import Case, Suite, junit_xml
from pipelines.plain_rows import plain_rows
from pipelines.replay_job import Done, Job, run_job
from pipelines.sample import Sample, find_samples, read_sample, unpack
from pipelines.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Tables: TypeAlias = "Mapping[str, list[dict[str, Any]]]"
_DESCRIBED = "sample.toml"


Runner: TypeAlias = "Callable[[Job], Done]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """What became of one sample.

    Attributes:
        name: name of the sample.
        rows: rows of each table of the run.
        checked: expected rows compared, by table.
        differences: every difference, in the order of the expected files.
        error: why the sample could not be run; "" where it was.
    """

    name: str
    rows: Mapping[str, int]
    checked: Mapping[str, int]
    differences: tuple[Difference, ...]
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was run and nothing differs."""
        return not self.differences and not self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What became of all samples, in the order of their names."""

    samples: tuple[SampleResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every sample passed."""
        return all(sample.passed for sample in self.samples)


def replay(
    folder: Path, *, rules: tuple[Path, ...] = (), junit: Path | None = None, update: bool = False, runner: Runner = run_job
) -> ReplayResult:
    """The result of running every sample in `folder`.

    Args:
        folder: a folder of samples, or one sample.
        rules: folders or files of YARA rules that the runs use.
        junit: where to write the result as JUnit XML; None for nowhere.
        update: whether the golden part of each sample is written anew; expected files are never written.
        runner: runs the main job.

    Raises:
        ReplayError: there is no sample in the folder.
    """
    result = ReplayResult(samples=tuple(_replay_sample(one, rules=rules, update=update, runner=runner) for one in find_samples(folder)))
    if junit is not None:
        junit.write_text(junit_xml(tuple(_suite(sample) for sample in result.samples)), encoding="utf-8")
    return result


def compare_sample(sample: Sample, tables: Tables) -> tuple[Difference, ...]:
    """Every difference between what is expected of the sample and the tables of a run; a table that is not there has no rows."""
    rows = [one for expected in sample.expectations for one in compare(expected, tables.get(expected.table, []))]
    return (*rows, *_compare_problems(sample.problems, tables.get("problems", [])))


def render(result: ReplayResult) -> Iterator[str]:
    """The result as lines of text that are safe on a terminal: a table of samples, then every difference."""
    width = max(len(sample.name) for sample in result.samples)
    yield f"{'sample':{width}}  result   entries   hits  artifacts  problems  expected rows  differences"
    for sample in result.samples:
        artifacts = sum(count for table, count in sample.rows.items() if table.startswith("artifact_"))
        counts = [sample.rows.get(table, 0) for table in ("entries", "hits")]
        yield (
            f"{sample.name:{width}}  {'passed' if sample.passed else 'FAILED':7}  {counts[0]:>7}  {counts[1]:>5}  {artifacts:>9}"
            f"  {sample.rows.get('problems', 0):>8}  {sum(sample.checked.values()):>13}  {len(sample.differences)}"
        )
    for sample in result.samples:
        if sample.error:
            yield f"{sample.name}: {escape_text(sample.error)}"
        for one in sample.differences:
            yield f"{sample.name}: {describe(one)}"
    failed = sum(not sample.passed for sample in result.samples)
    yield f"{len(result.samples)} samples, {failed} failed" if failed else f"{len(result.samples)} samples, all passed"


def describe(one: Difference) -> str:
    """One difference as one line of text that is safe on a terminal."""
    if one.kind is DifferenceKind.DIFFERS:
        told = f"{one.column}: expected {one.expected}, got {one.got}"
    elif one.kind is DifferenceKind.MISSING:
        told = f"expected {one.expected}"
    else:
        told = f"got {one.got}"
    return escape_text(f"{one.table}: {one.kind}: {one.row}: {told}" + (f" [{one.source}]" if one.source else ""))


def _replay_sample(folder: Path, *, rules: tuple[Path, ...], update: bool, runner: Runner) -> SampleResult:
    try:
        sample = read_sample(folder)
        with tempfile.TemporaryDirectory(prefix="evidex-replay-") as work:
            image = unpack(sample, Path(work))
            job = Job(
                image=image,
                case=Path(work) / "case",
                exhibit=sample.name,
                profile=sample.profile,
                rules=rules,
                credentials=read_credentials(sample.credentials) if sample.credentials else (),
            )
            done = runner(job)
            tables = read_tables(done.tables)
        golden = golden_of(tables)
        if update:
            write_golden(folder, golden)
        differences = (
            *compare_sample(sample, tables),
            *(Difference(kind=DifferenceKind.DIFFERS, table="case", row="verify", got=line) for line in done.unverified),
            *compare_golden(read_golden(folder), golden),
        )
    except ReplayError as error:
        return SampleResult(name=folder.name, rows={}, checked={}, differences=(), error=str(error))
    checked: Counter[str] = Counter()
    for expected in sample.expectations:
        checked[expected.table] += len(expected.rows)
    rows = {name: len(table) for name, table in tables.items()}
    return SampleResult(name=sample.name, rows=rows, checked=dict(checked), differences=differences)


def read_tables(folder: Path) -> Tables:
    """Every table in the folder `tables` of a run, by name, as plain rows."""
    return {
        one.name: plain_rows(read_table(folder, one.name))
        for one in sorted(folder.iterdir())
        if one.is_dir() and any(one.glob("part-*.parquet"))
    }


def _compare_problems(expected: Mapping[str, int], rows: list[dict[str, Any]]) -> Iterator[Difference]:
    """Differences in how many problems of which code were recorded."""
    found = Counter(row["code"] for row in rows)
    for code in sorted(expected.keys() | found.keys()):
        if found[code] != expected.get(code, 0):
            first = next((f"{row['what']}: {row['why']} ({row['path'] or ''})" for row in rows if row["code"] == code), "")
            yield Difference(
                kind=DifferenceKind.DIFFERS,
                table="problems",
                row=f"code={json.dumps(code)}",
                column="count",
                expected=str(expected.get(code, 0)),
                got=f"{found[code]}, first: {first}" if first else "0",
                source=_DESCRIBED,
            )


def _suite(sample: SampleResult) -> Suite:
    """One test a table that was held against something, and one for the run itself."""
    by_table: dict[str, list[str]] = {table: [] for table in (*sample.checked, "problems", "case", "golden")}
    for one in sample.differences:
        by_table.setdefault(one.table, []).append(describe(one))
    cases = tuple(Case(name=table, failures=tuple(lines)) for table, lines in by_table.items())
    return Suite(name=sample.name, cases=(Case(name="run", error=sample.error), *(() if sample.error else cases)))
