"""Checking a case: four statements about its custody log and its results.

Steps, each of which goes on after a finding where that has a meaning:
    1. Read the roster and hold it to its own root keys.
    2. Read the checkpoints: form, name, the log key's signature.
    3. Pass over the log once (verify_log), taking the tree's root at each checkpoint's size.
    4. Compare: roster with log.init, checkpoints with the tree, the printed head with the tree.
    5. Compare the results with the manifests, and the manifests with their process.end (verify_results).
    6. Say what is trusted from outside, and what is not shown.
Left to others until it is built: time stamps, cosignatures, succession of rosters. What of these is present is reported as not checked,
never as good.
Nothing is written, no link is followed, and no special file is opened for longer than it takes to see that it is one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chain_of_custody.checkpoint import FILE_NAME as CHECKPOINT_NAME
from chain_of_custody.checkpoint import MAX_NOTE_BYTES, Head, file_name, parse_head, parse_note
from chain_of_custody.encoding import sha256_hex
from chain_of_custody.errors import CustodyError, FormatError
from chain_of_custody.findings import Claim, Findings, Statement, Verdict
from chain_of_custody.log import LOG_NAME
from chain_of_custody.regular_file import open_folder, open_regular, read_regular
from chain_of_custody.roster import FILE_NAME as ROSTER_NAME
from chain_of_custody.roster import MAX_ROSTER_BYTES, Roster, parse_roster
from chain_of_custody.trust import parse_trust
from chain_of_custody.verify_log import LogPass, verify_log
from chain_of_custody.verify_results import verify_anchored, verify_outputs, verify_runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chain_of_custody.statement import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """What the custody folder holds beside the log."""

    roster: Roster | None
    roster_digest: str
    notes: dict[int, bytes]


def verify_case(case: Path, *, trust: str | None = None, expect_head: str | None = None, evidence: Sequence[Subject] = ()) -> Verdict:
    """The verdict on a case folder.

    Args:
        case: the case folder.
        trust: the root's fingerprint or public-key file, from outside the case; None leaves IDENTITY not shown.
        expect_head: a head as printed on a report; None leaves COMPLETENESS not shown.
        evidence: digests of the media of evidence images at hand; each must be an exhibit that the log names, with all its digests.

    Raises:
        CustodyError: the arguments are unusable, or there is no case folder.
        OSError: the case cannot be read.
    """
    wanted = None if trust is None else parse_trust(trust)
    head = None if expect_head is None else _parse_expected(expect_head)
    if not case.is_dir():
        message = f"there is no case folder {case}"
        raise CustodyError(message)
    findings = Findings()
    stored = _read_stored(case, findings)
    sizes = frozenset(stored.notes) | ({head.size} if head else frozenset())
    log = _read_log(case, stored.roster, sizes, findings)
    if log is not None:
        _check_roster(stored, log, findings)
        _check_checkpoints(stored, log, findings)
        verify_runs(case, log.account, findings)
        verify_outputs(case, log.account, findings)
        verify_anchored(case, log.account, findings)
        _check_evidence(log, evidence, findings)
        _check_completeness(log, head, findings)
    _check_trust(stored.roster, wanted, findings)
    findings.add("T_NO_STAMP")
    return _verdict(stored.roster, log, findings)


def _parse_expected(text: str) -> Head:
    try:
        return parse_head(text)
    except FormatError as error:
        raise CustodyError(str(error)) from error


def _verdict(roster: Roster | None, log: LogPass | None, findings: Findings) -> Verdict:
    head = Head(origin=log.origin, size=log.frontier.size, root=log.frontier.root()).text if log and log.origin else ""
    return Verdict(
        statements=tuple(Statement(claim=claim, findings=findings.of(claim)) for claim in Claim),
        origin=log.origin if log else "",
        entries=log.frontier.size if log else 0,
        head=head,
        root_fingerprint=roster.fingerprint if roster else "",
        demonstration=roster is not None and roster.demonstration,
        counts=findings.counts(),
    )


def _read_stored(case: Path, findings: Findings) -> _Stored:
    roster, digest = None, ""
    try:
        with open_folder(case, "custody") as custody:
            data = read_regular(ROSTER_NAME, custody, MAX_ROSTER_BYTES)
        digest = sha256_hex(data)
        roster = parse_roster(data)
    except FileNotFoundError:
        findings.add("E_ROSTER", "there is none", file=f"custody/{ROSTER_NAME}")
    except FormatError as error:
        code = error.code if error.code in {"E_ROSTER_SIGNATURE", "E_FILE_KIND", "E_FILE_SIZE"} else "E_ROSTER"
        findings.add(code, str(error), file=f"custody/{ROSTER_NAME}")
    if roster is None:
        findings.add("U_ROSTER", "the roster cannot be used", file=f"custody/{ROSTER_NAME}")
    return _Stored(roster=roster, roster_digest=digest, notes=_read_notes(case, findings))


def _read_notes(case: Path, findings: Findings) -> dict[int, bytes]:
    notes: dict[int, bytes] = {}
    try:
        with open_folder(case, "custody", "checkpoints") as folder:
            for name in sorted(os.listdir(folder)):  # noqa: PTH208  # pathlib takes no descriptor
                if name.endswith((".tsq", ".tsr", ".cosig")):
                    findings.add("T_UNCHECKED", file=f"custody/checkpoints/{name}")
                if not CHECKPOINT_NAME.fullmatch(name):
                    continue
                try:
                    notes[int(name[:9])] = read_regular(name, folder, MAX_NOTE_BYTES)
                except FormatError as error:
                    findings.add(error.code, str(error), file=f"custody/checkpoints/{name}")
    except FileNotFoundError:
        findings.add("I_CHECKPOINT_MISSING", "there is none at all")
    except FormatError as error:
        findings.add(error.code, str(error), file="custody/checkpoints")
    return notes


def _read_log(case: Path, roster: Roster | None, sizes: frozenset[int], findings: Findings) -> LogPass | None:
    """The pass over the log, or None if there is nothing to pass over."""
    log, file = None, f"custody/{LOG_NAME}"
    try:
        with open_folder(case, "custody") as custody, open_regular(LOG_NAME, custody) as stream:
            log = verify_log(stream, roster, sizes, findings)
    except FileNotFoundError:
        findings.add("E_LOG_MISSING", file=file)
    except FormatError as error:
        findings.add(error.code, str(error), file=file)
    if log is not None and log.frontier.size == 0:
        findings.add("E_LOG_EMPTY", file=file)
    if log is None or log.frontier.size == 0:
        findings.add("U_UNREAD")
        findings.add("I_UNREAD")
    return log


def _check_roster(stored: _Stored, log: LogPass, findings: Findings) -> None:
    file = f"custody/{ROSTER_NAME}"
    named = {subject.sha256 for subject in log.init.subjects} if log.init else set()
    if stored.roster_digest not in named:
        findings.add("E_ROSTER", "its SHA-256 is not the one that log.init names", entry=0, file=file)
        findings.add("U_ROSTER", "it is not the one that the log was begun with", entry=0, file=file)
    if stored.roster and stored.roster.version != 1:
        findings.add("U_ROSTER_SUCCESSION", f"it is version {stored.roster.version}", file=file)


def _check_checkpoints(stored: _Stored, log: LogPass, findings: Findings) -> None:
    keys = stored.roster.keys_for_log(log.origin) if stored.roster else ()
    for size, note in stored.notes.items():
        file = f"custody/checkpoints/{file_name(size)}"
        try:
            head = parse_note(note, keys)
        except FormatError as error:
            findings.add(error.code if error.code != "E_BASE64" else "E_CHECKPOINT", str(error), file=file)
            continue
        if head.size != size or head.origin != log.origin:
            findings.add("E_CHECKPOINT", "it is of another size or another log than its place says", file=file)
        elif size > log.frontier.size:
            findings.add("E_CHECKPOINT_BEYOND", f"{size} entries; the log has {log.frontier.size}", entry=log.frontier.size, file=file)
        elif log.roots.get(size) != head.root:
            findings.add("E_CHECKPOINT_ROOT", f"over the first {size} entries", file=file)
    for size in log.account.expected_checkpoints:
        if size not in stored.notes:
            findings.add("I_CHECKPOINT_MISSING", f"over {size} entries", entry=size - 1)


def _check_evidence(log: LogPass, evidence: Sequence[Subject], findings: Findings) -> None:
    for image in evidence:
        known = [exhibit for exhibit in log.account.exhibits if exhibit.sha256 == image.sha256]
        # All digests that both state must be equal: a match of one beside a mismatch of another is a forgery.
        fits = [exhibit for exhibit in known if all(image.digests.get(kind, value) == value for kind, value in exhibit.digests.items())]
        if not fits or len(fits) != len(known):
            findings.add("E_EVIDENCE", f"{image.name}: SHA-256 {image.sha256}", file=image.name)


def _check_completeness(log: LogPass, head: Head | None, findings: Findings) -> None:
    account, size = log.account, log.frontier.size
    if head is None:
        findings.add("I_NO_ANCHOR")
    elif head.origin != log.origin or head.size > size or log.roots.get(head.size) != head.root:
        findings.add("E_HEAD", f"expected {head.text}")
    elif head.size < size:
        findings.add("I_TAIL_UNCOVERED", f"the head covers {head.size} of {size} entries", entry=head.size)
    if not account.sealed:
        findings.add("I_NOT_SEALED")
    for run, entry in account.open_runs.items():
        findings.add("I_RUN_OPEN", f"run {run}", entry=entry)
    for release in account.releases.values():
        findings.add("I_RELEASE_OPEN", entry=release.entry)


def _check_trust(roster: Roster | None, wanted: str | None, findings: Findings) -> None:
    if roster is not None and roster.demonstration:
        findings.add("U_DEMONSTRATION")
    if wanted is None:
        findings.add("U_NO_TRUST")
    elif roster is not None and roster.fingerprint != wanted:
        findings.add("U_ROOT", f"its roots' fingerprint is {roster.fingerprint}")
