"""Members of logical evidence as filesystem entries, and what is wrong with one as a problem."""

from __future__ import annotations

from dataclasses import dataclass, field

from forensics.errors import Problem, Stage
from forensics.filesystems.base import Content, Entry, Kind, Recovery, StreamAddress, Times
from forensics.names import display_path, escape_text

MAXIMUM_MEMBERS = 20_000_000
"""How many members are listed; more than any collection has, fewer than exhaust a process."""
LONGEST_NAME = 64 * 1024
"""Bytes of a path that are taken from a container; more than any system's longest path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file, folder or link, as its container states it.

    Attributes:
        number: its place in the stored order, from 1; its metadata address.
        path: its path as stored, "/" between names; absolute paths and ".." are data.
        stream: name of a named stream, as text, escaped; "" for the default data.
        attribute_id: number of the stream among the member's, 0 for the default data.
        kind, size, times, owner, group, mode, links: as in Entry.
        link_target: as stored; None for what is no link.
        has_content: whether there is content to read.
        deleted: whether the container marks it as deleted.
    """

    number: int
    path: bytes
    kind: Kind
    size: int | None = None
    times: Times = field(default_factory=Times)
    name_times: Times | None = None
    stream: str = ""
    attribute_id: int = 0
    link_target: bytes | None = None
    owner: int | None = None
    group: int | None = None
    mode: int | None = None
    links: int | None = None
    has_content: bool = False
    deleted: bool = False

    @property
    def shown(self) -> str:
        """Its path as text in which no character acts."""
        return display_path(self.path)[0]

    def entry(self) -> Entry:
        """It as an entry."""
        return Entry(
            path=self.path,
            stream=self.stream,
            address=StreamAddress(self.number, 0, self.attribute_id),
            metadata_address=self.number,
            kind=self.kind,
            link_target=None if self.link_target is None else escape_text(self.link_target.decode("utf-8", "backslashreplace")),
            name_allocated=not self.deleted,
            metadata_allocated=not self.deleted,
            recovery=Recovery.DELETED if self.deleted else Recovery.ALLOCATED,
            content=Content.READ if self.has_content else Content.NONE,
            size=self.size,
            times=self.times,
            name_times=self.name_times,
            owner=self.owner,
            group=self.group,
            mode=self.mode,
            links=self.links,
            sequence=None,
        )

    def problem(self, code: str, what: str, why: str, advice: str = "") -> Problem:
        """What is wrong with it."""
        return Problem(
            stage=Stage.FILESYSTEM,
            code=code,
            what=what,
            why=why,
            advice=advice,
            metadata_address=self.number,
            stream=self.stream,
            path=self.shown,
        )


def container_problem(
    code: str, what: str, why: str, advice: str = "", *, start_byte: int | None = None, size_bytes: int | None = None
) -> Problem:
    """What is wrong with a byte range of the container, or with all of it."""
    return Problem(stage=Stage.FILESYSTEM, code=code, what=what, why=why, advice=advice, start_byte=start_byte, size_bytes=size_bytes)
