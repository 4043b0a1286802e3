"""A finished run and the custody log -> a folder of pages. The only part of the report that touches directories.

The pages depend on the tables, on run.json and on the log; not on the clock, the host or the place of the case.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from forensics.schema import TABLES
from pipelines.report.artifacts import ArtifactPages, grouped, write_artifacts
from pipelines.report.coverage import read_coverage, read_volumes
from pipelines.report.custody import read_custody
from pipelines.report.errors import ReportError
from pipelines.report.facts import RunFacts, most_telling, read_run, read_sources
from pipelines.report.files import count_files, write_files
from pipelines.report.hits import anchors_of, find_rules, unscanned, write_hits
from pipelines.report.listing import MOST_ROWS
from pipelines.report.problems import by_stage, group_problems, write_problems
from pipelines.report.rendering import Site
from pipelines.report.severity import Severity
from pipelines.report.tables import RunTables
from pipelines.report.timeline import write_timeline

INDEX = "index.html"


def run_folder(case: Path, run: str) -> Path:
    """CASE/runs/<run>.

    Raises:
        ReportError: the name is no plain folder name, or there is no such run.
    """
    folder = case / "runs" / run
    if Path(run).name != run or run in {"", ".", ".."} or not folder.is_dir():
        there = sorted(one.name for one in (case / "runs").glob("*")) if (case / "runs").is_dir() else []
        message = f"{case} has no run {run!r}; it has: {', '.join(there) or 'none'}"
        raise ReportError(message)
    return folder


def _query(exhibit: str) -> str:
    """The command for all rows of a table of this exhibit, with `{table}` left to fill in."""
    quoted = exhibit.replace("'", "''").replace("{", "{{").replace("}", "}}")
    return f"SELECT * FROM {{table}} WHERE exhibit = '{quoted}'"  # noqa: S608 - shown to the reader, never executed


def _write_pages(site: Site, tables: RunTables, facts: RunFacts, case: Path) -> None:
    query = _query(facts.exhibit)
    sources = read_sources(tables)
    coverage = read_coverage(tables, sum(one.media_size for one in sources) if sources else None)
    findings = find_rules(tables)
    files = write_files(site, tables, exhibit_query=query, wanted=anchors_of(tables, "hits") | anchors_of(tables, "problems"))
    places = files["with-hits"].places | files["all"].places
    log = read_custody(case)
    rules = write_hits(site, tables, findings, places=places, query=query)
    problems = group_problems(tables)
    artifacts = write_artifacts(site, tables, query=query)
    common: dict[str, Any] = {
        "source": most_telling(sources),
        "sources": sources,
        "coverage": coverage,
        "volumes": read_volumes(tables),
        "rules": rules,
        "severities": tuple((grade, sum(one.finding.severity is grade for one in rules)) for grade in Severity),
        "scans": unscanned(tables),
        "artifacts": artifacts,
        "groups": grouped(artifacts),
        "listed_files": count_files(tables),
        "files": {key: one.listing for key, one in files.items()},
        "problems": problems,
        "problem_stages": by_stage(problems),
        "problem_rows": write_problems(site, tables, query=query, places=places).listing,
        "timeline": write_timeline(site, tables, query=query),
        "log": log,
        "entries": log.about(facts.exhibit, facts.run),
        "sums": _sums(tables, facts, artifacts),
        "most_rows": MOST_ROWS,
    }
    for page in ("hits", "artifacts", "problems", "coverage", "timeline", "custody", "method", "glossary", "index"):
        site.write(f"{page}.html", f"{page}.html", **common)


_FIXED = tuple(table.name for table in TABLES)


def _sums(tables: RunTables, facts: RunFacts, artifacts: tuple[ArtifactPages, ...]) -> tuple[tuple[str, int, int | None], ...]:
    """(table, rows counted now, rows as run.json says) of every table."""
    stated = dict(facts.counts)
    fixed = {name: tables.count(name) for name in _FIXED}
    counted = fixed | {one.table: one.rows for one in artifacts}
    return tuple((name, counted.get(name, 0), stated.get(name)) for name in sorted(counted.keys() | stated.keys()))


def write_report(case: Path, run: str) -> Path:
    """Writes CASE/reports/<run>/ and gives back the path of its first page.

    A report that is there is replaced, as a whole and only when the new one is complete.

    Raises:
        ReportError: there is no such finished run, or a table cannot be read.
    """
    folder = run_folder(case, run)
    facts = read_run(folder)
    tables = RunTables(folder)
    target = case / "reports" / run
    unfinished = case / "reports" / f".{run}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        log = read_custody(case)
        _write_pages(Site(unfinished, facts=facts, demonstration=log.demonstration), tables, facts, case)
        if target.exists():
            shutil.rmtree(target)
        unfinished.rename(target)
    except OSError as error:
        message = f"the report cannot be written to {target}: {error.strerror or error}"
        raise ReportError(message) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target / INDEX
