"""What a writer knows of a log's end, and the rule by which one more line moves it on."""

from __future__ import annotations

from dataclasses import dataclass

from chain_of_custody.checkpoint import Head
from chain_of_custody.envelope import STATEMENT_TYPE, leaf_hash, parse_line
from chain_of_custody.errors import FormatError
from chain_of_custody.events import Event
from chain_of_custody.merkle import Frontier
from chain_of_custody.statement import NO_PREVIOUS, parse_body


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a log.

    Attributes:
        origin: the log's name; "" before the first line of a log whose name is not known yet.
        size: how many lines.
        end_byte: length of the log in bytes up to here, with the last LF.
        leaf: hash of the last line, hex; 64 zeros when there is none.
        utc: the last entry's time; "" when there is none.
        event: the last entry's event; "" when there is none.
        subtrees: the Merkle frontier, so that a root needs no older line.
    """

    origin: str
    size: int = 0
    end_byte: int = 0
    leaf: str = NO_PREVIOUS
    utc: str = ""
    event: str = ""
    subtrees: tuple[bytes, ...] = ()

    @property
    def head(self) -> Head:
        """The head that a checkpoint over these lines states."""
        return Head(origin=self.origin, size=self.size, root=Frontier(self.size, self.subtrees).root())


def advance(tail: Tail, line: bytes) -> Tail:
    """The tail after one more line (without LF). Signatures are the verifier's business, the chain is everybody's.

    Raises:
        FormatError: the line does not continue the log.
    """
    statement = parse_body(parse_line(line, STATEMENT_TYPE).body)
    if statement.seq != tail.size:
        raise FormatError(code="E_SEQ", why=f"entry {tail.size} calls itself {statement.seq}")
    if statement.prev != tail.leaf:
        raise FormatError(code="E_PREV", why=f"entry {tail.size} does not follow the line before it")
    if tail.origin and statement.origin != tail.origin:
        raise FormatError(code="E_ORIGIN", why=f"entry {tail.size} belongs to another log")
    if (tail.size == 0) != (statement.event is Event.LOG_INIT):
        raise FormatError(code="E_FIRST", why=f"entry {tail.size} is {statement.event}")
    if tail.event == Event.LOG_SEAL:
        raise FormatError(code="E_AFTER_SEAL", why="the log is sealed")
    leaf = leaf_hash(line)
    frontier = Frontier(tail.size, tail.subtrees)
    frontier.append(leaf)
    return Tail(
        origin=statement.origin,
        size=frontier.size,
        end_byte=tail.end_byte + len(line) + 1,
        leaf=leaf.hex(),
        utc=statement.utc,
        event=str(statement.event),
        subtrees=frontier.hashes,
    )
