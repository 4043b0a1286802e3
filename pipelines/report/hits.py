"""YARA hits, grouped by rule and ordered by the severity that the rule states."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pipelines.report.escaping import show, trusted
from pipelines.report.files import address_line
from pipelines.report.listing import Head, Listing, Row, cell, stacked, write_listing
from pipelines.report.rendering import Site, anchor
from pipelines.report.severity import Severity, severity_of
from pipelines.report.tables import RunTables, equals
from pipelines.report.wording import size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROWS_PER_PAGE: Final = 200
MOST_ROWS_A_RULE: Final = 5_000
MOST_ROWS: Final = 50_000
_EXAMPLES: Final = 3
_COLUMNS: Final = ("volume", "metadata_address", "stream", "path", "sha256", "string", "offset", "length", "matched", "instances")
_HEADS: Final = (
    Head(title="File", meaning="path, then volume, metadata address and SHA-256", style="wide"),
    Head(title="String", meaning="identifier of the string inside the rule", style="mono"),
    Head(title="Offset in the file", meaning="bytes from the start of the stream", style="num"),
    Head(title="Length", meaning="bytes", style="num"),
    Head(title="Bytes that matched", meaning="at most the first 128; what is no printable ASCII as \\xNN", style="mono wide"),
)
# Values of `meta` that say something to a reader, in the words of widespread public rule collections.
_DESCRIPTION_KEYS: Final = ("description", "desc", "info", "comment")
_HARMLESS_KEYS: Final = ("false_positives", "falsepositives", "false_positive", "fp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A stream that a rule matches: its path, and its row's anchor."""

    path: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """What one rule found.

    Attributes:
        namespace: rule file.
        rule: name of the rule.
        severity: as the rule's meta values state it.
        description: the rule author's words; "" if there are none.
        harmless: the author's words on what else may match; "" if there are none.
        meta: all its meta values.
        tags: its tags.
        streams: number of streams that it matches.
        rows: number of rows in the table `hits`.
        examples: the first few streams.
    """

    namespace: str
    rule: str
    severity: Severity
    description: str
    harmless: str
    meta: tuple[tuple[str, str], ...]
    tags: tuple[str, ...]
    streams: int
    rows: int
    examples: tuple[Example, ...]


@dataclass(slots=True)
class _Tally:
    rows: int = 0
    streams: int = 0
    last: tuple[Any, ...] | None = None
    examples: tuple[Example, ...] = ()
    meta: Mapping[str, str] | None = None
    tags: tuple[str, ...] = ()


def first_of(meta: Mapping[str, str], keys: tuple[str, ...]) -> str:
    """The first of these meta values that says something; "" if none does."""
    return next((meta[key] for key in keys if meta.get(key)), "")


def _count(tally: _Tally, address: tuple[Any, ...]) -> None:
    tally.rows += 1
    # All hits of one stream were written by one batch, in order, so a stream that comes again comes right behind itself.
    if address == tally.last:
        return
    tally.last = address
    tally.streams += 1
    volume, metadata_address, path, stream = address
    if len(tally.examples) < _EXAMPLES:
        tally.examples += (Example(path=path or "", anchor=anchor(volume, metadata_address, path, stream)),)


def find_rules(tables: RunTables) -> tuple[RuleFinding, ...]:
    """What each rule found, the gravest first; of equal severity the one with more files first."""
    tallies: dict[tuple[str, str], _Tally] = {}
    for namespace, rule, *address in tables.rows("hits", ("namespace", "rule", "volume", "metadata_address", "path", "stream")):
        _count(tallies.setdefault((namespace, rule), _Tally()), tuple(address))
    for (namespace, rule), tally in tallies.items():
        meta, tags = next(tables.rows("hits", ("meta", "tags"), equals(namespace=namespace, rule=rule)))
        tally.meta, tally.tags = dict(meta), tuple(tags)
    found = (
        RuleFinding(
            namespace=namespace,
            rule=rule,
            severity=severity_of(tally.meta or {}),
            description=first_of(tally.meta or {}, _DESCRIPTION_KEYS),
            harmless=first_of(tally.meta or {}, _HARMLESS_KEYS),
            meta=tuple((tally.meta or {}).items()),
            tags=tally.tags,
            streams=tally.streams,
            rows=tally.rows,
            examples=tally.examples,
        )
        for (namespace, rule), tally in tallies.items()
    )
    return tuple(sorted(found, key=lambda one: (one.severity.rank, -one.streams, one.namespace, one.rule)))


def shares(rows: Sequence[int], *, each: int = MOST_ROWS_A_RULE, all_: int = MOST_ROWS) -> tuple[int, ...]:
    """How many rows of each rule are shown: at most `each`, all together at most `all_`, the first served first."""
    given = []
    for number in rows:
        given.append(min(number, each, all_))
        all_ -= given[-1]
    return tuple(given)


def anchors_of(tables: RunTables, table: str) -> frozenset[str]:
    """Anchors of the streams that the table speaks of, from its first MOST_ROWS rows."""
    rows = islice(tables.rows(table, ("volume", "metadata_address", "path", "stream")), MOST_ROWS)
    return frozenset(anchor(*row) for row in rows)


def _rows(tables: RunTables, finding: RuleFinding, places: Mapping[str, str]) -> Iterator[Row]:
    where = equals(namespace=finding.namespace, rule=finding.rule)
    for number, values in enumerate(tables.rows("hits", _COLUMNS, where), 1):
        row = dict(zip(_COLUMNS, values, strict=True))
        name = anchor(row["volume"], row["metadata_address"], row["path"], row["stream"])
        below = [address_line(row["volume"], row["metadata_address"], row["stream"])]
        if row["sha256"]:
            below.append(trusted(f'<span class="mono">SHA-256 {show(row["sha256"])}</span>'))
        if name in places:
            below.append(trusted(f'<a href="{places[name]}">row of this file</a>'))
        matched = [cell(row["matched"])]
        if row["length"] and row["matched"] is not None and row["length"] > len(row["matched"]):
            matched.append(show(f"first {len(row['matched'])} of {size(row['length'])}"))
        string = [cell(row["string"])]
        if row["instances"] and row["instances"] > 1:
            string.append(show(f"{row['instances']:,} times in this file"))
        yield Row(
            anchor=f"{name}-{number}",
            cells=(
                stacked(cell(row["path"]), *below),
                stacked(*string),
                cell(row["offset"], grouped=True),
                cell(row["length"], grouped=True),
                stacked(*matched),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePages:
    """A rule's finding and where its rows are; `first_page` is "" where the limit left none."""

    finding: RuleFinding
    first_page: str
    shown: int


def _notes(finding: RuleFinding) -> tuple[str, ...]:
    severity = f"Severity: {finding.severity}, as the rule's author states it. {finding.description}"
    return (severity, f"May also match, by the author's words: {finding.harmless}") if finding.harmless else (severity,)


def write_hits(
    site: Site, tables: RunTables, findings: Sequence[RuleFinding], *, places: Mapping[str, str], query: str
) -> tuple[RulePages, ...]:
    """Writes one listing a rule, and the overview; `places` are the links to the rows of the files."""
    pages = []
    for number, (finding, most) in enumerate(zip(findings, shares([one.rows for one in findings]), strict=True), 1):
        rule = finding.rule.replace("'", "''")
        listing = Listing(
            key=f"hits-{number:03d}",
            title=f"Hits of rule {finding.rule}",
            caption="A row is one place in one file where a string of this rule was found.",
            notes=_notes(finding),
            heads=_HEADS,
            total=finding.rows,
            query=f"{query.format(table='hits')} AND rule = '{rule}'",
            rows_per_page=ROWS_PER_PAGE,
            most_rows=most,
        )
        if most:
            write_listing(site, listing, _rows(tables, finding, places))
        pages.append(RulePages(finding=finding, first_page=listing.first_page if most else "", shown=most))
    return tuple(pages)


def unscanned(tables: RunTables) -> dict[str, int]:
    """Streams by state of their scan: complete, partial, skipped, failed, and "none" for what has no content."""
    states: dict[str, int] = {}
    for (scan,), number in tables.tallies("entries", "scan").items():
        states[scan or "none"] = states.get(scan or "none", 0) + number
    return states
