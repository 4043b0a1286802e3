"""The body of an entry: an in-toto Statement with one custody event, built and checked member by member.

Every member set is exact: a member more or less is a failure (E_MEMBERS), so that nothing can be said beside the signature's meaning.
What an operator types (actor, location, authority, purpose) is Unicode NFC (E_NFC); names from evidence stay as they are, and where they
are not UTF-8 they are base64 under `name_b64`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chain_of_custody.encoding import is_hex, parse_base64, parse_canonical, to_base64, to_canonical
from chain_of_custody.errors import FormatError
from chain_of_custody.events import REQUIREMENTS, Event, Relation, Sync

PREDICATE_TYPE = "urn:evidex:custody-event:v1"
IN_TOTO_TYPE = "https://in-toto.io/Statement/v1"
NO_PREVIOUS = "0" * 64
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_TZ = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d", re.ASCII)
_DIGEST_DIGITS = {"sha256": 64, "sha1": 40, "md5": 32}
_BODY = {"_type", "predicateType", "subject", "predicate"}
_PREDICATE = {"log", "event", "time", "actor", "location", "authority", "purpose", "tool", "details", "refs"}
_STRINGS = {
    "actor": ("id", "name", "role", "agency"),
    "location": ("name", "host"),
    "authority": ("case", "basis"),
    "tool": ("name", "version", "commit"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something an entry speaks of, by its digests.

    Attributes:
        name: as the evidence or the examiner names it; bytes that are no UTF-8 come as surrogates (`os.fsdecode`).
        sha256: 64 hex digits.
        md5, sha1: hex digits, or None.
    """

    name: str
    sha256: str
    md5: str | None = None
    sha1: str | None = None

    @property
    def digests(self) -> dict[str, str]:
        """The digests present, by algorithm."""
        return {name: value for name, value in (("md5", self.md5), ("sha1", self.sha1), ("sha256", self.sha256)) if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A reference to another entry by its leaf hash, 64 hex digits."""

    rel: Relation
    entry: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it, as the entry states it. Empty members are filled from the roster by the writer."""

    id: str = ""
    name: str = ""
    role: str = ""
    agency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """The program that made the entry."""

    name: str
    version: str
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One custody event at its place in the log.

    Attributes:
        origin: the log's name. prev: leaf hash of the line before, or 64 zeros. seq: position from 0.
        utc: `YYYY-MM-DDTHH:MM:SS.ffffffZ`. tz: the workstation's offset, e.g. "+01:00".
        basis: the legal basis, e.g. a court order's number.
    """

    origin: str
    prev: str
    seq: int
    event: Event
    utc: str
    tz: str = "+00:00"
    sync: Sync = Sync.UNKNOWN
    actor: Actor
    tool: Tool
    location: str = ""
    host: str = ""
    case: str = ""
    basis: str = ""
    purpose: str = ""
    subjects: tuple[Subject, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    refs: tuple[Ref, ...] = ()


def to_body(statement: Statement) -> bytes:
    """The canonical bytes of a statement, checked as the verifier checks them.

    Raises:
        FormatError: the statement breaks the format.
    """
    predicate = {
        "log": {"origin": statement.origin, "prev": statement.prev, "seq": statement.seq},
        "event": str(statement.event),
        "time": {"utc": statement.utc, "tz": statement.tz, "sync": str(statement.sync)},
        "actor": {name: nfc(getattr(statement.actor, name)) for name in _STRINGS["actor"]},
        "location": {"name": nfc(statement.location), "host": nfc(statement.host)},
        "authority": {"case": nfc(statement.case), "basis": nfc(statement.basis)},
        "purpose": nfc(statement.purpose),
        "tool": {name: nfc(getattr(statement.tool, name)) for name in _STRINGS["tool"]},
        "details": statement.details,
        "refs": [{"rel": str(ref.rel), "entry": ref.entry} for ref in statement.refs],
    }
    subjects = [_subject_members(subject) for subject in statement.subjects]
    body = to_canonical({"_type": IN_TOTO_TYPE, "predicateType": PREDICATE_TYPE, "subject": subjects, "predicate": predicate})
    parse_body(body)
    return body


def parse_body(body: bytes) -> Statement:
    """The statement of a body.

    Raises:
        FormatError: E_MEMBERS, E_TYPE, E_EVENT, E_DIGEST, E_TIME, E_NFC, E_REF, E_SUBJECT or a code of `encoding`.
    """
    value = parse_canonical(body)
    _exact(value, _BODY, "the statement")
    if value["_type"] != IN_TOTO_TYPE or value["predicateType"] != PREDICATE_TYPE:
        raise FormatError(code="E_TYPE", why="not an in-toto statement with a custody event")
    predicate = value["predicate"]
    _exact(predicate, _PREDICATE, "the predicate")
    for name, members in _STRINGS.items():
        _exact(predicate[name], set(members), name)
        _check_typed(tuple(predicate[name].values()), name)
    _check_typed((predicate["purpose"],), "purpose")
    if not isinstance(predicate["details"], dict):
        raise FormatError(code="E_MEMBERS", why="details is no object")
    event = _parse_event(predicate["event"])
    subjects = tuple(_parse_subject(item) for item in _items(value["subject"], "subject"))
    refs = tuple(_parse_ref(item) for item in _items(predicate["refs"], "refs"))
    _check_requirement(event, subjects, refs)
    return Statement(
        **_parse_log(predicate["log"]),
        **_parse_time(predicate["time"]),
        event=event,
        actor=Actor(**predicate["actor"]),
        tool=Tool(**predicate["tool"]),
        location=predicate["location"]["name"],
        host=predicate["location"]["host"],
        case=predicate["authority"]["case"],
        basis=predicate["authority"]["basis"],
        purpose=predicate["purpose"],
        subjects=subjects,
        details=predicate["details"],
        refs=refs,
    )


def to_utc(moment: datetime) -> str:
    """A moment as entries write it: UTC with six digits of a second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_utc(value: object) -> bool:
    """Whether a value is a valid time as entries write it. Such texts sort as the times do."""
    if not isinstance(value, str) or not _UTC.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def nfc(text: str) -> str:
    """The text in Unicode normal form C, as everything that an operator types is recorded."""
    return unicodedata.normalize("NFC", text)


def _exact(value: object, members: set[str], what: str) -> None:
    if not isinstance(value, dict) or set(value) != members:
        raise FormatError(code="E_MEMBERS", why=f"{what} has not exactly the members {', '.join(sorted(members))}")


def _items(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError(code="E_MEMBERS", why=f"{what} is no list")
    return value


def _check_typed(values: tuple[object, ...], what: str) -> None:
    for value in values:
        if not isinstance(value, str):
            raise FormatError(code="E_MEMBERS", why=f"{what} has a member that is no string")
        if not unicodedata.is_normalized("NFC", value):
            raise FormatError(code="E_NFC", why=f"{what} is not in Unicode normal form C")


def _parse_event(value: object) -> Event:
    try:
        return Event(value)  # type: ignore[arg-type]  # a value of another type is refused by the enumeration itself
    except ValueError as error:
        raise FormatError(code="E_EVENT", why=f"the event {str(value)[:60]!r} is not in the closed set") from error


def _parse_log(value: object) -> dict[str, Any]:
    _exact(value, {"origin", "prev", "seq"}, "log")
    assert isinstance(value, dict)
    origin, prev, seq = value["origin"], value["prev"], value["seq"]
    if not isinstance(origin, str) or not origin or not is_hex(prev) or type(seq) is not int or seq < 0:
        raise FormatError(code="E_MEMBERS", why="log has an origin that is no name, a prev that is no hash, or a seq that is no position")
    return {"origin": origin, "prev": prev, "seq": seq}


def _parse_time(value: object) -> dict[str, Any]:
    _exact(value, {"utc", "tz", "sync"}, "time")
    assert isinstance(value, dict)
    if not is_utc(value["utc"]) or not isinstance(value["tz"], str) or not _TZ.fullmatch(value["tz"]) or value["sync"] not in list(Sync):
        raise FormatError(code="E_TIME", why="time is not UTC with six digits of a second, an offset, and how the clock was kept")
    return {"utc": value["utc"], "tz": value["tz"], "sync": Sync(value["sync"])}


def _subject_members(subject: Subject) -> dict[str, Any]:
    try:
        subject.name.encode("utf-8")
    except UnicodeEncodeError:
        return {"name_b64": to_base64(os.fsencode(subject.name)), "digest": subject.digests}
    return {"name": subject.name, "digest": subject.digests}


def _parse_subject(value: object) -> Subject:
    if not isinstance(value, dict) or set(value) not in ({"name", "digest"}, {"name_b64", "digest"}):
        raise FormatError(code="E_MEMBERS", why="a subject has not exactly the members name (or name_b64) and digest")
    name = value.get("name", value.get("name_b64"))
    if not isinstance(name, str) or not name:
        raise FormatError(code="E_MEMBERS", why="a subject's name is no text")
    digest = value["digest"]
    if not isinstance(digest, dict) or "sha256" not in digest or not set(digest) <= set(_DIGEST_DIGITS):
        raise FormatError(code="E_DIGEST", why="a subject has no sha256, or a digest of another kind than sha256, sha1 and md5")
    if not all(is_hex(text, _DIGEST_DIGITS[kind]) for kind, text in digest.items()):
        raise FormatError(code="E_DIGEST", why="a digest is not lower-case hex of its length")
    if "name_b64" in value:
        name = os.fsdecode(parse_base64(name))
    return Subject(name=name, sha256=digest["sha256"], md5=digest.get("md5"), sha1=digest.get("sha1"))


def _parse_ref(value: object) -> Ref:
    _exact(value, {"rel", "entry"}, "a reference")
    assert isinstance(value, dict)
    if value["rel"] not in list(Relation) or not is_hex(value["entry"]):
        raise FormatError(code="E_REF", why="a reference is of no known kind or names no entry")
    return Ref(rel=Relation(value["rel"]), entry=value["entry"])


def _check_requirement(event: Event, subjects: tuple[Subject, ...], refs: tuple[Ref, ...]) -> None:
    requirement = REQUIREMENTS[event]
    if requirement.subject and not subjects:
        raise FormatError(code="E_SUBJECT", why=f"{event} without a subject")
    if requirement.relation and requirement.relation not in {ref.rel for ref in refs}:
        raise FormatError(code="E_REF", why=f"{event} without a reference {requirement.relation}")
