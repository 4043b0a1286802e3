"""Problems -> rows of the table `problems`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from forensics.schema import PROBLEMS
from pipelines.tables import Part, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from forensics.errors import Problem


def write_problems(tables: Path, name: str, exhibit: str, problems: Iterable[Problem]) -> tuple[Part, ...]:
    """Writes the problems as one part; none if there are no problems."""
    rows: list[dict[str, Any]] = [{"exhibit": exhibit, **asdict(problem), "stage": str(problem.stage)} for problem in problems]
    return (write_rows(tables, PROBLEMS, name, rows),) if rows else ()
