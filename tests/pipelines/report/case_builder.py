"""Makes a small run on disk, written with pyarrow from forensics.schema, so that the report is tested against the real columns."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from chain_of_custody.envelope import STATEMENT_TYPE, Signature, to_line
from chain_of_custody.events import Event
from chain_of_custody.statement import Actor, Statement, Subject, Tool, to_body
from forensics import schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXHIBIT = "KH-1"
RUN = "001-KH-1"
NS = 1_000_000_000
MEDIA_SIZE = 10_000_000
# 2021-03-04 10:11:12.1234567 UTC by `date -u -d '2021-03-04 10:11:12' +%s`, with the 100 ns digit of a FILETIME.
MOMENT = 1_614_852_672 * NS + 123_456_700

SOURCE = {
    "exhibit": EXHIBIT,
    "disk": 1,
    "disk_start": 0,
    "container": "ewf",
    "segments": ["disk.E01", "disk.E02"],
    "segment_sizes": [6_000_000, 1_000_000],
    "media_size": MEDIA_SIZE,
    "sector_size": 512,
    "md5": "d41d8cd98f00b204e9800998ecf8427e",
    "sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "stated_md5": "d41d8cd98f00b204e9800998ecf8427e",
    "digest_match": "match",
    "damaged_chunks": 0,
    "header_values": [("examiner_name", "A. Example")],
    "unchanged_check": "size and times",
    "unchanged": True,
}


def streams(number: int, size: int) -> dict[str, int]:
    """What a row of `coverage` says of `number` streams of `size` bytes together, all read."""
    left_out = ("streams_skipped", "streams_failed", "bytes_skipped", "bytes_failed")
    nothing = dict.fromkeys((*left_out, "unallocated_bytes", "streams_inside", "inside_read", "inside_skipped", "inside_failed"), 0)
    return {"streams": number, "streams_read": number, "stream_bytes": size, "bytes_read": size, **nothing}


VOLUMES = [
    {
        "exhibit": EXHIBIT,
        "volume": "g01",
        "tile": 1,
        "disk": 1,
        "parents": [],
        "kind": "gap",
        "scheme": "dos",
        "slot": "",
        "start_byte": 0,
        "size_bytes": 1_000_000,
        "volume_bytes": 1_000_000,
        "type": "Unallocated",
        "encrypted": False,
        "reader": "none",
        "status": "not read",
        "reason": "outside every volume",
    },
    {
        "exhibit": EXHIBIT,
        "volume": "v01",
        "tile": 2,
        "disk": 1,
        "parents": [],
        "kind": "volume",
        "scheme": "dos",
        "slot": "000:000",
        "start_byte": 1_000_000,
        "size_bytes": 9_000_000,
        "volume_bytes": 9_000_000,
        "type": "NTFS / exFAT (0x07)",
        "filesystem": "ntfs",
        "filesystem_label": "System",
        "block_size": 4096,
        "encrypted": False,
        "reader": "tsk",
        "status": "read",
        "reason": "",
    },
]
COVERAGE = [
    {
        "exhibit": EXHIBIT,
        "volume": "g01",
        "tile": 1,
        "start_byte": 0,
        "size_bytes": 1_000_000,
        "volume_bytes": 1_000_000,
        "state": "skipped",
        "reason": "outside every volume",
        **streams(0, 0),
    },
    {
        "exhibit": EXHIBIT,
        "volume": "v01",
        "tile": 2,
        "start_byte": 1_000_000,
        "size_bytes": 9_000_000,
        "volume_bytes": 9_000_000,
        "state": "processed",
        "reason": "",
        **streams(2, 2_468),
    },
]


def entry(number: int, path: str, **values: Any) -> dict[str, Any]:
    """A row of `entries` of an allocated and scanned file."""
    return {
        "exhibit": EXHIBIT,
        "volume": "v01",
        "metadata_address": number,
        "stream": "",
        "path": path,
        "kind": "file",
        "name_allocated": True,
        "metadata_allocated": True,
        "recovery": "allocated",
        "size": 1234,
        "bytes_read": 1234,
        "sha256": hashlib.sha256(path.encode("utf-8", "replace")).hexdigest(),
        "mime_type": "text/plain",
        "scan": "complete",
        "hits": 0,
        "modified": MOMENT,
        "created": MOMENT,
        "tz_basis": "UTC",
    } | values


def hit(number: int, path: str, rule: str = "Tool_Trace", **values: Any) -> dict[str, Any]:
    """A row of `hits`."""
    return {
        "exhibit": EXHIBIT,
        "volume": "v01",
        "metadata_address": number,
        "stream": "",
        "path": path,
        "rule": rule,
        "namespace": "tools.yar",
        "tags": ["tool"],
        "meta": [("description", "Trace of a tool"), ("severity", "high")],
        "string": "$a",
        "offset": 12,
        "length": 4,
        "matched": b"ab\x1b<",
        "instances": 1,
    } | values


def problem(code: str = "unreadable", **values: Any) -> dict[str, Any]:
    """A row of `problems`."""
    row = {
        "exhibit": EXHIBIT,
        "stage": "content",
        "code": code,
        "what": "a file could not be read",
        "why": "run outside the volume",
        "advice": "",
    }
    return row | {"volume": "v01", "stream": "", "path": "/a"} | values


def moment(time: int, **values: Any) -> dict[str, Any]:
    """A row of `timeline`."""
    row = {
        "exhibit": EXHIBIT,
        "time": time,
        "tz_basis": "UTC",
        "table": "entries",
        "event": "modified",
        "volume": "v01",
        "metadata_address": 5,
    }
    return row | {"stream": "", "path": "/a", "description": "file"} | values


def write_table(run: Path, name: str, columns: pa.Schema, rows: Sequence[dict[str, Any]], *, parts: int = 1) -> None:
    """Writes rows as Parquet parts; a column that a row does not name is null."""
    folder = run / "tables" / name
    folder.mkdir(parents=True)
    size = max(1, -(-len(rows) // parts))
    for number in range(parts):
        part = [{key: row.get(key) for key in columns.names} for row in rows[number * size : (number + 1) * size]]
        pq.write_table(pa.Table.from_pylist(part, schema=columns), folder / f"part-{number:05d}.parquet")


def custody_line(seq: int, event: Event, *, details: dict[str, Any] | None = None, subject: str = EXHIBIT, **values: Any) -> bytes:
    """A line as the custody format states it, without LF; its signature is none, since a report verifies nothing."""
    statement = Statement(
        origin=values.pop("origin", "police.example/case/1"),
        prev="0" * 64,
        seq=seq,
        event=event,
        utc="2026-11-23T14:54:04.603848Z",
        actor=Actor(id="B-1", name="B. Officer", role="examiner", agency="B"),
        tool=Tool(name="evidex", version="0.1.0"),
        subjects=(Subject(name=subject, sha256="ab" * 32),),
        details=details or {},
        **values,
    )
    return to_line(STATEMENT_TYPE, to_body(statement), (Signature(keyid="cd" * 32, sig=b"no signature"),))


def build_case(
    case: Path, *, parts: int = 1, artifacts: dict[str, tuple[pa.Schema, list[dict[str, Any]]]] | None = None, **tables: Any
) -> Path:
    """A case with one run; tables that are not given hold the small default."""
    run = case / "runs" / RUN
    rows = {
        "sources": [SOURCE],
        "volumes": VOLUMES,
        "entries": [],
        "hits": [],
        "carved": [],
        "cross_check": [],
        "problems": [],
        "coverage": COVERAGE,
        "timeline": [],
    } | tables
    for one in schema.TABLES:
        write_table(run, one.name, one.schema, rows[one.name], parts=parts if len(rows[one.name]) > parts else 1)
    for name, (columns, records) in (artifacts or {}).items():
        write_table(run, name, columns, records)
    document = {
        "run": RUN,
        "exhibit": EXHIBIT,
        "profile": "standard",
        "tool": {"name": "evidex", "version": "0.1.0"},
        "versions": {"pytsk3": "1"},
        "rules": {"digest": "ff" * 32, "files": 1, "count": 2, "engine": "yara 4.5.4"},
        "limits": {"orphans": 1000},
        "examiner": {"name": "A. Examiner"},
        "case_number": "2026-1",
        "agency": "B",
        "counts": {name: len(value) for name, value in rows.items()},
    }
    (run / "run.json").write_text(json.dumps(document), encoding="utf-8")
    (case / "custody").mkdir()
    lines = [
        custody_line(0, Event.LOG_INIT),
        custody_line(1, Event.PROCESS_START, details={"run": RUN}),
        custody_line(2, Event.PROCESS_END, details={"run": RUN}),
    ]
    (case / "custody" / "custody.intoto.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return case
