from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from forensics import schema
from pipelines.report.artifact_words import Group, words_for
from pipelines.report.artifacts import grouped, main_columns, write_artifacts
from pipelines.report.facts import parse_run
from pipelines.report.rendering import Site
from pipelines.report.tables import Column, Kind, RunTables

from .case_builder import EXHIBIT, MOMENT, NS, RUN, build_case

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.report.artifacts import ArtifactPages

COLUMNS = pa.schema(
    [*schema.ARTIFACT_FIELDS, pa.field("ts", schema.TIME), pa.field("filename", pa.string()), pa.field("linkedfile", pa.string())]
)


def run_of(program: str, seconds: int, linked: str = "x") -> dict[str, object]:
    return {"exhibit": EXHIBIT, "record_type": "prefetch", "ts": MOMENT + seconds * NS, "filename": program, "linkedfile": linked}


def written(tmp_path: Path, **artifacts: list[dict[str, object]]) -> tuple[ArtifactPages, ...]:
    case = build_case(tmp_path / "case", artifacts={f"artifact_{name}": (COLUMNS, rows) for name, rows in artifacts.items()})
    site = Site(tmp_path / "site", facts=parse_run({}, RUN), demonstration=False)
    return write_artifacts(site, RunTables(case / "runs" / RUN), query="SELECT * FROM {table}")


def test_named_columns_come_first_then_times_then_others() -> None:
    columns = tuple(
        Column(name=name, kind=kind, meaning="", unit="")
        for name, kind in [
            ("exhibit", Kind.TEXT),
            ("z", Kind.TEXT),
            ("when", Kind.TIME),
            ("filename", Kind.TEXT),
            ("ts", Kind.TIME),
            ("hostname", Kind.TEXT),
        ]
    )
    assert [one.name for one in main_columns(columns, words_for("artifact_prefetch"))] == ["ts", "filename", "when", "z"]


def test_page_one_names_the_latest_of_each_program_once(tmp_path: Path) -> None:
    rows = [run_of("A.EXE", 1), run_of("A.EXE", 9, "y"), run_of("B.EXE", 5), *(run_of(f"{number}.EXE", -number) for number in range(1, 9))]
    (pages,) = written(tmp_path, prefetch=rows)
    assert [(str(one.first), one.time[17:19], one.number) for one in pages.examples[:3]] == [
        ('<span class="ev" dir="ltr">A.EXE</span>', "21", 2),
        ('<span class="ev" dir="ltr">B.EXE</span>', "17", 3),
        ('<span class="ev" dir="ltr">1.EXE</span>', "11", 4),
    ]
    assert len(pages.examples) == 5
    assert pages.example_links[0] == "artifact_prefetch-0001.html#row-2"


def test_the_latest_are_found_among_more_programs_than_are_remembered(tmp_path: Path) -> None:
    (pages,) = written(tmp_path, prefetch=[run_of(f"{number}.EXE", number) for number in range(12_000)])
    assert [one.number for one in pages.examples] == [12_000, 11_999, 11_998, 11_997, 11_996]
    assert pages.example_links[0] == "artifact_prefetch-0024.html#row-12000"


def test_tables_stand_under_their_headings_in_order_and_alike_ones_together(tmp_path: Path) -> None:
    one = [run_of("A.EXE", 1)]
    pages = written(tmp_path, evtx=one, users=one, amcache_files=one, amcache_drivers=one, prefetch=one, shimcache=[])
    assert [(group, [[member.name for member in titled] for titled in titles]) for group, titles in grouped(pages)] == [
        (Group.USERS, [["users"]]),
        (Group.PROGRAMS, [["prefetch"], ["amcache drivers", "amcache files"]]),
        (Group.LOGS, [["evtx"]]),
    ]
    assert [one.name for one in pages if not one.rows] == ["shimcache"]
