"""The high-water mark: what this signer last wrote to a log, kept in the user's state folder, outside the case.

An old copy of the case put back in place, or a log that somebody shortened or changed, is then seen before anything is appended to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chain_of_custody.encoding import is_hex, parse_json, sha256_hex, to_canonical
from chain_of_custody.errors import FormatError, LogError
from chain_of_custody.regular_file import replace_file
from chain_of_custody.tail import Tail

if TYPE_CHECKING:
    from pathlib import Path

_MEMBERS = {"origin", "size", "end_byte", "leaf", "utc", "event", "subtrees", "undeclared"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn:
    """Bytes of a line that a crash cut short, kept in custody/recovered/ under their SHA-256."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A tail that was written and synced, and torn bytes that no entry declares yet."""

    tail: Tail
    undeclared: tuple[Torn, ...] = ()


def mark_path(state: Path, origin: str) -> Path:
    """Where the mark of a log is kept: heads/<SHA-256 of its origin>.json."""
    return state / "heads" / f"{sha256_hex(origin.encode('utf-8'))}.json"


def read_mark(state: Path, origin: str) -> Mark | None:
    """The mark of a log, or None if this signer has not written to it.

    Raises:
        LogError: the mark is there and cannot be read.
    """
    path = mark_path(state, origin)
    try:
        return _parse_mark(path.read_bytes(), origin)
    except FileNotFoundError:
        return None
    except (OSError, FormatError, ValueError, KeyError, TypeError) as error:
        message = f"the record of what was last written to this log cannot be read: {path}: {error}; check the log, then move it away"
        raise LogError(message) from error


def write_mark(state: Path, mark: Mark) -> None:
    """Replaces the mark of a log, atomically and synced."""
    tail = mark.tail
    value: dict[str, Any] = {
        "origin": tail.origin,
        "size": tail.size,
        "end_byte": tail.end_byte,
        "leaf": tail.leaf,
        "utc": tail.utc,
        "event": tail.event,
        "subtrees": [node.hex() for node in tail.subtrees],
        "undeclared": [{"sha256": torn.sha256, "bytes": torn.size_bytes} for torn in mark.undeclared],
    }
    path = mark_path(state, tail.origin)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, to_canonical(value))


def _parse_mark(data: bytes, origin: str) -> Mark:
    value = parse_json(data)
    if not isinstance(value, dict) or set(value) != _MEMBERS or value["origin"] != origin or not is_hex(value["leaf"]):
        message = "its members are not those of a mark of this log"
        raise ValueError(message)
    tail = Tail(
        origin=origin,
        size=int(value["size"]),
        end_byte=int(value["end_byte"]),
        leaf=value["leaf"],
        utc=str(value["utc"]),
        event=str(value["event"]),
        subtrees=tuple(bytes.fromhex(node) for node in value["subtrees"]),
    )
    _ = tail.head  # a frontier that does not fit its size raises ValueError here
    return Mark(
        tail=tail, undeclared=tuple(Torn(sha256=str(torn["sha256"]), size_bytes=int(torn["bytes"])) for torn in value["undeclared"])
    )
