"""DSSE envelopes as single canonical lines.

A line is the canonical JSON of `{"payload", "payloadType", "signatures": [{"keyid", "sig"}, …]}`, with exactly these members.
What is signed is DSSE's pre-authentication encoding of type and body (secure-systems-lab/dsse, protocol.md, "PAE").
The hash of a line covers the signatures too: `SHA-256(0x00 || line without LF)`, which is also RFC 6962's leaf hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chain_of_custody.encoding import is_hex, parse_base64, parse_canonical, to_base64, to_canonical
from chain_of_custody.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

STATEMENT_TYPE = "application/vnd.in-toto+json"
ROSTER_TYPE = "application/vnd.evidex.roster+json"
MAX_LINE_BYTES = 1 << 20
_MEMBERS = {"payload", "payloadType", "signatures"}
_SIGNATURE_MEMBERS = {"keyid", "sig"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature of an envelope, not yet verified.

    Attributes:
        keyid: SHA-256 of the signer's SPKI DER, 64 hex digits.
        sig: the signature's bytes.
    """

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A parsed line.

    Attributes:
        payload_type: the media type that the signatures cover.
        body: the payload's bytes.
        signatures: at least one, each of another key.
    """

    payload_type: str
    body: bytes
    signatures: tuple[Signature, ...]

    @property
    def signed_bytes(self) -> bytes:
        """What every signature must cover."""
        return pre_authentication_encoding(self.payload_type, self.body)


def pre_authentication_encoding(payload_type: str, body: bytes) -> bytes:
    """`DSSEv1 SP LEN(type) SP type SP LEN(body) SP body`, lengths in bytes as decimal numbers."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def to_line(payload_type: str, body: bytes, signatures: Iterable[Signature]) -> bytes:
    """The canonical line of an envelope, without LF."""
    return to_canonical(
        {
            "payload": to_base64(body),
            "payloadType": payload_type,
            "signatures": [{"keyid": signature.keyid, "sig": to_base64(signature.sig)} for signature in signatures],
        }
    )


def parse_line(line: bytes, payload_type: str) -> Envelope:
    """The envelope of a line without LF.

    Raises:
        FormatError: E_MEMBERS, E_PAYLOAD_TYPE, E_NO_SIGNATURE, E_BASE64 or a code of `encoding`.
    """
    value = parse_canonical(line)
    if not isinstance(value, dict) or set(value) != _MEMBERS:
        raise FormatError(code="E_MEMBERS", why="the envelope has not exactly the members payload, payloadType and signatures")
    if value["payloadType"] != payload_type:
        raise FormatError(code="E_PAYLOAD_TYPE", why=f"the payload type is not {payload_type}")
    if not isinstance(value["payload"], str) or not isinstance(value["signatures"], list):
        raise FormatError(code="E_MEMBERS", why="payload is no string or signatures is no list")
    if not value["signatures"]:
        raise FormatError(code="E_NO_SIGNATURE", why="no signature is left")
    signatures = tuple(_parse_signature(item) for item in value["signatures"])
    if len({signature.keyid for signature in signatures}) != len(signatures):
        raise FormatError(code="E_MEMBERS", why="two signatures name the same key")
    return Envelope(payload_type=payload_type, body=parse_base64(value["payload"]), signatures=signatures)


def leaf_hash(line: bytes) -> bytes:
    """The entry's id: `SHA-256(0x00 || line without LF)`, 32 bytes (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + line).digest()


def _parse_signature(item: object) -> Signature:
    if not isinstance(item, dict) or set(item) != _SIGNATURE_MEMBERS or not is_hex(item["keyid"]) or not isinstance(item["sig"], str):
        raise FormatError(code="E_MEMBERS", why="a signature has not exactly the members keyid (64 hex digits) and sig")
    return Signature(keyid=item["keyid"], sig=parse_base64(item["sig"]))
