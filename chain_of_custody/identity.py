"""Identity folders: who signs, with which key, under which roster.

A folder that an agency makes once:
    root/root.key.pem     private root key; signs rosters only: move it to an offline medium
    root/root.pub.pem     public root key: what a verifier gets by another way than the case
    <person>.key.pem      a person's private key, e.g. examiner.key.pem
    processor.key.pem     the workstation's private key (process.*, evidence.verify, checkpoint.anchor, log.recovered)
    log.key.pem           signs checkpoints; under the same passphrase as the keys beside it
    roster.dsse.json      who may sign what, signed by the root
A signer is named by its private key file; roster and log key are found beside it.

A first run without any key makes a demonstration identity in the user's state folder. It is marked in its roster and identifies nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from filelock import FileLock

from chain_of_custody.checkpoint import to_vkey
from chain_of_custody.encoding import to_canonical
from chain_of_custody.envelope import ROSTER_TYPE, Signature, pre_authentication_encoding, to_line
from chain_of_custody.errors import FormatError, IdentityError, KeyFileError
from chain_of_custody.events import EXAMINER_MAY, PROCESSOR_MAY
from chain_of_custody.key_files import read_private_key, write_private_key
from chain_of_custody.keys import PrivateKey, PublicKey, key_id, sign, to_pem
from chain_of_custody.regular_file import replace_file, write_once
from chain_of_custody.roster import FILE_NAME, PROCESSOR_ROLE, Roster, Signer, parse_roster
from chain_of_custody.statement import NO_PREVIOUS, nfc, to_utc

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

LOG_KEY = "log.key.pem"
_ORIGIN_NAME = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*", re.ASCII)
_FILE_WORD = re.compile(r"[^a-z0-9]+", re.ASCII)
_DEMONSTRATION = "Demonstration"
_DEMONSTRATION_DAYS = 3650
DEFAULT_DAYS = 730


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody to enrol.

    Attributes:
        name: as it stands on reports.
        role: "examiner", "case-officer", …; PROCESSOR_ROLE for a workstation.
        p256: whether the key is ECDSA on P-256 instead of Ed25519.
    """

    name: str
    role: str
    p256: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningIdentity:
    """What signs: a private key, its entry in the roster, and the log key. Lives in the custody process only."""

    key: PrivateKey
    log_key: Ed25519PrivateKey
    keyid: str
    roster: Roster
    roster_bytes: bytes

    @property
    def signer(self) -> Signer:
        """The key's entry in the roster."""
        return self.roster.signers[self.keyid]

    @property
    def origin_name(self) -> str:
        """The name under which the log key is enrolled: the first part of every log's origin."""
        wanted = self.log_key.public_key()
        for name, key in self.roster.log_keys:
            if key == wanted:
                return name
        message = "the log key beside the signing key is not in the roster"
        raise IdentityError(message)


def create_identity(
    folder: Path,
    *,
    agency: str,
    origin_name: str,
    people: Sequence[Person],
    passphrase: bytes | None,
    root_passphrase: bytes | None,
    now: datetime,
    days: int = DEFAULT_DAYS,
    demonstration: bool = False,
) -> Roster:
    """Makes an identity folder and returns its roster; the private key of each person is `<role or name>.key.pem`.

    Args:
        folder: made if it is not there; must not hold an identity yet.
        agency: as it stands on reports.
        origin_name: a name of the agency's own, e.g. its domain; logs are named below it.
        people: who may sign. A person's file is named after the role, or role and name where two share it.
        passphrase: for the people's keys and the log key; None leaves them unencrypted (demonstration, or a protected machine).
        root_passphrase: for the root key.
        now: the roster is valid from then on.
        days: for so long.
        demonstration: marks the roster as one that identifies nobody.

    Raises:
        KeyFileError: there is an identity already, or the folder cannot be written.
        IdentityError: the names do not do.
    """
    if not _ORIGIN_NAME.fullmatch(origin_name):
        message = f"the name {origin_name!r} for the agency's logs is not letters, digits and . _ ~ - with / between"
        raise IdentityError(message)
    files = _file_names(people)
    until = now + timedelta(days=days)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = _make_root(folder / "root", root_passphrase)
        log_key = Ed25519PrivateKey.generate()
        write_private_key(folder / LOG_KEY, log_key, passphrase)
        signers = []
        for person, name in zip(people, files, strict=True):
            key: PrivateKey = ec.generate_private_key(ec.SECP256R1()) if person.p256 else Ed25519PrivateKey.generate()
            write_private_key(folder / name, key, passphrase)
            signers.append(_signer_members(person, nfc(agency), key.public_key(), to_utc(now), to_utc(until)))
        policy = {"roots": [{"keyid": key_id(root.public_key()), "pem": to_pem(root.public_key())}]}
        value: dict[str, object] = {
            "version": 1,
            "issued": to_utc(now),
            "expires": to_utc(until),
            "prev": NO_PREVIOUS,
            "agency": nfc(agency),
            "signers": signers,
            "logs": [{"origin-name": origin_name, "vkey": to_vkey(origin_name, log_key.public_key())}],
            "witnesses": [],
            "tsas": [],
            "policy": {**policy, "demonstration": True} if demonstration else policy,
        }
        data = sign_roster(value, (root,))
        write_once(folder / FILE_NAME, data)
    except OSError as error:
        message = f"the identity folder {folder} cannot be written: {error.strerror}"
        raise KeyFileError(message) from error
    return parse_roster(data)


def sign_roster(value: dict[str, object], roots: Sequence[PrivateKey]) -> bytes:
    """The bytes of a roster file, signed by the root keys."""
    body = to_canonical(value)
    signed = pre_authentication_encoding(ROSTER_TYPE, body)
    signatures = [Signature(keyid=key_id(root.public_key()), sig=sign(root, signed)) for root in roots]
    return to_line(ROSTER_TYPE, body, signatures) + b"\n"


def load_identity(key: Path, passphrase: bytes | None) -> SigningIdentity:
    """The identity of a private key file, with the roster and the log key beside it.

    Raises:
        PassphraseError: the passphrase is missing or wrong.
        KeyFileError: a file is missing or no key.
        IdentityError: the key is not in the roster.
    """
    private = read_private_key(key, passphrase)
    log_key = read_private_key(key.parent / LOG_KEY, passphrase)
    if not isinstance(log_key, Ed25519PrivateKey):
        message = f"the log key {key.parent / LOG_KEY} is not Ed25519"
        raise KeyFileError(message)
    roster, data = read_roster(key.parent / FILE_NAME)
    keyid = key_id(private.public_key())
    if keyid not in roster.signers:
        message = f"the key {key} is not in the roster {key.parent / FILE_NAME}: ask the agency to enrol it"
        raise IdentityError(message)
    return SigningIdentity(key=private, log_key=log_key, keyid=keyid, roster=roster, roster_bytes=data)


def read_roster(path: Path) -> tuple[Roster, bytes]:
    """A roster file and its bytes.

    Raises:
        KeyFileError: it is missing or no whole roster.
    """
    try:
        data = path.read_bytes()
        return parse_roster(data), data
    except OSError as error:
        message = f"the roster {path} cannot be read: {error.strerror}"
        raise KeyFileError(message) from error
    except FormatError as error:
        message = f"the roster {path} does not hold: {error}"
        raise KeyFileError(message) from error


def demonstration_identity(state: Path, now: datetime) -> SigningIdentity:
    """The demonstration identity of this user, made at the first call.

    Raises:
        KeyFileError: the state folder cannot be written.
    """
    folder = state / "demonstration"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(folder / ".lock", fallback_to_soft=False):
            if not (folder / FILE_NAME).exists():
                # A crash may have left keys without a roster; they have signed nothing.
                for left in (*folder.glob("*.pem"), *folder.glob("root/*.pem")):
                    left.unlink()
                create_identity(
                    folder,
                    agency=_DEMONSTRATION,
                    origin_name="demonstration.invalid",
                    people=(Person(name=_DEMONSTRATION, role="examiner"),),
                    passphrase=None,
                    root_passphrase=None,
                    now=now - timedelta(days=1),
                    days=_DEMONSTRATION_DAYS,
                    demonstration=True,
                )
    except OSError as error:
        message = f"the state folder {state} cannot be written: {error.strerror}; set EVIDEX_STATE_DIR to a folder that can"
        raise KeyFileError(message) from error
    return load_identity(folder / "examiner.key.pem", None)


def export_public_key(key: Path, passphrase: bytes | None, target: Path) -> str:
    """The keyid of a private key whose public half was written to `target` as PEM."""
    public = read_private_key(key, passphrase).public_key()
    replace_file(target, to_pem(public).encode("ascii"), mode=0o644)
    return key_id(public)


def state_folder(environment: dict[str, str] | os._Environ[str]) -> Path:
    """The user's state folder for Evidex: EVIDEX_STATE_DIR, or where the platform keeps such things."""
    if configured := environment.get("EVIDEX_STATE_DIR"):
        return Path(configured)
    # Imported here: the custody process is told its folder and starts faster without it.
    from platformdirs import user_state_path

    return user_state_path("evidex")


def _make_root(folder: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    folder.mkdir(mode=0o700, exist_ok=True)
    root = Ed25519PrivateKey.generate()
    write_private_key(folder / "root.key.pem", root, passphrase)
    (folder / "root.pub.pem").write_text(to_pem(root.public_key()), encoding="ascii")
    return root


def _file_names(people: Sequence[Person]) -> tuple[str, ...]:
    roles = [person.role for person in people]
    words = [person.role if roles.count(person.role) == 1 else f"{person.role}-{person.name}" for person in people]
    names = tuple(_FILE_WORD.sub("-", word.lower()).strip("-") + ".key.pem" for word in words)
    if len(set(names)) != len(names) or LOG_KEY in names or ".key.pem" in names:
        message = "two people to enrol have the same role and name, or a role that gives no file name"
        raise IdentityError(message)
    return names


def _signer_members(person: Person, agency: str, key: PublicKey, valid_from: str, valid_until: str) -> dict[str, object]:
    return {
        "keyid": key_id(key),
        "pem": to_pem(key),
        "name": nfc(person.name),
        "role": person.role,
        "agency": agency,
        "may": list(PROCESSOR_MAY if person.role == PROCESSOR_ROLE else EXAMINER_MAY),
        "valid_from": valid_from,
        "valid_until": valid_until,
    }
