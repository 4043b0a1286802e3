"""What one process holds open of an exhibit while it works on a run: the image, its filesystems, the rules, dissect's view.

Opened on first use, kept for the next task of the same run, never sent between processes and never together with a key.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from forensics.artifacts.dissect_source import ArtifactSource, open_artifact_source
from forensics.content import ContentReader
from forensics.filesystems.tsk import TskReader
from forensics.image import Image, open_image
from forensics.sleuthkit import open_filesystem, open_media
from forensics.yara_rules import RuleSet

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.tasks import RunContext


@dataclass(slots=True)
class OpenExhibit:
    """An exhibit as one process has it open."""

    context: RunContext
    image: Image
    media: Any
    contents: ContentReader
    readers: dict[str, TskReader] = field(default_factory=dict)
    artifacts: ArtifactSource | None = None

    def reader(self, volume: str) -> TskReader:
        """The filesystem reader of a volume.

        Raises:
            FilesystemError: it cannot be opened.
        """
        if volume not in self.readers:
            start = next(v.start_byte for v in self.context.volumes if v.volume == volume)
            self.readers[volume] = TskReader(open_filesystem(self.media, start))
        return self.readers[volume]

    def artifact_source(self) -> ArtifactSource:
        """The image as dissect sees it.

        Raises:
            ForensicsError: dissect cannot open it.
        """
        if self.artifacts is None:
            self.artifacts = open_artifact_source(self.image)
        return self.artifacts


_open: dict[Path, OpenExhibit] = {}


def exhibit_of(context: RunContext) -> OpenExhibit:
    """The exhibit of this run, opened once in this process; another run's is closed.

    Raises:
        ImageError: the image cannot be opened here.
    """
    if context.folder not in _open:
        close_exhibits()
        # TSK makes times from FAT's wall-clock fields with the process's time zone; with UTC they come out as written.
        os.environ["TZ"] = "UTC"
        time.tzset()
        image = open_image(context.image)
        spool = context.work / "spool"
        spool.mkdir(parents=True, exist_ok=True)
        rules = RuleSet.load(context.rules) if context.rules is not None else None
        _open[context.folder] = OpenExhibit(context, image, open_media(image), ContentReader(rules=rules, spool=spool))
    return _open[context.folder]


def close_exhibits() -> None:
    """Closes what this process has open."""
    for exhibit in _open.values():
        exhibit.image.close()
    _open.clear()
