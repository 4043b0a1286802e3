"""Runs of the main job over the committed samples, for the tests that look at whole runs."""

from __future__ import annotations

import hashlib
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

import rules
from pipelines.profiles import Profile
from pipelines.progress import Silent
from pipelines.run import ProcessRequest, RunResult, Signer, process
from pipelines.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLES = Path(__file__).resolve().parents[1] / "sample_images"
SHIPPED_RULES = Path(str(rules.__file__)).parent
_OUR_VARIABLES = ("EVIDEX_PASSPHRASE", "EVIDEX_STATE_DIR")


def unpack(name: str, target: Path) -> Path:
    """The sample's image, unpacked as `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(lzma.decompress((SAMPLES / name / f"{name}.dd.xz").read_bytes()))
    return target


def request(image: Path, case: Path, **changes: Any) -> ProcessRequest:
    """A request that works in this process, keeps its state beside the case and scans with the shipped rules."""
    stated: dict[str, Any] = {
        "exhibit": "KH-1",
        "examiner": "A. Examiner",
        "rules": (SHIPPED_RULES,),
        "signer": Signer(state=case.parent / f"{case.name}-state"),
        "workers": 0,
    }
    return ProcessRequest(images=(image,), case=case, **{**stated, **changes})


def run(image: Path, case: Path, **changes: Any) -> RunResult:
    """The main job, in this process."""
    return process(request(image, case, **changes), Silent())


def run_listing(image: Path, case: Path) -> RunResult:
    """The main job without contents, rules and most artifacts: quick."""
    return run(image, case, profile=Profile.TRIAGE, rules=())


def tables_of(result: RunResult) -> Path:
    """The folder of the run's tables."""
    return result.case / "runs" / result.run / "tables"


def rows_of(tables: Path, table: str) -> list[dict[str, Any]]:
    """All rows of a table; times as whole nanoseconds since 1970, because Python's datetime would drop their last digits."""
    found = read_table(tables, table)
    for number, field in enumerate(found.schema):
        if pa.types.is_timestamp(field.type):
            found = found.set_column(number, field.name, found[field.name].cast(pa.int64()))
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def digests(tables: Path) -> dict[str, str]:
    """SHA-256 of every Parquet part by its path below the folder of tables; there is at least one."""
    found = {str(p.relative_to(tables)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(tables.rglob("*")) if p.is_file()}
    assert found
    return found


def row_count(tables: Path, table: str) -> int:
    """Rows of a table by its Parquet footers."""
    return sum(pq.read_metadata(part).num_rows for part in (tables / table).glob("part-*.parquet"))


def environment(state: Path, changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment with Evidex's own variables set for the test alone."""
    kept = {name: value for name, value in os.environ.items() if name not in _OUR_VARIABLES}
    return {**kept, "EVIDEX_STATE_DIR": str(state), **(changes or {})}


def command(*arguments: str | Path) -> list[str]:
    """The command line that runs `evidex`."""
    return [sys.executable, "-c", "from cli import main; main()", *map(os.fspath, arguments)]


def evidex(
    *arguments: str | Path, state: Path, changes: Mapping[str, str] | None = None, seconds: int = 300
) -> subprocess.CompletedProcess[str]:
    """`evidex` in a process of its own, without a terminal and without input."""
    return subprocess.run(
        command(*arguments),
        env=environment(state, changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=seconds,
        check=False,
    )
