"""Chosen files of a run, taken out of the evidence again: written under safe names, with a manifest and an event in the log.

The case holds no contents, so the evidence is needed; the run's own tables say which bytes, and whether what comes out now is what was
hashed then. Nothing is written under a name that the evidence chose.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chain_of_custody.statement import Subject
from forensics.boundary import attempt
from forensics.content import ContentReader
from forensics.disks import Disks, open_disks
from forensics.errors import ForensicsError
from forensics.survey import survey
from forensics.volume_tree import VolumeTree
from pipelines.case import iter_finished_runs
from pipelines.content_source import content_blocks
from pipelines.errors import PipelineError
from pipelines.query import query_run
from pipelines.tables import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chain_of_custody.service import CustodyService
    from forensics.credentials import Credential
    from pipelines.case import Case
    from pipelines.selector import Selection

MANIFEST = "manifest.jsonl"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 80
_COLUMNS = (
    *("exhibit", "volume", "metadata_address", "stream", "path", "attribute_type", "attribute_id", "address_chain", "kind", "recovery"),
    *("overwritten", "start_byte", "size", "md5", "sha1", "sha256", "mime_type", "created", "modified", "accessed", "metadata_changed"),
    *("tz_basis", "original_path"),
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
        PipelineError: there is no such finished run, nothing is selected, the folder is not empty, or the images are others.
        ForensicsError: the images cannot be opened.
    """
    name = run or next(reversed(list(iter_finished_runs(case))), None)
    if name is None:
        message = f"{case.folder} has no finished run; `evidex process` makes one"
        raise PipelineError(message)
    rows = _select(case.runs / name, selection)
    _make_empty(target)
    document = json.loads((case.runs / name / "run.json").read_bytes())
    with open_disks(evidence.images) as disks, ExitStack() as cleanup:
        _check_same(case.runs / name, disks)
        spool = target / ".spool"
        spool.mkdir()
        cleanup.callback(spool.rmdir)
        readers = tuple(sorted(document.get("readers asked for", {}).items()))
        found = survey(disks, spool=spool, credentials=evidence.credentials, forced=readers)
        tree = VolumeTree(disks, evidence.credentials, spool, found.nodes)
        writer = _Writer(target, tree, ContentReader(rules=None, spool=spool), evidence.credentials, case.runs / name)
        lines = [writer.write(number, row) for number, row in enumerate(rows, start=1)]
    manifest = "".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in lines).encode()
    write_atomically(target / MANIFEST, manifest)
    failed = tuple(f"{line['path']}: {line['problem']}" for line in lines if line["problem"])
    subject = Subject(name=MANIFEST, sha256=hashlib.sha256(manifest).hexdigest())
    written = sum(1 for line in lines if line["file"])
    details = {
        "run": name,
        "what": "files extracted",
        "selector": selection.stated,
        "files": written,
        "failed": len(failed),
    }
    custody.append("output.export", subject=(subject,), details=details, purpose="extraction of files")
    return Extraction(folder=target, run=name, written=written, failed=failed)


class _Writer:
    def __init__(self, target: Path, tree: VolumeTree, contents: ContentReader, credentials: tuple[Credential, ...], run: Path) -> None:
        self._target, self._tree, self._contents, self._credentials, self._run = target, tree, contents, credentials, run

    def write(self, number: int, row: dict[str, Any]) -> dict[str, Any]:
        """Writes the content of a row; its line in the manifest."""
        file = self._target / f"{number:06d}-{safe_name(row['path'], row['stream'])}"
        digest, size = hashlib.sha256(), 0

        def copy() -> None:
            nonlocal size
            with content_blocks(row, self._tree, self._contents, self._credentials, self._run) as blocks, file.open("xb") as output:
                for block in blocks:
                    output.write(block)
                    digest.update(block)
                    size += len(block)

        error = attempt(copy)
        problem = _problem(error, row, digest.hexdigest())
        return {
            **{name: row[name] for name in _COLUMNS},
            "file": file.name if file.exists() else None,
            "written_bytes": size,
            "written_sha256": digest.hexdigest(),
            "problem": problem,
        }


def safe_name(path: str, stream: str) -> str:
    """A file name that says what the file was and can do nothing: letters, digits, dot, dash and underscore, no leading dot."""
    name = path.rpartition("/")[2] + (f"_{stream}" if stream else "")
    return _UNSAFE.sub("_", name).lstrip(".")[-_LONGEST_NAME:] or "unnamed"


def _problem(error: Exception | None, row: dict[str, Any], sha256: str) -> str:
    if error is not None:
        return str(error) if isinstance(error, ForensicsError) else f"{type(error).__name__}: {error}"
    if row["sha256"] is None:
        return "the table has no digest of it, so what was written cannot be compared"
    return "" if sha256 == row["sha256"] else f"what was written has the SHA-256 {sha256}, the table says {row['sha256']}"


def _select(run: Path, selection: Selection) -> list[dict[str, Any]]:
    columns, order = ", ".join(_COLUMNS), "volume, metadata_address, path, stream"
    sql = f"SELECT {columns} FROM entries e WHERE scan IS NOT NULL AND {selection.condition} ORDER BY {order}"  # noqa: S608 - only a SELECT is answered
    names, rows = query_run(run, sql)
    found = [dict(zip(names, row, strict=True)) for row in rows]
    if not found:
        message = f"nothing in run {run.name} is selected by {selection.stated!r}; `evidex query` shows what its table entries holds"
        raise PipelineError(message)
    return found


def _make_empty(target: Path) -> None:
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
    for one in extraction.failed:
        yield f"problem: {one}"
