"""Small cases with a real log, and the means of an attacker: whoever has the keys can sign what they like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chain_of_custody.checkpoint import Head, file_name, to_note
from chain_of_custody.encoding import parse_base64, sha256_hex, to_canonical
from chain_of_custody.envelope import STATEMENT_TYPE, Signature, leaf_hash, pre_authentication_encoding, to_line
from chain_of_custody.events import Event, Relation
from chain_of_custody.identity import Person, SigningIdentity, create_identity, load_identity, sign_roster
from chain_of_custody.key_files import read_private_key
from chain_of_custody.keys import PrivateKey, key_id, sign
from chain_of_custody.manifest import write_manifest
from chain_of_custody.merkle import tree_root
from chain_of_custody.recorder import Context, Recorded, Recorder
from chain_of_custody.statement import Actor, Ref, Subject, Tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

BEGIN = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
LATER = BEGIN + timedelta(hours=1)
AGENCY = "Example Police"
RUN = "001-KH-1"
IMAGE_SHA256 = "11" * 32
START_DETAILS = {
    "run": RUN,
    "profile": "standard",
    "tool": "evidex",
    "version": "0.1.0",
    "config_sha256": "22" * 32,
    "rules_sha256": "33" * 32,
    "hashsets_sha256": "44" * 32,
    "lock_sha256": "55" * 32,
}
END_DETAILS = {"run": RUN, "tables": {"entries": 2, "hits": 1}, "problems": 0, "planned": 3, "written": 3}
TOOL = Tool(name="evidex", version="0.1.0", commit="abc")


class Clock:
    """A clock that moves a second at every look, or wherever a test sets it."""

    def __init__(self, now: datetime = BEGIN) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass(frozen=True)
class Agency:
    """An identity folder and what is in it."""

    folder: Path
    fingerprint: str

    def identity(self, role: str) -> SigningIdentity:
        return load_identity(self.folder / f"{role}.key.pem", None)

    def root(self) -> PrivateKey:
        return read_private_key(self.folder / "root" / "root.key.pem", None)


@dataclass(frozen=True)
class Finished:
    """A finished case, the state folder of who wrote it, and its head as printed."""

    case: Path
    state: Path
    head: str
    agency: Agency


def make_agency(folder: Path) -> Agency:
    people = (
        Person(name="Kim Hansen", role="examiner"),
        Person(name="Olu Berg", role="case-officer", p256=True),
        Person(name="ws-17", role="processor"),
    )
    roster = create_identity(
        folder,
        agency=AGENCY,
        origin_name="police.example",
        people=people,
        passphrase=None,
        root_passphrase=None,
        now=BEGIN - timedelta(days=1),
    )
    return Agency(folder=folder, fingerprint=roster.fingerprint)


def open_recorder(case: Path, state: Path, identity: SigningIdentity, clock: Clock, *, lock_seconds: float = 30.0) -> Recorder:
    context = Context(actor=Actor(), tool=TOOL, case="2026-0142", host="ws-17")
    return Recorder(case=case, state=state, identity=identity, context=context, clock=clock, lock_seconds=lock_seconds)


def write_results(case: Path, run: str = RUN) -> None:
    tables = case / "runs" / run / "tables"
    for name in ("entries", "hits"):
        (tables / name).mkdir(parents=True)
        (tables / name / "part-000.parquet").write_bytes(f"rows of {name}".encode())
    (case / "runs" / run / "run.json").write_bytes(b"{}\n")


def record_run(case: Path, recorder: Recorder, run: str = RUN) -> None:
    """process.start, results, manifest, process.end: three files in the run's folder."""
    exhibit = Subject(name="KH-1", sha256=IMAGE_SHA256, md5="66" * 16)
    start = recorder.record(Recorded(event=Event.PROCESS_START, subjects=(exhibit,), details={**START_DETAILS, "run": run}))
    write_results(case, run)
    recorder.record(
        Recorded(
            event=Event.PROCESS_END,
            subjects=(write_manifest(case, run),),
            details={**END_DETAILS, "run": run},
            refs=(Ref(rel=Relation.ANSWERS, entry=start.leaf),),
        )
    )


def make_case(case: Path, state: Path, agency: Agency) -> str:
    """A case of seven entries, with checkpoints over 1, 4 and 7; returns its head's text.

    0 log.init, 1 evidence.receive, 2 process.start, 3 process.end, 4 note.add (ECDSA), 5 note.add, 6 evidence.verify.
    """
    clock = Clock()
    recorder = open_recorder(case, state, agency.identity("examiner"), clock)
    exhibit = Subject(name="KH-1", sha256=IMAGE_SHA256, md5="66" * 16)
    moved = {"from": "A", "to": "B", "location": "vault", "condition": "sealed"}
    recorder.record(Recorded(event=Event.EVIDENCE_RECEIVE, subjects=(exhibit,), details=moved, purpose="Förvaring"))
    record_run(case, recorder)
    officer = open_recorder(case, state, agency.identity("case-officer"), clock)
    officer.record(Recorded(event=Event.NOTE_ADD, details={"text": "seen"}))
    recorder.record(Recorded(event=Event.NOTE_ADD, details={"text": "kept"}))
    recorder.record(Recorded(event=Event.EVIDENCE_VERIFY, subjects=(exhibit,), details={"match": True}))
    return recorder.checkpoint().text


def log_path(case: Path) -> Path:
    return case / "custody" / "custody.intoto.jsonl"


def read_lines(case: Path) -> list[bytes]:
    return log_path(case).read_bytes().split(b"\n")[:-1]


def write_lines(case: Path, lines: list[bytes]) -> None:
    log_path(case).write_bytes(b"".join(line + b"\n" for line in lines))


def body_of(line: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(parse_base64(json.loads(line)["payload"]))
    return value


def signed_line(body: dict[str, Any] | bytes, key: PrivateKey, keyid: str | None = None, payload_type: str = STATEMENT_TYPE) -> bytes:
    data = body if isinstance(body, bytes) else to_canonical(body)
    signature = Signature(keyid=keyid or key_id(key.public_key()), sig=sign(key, pre_authentication_encoding(payload_type, data)))
    return to_line(payload_type, data, [signature])


def rechained(lines: list[bytes], keys: dict[str, PrivateKey], start: int, named_as: list[bytes] | None = None) -> list[bytes]:
    """The lines with position, chain and references made right from `start` on, signed again by the same signers.

    An insider with all keys can do this. `named_as` are the lines by whose hashes references name them, if other than `lines`.
    """
    done = lines[:start]
    moved: dict[str, str] = {}
    for line, name in zip(lines[start:], (named_as or lines)[start:], strict=True):
        body = body_of(line)
        body["predicate"]["log"]["seq"] = len(done)
        body["predicate"]["log"]["prev"] = leaf_hash(done[-1]).hex() if done else "0" * 64
        for ref in body["predicate"]["refs"]:
            ref["entry"] = moved.get(ref["entry"], ref["entry"])
        done.append(signed_line(body, keys[signer_of(line)]))
        moved[leaf_hash(name).hex()] = leaf_hash(done[-1]).hex()
    return done


def signer_of(line: bytes) -> str:
    keyid: str = json.loads(line)["signatures"][0]["keyid"]
    return keyid


def edit_and_resign(case: Path, agency: Agency, entry: int, edit: Callable[[dict[str, Any]], None]) -> None:
    """An insider edits one entry, signs everything from there on again, and makes the checkpoints fit."""
    lines = read_lines(case)
    body = body_of(lines[entry])
    edit(body)
    keys = signing_keys(agency)
    edited = [*lines[:entry], signed_line(body, keys[signer_of(lines[entry])]), *lines[entry + 1 :]]
    write_lines(case, rechained(edited, keys, entry, named_as=lines))
    remake_checkpoints(case, agency.identity("examiner").log_key)


def signing_keys(agency: Agency) -> dict[str, PrivateKey]:
    identities = [agency.identity(role) for role in ("examiner", "case-officer", "processor")]
    return {identity.keyid: identity.key for identity in identities}


def remake_checkpoints(case: Path, log_key: Ed25519PrivateKey) -> None:
    folder, lines = case / "custody" / "checkpoints", read_lines(case)
    origin = body_of(lines[0])["predicate"]["log"]["origin"]
    for note in folder.glob("*.note"):
        size = min(int(note.stem), len(lines))
        note.unlink()
        root = tree_root(leaf_hash(line) for line in lines[:size])
        (folder / file_name(size)).write_bytes(to_note(Head(origin=origin, size=size, root=root), log_key))


def roster_value(case: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(parse_base64(json.loads((case / "custody" / "roster.dsse.json").read_bytes())["payload"]))
    return value


def replace_roster(case: Path, agency: Agency, value: dict[str, Any], roots: list[PrivateKey]) -> None:
    """Another roster, with a log.init that names it and everything signed again: the roster was so from the beginning."""
    data = sign_roster(value, roots)
    (case / "custody" / "roster.dsse.json").write_bytes(data)
    digest = sha256_hex(data)
    edit_and_resign(case, agency, 0, lambda body: body["subject"][0]["digest"].update(sha256=digest))
