r"""The log as a person reads it: one block an entry, and the same as JSON values.

Showing is not checking: a damaged log is shown too, and a line that cannot be read is shown as such. Text from evidence cannot act:
control characters, ESC, bidirectional controls, line separators and lone surrogates are shown as `\u{…}`.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

from chain_of_custody.envelope import MAX_LINE_BYTES, STATEMENT_TYPE, leaf_hash, parse_line
from chain_of_custody.errors import CustodyError, FormatError
from chain_of_custody.identity import read_roster
from chain_of_custody.log import LOG_NAME
from chain_of_custody.regular_file import open_folder, open_regular
from chain_of_custody.roster import FILE_NAME
from chain_of_custody.statement import parse_body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chain_of_custody.findings import Verdict
    from chain_of_custody.roster import Roster
    from chain_of_custody.statement import Statement

# Cc control, Cf format (bidirectional and zero-width among them), Cs surrogate, Co private use, Cn unassigned, Zl and Zp line separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def shown(text: str) -> str:
    """The text on one line of a terminal, without anything that could act there; a backslash is doubled, so that nothing is ambiguous."""
    return "".join(_shown_character(character) for character in text)


def iter_entries(case: Path) -> Iterator[dict[str, Any]]:
    """Every line of a case's log as JSON values, unescaped: entry, leaf, and either the statement's members or `unreadable`.

    Raises:
        CustodyError: there is no log to show.
    """
    names = _signer_names(case)
    try:
        with open_folder(case, "custody") as custody, open_regular(LOG_NAME, custody) as stream:
            entry = 0
            while line := stream.readline(MAX_LINE_BYTES + 2):
                yield {"entry": entry, **_entry(line, names)}
                if not line.endswith(b"\n"):
                    return
                entry += 1
    except (OSError, FormatError) as error:
        message = f"the custody log of {case} cannot be read: {error}"
        raise CustodyError(message) from error


def iter_text(case: Path) -> Iterator[str]:
    """The log for a person, line by line, escaped.

    Raises:
        CustodyError: there is no log to show.
    """
    for entry in iter_entries(case):
        if "unreadable" in entry:
            yield f"#{entry['entry']}  cannot be read: {shown(entry['unreadable'])}"
            continue
        actor = entry["actor"]
        yield f"#{entry['entry']}  {entry['utc']}  {entry['event']}"
        who = f"{actor['name']} ({actor['role']}, {actor['agency']})"
        yield f"    by {shown(who)}, signed with the key of {shown(', '.join(entry['signed_by']))}"
        if entry["purpose"]:
            yield f"    {shown(entry['purpose'])}"
        for subject in entry["subjects"]:
            yield f"    {shown(subject['name'])}  sha256 {subject['sha256']}"
        for name, value in entry["details"].items():
            yield f"    {shown(name)}: {shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}"
        for ref in entry["refs"]:
            yield f"    {ref['rel']} {ref['entry']}"
        yield f"    entry {entry['leaf']}"


def verdict_text(verdict: Verdict) -> Iterator[str]:
    """A verdict for a person, line by line, escaped."""
    for statement in verdict.statements:
        yield f"{statement.claim:<13} {statement.result}"
        for finding in statement.findings:
            place = " ".join(filter(None, ("" if finding.entry is None else f"entry {finding.entry}", shown(finding.file or ""))))
            detail = "; ".join(filter(None, (place, shown(finding.why))))
            yield f"    {finding.code}: {finding.sentence}" + (f" ({detail})" if detail else "")
    yield f"Log           {shown(verdict.origin) or 'not read'}, {verdict.entries} entries"
    yield f"Head          {shown(verdict.head) or 'none'}"
    yield f"Root          {verdict.root_fingerprint or 'none'}" + (" (demonstration: identifies nobody)" if verdict.demonstration else "")


def roster_text(roster: Roster) -> Iterator[str]:
    """A roster for a person, line by line, escaped."""
    yield f"Agency        {shown(roster.agency)}" + (" (demonstration: identifies nobody)" if roster.demonstration else "")
    yield f"Root          {roster.fingerprint}"
    yield f"Version       {roster.version}, valid from {roster.issued} to {roster.expires}"
    for signer in roster.signers.values():
        revoked = f", revoked at {signer.revoked_at}" if signer.revoked_at else ""
        yield f"Signer        {shown(signer.name)} ({shown(signer.role)}, {shown(signer.agency)}){revoked}"
        yield f"    key {signer.keyid}, valid from {signer.valid_from} to {signer.valid_until}"
        yield f"    may sign {', '.join(signer.may)}"
    for name, _ in roster.log_keys:
        yield f"Logs          {shown(name)}"


def _shown_character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    return f"\\u{{{ord(character):x}}}" if unicodedata.category(character) in _UNSAFE_CATEGORIES else character


def _signer_names(case: Path) -> dict[str, str]:
    try:
        roster = read_roster(case / "custody" / FILE_NAME)[0]
    except CustodyError:
        return {}
    return {keyid: signer.name for keyid, signer in roster.signers.items()}


def _entry(line: bytes, names: dict[str, str]) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        return {"unreadable": "the line is cut short" if len(line) <= MAX_LINE_BYTES else "the line is longer than it may be"}
    try:
        envelope = parse_line(line[:-1], STATEMENT_TYPE)
        statement = parse_body(envelope.body)
    except FormatError as error:
        return {"unreadable": str(error)}
    signed_by = [names.get(signature.keyid, f"unknown key {signature.keyid}") for signature in envelope.signatures]
    return {"leaf": leaf_hash(line[:-1]).hex(), "signed_by": signed_by, **_members(statement)}


def _members(statement: Statement) -> dict[str, Any]:
    actor, tool = statement.actor, statement.tool
    return {
        "origin": statement.origin,
        "seq": statement.seq,
        "prev": statement.prev,
        "event": str(statement.event),
        "utc": statement.utc,
        "tz": statement.tz,
        "sync": str(statement.sync),
        "actor": {"id": actor.id, "name": actor.name, "role": actor.role, "agency": actor.agency},
        "tool": {"name": tool.name, "version": tool.version, "commit": tool.commit},
        "location": statement.location,
        "host": statement.host,
        "case": statement.case,
        "basis": statement.basis,
        "purpose": statement.purpose,
        "subjects": [{"name": subject.name, **subject.digests} for subject in statement.subjects],
        "details": statement.details,
        "refs": [{"rel": str(ref.rel), "entry": ref.entry} for ref in statement.refs],
    }
