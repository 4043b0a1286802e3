"""What is known about the run and its exhibit: run.json and the table `sources`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from forensics.logical.open_logical import LOGICAL_KINDS
from pipelines.report.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipelines.report.tables import RunTables

NOT_RECORDED: Final = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One image of the exhibit: one row of the table `sources`, with its columns under their names."""

    disk: int
    container: str
    segments: tuple[str, ...]
    segment_sizes: tuple[int, ...]
    media_size: int
    sector_size: int
    md5: str | None
    sha1: str | None
    sha256: str | None
    stated_md5: str | None
    stated_sha1: str | None
    expected_hash: str | None
    digest_match: str
    mismatch_accepted: str | None
    damaged_chunks: int
    header_values: tuple[tuple[str, str], ...]
    unchanged_check: str
    unchanged: bool

    @property
    def is_logical(self) -> bool:
        """Whether it holds files that were collected, and no copy of a disk."""
        return self.container in LOGICAL_KINDS

    @property
    def digests(self) -> tuple[tuple[str, str | None, str | None, str], ...]:
        """(name, computed, stated, comparison in a word) for each digest; the expected one is compared with what it equals in length."""
        rows = (("MD5", self.md5, self.stated_md5), ("SHA-1", self.sha1, self.stated_sha1), ("SHA-256", self.sha256, None))
        expected = (self.expected_hash or "").strip().lower()
        return tuple(
            (
                name,
                computed,
                stated or (expected if computed and len(expected) == len(computed) else None),
                compare(computed, stated or expected),
            )
            for name, computed, stated in rows
        )


def compare(computed: str | None, stated: str | None) -> str:
    """Same, DIFFERENT, or why the two cannot be compared; digests of different length are not of one kind."""
    if computed is None:
        return "not computed"
    if not stated or len(stated) != len(computed):
        return "nothing to compare with"
    return "same" if computed.lower() == stated.lower() else "DIFFERENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What run.json says; NOT_RECORDED for what it does not say."""

    run: str
    exhibit: str
    profile: str
    tool: str
    versions: tuple[tuple[str, str], ...]
    rules: tuple[tuple[str, str], ...]
    limits: tuple[tuple[str, str], ...]
    examiner: str
    case_number: str
    agency: str
    counts: tuple[tuple[str, int], ...]
    others: tuple[tuple[str, str], ...]

    @property
    def without_rules(self) -> bool:
        """Whether the run says that it had no YARA rule."""
        return dict(self.rules).get("count") == "0"


def _text(value: Any) -> str:
    return (
        NOT_RECORDED
        if value is None or value == ""
        else value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, sort_keys=True)
    )


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), _text(item)) for key, item in sorted(value.items())) if isinstance(value, dict) else ()


_SHOWN: Final = {"run", "exhibit", "profile", "tool", "versions", "rules", "limits", "examiner", "case_number", "agency", "counts"}


def parse_run(document: Mapping[str, Any], run: str) -> RunFacts:
    """The facts in a run.json that was read."""
    tool = document.get("tool") if isinstance(document.get("tool"), dict) else {}
    examiner = document.get("examiner")
    counts = document.get("counts") if isinstance(document.get("counts"), dict) else {}
    return RunFacts(
        run=run,
        exhibit=_text(document.get("exhibit")),
        profile=_text(document.get("profile")),
        tool=" ".join(str(tool[key]) for key in ("name", "version") if tool and tool.get(key)) or NOT_RECORDED,
        versions=_pairs(document.get("versions")),
        rules=_pairs(document.get("rules")),
        limits=_pairs(document.get("limits")),
        examiner=_text(examiner.get("name") if isinstance(examiner, dict) else examiner),
        case_number=_text(document.get("case_number")),
        agency=_text(document.get("agency")),
        counts=tuple((str(name), number) for name, number in sorted((counts or {}).items()) if isinstance(number, int)),
        others=_pairs({key: value for key, value in document.items() if key not in _SHOWN}),
    )


def read_run(folder: Path) -> RunFacts:
    """The facts in CASE/runs/<run>/run.json.

    Raises:
        ReportError: it is missing or is no JSON object.
    """
    try:
        document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{folder / 'run.json'} cannot be read: {error}; a run that ended has one, `evidex process --resume` ends it"
        raise ReportError(message) from error
    if not isinstance(document, dict):
        message = f"{folder / 'run.json'} holds no JSON object; `evidex verify` says whether it was changed"
        raise ReportError(message)
    return parse_run(document, folder.name)


def read_sources(tables: RunTables) -> tuple[Source, ...]:
    """The exhibit's rows of the table `sources`, one an image; empty if the run wrote none."""
    names = tuple(Source.__dataclass_fields__)
    sources = []
    for values in tables.rows("sources", names):
        row = dict(zip(names, values, strict=True))
        for name in ("segments", "segment_sizes", "header_values"):
            row[name] = tuple(row[name])
        sources.append(Source(**row))
    return tuple(sorted(sources, key=lambda one: one.disk))


def most_telling(sources: tuple[Source, ...]) -> Source | None:
    """The image of which a reader must hear first: one that changed, else one that is not what was stated, else the first."""
    changed = [one for one in sources if not one.unchanged]
    different = [one for one in sources if one.digest_match == "mismatch"]
    return next(iter((*changed, *different, *sources)), None)
