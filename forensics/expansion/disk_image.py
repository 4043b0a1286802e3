"""A disk image inside a file — a virtual machine's disk, an installation medium, an acquired image — whose files are its members.

The image is opened in a folder of ours. What it needs and what lies beside it in the evidence is put there too, where that is known:
for a file of the exhibit's own filesystems, not for one inside another container. What is not there is a problem that says so. Its free
space is not listed; the image as a whole was read as any content.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.boundary import attempt
from forensics.content import iter_blocks
from forensics.errors import ArchiveError, ForensicsError, Problem, StreamReadError
from forensics.expansion.base import Member
from forensics.expansion.image_folder import ImageFolder
from forensics.expansion.image_kinds import begins_like_image, ends_like_image
from forensics.filesystems.base import WALL_CLOCK, Content, Entry, ListingLimits, Recovery
from forensics.survey import survey
from forensics.volume_tree import VolumeTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.disks import Disks
    from forensics.expansion.image_folder import Siblings
    from forensics.filesystems.base import FilesystemReader, StreamAddress

_LIMITS = ListingLimits(orphans=100_000, orphan_bytes=1 << 40, attributes=True)


class DiskImage:
    """The opener of disk images."""

    name = "disk image"

    def __init__(self, siblings: Siblings | None = None) -> None:
        """`siblings` are the files beside the image in the evidence; None where it is opened by itself."""
        self._siblings = siblings

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:
        """Whether a content begins like a container or a filesystem."""
        return begins_like_image(head, mime_type, name)

    def recognises_end(self, head: bytes, end: bytes) -> bool:  # noqa: ARG002 - such an image may begin with anything
        """Whether a content ends like a container."""
        return ends_like_image(end)

    def iter_members(self, file: BinaryIO, size: int, name: str, credentials: tuple[Credential, ...]) -> Iterator[Member | Problem]:
        """The streams of every entry of every volume, a folder a volume; a Problem for what could not be read.

        Raises:
            ArchiveError: it is no image that can be opened.
        """
        del size
        with tempfile.TemporaryDirectory(prefix="image-", dir=_folder_of(file)) as folder:
            opened = ImageFolder(Path(folder), name, self._siblings)
            if opened.is_part():
                return  # its files come with those of the file through which it is opened
            with opened.open(file) as disks:
                yield from _members(disks, Path(folder), credentials)


DISK_IMAGE = DiskImage()


def _members(disks: Disks, spool: Path, credentials: tuple[Credential, ...]) -> Iterator[Member | Problem]:
    found = survey(disks, spool=spool, credentials=credentials)
    tree = VolumeTree(disks, credentials, spool, found.nodes)
    yield from (replace(problem, path=problem.volume) for problem in (*disks.problems(), *found.problems))
    for volume in found.volumes:
        if volume.status == "read":
            yield from _volume_members(tree, volume.volume)


def _volume_members(tree: VolumeTree, volume: str) -> Iterator[Member | Problem]:
    try:
        reader = tree.reader(volume)
    except ForensicsError as error:
        raise ArchiveError(str(error)) from error
    entries = reader.iter_entries(_LIMITS)
    taken: list[Entry | Problem | None] = []
    while True:
        taken.clear()
        failure = attempt(lambda: taken.append(next(entries, None)))
        if failure is not None:
            message = f"the filesystem in volume {volume} could not be listed to its end: {failure}"
            raise ArchiveError(message) from failure
        entry = taken[0]
        if entry is None:
            return
        yield replace(entry, path=f"{volume}/{entry.path}") if isinstance(entry, Problem) else _member(reader, volume, entry)


def _member(reader: FilesystemReader, volume: str, entry: Entry) -> Member:
    path = volume.encode() + b"/" + entry.path + (b":" + entry.stream.encode() if entry.stream else b"")
    address = entry.address
    numbers = "" if address is None else f"-{address.attribute_type}-{address.attribute_id}"
    return Member(
        path=path,
        kind=entry.kind,
        address=f"{volume} {entry.metadata_address}{numbers}",
        size=entry.size,
        times=entry.times,
        blocks=_blocks(reader, address) if address is not None and entry.content is Content.READ else None,
        link_target=entry.link_target,
        deleted=entry.recovery is not Recovery.ALLOCATED,
        has_local_times=reader.filesystem in WALL_CLOCK,
        skippable=True,
    )


def _blocks(reader: FilesystemReader, address: StreamAddress) -> Iterator[bytes]:
    try:
        yield from iter_blocks(reader.open_stream(address))
    except StreamReadError as error:
        raise ArchiveError(str(error)) from error


def _folder_of(file: BinaryIO) -> str | None:
    """The folder that the file lies in, if it has a name: a copy there may be no copy at all."""
    name = getattr(file, "name", None)
    return os.path.dirname(name) if isinstance(name, str) else None  # noqa: PTH120 - of a name as it is
