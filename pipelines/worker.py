"""What one process holds open of an exhibit while it works on a run: its images, its volumes, the rules, dissect's view.

Opened on first use, kept for the next task of the same run, never sent between processes and never together with a key.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.artifacts.exhibit_source import open_exhibit_source
from forensics.content import ContentReader
from forensics.disks import Disks, open_disks
from forensics.volume_tree import VolumeTree
from forensics.yara_rules import RuleSet

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.artifacts.dissect_source import ArtifactSource
    from forensics.filesystems.base import FilesystemReader
    from pipelines.tasks import RunContext


@dataclass(slots=True)
class OpenExhibit:
    """An exhibit as one process has it open."""

    context: RunContext
    disks: Disks
    volumes: VolumeTree
    contents: ContentReader
    artifacts: ArtifactSource | None = None

    def reader(self, volume: str) -> FilesystemReader:
        """The filesystem reader of a volume.

        Raises:
            ForensicsError: it cannot be opened.
        """
        return self.volumes.reader(volume)

    def artifact_source(self) -> ArtifactSource:
        """The exhibit as dissect sees it.

        Raises:
            ForensicsError: dissect cannot open it.
        """
        if self.artifacts is None:
            self.artifacts = open_exhibit_source(self.disks, self.volumes, self.context.nodes)
        return self.artifacts


_open: dict[Path, OpenExhibit] = {}


def exhibit_of(context: RunContext) -> OpenExhibit:
    """The exhibit of this run, opened once in this process; another run's is closed.

    Raises:
        ImageError: an image cannot be opened here.
    """
    if context.folder not in _open:
        close_exhibits()
        # TSK makes times from FAT's wall-clock fields with the process's time zone; with UTC they come out as written.
        os.environ["TZ"] = "UTC"
        time.tzset()
        disks = open_disks(context.images)
        spool = context.work / "spool"
        spool.mkdir(parents=True, exist_ok=True)
        rules = RuleSet.load(context.rules) if context.rules is not None else None
        volumes = VolumeTree(disks, context.credentials, spool, context.nodes)
        _open[context.folder] = OpenExhibit(context, disks, volumes, ContentReader(rules=rules, spool=spool))
    return _open[context.folder]


def close_exhibits() -> None:
    """Closes what this process has open."""
    for exhibit in _open.values():
        exhibit.disks.close()
    _open.clear()
