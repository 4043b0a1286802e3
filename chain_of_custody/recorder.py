"""Recording events: fills in position, time and actor, signs, appends, and makes the checkpoints that the format asks for.

Torn bytes of a crash are declared (log.recovered) and a clock that went back is declared (clock.adjust) before anything else is recorded.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from chain_of_custody.checkpoint import Head, file_name, to_note
from chain_of_custody.envelope import STATEMENT_TYPE, Signature, pre_authentication_encoding, to_line
from chain_of_custody.errors import CustodyError, FormatError, IdentityError, LogDamagedError, LogWriteError
from chain_of_custody.events import Event, may_sign, missing_details
from chain_of_custody.keys import key_id, sign, to_pem
from chain_of_custody.log import CustodyLog, OpenLog
from chain_of_custody.regular_file import write_once
from chain_of_custody.roster import FILE_NAME, PROCESSOR_ROLE, Roster, parse_roster
from chain_of_custody.statement import Actor, Ref, Statement, Subject, Tool, nfc, to_body, to_utc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chain_of_custody.identity import SigningIdentity
    from chain_of_custody.tail import Tail

_CHECKPOINTED = frozenset({Event.LOG_INIT, Event.LOG_SEAL, Event.PROCESS_END, Event.PROCESS_ABORT})
_HANDOVER = frozenset({Event.HANDOVER_RELEASE, Event.HANDOVER_RECEIPT, Event.HANDOVER_REFUSE})
_OWN_EVENTS = frozenset({Event.LOG_INIT, Event.LOG_RECOVERED})
_RANDOM_BYTES = 8
# A correction of the clock over the network; a longer step back is an event of its own.
_WAIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is the same for every entry of a session. Empty members of `actor` come from the roster."""

    actor: Actor
    tool: Tool
    case: str = ""
    basis: str = ""
    location: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """An entry that is in the log, synced: its position and its leaf hash (hex)."""

    seq: int
    leaf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What is to be recorded."""

    event: Event
    subjects: tuple[Subject, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    purpose: str = ""
    refs: tuple[Ref, ...] = ()


class Recorder:
    """Appends signed events to one case's log.

    Attributes:
        origin: the log's name.
    """

    def __init__(
        self, *, case: Path, state: Path, identity: SigningIdentity, context: Context, clock: Callable[[], datetime], lock_seconds: float
    ) -> None:
        self._custody = case / "custody"
        self._identity = identity
        self._clock = clock
        self._log = CustodyLog(self._custody, state, lock_seconds=lock_seconds)
        _filled(context, identity, identity.roster)  # refused before anything is written into the case
        roster = self._take_roster()
        self._roster = roster
        self._context = _filled(context, identity, roster)
        self.origin = self._begin()

    def record(self, recorded: Recorded) -> Appended:
        """The entry, once it is in the log and synced.

        Raises:
            IdentityError: the roster does not let this key sign it now.
            LogError: the log cannot be written.
            FormatError: the entry breaks the format.
        """
        if recorded.event in _OWN_EVENTS:
            message = f"{recorded.event} is recorded by the log itself"
            raise CustodyError(message)
        missing = missing_details(recorded.event, recorded.details)
        if missing:
            message = f"{recorded.event} without the details {', '.join(missing)}"
            raise CustodyError(message)
        with self._log.locked() as opened:
            self._settle(opened)
            if recorded.event in _HANDOVER:
                self._write_checkpoint(opened.tail)
            tail = self._append(opened, recorded)
            if recorded.event in _CHECKPOINTED | _HANDOVER:
                self._write_checkpoint(tail)
            return Appended(seq=tail.size - 1, leaf=tail.leaf)

    def checkpoint(self) -> Head:
        """The head of the log as it is now, with its signed note in checkpoints/."""
        with self._log.locked() as opened:
            self._settle(opened)
            return self._write_checkpoint(opened.tail)

    def _take_roster(self) -> Roster:
        """The case's roster, which is the signer's own for a new case."""
        path = self._custody / FILE_NAME
        if self._custody.is_symlink():
            message = f"the custody folder {self._custody} is a link; nothing is written through it"
            raise LogDamagedError(message)
        try:
            self._custody.mkdir(parents=True, exist_ok=True)
            if not path.is_file() and not self._log.is_begun():
                write_once(path, self._identity.roster_bytes)
            roster = parse_roster(path.read_bytes())
        except OSError as error:
            message = f"the custody folder {self._custody} cannot be written: {error.strerror}"
            raise LogWriteError(message) from error
        except FormatError as error:
            message = f"the roster of the case, {path}, does not hold: {error}; run verify"
            raise IdentityError(message) from error
        if self._identity.keyid not in roster.signers:
            message = f"this case was begun under another roster, in which the signing key is not enrolled: {path}"
            raise IdentityError(message)
        return roster

    def _begin(self) -> str:
        name = self._identity.origin_name
        case = quote(self._context.case, safe="~") or "unnumbered"
        with self._log.locked(new_origin=f"{name}/case/{case}/{os.urandom(_RANDOM_BYTES).hex()}") as opened:
            if opened.tail.size == 0:
                roster = Subject(name=FILE_NAME, sha256=self._roster.digest)
                self._append(opened, Recorded(event=Event.LOG_INIT, subjects=(roster,), purpose="Begin the chain of custody"))
                self._write_public_keys()
                self._write_checkpoint(opened.tail)
            origin = opened.tail.origin
            if self._identity.log_key.public_key() not in self._roster.keys_for_log(origin):
                message = f"the log key beside the signing key may not sign checkpoints of {origin}"
                raise IdentityError(message)
            self._settle(opened)
            # A crash may have come between the entry and the checkpoint that belongs to it.
            if opened.tail.event in _CHECKPOINTED:
                self._write_checkpoint(opened.tail)
        return origin

    def _settle(self, opened: OpenLog) -> None:
        """Declares what a crash left: nothing else may be recorded before."""
        while opened.undeclared:
            torn = opened.undeclared[0]
            subject = Subject(name=f"custody/recovered/{torn.sha256}", sha256=torn.sha256)
            details = {"bytes": torn.size_bytes}
            recovered = Recorded(event=Event.LOG_RECOVERED, subjects=(subject,), details=details, purpose="Declare a torn write")
            opened.declare(self._line(opened, recovered, self._time(opened)))

    def _append(self, opened: OpenLog, recorded: Recorded) -> Tail:
        return opened.append(self._line(opened, recorded, self._time(opened, declaring=recorded.event is Event.CLOCK_ADJUST)))

    def _time(self, opened: OpenLog, *, declaring: bool = False) -> datetime:
        """The time of the next entry. A clock behind the last entry is waited for where it is close, and else declared first.

        Raises:
            IdentityError: the clock is behind, and this key may not declare it.
        """
        now, previous = self._clock(), opened.tail.utc
        if declaring or not previous or to_utc(now) >= previous:
            return now
        behind = (datetime.fromisoformat(previous) - now).total_seconds()
        if behind < _WAIT_SECONDS:
            time.sleep(behind)
            now = self._clock()
        if to_utc(now) < previous:
            if not may_sign(self._roster.signers[self._identity.keyid].may, Event.CLOCK_ADJUST):
                message = f"the clock says {to_utc(now)}, before the last entry of {previous}: set it, or let a person's key sign"
                raise IdentityError(message)
            details = {"previous_utc": previous, "reason": "The workstation's clock is behind the entry before"}
            opened.append(self._line(opened, Recorded(event=Event.CLOCK_ADJUST, details=details, purpose="Declare a clock set back"), now))
        return now

    def _line(self, opened: OpenLog, recorded: Recorded, now: datetime) -> bytes:
        utc = to_utc(now)
        self._roster.check_may_sign(self._identity.keyid, recorded.event, utc)
        offset = now.astimezone().strftime("%z")
        context = self._context
        body = to_body(
            Statement(
                origin=opened.tail.origin,
                prev=opened.tail.leaf,
                seq=opened.tail.size,
                event=recorded.event,
                utc=utc,
                tz=f"{offset[:3]}:{offset[3:5]}",
                actor=context.actor,
                tool=context.tool,
                location=context.location,
                host=context.host,
                case=context.case,
                basis=context.basis,
                purpose=_encodable(recorded.purpose),
                subjects=recorded.subjects,
                details=_encodable(recorded.details),
                refs=recorded.refs,
            )
        )
        signature = sign(self._identity.key, pre_authentication_encoding(STATEMENT_TYPE, body))
        return to_line(STATEMENT_TYPE, body, [Signature(keyid=self._identity.keyid, sig=signature)])

    def _write_checkpoint(self, tail: Tail) -> Head:
        head = tail.head
        folder = self._custody / "checkpoints"
        path = folder / file_name(head.size)
        try:
            folder.mkdir(exist_ok=True)
            write_once(path, to_note(head, self._identity.log_key))
        except FileExistsError as error:
            message = f"there is another checkpoint over {head.size} entries: {path}; run verify"
            raise LogWriteError(message) from error
        except OSError as error:
            self._log.stopped = True
            message = f"the checkpoint {path} cannot be written: {error.strerror}"
            raise LogWriteError(message) from error
        return head

    def _write_public_keys(self) -> None:
        folder = self._custody / "keys"
        try:
            folder.mkdir(exist_ok=True)
            signers = (signer.key for signer in self._roster.signers.values())
            for key in (*signers, *self._roster.roots.values(), *(key for _, key in self._roster.log_keys)):
                write_once(folder / f"{key_id(key)}.pem", to_pem(key).encode("ascii"))
        except OSError as error:
            message = f"the public keys cannot be written to {folder}: {error.strerror}"
            raise LogWriteError(message) from error


def _encodable(value: Any) -> Any:
    """The value with lone surrogates, which names that are no UTF-8 carry, as backslash escapes, so that any message can be recorded."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(name): _encodable(member) for name, member in value.items()}
    return [_encodable(member) for member in value] if isinstance(value, list) else value


def _filled(context: Context, identity: SigningIdentity, roster: Roster) -> Context:
    """The context with an actor that the roster bears out.

    Raises:
        IdentityError: the actor named is another person or agency than the key's.
    """
    signer, actor = roster.signers[identity.keyid], context.actor
    filled = Actor(
        id=actor.id or identity.keyid[:16],
        name=nfc(actor.name or signer.name),
        role=nfc(actor.role or signer.role),
        agency=nfc(actor.agency or signer.agency),
    )
    if not roster.demonstration:
        if filled.agency != nfc(signer.agency):
            message = f"the key belongs to {signer.agency}, not to {filled.agency}"
            raise IdentityError(message)
        # A workstation's key signs for whoever sits at it; a person's key for that person only.
        if signer.role != PROCESSOR_ROLE and (filled.name, filled.role) != (nfc(signer.name), nfc(signer.role)):
            message = f"the key belongs to {signer.name} ({signer.role}), not to {filled.name} ({filled.role})"
            raise IdentityError(message)
    return Context(actor=filled, tool=context.tool, case=context.case, basis=context.basis, location=context.location, host=context.host)
