"""The closed set of custody events, and what each must carry.

The writer holds every event to this table. The verifier refuses an unknown event and an event without its subject or reference;
a missing detail is reported as incomplete, since an entry is never edited and its signature still says what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Event(StrEnum):
    """What a line records."""

    LOG_INIT = "log.init"
    LOG_RECOVERED = "log.recovered"
    LOG_SEAL = "log.seal"
    ROSTER_UPDATE = "roster.update"
    CHECKPOINT_ANCHOR = "checkpoint.anchor"
    CLOCK_ADJUST = "clock.adjust"
    EVIDENCE_SEIZE = "evidence.seize"
    EVIDENCE_ACQUIRE = "evidence.acquire"
    EVIDENCE_RECEIVE = "evidence.receive"
    EVIDENCE_STORE = "evidence.store"
    EVIDENCE_ACCESS = "evidence.access"
    EVIDENCE_VERIFY = "evidence.verify"
    EVIDENCE_RETURN = "evidence.return"
    EVIDENCE_DESTROY = "evidence.destroy"
    HANDOVER_RELEASE = "handover.release"
    HANDOVER_RECEIPT = "handover.receipt"
    HANDOVER_REFUSE = "handover.refuse"
    PROCESS_START = "process.start"
    PROCESS_END = "process.end"
    PROCESS_ABORT = "process.abort"
    OUTPUT_EXPORT = "output.export"
    NOTE_ADD = "note.add"
    ENTRY_CORRECT = "entry.correct"


class Relation(StrEnum):
    """How an entry refers to an earlier one, or to one of another log (parent)."""

    ANSWERS = "answers"
    CORRECTS = "corrects"
    PARENT = "parent"
    ANCHORS = "anchors"


class Sync(StrEnum):
    """How the clock that gave the time was kept."""

    NTP = "ntp"
    PTP = "ptp"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What an event must carry.

    Attributes:
        details: members that `details` must have; it may have more.
        subject: whether at least one subject is needed.
        relation: a relation that `refs` must contain, or None.
    """

    details: tuple[str, ...] = ()
    subject: bool = False
    relation: Relation | None = None


_MOVED = ("from", "to", "location", "condition")

REQUIREMENTS: dict[Event, Requirement] = {
    Event.LOG_INIT: Requirement(subject=True),
    Event.LOG_RECOVERED: Requirement(subject=True, details=("bytes",)),
    Event.LOG_SEAL: Requirement(),
    Event.ROSTER_UPDATE: Requirement(subject=True),
    Event.CHECKPOINT_ANCHOR: Requirement(subject=True),
    Event.CLOCK_ADJUST: Requirement(details=("previous_utc", "reason")),
    Event.EVIDENCE_SEIZE: Requirement(details=_MOVED),
    Event.EVIDENCE_ACQUIRE: Requirement(subject=True, details=("item", "source", "method", "write_blocker", "tool", "bytes", "errors")),
    Event.EVIDENCE_RECEIVE: Requirement(details=_MOVED),
    Event.EVIDENCE_STORE: Requirement(details=_MOVED),
    Event.EVIDENCE_ACCESS: Requirement(details=_MOVED),
    Event.EVIDENCE_VERIFY: Requirement(subject=True, details=("match",)),
    Event.EVIDENCE_RETURN: Requirement(details=_MOVED),
    Event.EVIDENCE_DESTROY: Requirement(details=_MOVED),
    Event.HANDOVER_RELEASE: Requirement(subject=True, details=("to", "transport", "seal")),
    Event.HANDOVER_RECEIPT: Requirement(subject=True, relation=Relation.ANSWERS),
    Event.HANDOVER_REFUSE: Requirement(details=("reason",), relation=Relation.ANSWERS),
    Event.PROCESS_START: Requirement(
        subject=True, details=("run", "profile", "tool", "version", "config_sha256", "rules_sha256", "hashsets_sha256", "lock_sha256")
    ),
    Event.PROCESS_END: Requirement(subject=True, details=("run", "tables", "problems", "planned", "written")),
    Event.PROCESS_ABORT: Requirement(details=("run", "reason")),
    Event.OUTPUT_EXPORT: Requirement(subject=True),
    Event.NOTE_ADD: Requirement(),
    Event.ENTRY_CORRECT: Requirement(details=("reason",), relation=Relation.CORRECTS),
}
"""By event. A test holds that every event is here."""

GROUPS = frozenset(event.partition(".")[0] + "." for event in Event)
"""The prefixes that a roster may grant, beside full event names: "evidence.", "process.", …"""

PROCESSOR_MAY = ("checkpoint.anchor", "evidence.verify", "log.recovered", "process.")
"""What a workstation's processor key may sign, and nothing else."""

EXAMINER_MAY = tuple(sorted(GROUPS))
"""What a person's key may sign by default."""


def may_sign(may: tuple[str, ...], event: str) -> bool:
    """Whether a signer with these grants may sign an event: a grant is an event's name, or its group with the dot."""
    return any(event == grant or (grant.endswith(".") and event.startswith(grant)) for grant in may)


def missing_details(event: Event, details: dict[str, object]) -> tuple[str, ...]:
    """The members that `details` should have for this event and has not."""
    return tuple(name for name in REQUIREMENTS[event].details if name not in details)
