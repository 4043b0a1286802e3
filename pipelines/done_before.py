"""Whether a finished run did what is asked for now; if none did, in what the latest differs.

A run did it if all of this holds, looked at in this order, the cheapest first:

  1. Profile, rules, readers, cross-check and an expected digest are those of the run. A newer version of Evidex is no difference: whoever
     wants the tables of the newer one runs the exhibit anew.
  2. It was over this media: the files are as they were when the run ended, or else their media has the SHA-256 that the run computed.
     Of a folder the names and times are evidence too, so it must be as it was.
  3. The credentials given now open no volume that stayed locked. Where encrypted files stayed locked, they are as many of each kind.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.digests import digest_media
from forensics.disks import open_disks
from forensics.errors import Stage
from forensics.exhibit import Container
from forensics.expansion.encrypted_container import LOOKS_ENCRYPTED
from forensics.expansion.member_problems import MEMBER_ENCRYPTED
from forensics.image import source_fingerprint
from forensics.survey import survey
from forensics.yara_rules import load_rules
from pipelines.case import iter_finished_runs, read_case
from pipelines.coverage import volume_rows
from pipelines.tables import read_table, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forensics.disks import Disks
    from pipelines.case import Case
    from pipelines.progress import Reporter
    from pipelines.run import ProcessRequest


_LOCKED = (MEMBER_ENCRYPTED, LOOKS_ENCRYPTED)  # problems of files that a credential might have opened


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneBefore:
    """The latest finished run that did what is asked for; if none did, in what the latest differs ("" if there is none)."""

    run: str | None = None
    difference: str = ""


def find_done(request: ProcessRequest, reporter: Reporter) -> DoneBefore:
    """The finished run that did what the request asks for.

    Raises:
        ForensicsError: there is a finished run, and the image cannot be opened, so that nobody can say whether it was over that one; or
            no rule can be used.
        CaseError: the case cannot be read.
    """
    if not (request.case / "case.toml").is_file():
        return DoneBefore()
    case = read_case(request.case)
    runs = [name for name in iter_finished_runs(case) if name.partition("-")[2] == request.exhibit]
    if not runs:
        return DoneBefore()
    told = ""
    with open_disks(request.images) as disks:
        asked = _Asked(request, disks, reporter)
        for run in reversed(runs):
            difference = asked.difference_from(case, run)
            if not difference:
                return DoneBefore(run=run)
            told = told or f"run {run} had {difference}"
    return DoneBefore(difference=told)


def write_state(case: Case, run: str, disks: Disks) -> None:
    """Keeps the state of the image's files, so that they need not be hashed to say whether they are those of the run."""
    path = case.source_of(run)
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, _state(disks).encode())


def credential_kinds(request: ProcessRequest) -> dict[str, int]:
    """How many credentials of each kind were given; nothing else of them is ever written."""
    return dict(sorted(Counter(str(one.kind) for one in request.credentials).items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """What a finished run says of itself: run.json, and what is needed of its tables."""

    document: dict[str, Any]
    sources: list[dict[str, Any]]
    unlocked: frozenset[str]
    has_locked_files: bool


class _Asked:
    """What is asked for now, to be held against runs; what is costly to know is looked at once."""

    def __init__(self, request: ProcessRequest, disks: Disks, reporter: Reporter) -> None:
        self._request, self._disks, self._reporter = request, disks, reporter
        self._rules_digest = cache(self._read_rules)
        self._digests = cache(self._hash)
        self._unlocked = cache(self._unlock)

    def difference_from(self, case: Case, run: str) -> str:
        """In what the run differs; "" if it did what is asked for."""
        try:
            recorded = _read(case.runs / run)
        except (OSError, ValueError, LookupError, TypeError) as error:
            return f"results that cannot be read ({error})"
        return self._in_settings(recorded) or self._in_media(case, run, recorded) or self._in_credentials(recorded)

    def _in_settings(self, recorded: _Recorded) -> str:
        request, document = self._request, recorded.document
        if document["profile"] != str(request.profile):
            return f"the profile {document['profile']}, and {request.profile} is asked for"
        if document["readers asked for"] != dict(request.readers):
            return "other readers"
        if document["cross-check"] != request.cross_check:
            return "a cross-check" if document["cross-check"] else "no cross-check"
        if request.expect_hash and request.expect_hash.strip().lower() not in {
            (row["expected_hash"] or "").strip().lower() for row in recorded.sources
        }:
            return "another digest that was expected, or none"
        return "" if document["rules"]["digest"] == self._rules_digest() else "other rules"

    def _in_media(self, case: Case, run: str, recorded: _Recorded) -> str:
        images, sources = self._disks.images, recorded.sources
        another = "another image"
        if [image.size for image in images] != [row["media_size"] for row in sources]:
            return another
        state = case.source_of(run)
        if state.is_file() and state.read_text(encoding="ascii") == _state(self._disks):
            return ""
        if any(image.container == Container.FOLDER for image in images):
            return "the folder in another state"
        return "" if self._digests() == tuple(row["sha256"] for row in sources) else another

    def _in_credentials(self, recorded: _Recorded) -> str:
        if not self._request.credentials:
            return ""
        if recorded.has_locked_files and recorded.document["credentials"] != credential_kinds(self._request):
            return "other credentials, and files that stayed encrypted"
        opened = sorted(self._unlocked() - recorded.unlocked)
        return f"no credential that opens {', '.join(opened)}" if opened else ""

    def _read_rules(self) -> str | None:
        return load_rules(self._request.rules)[0].digest if self._request.rules else None

    def _hash(self) -> tuple[str, ...]:
        self._reporter.stage("hash the media", size_bytes=self._disks.size)
        images = self._disks.images
        return tuple(digest_media(image, on_bytes=lambda read: self._reporter.advance(size_bytes=read)).sha256 for image in images)

    def _unlock(self) -> frozenset[str]:
        self._reporter.stage("look at the volumes")
        with tempfile.TemporaryDirectory(prefix=".spool-", dir=self._request.case) as spool:
            request = self._request
            found = survey(self._disks, spool=Path(spool), credentials=request.credentials, forced=request.readers)
        return _unlocked(volume_rows(request.exhibit, found.volumes))


def _read(folder: Path) -> _Recorded:
    """Raises OSError, ValueError, LookupError or TypeError where something is not there or not as a run writes it."""
    tables = folder / "tables"
    document = json.loads((folder / "run.json").read_bytes())
    problems = read_table(tables, "problems", ["stage", "code"]).to_pylist()
    return _Recorded(
        document={name: document[name] for name in ("profile", "readers asked for", "cross-check", "rules", "credentials")},
        sources=sorted(read_table(tables, "sources").to_pylist(), key=lambda row: row["disk"]),
        unlocked=_unlocked(read_table(tables, "volumes").to_pylist()),
        has_locked_files=any(row["stage"] == Stage.CONTENT and row["code"] in _LOCKED for row in problems),
    )


def _unlocked(rows: Iterable[dict[str, Any]]) -> frozenset[str]:
    return frozenset(row["volume"] for row in rows if row["unlocked_with"])


def _state(disks: Disks) -> str:
    return "".join(f"{source_fingerprint(image)}\n" for image in disks.images)
