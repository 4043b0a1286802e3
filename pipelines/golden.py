"""What our own output for a sample was when somebody last looked at it: rows and digest of each table.

For change detection only. It says that the output changed, never that it is right: what is right stands in the expected files,
which independent tools gave. `evidex replay --update` rewrites it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipelines.expectation import Difference, DifferenceKind, ReplayError
from pipelines.plain_rows import rows_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "golden.json"
_ABOUT = "Rows and SHA-256 of each table as Evidex itself gave them; change detection only, no proof of correctness."
SOURCE = "golden (our own output)"

Golden = dict[str, dict[str, Any]]


def golden_of(tables: Mapping[str, list[dict[str, Any]]]) -> Golden:
    """Rows and digest of each table, by its name."""
    return {name: {"rows": len(rows), "sha256": rows_digest(rows)} for name, rows in sorted(tables.items())}


def read_golden(folder: Path) -> Golden | None:
    """The golden part of the sample in the folder; None where there is none yet.

    Raises:
        ReplayError: the file is not usable.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        tables = json.loads(path.read_text(encoding="utf-8"))["tables"]
        return {str(name): {"rows": one["rows"], "sha256": one["sha256"]} for name, one in tables.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        message = f"{path}: not usable: {error!r}; `evidex replay --update` writes it anew"
        raise ReplayError(message) from error


def write_golden(folder: Path, golden: Golden) -> None:
    """Writes the golden part of the sample in the folder."""
    text = json.dumps({"about": _ABOUT, "tables": golden}, indent=1, sort_keys=True)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def compare_golden(was: Golden | None, now: Golden) -> tuple[Difference, ...]:
    """The tables that changed, came or went; that there is no golden part yet is a difference too."""
    if was is None:
        missing = DifferenceKind.MISSING
        return (Difference(kind=missing, table="golden", row=FILE, expected="a golden part; --update writes it", source=SOURCE),)
    found = []
    for table in sorted(was.keys() | now.keys()):
        before, after = was.get(table), now.get(table)
        if before == after:
            continue
        kind = DifferenceKind.EXTRA if before is None else DifferenceKind.MISSING if after is None else DifferenceKind.DIFFERS
        texts = [json.dumps(one, sort_keys=True) if one else "" for one in (before, after)]
        found.append(
            Difference(kind=kind, table=table, row="the whole table", column="digest", expected=texts[0], got=texts[1], source=SOURCE)
        )
    return tuple(found)
