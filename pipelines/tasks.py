"""What a run does piece by piece: tasks, what they need to know, and the receipt of each that is finished.

Tasks are addresses only, so they cost nothing to send. A receipt names every part its task wrote with its digest; it is written
last, so a task with a receipt whose parts are there is done, and a resumed run leaves it alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from forensics.expansion.encrypted_container import RandomFiles
from pipelines.tables import Part, file_sha256, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.credentials import Credential
    from forensics.expansion.bounds import Bounds
    from forensics.filesystems.base import ListingLimits
    from forensics.volume_tree import VolumeNode


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What a worker must know of a run; the same for all its tasks.

    Attributes:
        images: first file of each image of the exhibit.
        folder: CASE/runs/<run>.
        work: folder of what only the run itself needs; gone when it is sealed.
        exhibit: number of the exhibit.
        nodes: addresses of all volumes, those that are only there to derive others from too.
        credentials: what opens locked volumes and archives; in memory only, and no value of it is ever shown.
        limits: bounds on listings, and what is listed beside the files.
        bounds: bounds on files inside files.
        rules: folder of the compiled rules inside the run's work folder; None scans nothing.
        read_contents: whether contents are read at all, and then carved from and looked into.
        cross_check: whether a second engine lists each filesystem too.
    """

    images: tuple[Path, ...]
    folder: Path
    work: Path
    exhibit: str
    nodes: tuple[VolumeNode, ...]
    limits: ListingLimits
    bounds: Bounds
    rules: Path | None
    read_contents: bool
    credentials: tuple[Credential, ...] = field(default=(), repr=False)
    cross_check: bool = False

    @property
    def tables(self) -> Path:
        """Where the tables go."""
        return self.folder / "tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListVolume:
    """Lists the filesystem of one volume."""

    volume: str

    @property
    def name(self) -> str:
        """Name of the task, unique in a run and the same in every run over the same image."""
        return f"list-{self.volume}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """Lists the filesystem of one volume with both engines and compares."""

    volume: str

    @property
    def name(self) -> str:
        """Name of the task."""
        return f"cross-check-{self.volume}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadContents:
    """Reads the contents of one batch of entries; the batch's listing lies in the work folder."""

    number: int

    @property
    def name(self) -> str:
        """Name of the task."""
        return f"content-{self.number:06d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadArtifact:
    """Runs one dissect function over the exhibit."""

    function: str

    @property
    def name(self) -> str:
        """Name of the task."""
        return f"artifact-{self.function.replace('.', '_')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniseSystem:
    """Opens the image with dissect and writes down which operating system it holds."""

    @property
    def name(self) -> str:
        """Name of the task."""
        return "system"


Task = ListVolume | CrossCheck | ReadContents | ReadArtifact | RecogniseSystem


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a finished task wrote: parts with their digests, how much it did, and which files it left that may be encrypted containers."""

    task: str
    parts: tuple[Part, ...]
    items: int
    bytes_read: int
    problems: int
    random_files: RandomFiles = field(default_factory=RandomFiles)

    def save(self, folder: Path) -> None:
        """Writes the receipt under CASE/runs/<run>/receipts."""
        receipts = folder / "receipts"
        receipts.mkdir(exist_ok=True)
        write_atomically(receipts / f"{self.task}.json", (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode())


def read_receipt(folder: Path, task: Task) -> Receipt | None:
    """The task's receipt if it is there and every part it names is there unchanged; else None."""
    path = folder / "receipts" / f"{task.name}.json"
    if not path.is_file():
        return None
    stored = json.loads(path.read_bytes())
    parts = tuple(Part(**part) for part in stored.pop("parts"))
    for part in parts:
        file = folder / "tables" / part.table / part.name
        if not file.is_file() or file_sha256(file) != part.sha256:
            return None
    return Receipt(parts=parts, random_files=RandomFiles(**stored.pop("random_files", {})), **stored)
