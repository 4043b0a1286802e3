"""The folders and files that a mount shows, as rows of a temporary SQLite file: a million of them take little memory.

Names are those of the tables' paths, so that nothing acts on a terminal. A name that a folder cannot hold, or holds already, gets `~`
and the entry's metadata address; names longer than a file's may be are cut. Folders that are named on the way to an entry and are not
entries themselves are made.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Self

from forensics.filesystems.base import StreamAddress
from forensics.names import escape_text
from pipelines.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = 0
"""Number of the folder that is mounted."""
DEEPEST = 1000
"""How many folders may lie in each other; a path of evidence may name more."""
_LONGEST_NAME = 255  # bytes; NAME_MAX of Linux
_LARGEST = 2**63 - 1  # what SQLite and a file's size hold
_TABLE = """
CREATE TABLE node (
    number INTEGER PRIMARY KEY, parent INTEGER, name TEXT, raw BLOB, shows INTEGER, volume TEXT, address TEXT, size INTEGER,
    modified INTEGER, accessed INTEGER, changed INTEGER, mode INTEGER, text BLOB
);
CREATE UNIQUE INDEX by_name ON node (parent, name);
CREATE INDEX folders ON node (parent, raw) WHERE raw IS NOT NULL;
"""
_COLUMNS = "number, name, shows, volume, address, size, modified, accessed, changed, mode, text"


class Shows(IntEnum):
    """What stands behind a name."""

    FOLDER = 0
    STREAM = 1
    TEXT = 2
    NOTHING = 3
    LOST = 4
    """Content that is there no longer, or was never to be had: reading it is an error, because an empty file would be a lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One folder or file.

    Attributes:
        shows: what it is.
        size: bytes; None where it shows only when it is read.
        modified: time in nanoseconds since 1970 UTC, as are the two that follow; 0 where there is none.
        mode: permissions in the evidence; None where it states none.
        volume: which volume holds the stream.
        address: where the stream stands there.
        text: content of ours.
    """

    shows: Shows
    size: int | None = None
    modified: int = 0
    accessed: int = 0
    changed: int = 0
    mode: int | None = None
    volume: str = ""
    address: StreamAddress | None = None
    text: bytes | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A node where it stands: its number, its name in its folder."""

    number: int
    name: str
    node: Node


class MountTree:
    """The tree; filled once, then only read."""

    def __init__(self, folder: Path) -> None:
        """`folder` takes the temporary file.

        Raises:
            PipelineError: it cannot be written there.
        """
        self._last_number = ROOT
        self._last_folder: tuple[int, bytes, int] | None = None
        try:
            self._rows = sqlite3.connect(folder / "mount.sqlite", isolation_level=None)
            # It is lost with the process, so nothing is kept for its recovery.
            self._rows.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLE} BEGIN;")
        except sqlite3.Error as error:
            raise _no_room(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def complete(self) -> None:
        """Ends the filling."""
        try:
            self._rows.execute("COMMIT")
        except sqlite3.Error as error:
            raise _no_room(error) from error

    def add(self, parent: int, name: str, node: Node, *, mark: str = "", raw: bytes | None = None) -> int:
        """Puts a node into a folder; its number.

        Args:
            parent: number of the folder.
            name: as text that is safe to show.
            node: what it is.
            mark: what tells it from others of its name.
            raw: of a folder, the name by which entries of the evidence say that they lie in it.

        Raises:
            PipelineError: the temporary file cannot grow.
        """
        self._last_number += 1
        address = None if node.address is None else " ".join(map(str, (*_numbers(node.address), int(node.address.slack))))
        size = None if node.size is None else min(node.size, _LARGEST)
        for shown in _names(name, mark, self._last_number):
            row = (self._last_number, parent, shown, raw, int(node.shows), node.volume, address, size)
            more = (node.modified, node.accessed, node.changed, node.mode, node.text)
            try:
                done = self._rows.execute("INSERT OR IGNORE INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, *more))
            except sqlite3.Error as error:
                raise _no_room(error) from error
            if done.rowcount:
                break
        return self._last_number

    def folder(self, top: int, path: bytes) -> int | None:
        """The number of the folder of that path below `top`, made where it is not there; None if it lies too deep."""
        if self._last_folder is not None and self._last_folder[:2] == (top, path):
            return self._last_folder[2]
        names = path.split(b"/") if path else []
        if len(names) > DEEPEST:
            return None
        number = top
        for raw in names:
            found = self._folder_in(number, raw)
            number = self.add(number, shown_name(raw), Node(shows=Shows.FOLDER), raw=raw) if found is None else found
        self._last_folder = (top, path, number)
        return number

    def describe(self, number: int, node: Node) -> None:
        """Gives a folder its times and mode, which were not known when it was made."""
        values = (node.modified, node.accessed, node.changed, node.mode, number)
        self._rows.execute("UPDATE node SET modified = ?, accessed = ?, changed = ?, mode = ? WHERE number = ?", values)

    def find(self, path: str) -> Named | None:
        """The node at a path below the mounted folder, which starts with "/"; None if there is none."""
        found = Named(ROOT, "", Node(shows=Shows.FOLDER))
        for name in filter(None, path.split("/")):
            sql = f"SELECT {_COLUMNS} FROM node WHERE parent = ? AND name = ?"  # noqa: S608 - a constant
            with closing(self._rows.execute(sql, (found.number, name))) as rows:
                row = rows.fetchone()
            if row is None:
                return None
            found = _named(row)
        return found

    def children(self, number: int) -> Iterator[Named]:
        """What lies in a folder, by name."""
        sql = f"SELECT {_COLUMNS} FROM node WHERE parent = ? ORDER BY name"  # noqa: S608 - a constant
        yield from map(_named, self._rows.execute(sql, (number,)))

    def _folder_in(self, parent: int, raw: bytes) -> int | None:
        row = self._rows.execute("SELECT number FROM node WHERE parent = ? AND raw = ?", (parent, raw)).fetchone()
        return None if row is None else int(row[0])


def shown_name(raw: bytes) -> str:
    """A name of the evidence as the tables' paths show it."""
    return escape_text(raw.decode("utf-8", "backslashreplace"))


def _names(name: str, mark: str, number: int) -> Iterator[str]:
    """The name, then others for it, until one is free; a number belongs to one node only, so that few are tried."""
    name = name.replace("/", "_")
    if name not in ("", ".", ".."):
        yield _cut(name, "") if len(name.encode()) <= _LONGEST_NAME else _cut(name, f"~{mark or number}")
    if mark:
        yield _cut(name, f"~{mark}")
    suffix = f"~{mark}.{number}" if mark else f"~{number}"
    while True:
        yield _cut(name, suffix)
        suffix += f".{number}"


def _cut(name: str, suffix: str) -> str:
    return name.encode()[: _LONGEST_NAME - len(suffix)].decode("utf-8", "ignore") + suffix


def _numbers(address: StreamAddress) -> tuple[int, int, int]:
    return address.metadata_address, address.attribute_type, address.attribute_id


def _named(row: tuple[int, str, int, str, str | None, int | None, int, int, int, int | None, bytes | None]) -> Named:
    number, name, shows, volume, stated, size, modified, accessed, changed, mode, text = row
    address = None
    if stated is not None:
        metadata, kind, identifier, slack = map(int, stated.split(" "))
        address = StreamAddress(metadata, kind, identifier, bool(slack))
    node = Node(
        shows=Shows(shows),
        size=size,
        modified=modified,
        accessed=accessed,
        changed=changed,
        mode=mode,
        volume=volume,
        address=address,
        text=text,
    )
    return Named(number, name, node)


def _no_room(error: sqlite3.Error) -> PipelineError:
    return PipelineError(f"the list of files cannot be kept in the temporary folder: {error}; make room there, or set TMPDIR to another")
