"""One pass over the log: every line checked for form, chain, signatures and signers, with the tree's roots at the sizes asked for.

A bad line is reported and read past, so that the verdict names the first break and says what else is wrong; its bytes still count in
chain and tree.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from chain_of_custody.account import Account
from chain_of_custody.envelope import MAX_LINE_BYTES, STATEMENT_TYPE, Envelope, leaf_hash, parse_line
from chain_of_custody.errors import FormatError
from chain_of_custody.events import Event, may_sign
from chain_of_custody.keys import is_signed
from chain_of_custody.merkle import Frontier
from chain_of_custody.roster import PROCESSOR_ROLE, Roster, Signer
from chain_of_custody.statement import NO_PREVIOUS, Statement, nfc, parse_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chain_of_custody.findings import Findings


@dataclass(slots=True, kw_only=True)
class LogPass:
    """What one pass over a log gave.

    Attributes:
        roots: the tree's root by size, for the sizes that were asked for.
        origin: as the first entry states it.
        init: the first entry, None if it is no readable log.init.
    """

    account: Account
    frontier: Frontier = field(default_factory=Frontier)
    roots: dict[int, bytes] = field(default_factory=dict)
    origin: str = ""
    init: Statement | None = None


def verify_log(stream: BinaryIO, roster: Roster | None, sizes: frozenset[int], findings: Findings) -> LogPass:
    """The pass over a log from its first byte.

    Args:
        stream: the log file.
        roster: who may sign; None if there is none that holds, which the caller reports.
        sizes: numbers of entries at which the root is wanted.
        findings: gets everything found.
    """
    check = _LineCheck(LogPass(account=Account(findings)), roster, findings)
    for line in _iter_lines(stream, findings):
        check.take(line)
        if check.log.frontier.size in sizes:
            check.log.roots[check.log.frontier.size] = check.log.frontier.root()
    return check.log


def _iter_lines(stream: BinaryIO, findings: Findings) -> Iterator[bytes]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 2):
        if line.endswith(b"\n"):
            yield line[:-1]
            number += 1
            continue
        findings.add("I_UNREAD" if len(line) > MAX_LINE_BYTES else "I_TORN", entry=number)
        if len(line) > MAX_LINE_BYTES:
            findings.add("E_LINE_SIZE", "more than 1 MiB; what follows was not read", entry=number)
        elif _is_more_than_torn(line):
            findings.add("E_JSON", "a whole entry followed by something that is no line end", entry=number)
        return


def _is_more_than_torn(line: bytes) -> bool:
    """Whether bytes without LF are no beginning of a line, which is all that a crash leaves: a whole entry with bytes behind it."""
    try:
        text = line.decode("utf-8", errors="replace")
        return json.JSONDecoder().raw_decode(text)[1] < len(text)
    except (ValueError, RecursionError):  # also an integer of more digits than Python converts
        return False


class _LineCheck:
    """Takes the lines of a log in order."""

    def __init__(self, log: LogPass, roster: Roster | None, findings: Findings) -> None:
        self.log = log
        self._roster = roster
        self._findings = findings
        self._prev = NO_PREVIOUS
        self._utc = ""

    def take(self, line: bytes) -> None:
        """Checks one line, without its LF."""
        entry = self.log.frontier.size
        leaf = leaf_hash(line)
        if self.log.account.sealed:
            self._findings.add("E_AFTER_SEAL", entry=entry)
        try:
            envelope = parse_line(line, STATEMENT_TYPE)
            statement = parse_body(envelope.body)
        except FormatError as error:
            self._findings.add(error.code, str(error), entry=entry)
            self._findings.add("U_UNREAD", entry=entry)
        else:
            self._check_chain(statement, entry)
            signers = self._check_signatures(envelope, statement, entry)
            self._check_time(statement, entry)
            self.log.account.read(statement, entry, leaf.hex(), frozenset(signer.agency for signer in signers))
        self.log.frontier.append(leaf)
        self._prev = leaf.hex()

    def _check_chain(self, statement: Statement, entry: int) -> None:
        if statement.seq != entry:
            self._findings.add("E_SEQ", f"it calls itself entry {statement.seq}", entry=entry)
        if statement.prev != self._prev:
            self._findings.add("E_PREV", entry=entry)
        if entry == 0:
            self.log.origin = statement.origin
            self.log.init = statement if statement.event is Event.LOG_INIT else None
        elif statement.origin != self.log.origin:
            self._findings.add("E_ORIGIN", f"of {statement.origin}", entry=entry)
        if (entry == 0) != (statement.event is Event.LOG_INIT):
            self._findings.add("E_FIRST", f"it is {statement.event}", entry=entry)

    def _check_time(self, statement: Statement, entry: int) -> None:
        if statement.utc < self._utc and statement.event is not Event.CLOCK_ADJUST:
            self._findings.add("T_CLOCK_BACK", f"{statement.utc} after {self._utc}", entry=entry)
        self._utc = statement.utc

    def _check_signatures(self, envelope: Envelope, statement: Statement, entry: int) -> tuple[Signer, ...]:
        """The signers whose signatures hold."""
        if self._roster is None:
            self._findings.add("U_UNREAD", "there is no roster to check the signature by", entry=entry)
            return ()
        signers = []
        for signature in envelope.signatures:
            signer = self._roster.signers.get(signature.keyid)
            if signer is None:
                self._findings.add("U_UNKNOWN_KEY", f"key {signature.keyid}", entry=entry)
                self._findings.add("E_SIGNATURE", "by a key that is not in the roster, so that it cannot be checked", entry=entry)
            elif not is_signed(signer.key, signature.sig, envelope.signed_bytes):
                self._findings.add("E_SIGNATURE", f"as of {signer.name}", entry=entry)
                self._findings.add("U_SIGNATURE", f"as of {signer.name}", entry=entry)
            else:
                signers.append(signer)
                self._check_signer(self._roster, signer, statement, entry)
        return tuple(signers)

    def _check_signer(self, roster: Roster, signer: Signer, statement: Statement, entry: int) -> None:
        utc = statement.utc
        if not may_sign(signer.may, statement.event):
            self._findings.add("U_ROLE", f"{signer.name} ({signer.role}) signed {statement.event}", entry=entry)
        if not roster.issued <= utc <= roster.expires:
            self._findings.add("U_ROSTER_EXPIRED", f"{utc}; valid from {roster.issued} to {roster.expires}", entry=entry)
        if not signer.valid_from <= utc <= signer.valid_until:
            self._findings.add("U_VALIDITY", f"{utc}; valid from {signer.valid_from} to {signer.valid_until}", entry=entry)
        if signer.revoked_at is not None:
            # Without a proven time the entry's own time is all there is, and whoever has the key can choose it.
            self._findings.add(
                "U_REVOKED" if utc >= signer.revoked_at else "U_REVOKED_UNPROVEN", f"revoked at {signer.revoked_at}", entry=entry
            )
        if roster.demonstration:
            return
        actor = statement.actor
        own = actor.agency == nfc(signer.agency) and (
            signer.role == PROCESSOR_ROLE or (actor.name, actor.role) == (nfc(signer.name), nfc(signer.role))
        )
        if not own:
            self._findings.add("U_ACTOR", f"{actor.name} ({actor.agency}), signed by {signer.name} ({signer.agency})", entry=entry)
