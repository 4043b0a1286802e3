"""The custody log as the report shows it. It is read here, not verified: `evidex verify` does that."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOG: Final = ("custody", "custody.intoto.jsonl")
# custody-log format, section 1: a line is at most 1 MiB.
_LONGEST_LINE: Final = 1 << 20
_LEAF_PREFIX: Final = b"\0"  # RFC 6962, section 2.1
_EVENT_WORDS: Final = {
    "log.init": "The log was opened",
    "log.recovered": "The log was repaired after an interruption",
    "log.seal": "The log was closed for good",
    "roster.update": "The list of who may sign was changed",
    "checkpoint.anchor": "The state of the log was fixed in time by an outside party",
    "clock.adjust": "The clock was set",
    "evidence.seize": "The exhibit was seized",
    "evidence.acquire": "The image was made",
    "evidence.receive": "The exhibit was received",
    "evidence.store": "The exhibit was put into storage",
    "evidence.access": "The exhibit was taken out or opened",
    "evidence.verify": "The digests of the image were computed and compared",
    "evidence.return": "The exhibit was returned",
    "evidence.destroy": "The exhibit was destroyed",
    "handover.release": "The exhibit was handed over",
    "handover.receipt": "The handover was acknowledged",
    "handover.refuse": "The handover was refused",
    "process.start": "The examination by this tool began",
    "process.end": "The examination ended and its results were sealed",
    "process.abort": "The examination was broken off",
    "output.export": "A report or export was made",
    "note.add": "A note was added",
    "entry.correct": "An earlier entry was corrected by this one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyEntry:
    """One line of the log. `entry` is its SHA-256 as an RFC 6962 leaf, hex: its identity. Times as recorded, UTC."""

    seq: int
    entry: str
    time: str
    zone: str
    clock: str
    event: str
    words: str
    actor: str
    role: str
    agency: str
    place: str
    purpose: str
    subjects: tuple[tuple[str, str], ...]
    details: tuple[tuple[str, str], ...]
    keyid: str
    demonstration: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyLog:
    """All entries in order, and what could not be read as an entry (number of the line, reason)."""

    entries: tuple[CustodyEntry, ...]
    unreadable: tuple[tuple[int, str], ...]

    @property
    def head(self) -> CustodyEntry | None:
        """The last entry."""
        return self.entries[-1] if self.entries else None

    @property
    def demonstration(self) -> bool:
        """Whether an entry was signed by a demonstration identity."""
        return any(one.demonstration for one in self.entries)

    def about(self, exhibit: str, run: str) -> tuple[CustodyEntry, ...]:
        """Entries that concern the exhibit, the run, or the log as a whole."""
        return tuple(one for one in self.entries if _concerns(one, exhibit, run))


def _concerns(entry: CustodyEntry, exhibit: str, run: str) -> bool:
    named = {name for name, _ in entry.subjects}
    details = dict(entry.details)
    if entry.event.startswith(("log.", "roster.", "clock.", "checkpoint.")):
        return True
    if "run" in details:
        return details["run"] == run
    return exhibit in named or details.get("exhibit") == exhibit or any(run in name for name in named)


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def parse_entry(line: bytes) -> CustodyEntry:
    """One line of the log, without its LF.

    Raises:
        ValueError: it is no envelope with a custody event in it (KeyError and TypeError count as such).
    """
    try:
        envelope = json.loads(line)
        body = json.loads(base64.b64decode(envelope["payload"], validate=True))
        return _entry(line, envelope, body, body["predicate"])
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        message = f"a member is missing or of another type: {error}"
        raise ValueError(message) from error


def _entry(line: bytes, envelope: Mapping[str, Any], body: Mapping[str, Any], predicate: Mapping[str, Any]) -> CustodyEntry:
    actor = predicate["actor"]
    time = predicate["time"]
    location = predicate.get("location") or {}
    return CustodyEntry(
        seq=int(predicate["log"]["seq"]),
        entry=hashlib.sha256(_LEAF_PREFIX + line).hexdigest(),
        time=str(time["utc"]).replace("T", " ").removesuffix("Z"),
        zone=str(time.get("tz", "")),
        clock=str(time.get("sync", "")),
        event=str(predicate["event"]),
        words=_EVENT_WORDS.get(str(predicate["event"]), str(predicate["event"])),
        actor=str(actor.get("name") or actor.get("id") or ""),
        role=str(actor.get("role", "")),
        agency=str(actor.get("agency", "")),
        place=", ".join(str(location[key]) for key in ("name", "host") if location.get(key)),
        purpose=str(predicate.get("purpose", "")),
        subjects=tuple((str(one.get("name", "")), str(one["digest"].get("sha256", ""))) for one in body["subject"]),
        details=tuple((str(key), _flat(value)) for key, value in sorted((predicate.get("details") or {}).items())),
        keyid=str(envelope["signatures"][0]["keyid"]),
        demonstration="demonstration" in " ".join(_flat(actor.get(key, "")) for key in ("id", "name", "role", "agency")).lower(),
    )


def read_custody(case: Path) -> CustodyLog:
    """The log of a case; without entries where there is none."""
    entries: list[CustodyEntry] = []
    unreadable: list[tuple[int, str]] = []
    path = case.joinpath(*LOG)
    if not path.is_file():
        return CustodyLog(entries=(), unreadable=())
    with path.open("rb") as log:
        number = 0
        while line := log.readline(_LONGEST_LINE + 1):
            number += 1
            try:
                entries.append(parse_entry(line.removesuffix(b"\n")))
            except (ValueError, RecursionError) as error:
                unreadable.append((number, str(error)))
    return CustodyLog(entries=tuple(entries), unreadable=tuple(unreadable))
