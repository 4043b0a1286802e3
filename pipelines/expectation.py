"""Rows that a table is expected to have, and how the rows it has differ from them. Pure: values in, differences out.

An expected file is JSON lines. The first line says what it is:

    {"expected": {"table": "entries", "key": ["volume", "path"], "complete": true, "tool": "fls -r -p -l", "version": "…"}}

and each further line is a row with the columns that are known; what is not named is not compared. `complete` means that the table
has no other rows, `leaves_out` which rows it says nothing of, as {column: [values]}; `distinct` that rows of the table that agree in
the named columns count once. A time is compared with as many decimals as the expected file gives.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z")
_MISSING = object()


class ReplayError(Exception):
    """A sample cannot be replayed: its description or an expected file is unusable. Fatal to the replay."""


class DifferenceKind(StrEnum):
    """In what way a table differs."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between what was expected and what a run gave.

    Attributes:
        kind: a row is missing, there is one too many, or a column has another value.
        table: the table concerned.
        row: what names the row: its key columns with their values.
        column: the column concerned; "" where it is the whole row.
        expected: what was expected, as JSON; "" where nothing was.
        got: what the table has, as JSON; "" where it has nothing.
        source: the tool or the statement that gave the expected value.
    """

    kind: DifferenceKind
    table: str
    row: str
    column: str = ""
    expected: str = ""
    got: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The rows expected of one table, with who says so."""

    table: str
    key: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    complete: bool
    distinct: bool
    source: str
    leaves_out: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def read_expectation(path: Path) -> Expectation:
    """The expectation that a file holds.

    Raises:
        ReplayError: it is not there, or not what an expected file has to be.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        head = lines[0]["expected"]
        expectation = Expectation(
            table=head["table"],
            key=tuple(head["key"]),
            rows=tuple(lines[1:]),
            complete=head["complete"],
            distinct=head.get("distinct", False),
            source=f"{head['tool']} {head['version']}".strip(),
            leaves_out={column: tuple(values) for column, values in head.get("leaves_out", {}).items()},
        )
        keyless = [number for number, row in enumerate(lines[1:], start=2) if not set(head["key"]) <= row.keys()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        message = f"{path}: not a usable file of expected rows: {error!r}"
        raise ReplayError(message) from error
    if keyless:
        message = f"{path}, line {keyless[0]}: the row lacks a column of the key ({', '.join(head['key'])})"
        raise ReplayError(message)
    return expectation


def compare(expected: Expectation, got: Sequence[Mapping[str, Any]]) -> tuple[Difference, ...]:
    """Every difference between the expected rows and those that the table has, in the order of the expected rows, extra rows last.

    Args:
        expected: what the table should have.
        got: its rows as `pipelines.plain_rows` gives them.
    """
    got = [row for row in got if not any(row.get(column) in values for column, values in expected.leaves_out.items())]
    if expected.distinct:
        columns = {name for row in expected.rows for name in row} | set(expected.key)
        got = _distinct(got, columns)
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in got:
        found[_key(expected, row)].append(row)
    wanted: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in expected.rows:
        wanted[_key(expected, row)].append(row)
    differences = [one for key, rows in wanted.items() for one in _compare_group(expected, key, rows, found.pop(key, []))]
    if expected.complete:
        differences += [_extra(expected, key, row) for key, rows in found.items() for row in rows]
    return tuple(differences)


def _compare_group(expected: Expectation, key: str, rows: list[Mapping[str, Any]], got: list[Mapping[str, Any]]) -> Iterator[Difference]:
    """Differences among rows with the same key; where there are several, equal ones are paired first."""
    left = list(got)
    unmatched = []
    for row in rows:
        same = next((other for other in left if not any(_differing(row, other))), None)
        if same is None:
            unmatched.append(row)
        else:
            left.remove(same)
    for wanted, other in zip_longest(unmatched, left):
        if wanted is None:
            if expected.complete:
                yield _extra(expected, key, other)
        elif other is None:
            kind = DifferenceKind.MISSING
            yield Difference(kind=kind, table=expected.table, row=key, expected=_shown(wanted), source=expected.source)
        else:
            for column in _differing(wanted, other):
                yield Difference(
                    kind=DifferenceKind.DIFFERS,
                    table=expected.table,
                    row=key,
                    column=column,
                    expected=_shown(wanted[column]),
                    got=_shown(other[column]) if column in other else "no such column",
                    source=expected.source,
                )


def _extra(expected: Expectation, key: str, row: Mapping[str, Any]) -> Difference:
    known = {name for one in expected.rows for name in one} | set(expected.key)
    shown = {name: value for name, value in row.items() if name in known}
    return Difference(kind=DifferenceKind.EXTRA, table=expected.table, row=key, got=_shown(shown), source=expected.source)


def _differing(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    for column, value in wanted.items():
        if not _equal(value, got.get(column, _MISSING)):
            yield column


def _equal(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, str) and isinstance(got, str) and wanted != got:
        coarse, fine = _TIME.fullmatch(wanted), _TIME.fullmatch(got)
        if coarse is None or fine is None:
            return False
        decimals = coarse[2] or ""
        return coarse[1] == fine[1] and (fine[2] or "").ljust(len(decimals), "0").startswith(decimals)
    # True == 1 in Python, and a flag is no number.
    return type(wanted) is type(got) and bool(wanted == got)


def _distinct(rows: Iterable[Mapping[str, Any]], columns: set[str]) -> list[Mapping[str, Any]]:
    picked = ({name: value for name, value in row.items() if name in columns} for row in rows)
    return list({json.dumps(row, sort_keys=True): row for row in picked}.values())


def _key(expected: Expectation, row: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_shown(_short_time(row.get(name)))}" for name in expected.key)


def _short_time(value: Any) -> Any:
    """A time without decimals that are zeros, so that it names the same row however many were written; all else as it is."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    decimals = (found[2] or "").rstrip("0")
    return f"{found[1]}.{decimals}Z" if decimals else f"{found[1]}Z"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True)
