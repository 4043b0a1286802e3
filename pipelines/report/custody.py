"""The custody log as the report shows it. It is read here, not verified: `evidex verify` does that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chain_of_custody.checkpoint import Head
from chain_of_custody.errors import CustodyError
from chain_of_custody.events import Event
from chain_of_custody.identity import read_roster
from chain_of_custody.log import LOG_NAME
from chain_of_custody.merkle import tree_root
from chain_of_custody.roster import FILE_NAME
from chain_of_custody.show import iter_entries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOG: Final = ("custody", LOG_NAME)
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
        statement: its members, as `chain_of_custody.show` names them.
        details: the statement's details, each in one line.
    """

    seq: int
    entry: str
    time: str
    event: str
    words: str
    statement: Mapping[str, Any]
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyLog:
    """What the case's custody folder says.

    Attributes:
        entries: the lines that can be read, in order.
        unreadable: number of the line from 1, and why, for every other line; number 0 where the log as a whole cannot be read.
        roster: "held", "missing", or why it does not hold.
        demonstration: whether the log or the case's roster is one of a demonstration identity.
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
            if _concerns(one, exhibit, run) or any(ref["entry"] in chosen for ref in one.statement["refs"]):
                chosen[one.entry] = one
        return tuple(chosen.values())


def _concerns(entry: CustodyEntry, exhibit: str, run: str) -> bool:
    details = entry.statement["details"]
    if "run" in details:
        return bool(details["run"] == run)
    if "exhibit" in details:
        return bool(details["exhibit"] == exhibit)
    names = {one["name"] for one in entry.statement["subjects"]}
    return not entry.event.startswith(_OF_AN_EXHIBIT) or not names or exhibit in names


def _flat(value: Any) -> str:
    """A value of `details` in one line for a reader; the log itself holds it as JSON."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_flat(item)}" for key, item in sorted(value.items()))
    if isinstance(value, list):
        return "; ".join(map(_flat, value))
    return value if isinstance(value, str) else json.dumps(value)


def _entry(members: Mapping[str, Any]) -> CustodyEntry:
    return CustodyEntry(
        seq=members["seq"],
        entry=members["leaf"],
        time=members["utc"].replace("T", " ").removesuffix("Z"),
        event=members["event"],
        words=_WORDS[Event(members["event"])],
        statement=members,
        details=tuple((key, _flat(value)) for key, value in sorted(members["details"].items())),
    )


def _read_roster(case: Path) -> tuple[bool, str]:
    """Whether the case's roster is a demonstration's, and whether it holds."""
    path = case / "custody" / FILE_NAME
    if not path.is_file():
        return False, "missing"
    try:
        return read_roster(path)[0].demonstration, "held"
    except CustodyError as error:
        return False, f"not usable: {error.__cause__ or error}"


def _read_lines(case: Path) -> tuple[list[CustodyEntry], list[tuple[int, str]]]:
    entries: list[CustodyEntry] = []
    unreadable: list[tuple[int, str]] = []
    path = case.joinpath(*LOG)
    if not path.exists() and not path.is_symlink():
        return entries, unreadable
    try:
        for number, members in enumerate(iter_entries(case), 1):
            if "unreadable" in members:
                unreadable.append((number, members["unreadable"]))
            else:
                entries.append(_entry(members))
    except CustodyError as error:
        unreadable.append((0, str(error.__cause__ or error)))
    return entries, unreadable


def read_custody(case: Path) -> CustodyLog:
    """The log of a case; without entries where there is none."""
    demonstration, roster = _read_roster(case)
    entries, unreadable = _read_lines(case)
    head = ""
    if entries and not unreadable:
        root = tree_root(bytes.fromhex(one.entry) for one in entries)
        head = Head(origin=entries[0].statement["origin"], size=len(entries), root=root).text
    return CustodyLog(
        entries=tuple(entries),
        unreadable=tuple(unreadable),
        roster=roster,
        demonstration=demonstration or any(one.statement["origin"].startswith(_DEMONSTRATION) for one in entries),
        head=head,
    )
