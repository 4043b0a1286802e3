"""Results as text: what a run gave, and rows of a query as a table, CSV or JSON lines. Nothing from evidence may act in them."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_TABLE_ROWS = 1000
_TABLE_WIDTH = 80
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the start of a formula (OWASP, CSV injection)


def render_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], form: str) -> Iterator[str]:
    """Lines of text in the form "table", "csv" or "jsonl"; a table shows the first 1,000 rows and says so."""
    if form == "csv":
        yield _csv_line(columns)
        yield from (_csv_line(row) for row in rows)
    elif form == "jsonl":
        yield from (json.dumps(dict(zip(columns, map(_plain, row), strict=True))) for row in rows)
    else:
        yield from _table(columns, iter(rows))


def result_lines(counts: dict[str, int], index: Path, head: str, *, demonstration: bool) -> list[str]:
    """What a finished run gave, for the person who started it; head is that of the custody log."""
    artifacts = sum(rows for name, rows in counts.items() if name.startswith("artifact_"))
    lines = [
        f"entries   {counts['entries']}",
        f"hits      {counts['hits']}",
        f"artifacts {artifacts} rows in {sum(name.startswith('artifact_') for name in counts)} tables",
        f"problems  {counts['problems']}" + (": see the report" if counts["problems"] else ""),
        f"report    {index}",
        f"head      {head}",
    ]
    if demonstration:
        lines.append("signed with a DEMONSTRATION identity that identifies nobody; `evidex keys new` makes a real one")
    return lines


def _table(columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[str]:
    shown = [[_short(escape_text(_text(value))) for value in row] for row in itertools.islice(rows, _TABLE_ROWS)]
    widths = [max(len(name), *(len(row[i]) for row in shown)) if shown else len(name) for i, name in enumerate(columns)]
    for line in (columns, ["-" * width for width in widths], *shown):
        yield "  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip()
    if next(rows, None) is not None:
        yield f"… more than {_TABLE_ROWS} rows: --format csv or jsonl gives all"


def _short(text: str) -> str:
    return text if len(text) <= _TABLE_WIDTH else f"{text[: _TABLE_WIDTH - 1]}…"


def _csv_line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(map(_cell, values))
    return line.getvalue()


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula; a number stays one."""
    text = escape_text(_text(value))
    return f"'{text}" if text.startswith(_FORMULA) and not isinstance(value, (int, float)) else text


def _text(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """The value as JSON has it: bytes as base64, times as ISO 8601."""
    match value:
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case datetime() | date() | time():
            return value.isoformat()
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return str(value)
