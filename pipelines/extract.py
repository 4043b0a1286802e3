"""Chosen files of a run, taken out of the evidence again: written under safe names, with a manifest and an event in the log.

The case holds no contents, so the evidence is needed; the run's own tables say which bytes, and whether what comes out now is what was
hashed then. Nothing is written under a name that the evidence chose.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chain_of_custody.statement import Subject
from forensics.boundary import attempt
from forensics.content import ContentReader, iter_blocks
from forensics.disks import Disks, open_disks
from forensics.errors import ForensicsError
from forensics.expansion.bounds import Bounds
from forensics.names import escape_text
from forensics.schema import ENTRIES
from forensics.survey import survey
from forensics.volume_tree import VolumeTree
from pipelines.case import iter_finished_runs
from pipelines.content_source import SELECT_PLACED, WITHOUT_CARVED, MemberWalk, container_of, not_found, open_content
from pipelines.errors import PipelineError
from pipelines.query import query_run
from pipelines.siblings import COLUMNS
from pipelines.tables import read_table, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chain_of_custody.service import CustodyService
    from forensics.credentials import Credential
    from forensics.errors import Problem
    from pipelines.case import Case
    from pipelines.selector import Selection

MANIFEST = "manifest.jsonl"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 80
_PROBLEMS_SHOWN = 20
_PROCESSOR = "processor"
_COLUMNS = (
    *("exhibit", "volume", "metadata_address", "stream", "path", "attribute_type", "attribute_id", "address_chain", "kind", "recovery"),
    *("overwritten", "start_byte", "size", "md5", "sha1", "sha256", "mime_type", "created", "modified", "accessed", "metadata_changed"),
    *("tz_basis", "original_path", "unlocked_with"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What an extraction gave: files written, contents that differ from the table or could not be read, and why each."""

    folder: Path
    run: str
    written: int
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is needed to find the bytes again: the exhibit's images, and what opens locked volumes."""

    images: tuple[Path, ...]
    credentials: tuple[Credential, ...] = ()


def extract(case: Case, run: str | None, selection: Selection, *, evidence: Evidence, target: Path, custody: CustodyService) -> Extraction:
    """Writes the selected contents to the folder, each with a line in its manifest, and records output.export.

    Raises:
        PipelineError: there is no such finished run, nothing is selected, the folder cannot be used, the images are others, or the key
            may not record it.
        ForensicsError: the images cannot be opened.
    """
    if custody.identity.role == _PROCESSOR:
        message = "a processor key may not record that files were extracted, so none is; give a person's key (--key)"
        raise PipelineError(message)
    folder = case.runs / _name_of(case, run)
    rows = _select(folder, selection)
    document = json.loads((folder / "run.json").read_bytes())
    with open_disks(evidence.images) as disks:
        _check_same(folder, disks)
        _make_empty(target, case.folder)
        with tempfile.TemporaryDirectory(prefix=".spool-", dir=target) as name:
            spool = Path(name)
            readers = tuple(sorted(document.get("readers asked for", {}).items()))
            found = survey(disks, spool=spool, credentials=evidence.credentials, forced=readers)
            tree = VolumeTree(disks, evidence.credentials, spool, found.nodes)
            walk = MemberWalk(
                ContentReader(rules=None, spool=spool),
                evidence.credentials,
                Bounds(**document.get("files inside files", {})),
                lambda: read_table(folder / "tables", ENTRIES.name, COLUMNS),
            )
            writer = _Writer(target, tree, walk)
            writer.write(rows)
    manifest = "".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in writer.lines).encode()
    write_atomically(target / MANIFEST, manifest)
    failed = tuple(f"{line['path']}: {line['problem']}" for line in writer.lines if line["problem"])
    subject = Subject(name=MANIFEST, sha256=hashlib.sha256(manifest).hexdigest())
    written = sum(1 for line in writer.lines if line["file"])
    details = {
        "run": folder.name,
        "what": "files extracted",
        "selector": selection.stated,
        "files": written,
        "failed": len(failed),
    }
    custody.append("output.export", subject=(subject,), details=details, purpose="extraction of files")
    return Extraction(folder=target, run=folder.name, written=written, failed=failed)


@dataclass(slots=True)
class _Writer:
    """Writes the contents of rows; collects a line of the manifest each."""

    target: Path
    tree: VolumeTree
    walk: MemberWalk
    lines: list[dict[str, Any]] = field(default_factory=list)

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Writes all, the members of one container in one go through it."""
        for container, group in groupby(rows, container_of):
            if container is None:
                for row in group:
                    self._write_stream(row)
            else:
                self._write_members(list(group))

    def _write_stream(self, row: dict[str, Any]) -> None:
        number = len(self.lines) + 1
        content: list[Iterable[bytes]] = []
        failure = attempt(lambda: content.append(iter_blocks(open_content(row, self.tree))))
        self.lines.append(self._line(number, row, content[0] if failure is None else None, failure))

    def _write_members(self, rows: list[dict[str, Any]]) -> None:
        first = len(self.lines) + 1
        lines: dict[int, dict[str, Any]] = {}

        def take(index: int, blocks: Iterator[bytes]) -> None:
            lines[index] = self._line(first + index, rows[index], blocks)

        problems: list[Problem] = []
        failure = attempt(lambda: problems.extend(self.walk.read(rows, self.tree, take)))
        self.lines += [
            lines.get(index) or self._line(first + index, row, None, failure or not_found(row, problems)) for index, row in enumerate(rows)
        ]

    def _line(self, number: int, row: dict[str, Any], blocks: Iterable[bytes] | None, failure: Exception | None = None) -> dict[str, Any]:
        """Writes a content, as far as it can be read; its line in the manifest."""
        file = self.target / f"{number:06d}-{safe_name(row['path'], row['stream'])}"
        digest, size = hashlib.sha256(), 0

        def copy() -> None:
            nonlocal size
            with file.open("xb") as output:
                for block in blocks or ():
                    output.write(block)
                    digest.update(block)
                    size += len(block)

        if blocks is not None:
            failure = attempt(copy)
        is_there = file.exists()
        return {
            **{name: row[name] for name in _COLUMNS},
            "file": file.name if is_there else None,
            "written_bytes": size if is_there else None,
            "written_sha256": digest.hexdigest() if is_there else None,
            "problem": _problem(failure, row, digest.hexdigest()),
        }


def safe_name(path: str, stream: str) -> str:
    """A file name that says what the file was and can do nothing: letters, digits, dot, dash and underscore, no dot at either end."""
    name = path.rpartition("/")[2] + (f"_{stream}" if stream else "")
    return _UNSAFE.sub("_", name)[-_LONGEST_NAME:].strip(".") or "unnamed"


def _problem(error: Exception | None, row: dict[str, Any], sha256: str) -> str:
    if error is not None:
        return escape_text(str(error) if isinstance(error, ForensicsError) else f"{type(error).__name__}: {error}")
    if row["sha256"] is None:
        return "the table has no digest of it, so what was written cannot be compared"
    return "" if sha256 == row["sha256"] else f"what was written has the SHA-256 {sha256}, the table says {row['sha256']}"


def _name_of(case: Case, run: str | None) -> str:
    """The finished run that is meant; the latest where none is named."""
    finished = list(iter_finished_runs(case))
    if not finished:
        message = f"{case.folder} has no finished run; `evidex process` makes one"
        raise PipelineError(message)
    if run is not None and run not in finished:
        message = f"{case.folder} has no finished run {run}; there are: {', '.join(finished)}"
        raise PipelineError(message)
    return run or finished[-1]


def _select(run: Path, selection: Selection) -> list[dict[str, Any]]:
    has_carved = any((run / "tables" / "carved").glob("part-*.parquet"))
    sql = (SELECT_PLACED if has_carved else WITHOUT_CARVED).format(
        columns=", ".join(f"e.{name}" for name in _COLUMNS), condition=f"scan IS NOT NULL AND {selection.condition}"
    )
    names, rows = query_run(
        run, f"{sql} ORDER BY e.volume, e.metadata_address, e.path, e.stream, e.attribute_type, e.attribute_id, e.recovery"
    )
    found = [dict(zip(names, row, strict=True)) for row in rows]
    if not found:
        message = f"nothing in run {run.name} is selected by {selection.stated!r}; `evidex query` shows what its table entries holds"
        raise PipelineError(message)
    return found


def _make_empty(target: Path, case: Path) -> None:
    if target.resolve().is_relative_to(case.resolve()):
        message = f"{target} lies in the case, whose files are what its log says; name a folder outside of it"
        raise PipelineError(message)
    try:
        target.mkdir(parents=True, exist_ok=True)
        is_empty = next(target.iterdir(), None) is None
    except OSError as error:
        message = f"{target} cannot be used: {error.strerror}; name a new or empty folder"
        raise PipelineError(message) from error
    if not is_empty:
        message = f"{target} is not empty; name a new or empty folder"
        raise PipelineError(message)


def _check_same(run: Path, disks: Disks) -> None:
    names, rows = query_run(run, "SELECT media_size FROM sources ORDER BY disk")
    del names
    sizes = [row[0] for row in rows]
    if sizes != [image.size for image in disks.images]:
        message = (
            f"run {run.name} was over images of {sizes} bytes, those given have {[image.size for image in disks.images]}; "
            "give the images of the exhibit, in the order in which they were processed"
        )
        raise PipelineError(message)


def iter_lines(extraction: Extraction) -> Iterator[str]:
    """What was extracted, for the person who asked."""
    yield f"extracted {extraction.written} files of run {extraction.run} to {extraction.folder}; {MANIFEST} says what each is"
    for one in extraction.failed[:_PROBLEMS_SHOWN]:
        yield f"problem: {one}"
    if len(extraction.failed) > _PROBLEMS_SHOWN:
        yield f"and {len(extraction.failed) - _PROBLEMS_SHOWN} more problems; {MANIFEST} has each"
