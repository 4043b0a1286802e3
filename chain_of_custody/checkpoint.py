"""Checkpoints: signed notes over the first n entries (C2SP signed-note and tlog-checkpoint).

Text: `origin LF size LF base64(root) LF`. Note: the text, an empty line, `— origin base64(keyid4 || signature) LF`. The signature covers
the text with its final LF. keyid4 is the first 4 bytes of `SHA-256(origin LF 0x01 || Ed25519 public key)`. A checkpoint has exactly one
signature, the log key's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chain_of_custody.encoding import parse_base64, to_base64
from chain_of_custody.errors import FormatError
from chain_of_custody.keys import is_signed, raw_ed25519

_ED25519 = b"\x01"
COSIGNATURE = b"\x04"
"""The kind of an Ed25519 key that cosigns (C2SP tlog-cosignature, "Format")."""
_HASH_BYTES = 32
_NOTE_LINES = 6
MAX_NOTE_BYTES = 4096
FILE_NAME = re.compile(r"\d{9}\.note", re.ASCII)
_SIZE = re.compile(r"0|[1-9]\d{0,15}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The state of a log after `size` entries.

    Attributes:
        origin: the log's name.
        size: how many entries.
        root: the tree's root over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> bytes:
        """The three lines that a checkpoint signs."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n".encode()

    @property
    def text(self) -> str:
        """The same three on one line: what is printed on a report, and what `parse_head` takes."""
        return f"{self.origin} {self.size} {to_base64(self.root)}"


def file_name(size: int) -> str:
    """The name of the checkpoint over `size` entries."""
    return f"{size:09d}.note"


def parse_head(text: str) -> Head:
    """A head as printed: origin, size and root, with any white space between them.

    Raises:
        FormatError: E_HEAD.
    """
    parts = text.split()
    try:
        origin, size, root = parts
        head = Head(origin=origin, size=_parse_size(size), root=parse_base64(root))
    except (ValueError, FormatError) as error:
        raise FormatError(code="E_HEAD", why="the expected head is not three words: origin, number of entries, root in base64") from error
    if len(head.root) != _HASH_BYTES:
        raise FormatError(code="E_HEAD", why="the expected head's root is not 32 bytes")
    return head


def to_note(head: Head, key: Ed25519PrivateKey) -> bytes:
    """The signed note over a head. Ed25519 is deterministic: the same head gives the same bytes."""
    signature = key_hint(head.origin, key.public_key()) + key.sign(head.body)
    return head.body + f"\n— {head.origin} {to_base64(signature)}\n".encode()


def parse_note(note: bytes, log_keys: tuple[Ed25519PublicKey, ...]) -> Head:
    """The head that a note states, signed by one of these keys.

    Raises:
        FormatError: E_CHECKPOINT for the form, E_CHECKPOINT_SIGNATURE for the signature.
    """
    try:
        lines = note.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError(code="E_CHECKPOINT", why="the checkpoint is not UTF-8") from error
    if len(lines) != _NOTE_LINES or lines[3] or lines[5] or not lines[0]:
        raise FormatError(code="E_CHECKPOINT", why="the checkpoint is not three lines, an empty line and one signature line")
    head = Head(origin=lines[0], size=_parse_size(lines[1]), root=parse_base64(lines[2]))
    prefix = f"— {head.origin} "
    if len(head.root) != _HASH_BYTES or not lines[4].startswith(prefix):
        raise FormatError(code="E_CHECKPOINT", why="the checkpoint's root is not 32 bytes, or its signature names another log")
    signature = parse_base64(lines[4].removeprefix(prefix))
    for key in log_keys:
        if signature[:4] == key_hint(head.origin, key) and is_signed(key, signature[4:], head.body):
            return head
    raise FormatError(code="E_CHECKPOINT_SIGNATURE", why="the checkpoint is not signed by a log key of the roster")


def key_hint(name: str, key: Ed25519PublicKey, kind: bytes = _ED25519) -> bytes:
    """The 4 bytes by which a signature line names its key (C2SP signed-note, "Signatures")."""
    return hashlib.sha256(name.encode("utf-8") + b"\n" + kind + raw_ed25519(key)).digest()[:4]


def to_vkey(name: str, key: Ed25519PublicKey, kind: bytes = _ED25519) -> str:
    """A verifier key: `name+hint in hex+base64(kind || public key)` (C2SP signed-note, "Verifier keys")."""
    return f"{name}+{key_hint(name, key, kind).hex()}+{to_base64(kind + raw_ed25519(key))}"


def parse_vkey(text: str, kinds: tuple[bytes, ...] = (_ED25519,)) -> tuple[str, Ed25519PublicKey]:
    """The name and the key of a verifier key of one of these kinds.

    Raises:
        FormatError: E_ROSTER.
    """
    name, _, rest = text.partition("+")
    hint, _, encoded = rest.partition("+")
    data = parse_base64(encoded)
    if not name or len(data) != 1 + _HASH_BYTES or data[:1] not in kinds:
        raise FormatError(code="E_ROSTER", why="a verifier key is not name+hint+key of Ed25519")
    key = Ed25519PublicKey.from_public_bytes(data[1:])
    if hint != key_hint(name, key, data[:1]).hex():
        raise FormatError(code="E_ROSTER", why="a verifier key's hint does not belong to its name and key")
    return name, key


def parse_witness(text: str) -> tuple[str, Ed25519PublicKey]:
    """The name and the key of a witness, stated by the kind for cosignatures, or as the key of a log that cosigns with it.

    Raises:
        FormatError: E_ROSTER.
    """
    return parse_vkey(text, (COSIGNATURE, _ED25519))


def _parse_size(text: str) -> int:
    if not _SIZE.fullmatch(text):
        raise FormatError(code="E_CHECKPOINT", why="a checkpoint's size is no number without leading zeros")
    return int(text)
