"""The roster: which keys may sign what, signed by the agency's root keys.

A DSSE line (canonical, one LF at its end) of type application/vnd.evidex.roster+json. `policy.roots` holds the root public keys, and
every one of them must have signed. That makes a roster whole, not trusted: trust is a fingerprint that reaches the verifier from outside
the case.

The root fingerprint: of one root key, its keyid (SHA-256 of its SPKI DER, hex); of several, the SHA-256 over their keyids, sorted, each
followed by LF.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chain_of_custody.checkpoint import parse_vkey, parse_witness
from chain_of_custody.encoding import is_hex, parse_canonical, sha256_hex
from chain_of_custody.envelope import ROSTER_TYPE, Envelope, parse_line
from chain_of_custody.errors import FormatError, IdentityError, KeyFileError
from chain_of_custody.events import GROUPS, Event, may_sign
from chain_of_custody.keys import PublicKey, is_signed, key_id, parse_public_key
from chain_of_custody.statement import is_utc

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILE_NAME = "roster.dsse.json"
MAX_ROSTER_BYTES = 1 << 20
PROCESSOR_ROLE = "processor"
_MEMBERS = {"version", "issued", "expires", "prev", "agency", "signers", "logs", "witnesses", "tsas", "policy"}
_SIGNER = {"keyid", "pem", "name", "role", "agency", "may", "valid_from", "valid_until"}
_SIGNER_OPTIONAL = {"revoked_at", "reason"}
_TSA = {"name", "root_pem", "tsa_pem", "policy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tsa:
    """A time stamping authority (RFC 3161) that the agency takes time stamps from.

    Attributes:
        name: as the agency calls it.
        root_pem: the certificate of the root that its own is issued under, PEM.
        tsa_pem: the certificate that signs time stamps, PEM.
        policy: the policy that a time stamp must state, a dotted OID; "" for any.
    """

    name: str
    root_pem: str
    tsa_pem: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """One enrolled key and what it may sign.

    Attributes:
        keyid: SHA-256 of the key's SPKI DER, hex.
        may: event names, or groups with their dot, e.g. "process.".
        valid_from, valid_until, revoked_at: UTC as entries write it; revoked_at is None for a key in good standing.
    """

    keyid: str
    key: PublicKey
    name: str
    role: str
    agency: str
    may: tuple[str, ...]
    valid_from: str
    valid_until: str
    revoked_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """A roster whose signatures by all of its own root keys hold.

    Attributes:
        digest: SHA-256 of the file's bytes, hex: what log.init names.
        roots: the root keys by keyid.
        fingerprint: of them, as defined above.
        log_keys: (origin name, key): the key signs checkpoints of the log of that name and of those below it, "name/…".
        witnesses: (name, key) of those whose cosignatures count.
        tsas: whose time stamps count.
        demonstration: made by a first run without a key; it identifies nobody.
        envelope: what was signed, and by which keys: the roots before it sign a later version too.
    """

    version: int
    issued: str
    expires: str
    prev: str
    agency: str
    signers: dict[str, Signer]
    log_keys: tuple[tuple[str, Ed25519PublicKey], ...]
    witnesses: tuple[tuple[str, Ed25519PublicKey], ...]
    tsas: tuple[Tsa, ...]
    demonstration: bool
    roots: dict[str, PublicKey]
    fingerprint: str
    digest: str
    envelope: Envelope

    def keys_for_log(self, origin: str) -> tuple[Ed25519PublicKey, ...]:
        """The keys that may sign checkpoints of a log."""
        return tuple(key for name, key in self.log_keys if origin == name or origin.startswith(name + "/"))

    def check_may_sign(self, keyid: str, event: str, utc: str) -> Signer:
        """The signer, if the roster lets this key sign this event at this time.

        Raises:
            IdentityError: it does not; the message says why.
        """
        signer = self.signers.get(keyid)
        if signer is None:
            message = "the key is not in the roster"
        elif not may_sign(signer.may, event):
            message = f"{signer.name} ({signer.role}) may not sign {event}"
        elif not self.issued <= utc <= self.expires:
            message = f"the roster is valid from {self.issued} to {self.expires}; it is {utc}: get a new one from the agency"
        elif not signer.valid_from <= utc <= signer.valid_until:
            message = f"the key of {signer.name} is valid from {signer.valid_from} to {signer.valid_until}; it is {utc}"
        elif signer.revoked_at is not None:
            message = f"the key of {signer.name} was revoked at {signer.revoked_at}"
        else:
            return signer
        raise IdentityError(message)


def root_fingerprint(keyids: tuple[str, ...]) -> str:
    """The fingerprint of a set of root keys, by their keyids."""
    if len(keyids) == 1:
        return keyids[0]
    return sha256_hex("".join(f"{keyid}\n" for keyid in sorted(keyids)).encode("ascii"))


def parse_roster(data: bytes) -> Roster:
    """The roster in a file's bytes.

    Raises:
        FormatError: E_ROSTER, or a code of `encoding` or `envelope`: not a roster, or a signature does not hold.
    """
    if not data.endswith(b"\n") or data.count(b"\n") != 1:
        raise FormatError(code="E_ROSTER", why="the roster is not one line")
    envelope = parse_line(data[:-1], ROSTER_TYPE)
    value = parse_canonical(envelope.body)
    if not isinstance(value, dict) or set(value) != _MEMBERS:
        raise FormatError(code="E_ROSTER", why=f"the roster has not exactly the members {', '.join(sorted(_MEMBERS))}")
    _check_head(value)
    signers = tuple(_parse_signer(item) for item in value["signers"])
    if len({signer.keyid for signer in signers}) != len(signers):
        raise FormatError(code="E_ROSTER", why="the roster lists a key twice")
    roots = _parse_roots(value["policy"])
    _check_signatures(envelope, roots, value["version"])
    return Roster(
        version=value["version"],
        issued=value["issued"],
        expires=value["expires"],
        prev=value["prev"],
        agency=value["agency"],
        signers={signer.keyid: signer for signer in signers},
        log_keys=tuple(_parse_log(item) for item in value["logs"]),
        witnesses=tuple(_parse_witness(item) for item in value["witnesses"]),
        tsas=tuple(_parse_tsa(item) for item in value["tsas"]),
        demonstration=value["policy"].get("demonstration", False) is not False,
        roots=roots,
        fingerprint=root_fingerprint(tuple(roots)),
        digest=sha256_hex(data),
        envelope=envelope,
    )


def _check_head(value: dict[str, Any]) -> None:
    lists = all(isinstance(value[name], list) for name in ("signers", "logs", "witnesses", "tsas"))
    numbered = type(value["version"]) is int and value["version"] >= 1
    dated = is_utc(value["issued"]) and is_utc(value["expires"])
    if not (
        lists and numbered and dated and is_hex(value["prev"]) and isinstance(value["agency"], str) and isinstance(value["policy"], dict)
    ):
        raise FormatError(code="E_ROSTER", why="a member of the roster is not of its kind")


def _parse_signer(item: object) -> Signer:
    if not isinstance(item, dict) or not set(item) >= _SIGNER or not set(item) <= _SIGNER | _SIGNER_OPTIONAL:
        raise FormatError(code="E_ROSTER", why=f"a signer has not the members {', '.join(sorted(_SIGNER))}")
    texts = all(isinstance(item[name], str) for name in ("name", "role", "agency", "pem"))
    dated = is_utc(item["valid_from"]) and is_utc(item["valid_until"]) and ("revoked_at" not in item or is_utc(item["revoked_at"]))
    if not texts or not dated or not isinstance(item["may"], list):
        raise FormatError(code="E_ROSTER", why="a member of a signer is not of its kind")
    if not all(isinstance(grant, str) and (grant in GROUPS or grant in list(Event)) for grant in item["may"]):
        raise FormatError(code="E_ROSTER", why="a signer may sign something that is no event and no group of events")
    return Signer(
        keyid=item["keyid"],
        key=_parse_key(item["keyid"], item["pem"]),
        name=item["name"],
        role=item["role"],
        agency=item["agency"],
        may=tuple(item["may"]),
        valid_from=item["valid_from"],
        valid_until=item["valid_until"],
        revoked_at=item.get("revoked_at"),
    )


def _parse_key(keyid: object, pem: object) -> PublicKey:
    try:
        key = parse_public_key(str(pem))
    except (KeyFileError, UnicodeEncodeError) as error:
        raise FormatError(code="E_ROSTER", why=f"a key of the roster cannot be read: {error}") from error
    if key_id(key) != keyid:
        raise FormatError(code="E_ROSTER", why="a keyid of the roster is not its key's")
    return key


def _parse_roots(policy: dict[str, Any]) -> dict[str, PublicKey]:
    roots = policy.get("roots")
    if not isinstance(roots, list) or not roots or not all(isinstance(item, dict) and set(item) == {"keyid", "pem"} for item in roots):
        raise FormatError(code="E_ROSTER", why="policy.roots does not list the root keys by keyid and pem")
    return {item["keyid"]: _parse_key(item["keyid"], item["pem"]) for item in roots}


def _check_signatures(envelope: Envelope, roots: dict[str, PublicKey], version: int) -> None:
    signed = {signature.keyid: signature.sig for signature in envelope.signatures}
    if not set(roots) <= set(signed):
        raise FormatError(code="E_ROSTER", why="a root key has not signed the roster")
    # A later version is signed by the roots before it too; who checks the succession has those keys.
    if version == 1 and set(signed) != set(roots):
        raise FormatError(code="E_ROSTER", why="a key that is no root has signed the roster")
    for keyid, key in roots.items():
        if not is_signed(key, signed[keyid], envelope.signed_bytes):
            raise FormatError(code="E_ROSTER_SIGNATURE", why="a root key's signature on the roster does not hold")


def _parse_log(item: object) -> tuple[str, Ed25519PublicKey]:
    if not isinstance(item, dict) or set(item) != {"origin-name", "vkey"} or not all(isinstance(text, str) for text in item.values()):
        raise FormatError(code="E_ROSTER", why="a log of the roster has not exactly the members origin-name and vkey")
    name, key = parse_vkey(item["vkey"])
    if name != item["origin-name"]:
        raise FormatError(code="E_ROSTER", why="a log key of the roster is another log's")
    return name, key


def _parse_witness(item: object) -> tuple[str, Ed25519PublicKey]:
    if not isinstance(item, str):
        raise FormatError(code="E_ROSTER", why="a witness of the roster is no verifier key")
    return parse_witness(item)


def _parse_tsa(item: object) -> Tsa:
    if not isinstance(item, dict) or set(item) != _TSA or not all(isinstance(text, str) for text in item.values()):
        raise FormatError(
            code="E_ROSTER", why=f"a time stamping authority of the roster has not exactly the members {', '.join(sorted(_TSA))}"
        )
    return Tsa(**item)
