"""What a kind of carved file is: a signature to look for, and a walk along its structure to where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from forensics.source import ByteSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How far a file that starts at a signature reaches.

    Attributes:
        length: bytes, at least 1.
        validated: whether its structure was followed to a valid end; False where only a footer, a stated length or the kind's bound
            ends it.
        extension: what to name it: "jpg", "docx"; without the dot.
        why: what ends it, in a few words: "end of image marker", "stated length", "structure broken at byte 512".
    """

    length: int
    validated: bool
    extension: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Carved:
    """One carved file: the bytes `source[offset : offset + length]`."""

    offset: int
    length: int
    kind: str
    extension: str
    validated: bool
    why: str


class CarvedKind(Protocol):
    """One kind of file that can be carved.

    Attributes:
        name: the kind: "jpeg", "pdf", "sqlite", …
        signatures: byte strings that a file of this kind has at `signature_offset`.
        signature_offset: where in the file its signature stands, bytes.
        max_bytes: the longest that one is taken for.
    """

    @property
    def name(self) -> str:
        """The kind."""

    @property
    def signatures(self) -> tuple[bytes, ...]:
        """Byte strings to look for."""

    @property
    def signature_offset(self) -> int:
        """Where they stand in the file."""

    @property
    def max_bytes(self) -> int:
        """The longest file."""

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The file that starts at byte `start`; None if what stands there is none after all. Reads what it needs and no more.

        Raises:
            ImageReadError: the bytes cannot be read.
        """
