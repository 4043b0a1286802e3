"""What a verification says: four statements, each PASS, FAIL or NOT SHOWN, with coded findings.

A code's first letter names its statement: E_ integrity, U_ identity, T_ time, I_ completeness. `MEANINGS` is the closed set of codes,
whether each is a failure or only something not shown, and one sentence for a reader who is no technician. A statement is FAIL with any
failing finding, else NOT SHOWN with any finding, else PASS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Claim(StrEnum):
    """The four statements."""

    INTEGRITY = "INTEGRITY"
    IDENTITY = "IDENTITY"
    TIME = "TIME"
    COMPLETENESS = "COMPLETENESS"


class Result(StrEnum):
    """What is said of a statement."""

    PASS = "PASS"  # noqa: S105  # no password
    FAIL = "FAIL"
    NOT_SHOWN = "NOT SHOWN"


_CLAIMS = {"E": Claim.INTEGRITY, "U": Claim.IDENTITY, "T": Claim.TIME, "I": Claim.COMPLETENESS}
_MAX_FINDINGS_A_CODE = 20
EXIT_PASS, EXIT_NOT_SHOWN, EXIT_FAIL = 0, 3, 4

FAILURES: dict[str, str] = {
    "E_AFTER_SEAL": "Something was added after the log was sealed.",
    "E_ANCHOR": "A time stamp or checkpoint that the log names is gone or is not the one named.",
    "E_BASE64": "An entry is not encoded in the one form allowed, so it was altered after signing.",
    "E_CANONICAL": "An entry is not written in the one form allowed, so it was altered after signing.",
    "E_CHECKPOINT": "A checkpoint does not have the form of one.",
    "E_CHECKPOINT_BEYOND": "A checkpoint covers more entries than the log has: entries were removed.",
    "E_CHECKPOINT_ROOT": "The entries are not those that a checkpoint sealed: they were changed afterwards.",
    "E_CHECKPOINT_SIGNATURE": "A checkpoint is not signed by this agency's log key.",
    "E_DEPTH": "An entry is built to exhaust the reader.",
    "E_DIGEST": "An entry names an exhibit or file without a proper SHA-256 digest.",
    "E_DUPLICATE_KEY": "An entry says one thing twice, so that two readers could read it differently.",
    "E_ENCODING": "An entry is not plain UTF-8 text.",
    "E_EVENT": "An entry records an event that does not exist.",
    "E_EVIDENCE": "The evidence image is not the one that the log names.",
    "E_FILE_KIND": "A file of the record was replaced by a link or by something that is no file.",
    "E_FILE_SIZE": "A file of the record is larger than it may be.",
    "E_FIRST": "The log does not begin as a log, or begins a second time.",
    "E_HANDOVER": "What was received in a handover is not what was released.",
    "E_HEAD": "The log is not the one whose head was printed: it was shortened or written anew.",
    "E_JSON": "An entry cannot be read.",
    "E_LINE_SIZE": "An entry is larger than it may be.",
    "E_LOG_EMPTY": "The log is empty.",
    "E_LOG_MISSING": "There is no log.",
    "E_MANIFEST": "The list of a run's results does not have the form of one.",
    "E_MANIFEST_CHANGED": "The list of a run's results is not the one that was signed.",
    "E_MANIFEST_MISSING": "The list of a run's results is gone.",
    "E_MEMBERS": "An entry has a part too many, too few or of a wrong kind.",
    "E_NFC": "An entry's text is not in the one form allowed.",
    "E_NO_SIGNATURE": "An entry is not signed.",
    "E_NUMBER": "An entry has a number in a form that readers take differently.",
    "E_ORIGIN": "An entry belongs to the log of another case.",
    "E_OUTPUT_CHANGED": "A report or export is not the one that was recorded.",
    "E_PAYLOAD_TYPE": "Something that is no entry stands in the place of one.",
    "E_PREV": "The chain is broken: an entry does not follow the one before it.",
    "E_REF": "An entry refers to another that is not there.",
    "E_ROSTER": "The roster is not the one that this log was begun with, or cannot be read.",
    "E_ROSTER_SIGNATURE": "The roster was changed after the agency signed it.",
    "E_RUN_UNLISTED": "There are results that no entry of the log accounts for.",
    "E_SEQ": "Entries are missing, repeated or in another order.",
    "E_SIGNATURE": "An entry was changed after it was signed, or its signature is forged.",
    "E_SUBJECT": "An entry does not say what it speaks of.",
    "E_TABLE_CHANGED": "A result file was changed after the run was sealed.",
    "E_TABLE_KIND": "A result file was replaced by a link or by something that is no file.",
    "E_TABLE_MISSING": "A result file was removed after the run was sealed.",
    "E_TABLE_UNLISTED": "A result file was added after the run was sealed.",
    "E_TIME": "An entry's time is not written as one.",
    "E_TYPE": "An entry is not a custody event.",
    "U_ACTOR": "An entry names another person or agency than the one whose key signed it.",
    "U_RECEIPT": "A handover was receipted by the agency that released it.",
    "U_REVOKED": "An entry was signed with a key that had been revoked.",
    "U_ROLE": "An entry was signed by somebody who may not sign that event.",
    "U_ROOT": "The roster is not signed by the agency that the verifier trusts.",
    "U_ROSTER": "Who may sign is not shown by a roster that holds.",
    "U_ROSTER_EXPIRED": "An entry was signed while the roster was not valid.",
    "U_SIGNATURE": "An entry is not signed by the one it names.",
    "U_UNKNOWN_KEY": "An entry is signed by a key that is not enrolled.",
    "U_VALIDITY": "An entry was signed while its key was not valid.",
    "T_CLOCK_BACK": "An entry is dated before the one it follows, and no change of the clock is declared.",
}
"""Codes that make their statement FAIL."""

LIMITS: dict[str, str] = {
    "U_DEMONSTRATION": "The log is signed by a demonstration identity, which identifies nobody.",
    "U_NO_TRUST": "No root fingerprint was given, so nothing outside the case says whose keys these are.",
    "U_REVOKED_UNPROVEN": "A key was revoked later; that the entry was signed before rests on the entry's own word.",
    "U_ROSTER_SUCCESSION": "The roster replaces an earlier one; that succession is not checked here.",
    "U_UNREAD": "Entries could not be read, so who signed them is not shown.",
    "T_NO_STAMP": "No time stamp from outside was checked; the times are those of the workstation's clock.",
    "T_UNCHECKED": "Time stamps or cosignatures are present and were not checked.",
    "I_CHECKPOINT_MISSING": "A checkpoint that should have been made is not there.",
    "I_DETAILS": "An entry lacks details that its event should state.",
    "I_NOT_SEALED": "The log is not sealed: more may follow.",
    "I_NO_ANCHOR": "Nothing from outside shows how long the log was: whoever holds the keys could have written it anew.",
    "I_OUTPUT_MISSING": "A report or export that was recorded is not there.",
    "I_PARENT": "The log continues another one, which was not checked.",
    "I_RELEASE_OPEN": "Evidence was released and no receipt or refusal is recorded.",
    "I_RUN_OPEN": "A run was begun and neither ended nor stopped.",
    "I_TAIL_UNCOVERED": "The last entries came after the head that was given.",
    "I_TORN": "The last line is cut short, as a crash leaves it.",
    "I_UNREAD": "The log could not be read to its end.",
}
"""Codes that leave their statement NOT SHOWN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found.

    Attributes:
        code: one of FAILURES or LIMITS.
        why: what exactly, for the technician; may hold text from the case, so it is escaped when shown.
        entry: position of the entry concerned, from 0; None if none.
        file: path relative to the case, or None.
    """

    code: str
    why: str = ""
    entry: int | None = None
    file: str | None = None

    @property
    def claim(self) -> Claim:
        """The statement concerned."""
        return _CLAIMS[self.code[0]]

    @property
    def result(self) -> Result:
        """FAIL or NOT SHOWN."""
        return Result.FAIL if self.code in FAILURES else Result.NOT_SHOWN

    @property
    def sentence(self) -> str:
        """What it means, for a reader who is no technician."""
        return FAILURES.get(self.code) or LIMITS[self.code]


class Findings:
    """What a verification has found so far; of each code the first twenty are kept, and all are counted."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self._counts: dict[str, int] = {}

    def add(self, code: str, why: str = "", *, entry: int | None = None, file: str | None = None) -> None:
        """Keeps a finding.

        Raises:
            KeyError: the code is not in the closed set, which is a defect of ours.
        """
        if code not in FAILURES and code not in LIMITS:
            raise KeyError(code)
        self._counts[code] = self._counts.get(code, 0) + 1
        if self._counts[code] <= _MAX_FINDINGS_A_CODE:
            self._kept.append(Finding(code=code, why=why, entry=entry, file=file))

    def has(self, *codes: str) -> bool:
        """Whether one of these codes was found."""
        return any(code in self._counts for code in codes)

    def of(self, claim: Claim) -> tuple[Finding, ...]:
        """The findings on a statement, failures first, then by entry."""
        mine = [finding for finding in self._kept if finding.claim is claim]
        return tuple(sorted(mine, key=lambda item: (item.result is not Result.FAIL, item.entry is None, item.entry or 0)))

    def counts(self) -> dict[str, int]:
        """How often each code was found, also beyond those kept."""
        return dict(sorted(self._counts.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One of the four statements and what was found on it."""

    claim: Claim
    findings: tuple[Finding, ...]

    @property
    def result(self) -> Result:
        """FAIL with any failing finding, else NOT SHOWN with any, else PASS."""
        if any(finding.result is Result.FAIL for finding in self.findings):
            return Result.FAIL
        return Result.NOT_SHOWN if self.findings else Result.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification says of a case.

    Attributes:
        statements: the four, in the order of `Claim`.
        origin: the log's name, "" if it could not be read.
        entries: how many complete lines were read.
        head: the head of the log as it is now, as printed on reports; "" if there is no log.
        root_fingerprint: of the roster's root keys, "" if there is no roster. Compare it with what the agency says.
        demonstration: whether a demonstration identity signs.
        counts: how often each code was found.
    """

    statements: tuple[Statement, ...]
    origin: str
    entries: int
    head: str
    root_fingerprint: str
    demonstration: bool
    counts: dict[str, int]

    @property
    def exit_code(self) -> int:
        """0 when all four pass, 4 on any FAIL, 3 when something is only not shown."""
        results = {statement.result for statement in self.statements}
        if Result.FAIL in results:
            return EXIT_FAIL
        return EXIT_NOT_SHOWN if Result.NOT_SHOWN in results else EXIT_PASS

    def result_of(self, claim: Claim) -> Result:
        """What is said of one statement."""
        return next(statement.result for statement in self.statements if statement.claim is claim)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {
            "origin": self.origin,
            "entries": self.entries,
            "head": self.head,
            "root_fingerprint": self.root_fingerprint,
            "demonstration": self.demonstration,
            "exit_code": self.exit_code,
            "counts": self.counts,
            "statements": [
                {
                    "statement": str(statement.claim),
                    "result": str(statement.result),
                    "findings": [
                        {
                            "code": item.code,
                            "result": str(item.result),
                            "sentence": item.sentence,
                            "why": item.why,
                            "entry": item.entry,
                            "file": item.file,
                        }
                        for item in statement.findings
                    ],
                }
                for statement in self.statements
            ],
        }
