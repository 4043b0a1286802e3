"""What an opener of one kind of container file is: it gives the members one after the other, each read once, in order.

Nothing is written under a name that the evidence chose, and nothing is read but the file given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.errors import Problem
    from forensics.filesystems.base import Kind, Times

END_BYTES = (64 << 10) + 22
"""How much of a content's end is looked at: the last record of a ZIP file and its longest comment (APPNOTE 4.3.16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file, folder or link inside a container file.

    Attributes:
        path: path inside the container as it is stored, "/" between names, no leading "/"; never a place to write to. Members without
            a name (the content of a .gz, the body of an e-mail) get one that says what they are.
        kind: what it is.
        address: what the container's own format numbers it by, for people: "entry 3", "offset 1024", "message 2 part 1".
        size: stated size in bytes; None where the format states none.
        times: as the container states them.
        has_local_times: whether they are the wall clock of the machine that wrote them, without a zone; else they are UTC.
        blocks: gives its bytes, once, in order, before the next member is asked for; None for what has no content, or whose content
            cannot be had (then `problem` says why). Iterating raises ArchiveError where the content is damaged or cut off.
        problem: why its content is not there or not to be trusted: "member-encrypted", "member-unsupported", …; None if it is.
        link_target: where a link points, escaped.
        deleted: whether the container marks it as deleted (PST, TAR append) or it was recovered from inside.
        unlocked_with: kind of the credential that opened it; "" if it is not encrypted.
        skippable: whether the members behind it can be had without decoding its bytes first (ZIP, tar, e-mail); in a solid archive,
            passing over a member costs as much as reading it.
    """

    path: bytes
    kind: Kind
    address: str
    size: int | None
    times: Times
    blocks: Iterator[bytes] | None
    problem: Problem | None = None
    link_target: str | None = None
    deleted: bool = False
    unlocked_with: str = ""
    skippable: bool = False
    has_local_times: bool = False


class Opener(Protocol):
    """Opens one kind of container file.

    Attributes:
        name: the kind: "zip", "tar", "gzip", "eml", …; stands in a member's address chain.
    """

    @property
    def name(self) -> str:
        """The kind."""

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:
        """Whether a content is of this kind. Never raises.

        Args:
            head: its first MiB, or all if shorter.
            mime_type: its MIME type by libmagic.
            name: the file's name, for what has no signature.
        """

    def iter_members(self, file: BinaryIO, size: int, name: str, credentials: tuple[Credential, ...]) -> Iterator[Member | Problem]:
        """The members, in stored order; a Problem for what of the container could not be read.

        Args:
            file: the container, seekable, open for reading only; it lies in memory or in a spool file.
            size: its size in bytes.
            name: the file's name, escaped, for messages and for naming what has no name.
            credentials: what may be tried on encrypted members.

        Raises:
            ArchiveError: it cannot be opened at all.
        """


@runtime_checkable
class EndOpener(Opener, Protocol):
    """An opener whose files may begin with anything and are told by their last bytes too."""

    def recognises_end(self, head: bytes, end: bytes) -> bool:
        """Whether a content is of this kind. Never raises.

        Args:
            head: its first MiB, or all if shorter.
            end: its last END_BYTES, or all if shorter.
        """
