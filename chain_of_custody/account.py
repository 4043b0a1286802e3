"""What the entries of a log say when read in order: runs, handovers, outputs, seals, and which entries are referred to.

Fed one entry at a time by the verifier; keeps what later questions need and nothing else, so a long log costs little memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chain_of_custody.events import Event, Relation, missing_details

if TYPE_CHECKING:
    from chain_of_custody.findings import Findings
    from chain_of_custody.statement import Statement, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRun:
    """A process.end: which run, which manifest, in which entry."""

    run: object
    manifest: Subject
    entry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A handover.release that waits for its answer."""

    subjects: tuple[Subject, ...]
    agencies: frozenset[str]
    entry: int


class Account:
    """The account that a log gives.

    Attributes:
        sealed: whether log.seal was read.
        started: by run, the entry of its process.start.
        open_runs: by run, the entry of a process.start without end or abort.
        sealed_runs: every process.end, in order.
        exhibits: subjects of process.start and of evidence.* but evidence.verify.
        outputs: by name, the last recorded subject of output.export and its entry.
        anchored: subjects of checkpoint.anchor with their entry.
        releases: open handovers by leaf hash.
        expected_checkpoints: sizes over which a checkpoint must have been made.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._leaves: set[str] = set()
        self.sealed = False
        self.started: dict[str, int] = {}
        self.open_runs: dict[str, int] = {}
        self.sealed_runs: list[SealedRun] = []
        self.exhibits: set[Subject] = set()
        self.outputs: dict[str, tuple[Subject, int]] = {}
        self.anchored: list[tuple[Subject, int]] = []
        self.releases: dict[str, Release] = {}
        self.expected_checkpoints: list[int] = []

    def read(self, statement: Statement, entry: int, leaf: str, agencies: frozenset[str]) -> None:
        """Takes in an entry; `agencies` are those whose keys signed it."""
        self._check_references(statement, entry)
        self._read_event(statement, entry, leaf, agencies)
        # evidence.verify also names what turned out to be another image.
        if statement.event is Event.PROCESS_START or (
            statement.event.startswith("evidence.") and statement.event is not Event.EVIDENCE_VERIFY
        ):
            self.exhibits.update(statement.subjects)
        if statement.event in {Event.LOG_INIT, Event.LOG_SEAL, Event.PROCESS_END, Event.PROCESS_ABORT}:
            self.expected_checkpoints.append(entry + 1)
        self._leaves.add(leaf)

    def _read_event(self, statement: Statement, entry: int, leaf: str, agencies: frozenset[str]) -> None:
        match statement.event:
            case Event.LOG_SEAL:
                self.sealed = True
            case Event.PROCESS_START | Event.PROCESS_END | Event.PROCESS_ABORT:
                self._read_run(statement, entry)
            case Event.OUTPUT_EXPORT:
                self.outputs.update({subject.name: (subject, entry) for subject in statement.subjects})
            case Event.CHECKPOINT_ANCHOR:
                self.anchored.extend((subject, entry) for subject in statement.subjects)
                self._findings.add("T_UNCHECKED", "an anchor's proven time", entry=entry)
            case Event.ROSTER_UPDATE:
                self._findings.add("U_ROSTER_SUCCESSION", "the log records a new roster", entry=entry)
            case Event.HANDOVER_RELEASE:
                self.releases[leaf] = Release(subjects=statement.subjects, agencies=agencies, entry=entry)
            case Event.HANDOVER_RECEIPT | Event.HANDOVER_REFUSE:
                self._read_answer(statement, entry, agencies)

    def _check_references(self, statement: Statement, entry: int) -> None:
        missing = missing_details(statement.event, statement.details)
        if missing:
            self._findings.add("I_DETAILS", f"{statement.event} without {', '.join(missing)}", entry=entry)
        for ref in statement.refs:
            if ref.rel is Relation.PARENT:
                self._findings.add("I_PARENT", f"of entry {ref.entry}", entry=entry)
            elif ref.entry not in self._leaves:
                self._findings.add("E_REF", f"{ref.rel} {ref.entry}, which no entry before it is", entry=entry)

    def _read_run(self, statement: Statement, entry: int) -> None:
        run = str(statement.details.get("run"))
        if statement.event is Event.PROCESS_START:
            self.started.setdefault(run, entry)
            self.open_runs[run] = entry
            return
        if run not in self.started:
            self._findings.add("E_REF", f"{statement.event} of a run that was never begun", entry=entry)
        self.open_runs.pop(run, None)
        if statement.event is Event.PROCESS_END:
            self.sealed_runs.append(SealedRun(run=run, manifest=statement.subjects[0], entry=entry))

    def _read_answer(self, statement: Statement, entry: int, agencies: frozenset[str]) -> None:
        answered = [ref.entry for ref in statement.refs if ref.rel is Relation.ANSWERS]
        release = next((self.releases.pop(leaf) for leaf in answered if leaf in self.releases), None)
        if release is None:
            self._findings.add("E_REF", f"{statement.event} that answers no open release", entry=entry)
        elif statement.event is Event.HANDOVER_RECEIPT:
            if agencies & release.agencies:
                self._findings.add("U_RECEIPT", f"the release is entry {release.entry}", entry=entry)
            if not _same_subjects(release.subjects, statement.subjects):
                self._findings.add("E_HANDOVER", f"the release is entry {release.entry}", entry=entry)


def _same_subjects(released: tuple[Subject, ...], received: tuple[Subject, ...]) -> bool:
    """Whether the same names were received, and all digests that both sides state are equal."""
    by_name = {subject.name: subject.digests for subject in received}
    if len(by_name) != len(received) or sorted(by_name) != sorted(subject.name for subject in released):
        return False
    return all(by_name[subject.name].get(kind, value) == value for subject in released for kind, value in subject.digests.items())
