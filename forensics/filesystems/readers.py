"""Which reader lists a volume's filesystem, by what was found in it; and that reader, opened.

TSK reads what it supports; what it does not, and what it refuses, dissect; UDF, logical evidence and raw space have readers of their
own. engines.md's findings decide the order; the examiner may force a reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import forensics.filesystems.dissect_fs as beyond_tsk
from forensics.errors import FilesystemError
from forensics.filesystems.found import FoundFilesystem
from forensics.filesystems.raw_space import RawSpaceReader
from forensics.filesystems.tsk import TskReader
from forensics.labels import read_label
from forensics.logical.open_logical import LOGICAL_KINDS, find_logical, open_logical
from forensics.sleuthkit import open_filesystem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forensics.credentials import Credential
    from forensics.filesystems.base import FilesystemReader
    from forensics.image import Image
    from forensics.source import ByteSource

READERS = ("tsk", "dissect", "raw")
"""What an examiner may force."""


def find_filesystems(
    source: ByteSource,
    head: bytes,
    *,
    volume: str,
    tsk_media: Callable[[], tuple[Any, int]],
    image: Image,
    credentials: tuple[Credential, ...],
    forced: str = "",
) -> tuple[tuple[FoundFilesystem, ...], str]:
    """The filesystems in a volume, most often one, and where there is none why not.

    Args:
        source: the volume's bytes.
        head: its first bytes, signatures.HEAD_BYTES of them or all.
        volume: its identifier.
        tsk_media: gives what TSK reads the volume from, and where the volume starts in it.
        image: the image that holds it.
        credentials: what may be tried.
        forced: the reader that the examiner asked for; "" chooses.
    """
    if image.container in LOGICAL_KINDS:
        return (find_logical(image),), ""
    if forced == "raw":
        return (), "the examiner asked for it to be read as raw space"
    refusal = ""
    found: tuple[FoundFilesystem, ...] = ()
    if forced != "tsk":
        found = beyond_tsk.find_filesystems(source, head, volume=volume, credentials=credentials, also_tsk_kinds=forced == "dissect")
    # A damaged UDF, for one, may stand beside an ISO 9660 that is not.
    if all(one.reason and not one.encrypted for one in found) and forced != "dissect":
        try:
            found = (_found_by_tsk(*tsk_media(), head),)
        except FilesystemError as error:
            refusal = str(error)
    if not found and not forced:
        found = beyond_tsk.find_filesystems(source, head, volume=volume, credentials=credentials, also_tsk_kinds=True)
    return found, refusal or ("" if found else "dissect recognises no filesystem in it")


def open_reader(
    source: ByteSource,
    found: FoundFilesystem,
    *,
    volume: str,
    tsk_media: Callable[[], tuple[Any, int]],
    image: Image,
    credentials: tuple[Credential, ...],
    spool: Path,
) -> FilesystemReader:
    """The reader of a filesystem that find_filesystems found, here or in another process.

    Raises:
        FilesystemError: it cannot be opened.
    """
    if found.reader == "raw":
        return RawSpaceReader(source, found.filesystem)
    if found.reader == "tsk":
        media, start = tsk_media()
        return TskReader(open_filesystem(media, start, source.size))
    if found.reader == "logical":
        return open_logical(image, source, credentials=credentials, spool=spool)
    return beyond_tsk.open_reader(source, found, volume=volume, credentials=credentials)


def _found_by_tsk(media: Any, start: int, head: bytes) -> FoundFilesystem:
    opened = open_filesystem(media, start)
    return FoundFilesystem(
        reader="tsk",
        filesystem=opened.name,
        label=read_label(opened, head),
        block_size=opened.cluster_size,
        total_bytes=opened.block_count * opened.block_size,
        encrypted=opened.encrypted,
    )
