"""The custody log as the report shows it. It is read here, not verified: `evidex verify` does that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chain_of_custody.checkpoint import Head
from chain_of_custody.envelope import MAX_LINE_BYTES, STATEMENT_TYPE, leaf_hash, parse_line
from chain_of_custody.errors import CustodyError
from chain_of_custody.events import Event
from chain_of_custody.merkle import tree_root
from chain_of_custody.roster import FILE_NAME as ROSTER_NAME
from chain_of_custody.roster import parse_roster
from chain_of_custody.statement import parse_body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chain_of_custody.roster import Roster
    from chain_of_custody.statement import Statement

LOG: Final = ("custody", "custody.intoto.jsonl")
_WORDS: Final = {
    Event.LOG_INIT: "The log was opened",
    Event.LOG_RECOVERED: "The log was repaired after an interruption",
    Event.LOG_SEAL: "The log was closed for good",
    Event.ROSTER_UPDATE: "The list of who may sign was changed",
    Event.CHECKPOINT_ANCHOR: "The state of the log was fixed in time by an outside party",
    Event.CLOCK_ADJUST: "The clock was set",
    Event.EVIDENCE_SEIZE: "The exhibit was seized",
    Event.EVIDENCE_ACQUIRE: "The image was made",
    Event.EVIDENCE_RECEIVE: "The exhibit was received",
    Event.EVIDENCE_STORE: "The exhibit was put into storage",
    Event.EVIDENCE_ACCESS: "The exhibit was taken out or opened",
    Event.EVIDENCE_VERIFY: "The image was checked against its digests",
    Event.EVIDENCE_RETURN: "The exhibit was returned",
    Event.EVIDENCE_DESTROY: "The exhibit was destroyed",
    Event.HANDOVER_RELEASE: "The exhibit was handed over",
    Event.HANDOVER_RECEIPT: "The handover was acknowledged",
    Event.HANDOVER_REFUSE: "The handover was refused",
    Event.PROCESS_START: "The examination by this tool began",
    Event.PROCESS_END: "The examination ended and its results were sealed",
    Event.PROCESS_ABORT: "The examination was broken off",
    Event.OUTPUT_EXPORT: "A report or export was made",
    Event.NOTE_ADD: "A note was added",
    Event.ENTRY_CORRECT: "An earlier entry was corrected by this one",
}
# What a demonstration identity names its logs; the roster says it too, but may have been replaced since.
_DEMONSTRATION: Final = "demonstration.invalid/"
_OF_AN_EXHIBIT: Final = ("evidence.", "handover.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyEntry:
    """One line of the log.

    Attributes:
        entry: its SHA-256 as an RFC 6962 leaf, hex: its identity.
        time: UTC as recorded, "YYYY-MM-DD HH:MM:SS.ffffff".
        words: the event in plain words.
        keys: of each signature the keyid and the person or machine that the case's roster gives for it.
        refs: relation and entry that it refers to.
    """

    seq: int
    entry: str
    time: str
    words: str
    statement: Statement
    keys: tuple[tuple[str, str], ...]
    details: tuple[tuple[str, str], ...]

    @property
    def event(self) -> str:
        """The event's name in the format."""
        return str(self.statement.event)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyLog:
    """What the case's custody folder says.

    Attributes:
        entries: the lines that can be read, in order.
        unreadable: number of the line from 1, and why, for every other line.
        roster: "held", "missing", or why it does not hold.
        demonstration: whether the case's roster is one of a demonstration identity.
        head: origin, number of entries and root on one line, as `evidex verify --expect-head` takes it; "" where lines are unreadable
            or missing, because it would then not be the log's.
    """

    entries: tuple[CustodyEntry, ...]
    unreadable: tuple[tuple[int, str], ...]
    roster: str
    demonstration: bool
    head: str

    def about(self, exhibit: str, run: str) -> tuple[CustodyEntry, ...]:
        """The entries but those that clearly belong to another exhibit or run; what corrects or answers one of them is among them."""
        chosen: dict[str, CustodyEntry] = {}
        for one in self.entries:
            if _concerns(one, exhibit, run) or any(ref.entry in chosen for ref in one.statement.refs):
                chosen[one.entry] = one
        return tuple(chosen.values())


def _concerns(entry: CustodyEntry, exhibit: str, run: str) -> bool:
    details = entry.statement.details
    if "run" in details:
        return bool(details["run"] == run)
    if "exhibit" in details:
        return bool(details["exhibit"] == exhibit)
    names = {one.name for one in entry.statement.subjects}
    return not entry.event.startswith(_OF_AN_EXHIBIT) or not names or exhibit in names


def _flat(value: Any) -> str:
    """A value of `details` in one line for a reader; the log itself holds it as JSON."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_flat(item)}" for key, item in sorted(value.items()))
    if isinstance(value, list):
        return "; ".join(map(_flat, value))
    return value if isinstance(value, str) else json.dumps(value)


def _read_entry(line: bytes, roster: Roster | None) -> CustodyEntry:
    envelope = parse_line(line, STATEMENT_TYPE)
    statement = parse_body(envelope.body)
    signers = roster.signers if roster else {}
    names = {keyid: f"{signer.name}, {signer.role}, {signer.agency}" for keyid, signer in signers.items()}
    return CustodyEntry(
        seq=statement.seq,
        entry=leaf_hash(line).hex(),
        time=statement.utc.replace("T", " ").removesuffix("Z"),
        words=_WORDS[statement.event],
        statement=statement,
        keys=tuple((one.keyid, names.get(one.keyid, "not in the case's roster")) for one in envelope.signatures),
        details=tuple((key, _flat(value)) for key, value in sorted(statement.details.items())),
    )


def _read_roster(case: Path) -> tuple[Roster | None, str]:
    try:
        return parse_roster((case / "custody" / ROSTER_NAME).read_bytes()), "held"
    except FileNotFoundError:
        return None, "missing"
    except (OSError, CustodyError) as error:
        return None, str(error)


def _lines(path: Path) -> Iterator[bytes]:
    """The lines without LF, none longer than the format allows and one byte."""
    if path.is_file():
        with path.open("rb") as log:
            while line := log.readline(MAX_LINE_BYTES + 1):
                yield line.removesuffix(b"\n")


def read_custody(case: Path) -> CustodyLog:
    """The log of a case; without entries where there is none."""
    roster, held = _read_roster(case)
    entries: list[CustodyEntry] = []
    unreadable: list[tuple[int, str]] = []
    leaves: list[bytes] = []
    for number, line in enumerate(_lines(case.joinpath(*LOG)), 1):
        leaves.append(leaf_hash(line))
        try:
            entries.append(_read_entry(line, roster))
        except CustodyError as error:
            unreadable.append((number, str(error)))
    whole = bool(entries) and not unreadable
    return CustodyLog(
        entries=tuple(entries),
        unreadable=tuple(unreadable),
        roster=held,
        demonstration=(roster is not None and roster.demonstration)
        or any(one.statement.origin.startswith(_DEMONSTRATION) for one in entries),
        head=Head(origin=entries[0].statement.origin, size=len(leaves), root=tree_root(leaves)).text if whole else "",
    )
