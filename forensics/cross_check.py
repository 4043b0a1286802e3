"""One filesystem as two engines list it: where they differ, and which known defect of an engine explains it.

Compared are the default streams of what is allocated, by path: whether both list it, its kind, its size, and the SHA-256 of its content.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.boundary import attempt
from forensics.content import iter_blocks
from forensics.errors import Problem, Stage
from forensics.filesystems.base import Content, Entry, Kind, Recovery
from forensics.names import display_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import FilesystemReader, ListingLimits

_VIRTUAL = (b"$MBR", b"$FAT1", b"$FAT2", b"$OrphanFiles")
_LAST_INODE = "dissect.extfs skips the last inode of a filesystem"
_FAT_CASE = "dissect.fat ignores the flags that make an 8.3 name lower case"
_FAT_LABEL = "dissect.fat lists the volume label as a file"
_UNINDEXED = "the file is missing from its folder's index, and names its folder itself; dissect goes by the index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference: the path, what differs, what each engine says (None: nothing), and a known defect that explains it."""

    path: bytes
    what: str
    tsk: str | None
    dissect: str | None
    known: str = ""

    def as_row(self) -> dict[str, str | None]:
        """It as columns of the table `cross_check`."""
        return {"path": display_path(self.path)[0], "what": self.what, "tsk": self.tsk, "dissect": self.dissect, "known": self.known}


def compare_readers(tsk: FilesystemReader, dissect: FilesystemReader, limits: ListingLimits) -> Iterator[Difference | Problem]:
    """Every difference between what the two list and read; a Problem where one of them could not list to its end.

    Memory: an entry of the listing each; contents are read one after the other and not kept.
    """
    first, failures = _listed(tsk, limits, "The Sleuth Kit")
    second, more = _listed(dissect, limits, "dissect")
    yield from (*failures, *more)
    folded = {path.lower() for path in first}, {path.lower() for path in second}
    for path in sorted(first.keys() | second.keys()):
        one, other = first.get(path), second.get(path)
        if one is None or other is None:
            yield _missing(tsk.filesystem, path, one, other, folded)
        elif one.kind is not other.kind:
            yield Difference(path=path, what="kind differs", tsk=str(one.kind), dissect=str(other.kind))
        elif one.kind is Kind.FILE:
            yield from _contents(tsk, dissect, path, one, other)


def _listed(reader: FilesystemReader, limits: ListingLimits, engine: str) -> tuple[dict[bytes, Entry], list[Problem]]:
    found: dict[bytes, Entry] = {}
    met: list[Problem] = []

    def take() -> None:
        for entry in reader.iter_entries(limits):
            if isinstance(entry, Problem):
                met.append(entry)
            elif entry.recovery is Recovery.ALLOCATED and not entry.stream and not _is_made_up(entry):
                found[entry.path] = entry

    error = attempt(take)
    reasons = [*(f"{one.what}: {one.why}" for one in met), *([str(error)] if error is not None else [])]
    if not reasons:
        return found, []
    what = f"{engine} could not list the whole filesystem, at {len(reasons)} places; differences may be due to that"
    return found, [Problem(stage=Stage.FILESYSTEM, code="cross-check-incomplete", what=what, why=reasons[0])]


def _is_made_up(entry: Entry) -> bool:
    return entry.kind is Kind.VIRTUAL or entry.path in _VIRTUAL or entry.path.endswith(b"(Volume Label Entry)")


def _missing(filesystem: str, path: bytes, one: Entry | None, other: Entry | None, folded: tuple[set[bytes], set[bytes]]) -> Difference:
    known = ""
    if filesystem.startswith("fat"):
        in_other_case = path.lower() in (folded[1] if other is None else folded[0])
        known = _FAT_CASE if in_other_case else _FAT_LABEL if one is None and b"/" not in path else ""
    elif filesystem.startswith("ext") and other is None:
        known = _LAST_INODE if one is not None and one.kind is Kind.FILE else ""
    elif filesystem == "ntfs" and other is None:
        known = _UNINDEXED
    what = "missing in tsk" if one is None else "missing in dissect"
    return Difference(path=path, what=what, tsk=_shown(one), dissect=_shown(other), known=known)


def _contents(tsk: FilesystemReader, dissect: FilesystemReader, path: bytes, one: Entry, other: Entry) -> Iterator[Difference]:
    if one.size != other.size:
        yield Difference(path=path, what="size differs", tsk=str(one.size), dissect=str(other.size))
        return
    if Content.READ not in (one.content, other.content):
        return
    first, second = _digest(tsk, one), _digest(dissect, other)
    if first != second:
        yield Difference(path=path, what="content differs", tsk=first, dissect=second)


def _digest(reader: FilesystemReader, entry: Entry) -> str:
    digest = hashlib.sha256()

    def read() -> None:
        if entry.address is not None:
            for block in iter_blocks(reader.open_stream(entry.address)):
                digest.update(block)

    error = attempt(read)
    return f"SHA-256 {digest.hexdigest()}" if error is None else f"not readable: {error}"


def _shown(entry: Entry | None) -> str | None:
    return None if entry is None else f"{entry.kind}, {entry.size} bytes"
