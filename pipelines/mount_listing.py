"""An exhibit -> the tree that a mount shows of it.

    v01-fat16, v02-ntfs, g01-gap …   a folder each volume, by its identifier in the tables and its kind
        the allocated tree           named streams as files `name:stream`
        $Deleted                     deleted entries under the paths that they had, and orphans
        LOCKED.txt, NOT-READ.txt     where nothing of the volume can be shown, why
    PROBLEMS.txt                     what could not be opened or listed, if there was any

An entry of the evidence that has one of our names is shown as `name~ADDRESS`. A volume that only holds other volumes has no folder;
they have. Links, devices and pipes are files: nothing on the examiner's machine is reached through the evidence, and nothing waits.
Volumes and gaps without a filesystem show their bytes in pieces; file slack and free space in a filesystem are not shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from forensics.boundary import attempt
from forensics.errors import ForensicsError, Problem, Stage
from forensics.filesystems.base import Content, Kind, ListingLimits, Recovery
from forensics.names import escape_text
from pipelines.errors import PipelineError
from pipelines.mount_tree import ROOT, MountTree, Node, Shows, shown_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Entry
    from forensics.found_volume import FoundVolume, Survey
    from forensics.timestamps import OutOfRange
    from forensics.volume_tree import VolumeTree

DELETED = "$Deleted"
LOCKED, NOT_READ, PROBLEMS = "LOCKED.txt", "NOT-READ.txt", "PROBLEMS.txt"
# Contents are read only when somebody opens them, so their sum needs no bound.
_LIMITS = ListingLimits(orphans=1_000_000, orphan_bytes=2**63, attributes=True)
_PROBLEMS_KEPT = 1000
_UNSAFE = re.compile(r"[^a-z0-9+.]+")
_DELETED = (Recovery.DELETED, Recovery.DELETED_NAME, Recovery.ORPHAN)
_TSK_ORPHANS = b"$OrphanFiles"  # a folder that TSK makes up; nothing in evidence is of the kind "virtual"
_NO_CONTENT = (Kind.FIFO, Kind.SOCKET, Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)


@dataclass(slots=True)
class Problems:
    """What went wrong: the first of them, and how many there were."""

    kept: list[Problem] = field(default_factory=list)
    count: int = 0

    def take(self, problem: Problem) -> None:
        """Counts one."""
        self.count += 1
        if len(self.kept) < _PROBLEMS_KEPT:
            self.kept.append(problem)

    def text(self) -> str:
        """All, for a person to read."""
        parts = [told(one) for one in self.kept]
        if self.count > len(self.kept):
            parts.append(f"and {self.count - len(self.kept)} more\n")
        return "\n".join(parts)


def fill(tree: MountTree, survey: Survey, volumes: VolumeTree, earlier: tuple[Problem, ...]) -> Problems:
    """Puts all that the survey found into the tree; gives every problem, those met earlier first.

    Raises:
        PipelineError: the tree cannot be kept.
    """
    problems = Problems()
    for problem in (*earlier, *survey.problems):
        problems.take(problem)
    for found in survey.volumes:
        if found.is_read or not (found.holds or found.is_gap):
            _Volume(tree, found, problems).fill(volumes, survey.problems)
    if problems.count:
        tree.add(ROOT, PROBLEMS, _text(problems.text()))
    tree.complete()
    return problems


def folder_name(found: FoundVolume) -> str:
    """The folder of a volume: "v02-ntfs"."""
    kind = "gap" if found.is_gap else _UNSAFE.sub("-", (found.filesystem or "raw").lower()).strip("-.") or "raw"
    return f"{found.volume}-{kind}"


def told(problem: Problem) -> str:
    """A problem in lines for a person."""
    place = "/".join(filter(None, (problem.volume, problem.path)))
    place = "" if place in problem.what else place
    lines = [f"{problem.what}{f' ({place})' if place else ''}", f"  why:  {problem.why}"]
    if problem.advice:
        lines.append(f"  next: {problem.advice}")
    return "".join(f"{escape_text(line)}\n" for line in lines)


class _Volume:
    """Fills the folder of one volume."""

    def __init__(self, tree: MountTree, found: FoundVolume, problems: Problems) -> None:
        self._tree, self._found, self._problems = tree, found, problems
        self._top = tree.add(ROOT, folder_name(found), Node(shows=Shows.FOLDER))
        self._deleted: int | None = None
        self._described: set[int] = set()
        self._too_deep = 0

    def fill(self, volumes: VolumeTree, problems: tuple[Problem, ...]) -> None:
        """Lists the volume; says why where it is not listed, or only its bytes are."""
        found = self._found
        if found.status != "read" and not found.is_gap:
            reasons = "\n".join(told(one) for one in problems if one.volume == found.volume)
            name = LOCKED if found.encrypted else NOT_READ
            said = "is locked" if found.encrypted else "holds no filesystem that was read"
            self._tree.add(self._top, name, _text(f"volume {found.volume} {said}: {found.reason}\n\n{reasons}"))
        if not found.is_read:
            return
        # Ours before any of the evidence's, so that it is not the one that is renamed.
        self._deleted = self._tree.add(self._top, DELETED, Node(shows=Shows.FOLDER)) if found.status == "read" else self._top
        listing: list[Iterator[Entry | Problem]] = []
        failure = attempt(lambda: listing.append(volumes.reader(found.volume).iter_entries(_LIMITS)))
        count = 0
        while failure is None:
            got: list[Entry | Problem | None] = []
            failure = attempt(lambda: got.append(next(listing[0], None)))  # noqa: B023 - called before the next turn
            if failure is not None or got[0] is None:
                break
            if isinstance(got[0], Problem):
                self._problems.take(replace(got[0], volume=found.volume))
                continue
            self._put(got[0])
            count += 1
        self._conclude(count, failure)

    def _conclude(self, count: int, failure: Exception | None) -> None:
        if isinstance(failure, PipelineError):
            raise failure
        if failure is not None:
            why = str(failure) if isinstance(failure, ForensicsError) else f"{type(failure).__name__}: {failure}"
            what = f"volume {self._found.volume} could not be listed to its end; {count} entries were"
            self._problem("listing-ended-early", what, why, "list the volume with another tool and compare")
        if self._too_deep:
            what = f"{self._too_deep} entries of volume {self._found.volume} are not shown"
            self._problem("too-deep", what, "they lie in too many folders", "`evidex process` lists them")

    def _problem(self, code: str, what: str, why: str, advice: str) -> None:
        problem = Problem(stage=Stage.FILESYSTEM, code=code, what=what, why=why, advice=advice, volume=self._found.volume)
        self._problems.take(problem)

    def _put(self, entry: Entry) -> None:
        top = self._deleted if entry.recovery in _DELETED and self._deleted is not None else self._top
        parent, _, name = entry.path.rpartition(b"/")
        if entry.kind is Kind.VIRTUAL and entry.path == _TSK_ORPHANS:
            return  # the orphans are shown among what is deleted
        folder = self._tree.folder(top, parent)
        if folder is None:
            self._too_deep += 1
            return
        node = self._node(entry)
        if entry.kind is Kind.DIRECTORY and not entry.stream:
            number = self._tree.folder(top, entry.path)
            if number is None:
                self._too_deep += 1
            elif number not in self._described:  # of deleted folders of one path, the first
                self._described.add(number)
                self._tree.describe(number, node)
            return
        shown = shown_name(name) + (f":{entry.stream}" if entry.stream else "")
        self._tree.add(folder, shown, node, mark="" if entry.metadata_address is None else str(entry.metadata_address))

    def _node(self, entry: Entry) -> Node:
        shows, text = Shows.STREAM, None
        if entry.kind is Kind.LINK and entry.link_target is not None and not entry.stream:
            # TSK gives zeros for the content of a link whose target stands in the inode.
            shows, text = Shows.TEXT, entry.link_target.encode("utf-8", "backslashreplace")
        elif entry.content is Content.NONE or entry.address is None:
            is_empty = entry.kind in _NO_CONTENT or (entry.size == 0 and entry.recovery is not Recovery.DELETED_NAME)
            shows = Shows.NOTHING if is_empty else Shows.LOST
        return Node(
            shows=shows,
            size=0 if shows is Shows.NOTHING else len(text) if text is not None else entry.size,
            modified=_time(entry.times.modified),
            accessed=_time(entry.times.accessed),
            changed=_time(entry.times.metadata_changed),
            mode=entry.mode,
            volume=self._found.volume,
            address=entry.address if shows is Shows.STREAM else None,
            text=text,
        )


def _time(value: int | OutOfRange | None) -> int:
    return value if isinstance(value, int) else 0


def _text(text: str) -> Node:
    content = text.encode("utf-8", "backslashreplace")
    return Node(shows=Shows.TEXT, size=len(content), text=content)
