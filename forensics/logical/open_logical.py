"""Which reader lists an exhibit that holds files, and that reader, opened.

The container was decided by its signature when the image was opened. Inside a compressed file a tar is looked for; what is no tar is one
file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from forensics.boundary import attempt
from forensics.containers.folder import scan_folder
from forensics.errors import FilesystemError, ForensicsError, ImageError, ImageReadError
from forensics.filesystems.found import FoundFilesystem
from forensics.logical.ad1 import Ad1Reader
from forensics.logical.aff4_logical import Aff4LogicalReader
from forensics.logical.archive import ArchiveReader, opener_of
from forensics.logical.folder import FolderReader
from forensics.logical.l01 import L01Reader
from forensics.logical.member import container_problem
from forensics.logical.single import SingleReader
from forensics.logical.tar import TarReader
from forensics.logical.tar_headers import BLOCK, parse_header
from forensics.logical.unpacked import packing_of, unpack, unpacked_head
from forensics.logical.wim import WimReader
from forensics.logical.zip import ZipReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forensics.containers.folder import FolderListing
    from forensics.credentials import Credential
    from forensics.errors import Problem
    from forensics.filesystems.base import FilesystemReader
    from forensics.image import Image
    from forensics.logical.unpacked import Packing
    from forensics.source import ByteSource

LOGICAL_KINDS = frozenset(("ad1", "l01", "aff4-l", "tar", "zip", "wim", "folder", "archive"))
"""Containers, as Image.container names them, whose media is no disk."""
_HEAD_BYTES = 1 << 20


def find_logical(image: Image) -> FoundFilesystem:
    """What the exhibit's files are listed as; nothing of them is listed or unpacked for it, but its first bytes.

    Raises:
        FilesystemError: no reader is there for it.
    """
    if image.container == "folder":
        return FoundFilesystem(reader="logical", filesystem="folder", selector=_scan(image).fingerprint)
    return FoundFilesystem(reader="logical", filesystem=_archive_kind(image) if image.container == "archive" else image.container)


def open_logical(
    image: Image, source: ByteSource, *, credentials: tuple[Credential, ...], spool: Path, selector: str = ""
) -> FilesystemReader:
    """The reader of an exhibit's files, here or in another process.

    Args:
        image: the exhibit.
        source: the bytes of its container.
        credentials: what may be tried on encrypted members.
        spool: a folder for what must be unpacked; the processes of a run share it.
        selector: what find_logical gave: a folder that has changed since is refused.

    Raises:
        FilesystemError: it cannot be opened.
    """
    opened: list[FilesystemReader] = []
    error = attempt(lambda: opened.append(_open(image, source, credentials, spool, selector)), passing=(FilesystemError,))
    if error is not None:
        why = str(error) if isinstance(error, ForensicsError) else f"{type(error).__name__}: {error}"
        message = f"the {image.container} container is damaged and cannot be opened: {why}"
        raise FilesystemError(message) from error
    return opened[0]


def _open(image: Image, source: ByteSource, credentials: tuple[Credential, ...], spool: Path, selector: str) -> FilesystemReader:
    if image.container == "folder":
        listing = _scan(image)
        if selector and listing.fingerprint != selector:
            message = "the folder was changed since it was looked through: files came, went or were written; process a copy that rests"
            raise FilesystemError(message)
        return FolderReader(listing)
    if image.container == "archive":
        return _open_archive(image, source, credentials, spool)
    sizes = tuple(segment.size for segment in image.segments)
    readers: dict[str, Callable[[], FilesystemReader]] = {
        "ad1": lambda: Ad1Reader(source, sizes),
        "aff4-l": lambda: Aff4LogicalReader(source),
        "l01": lambda: L01Reader(source, sizes),
        "tar": lambda: TarReader(source),
        "wim": lambda: WimReader(source),
        "zip": lambda: ZipReader(source, credentials),
    }
    return readers[image.container]()


def _open_archive(image: Image, source: ByteSource, credentials: tuple[Credential, ...], spool: Path) -> FilesystemReader:
    name = os.fsencode(image.path.name)
    packing = packing_of(source.read_at(0, BLOCK))
    if packing is None:
        return ArchiveReader(source, image.path.name, credentials, spool)
    content = unpack(source, packing, spool)
    found: list[Problem] = []
    if content.failure:
        what = f"the {packing.name} data could be unpacked as far as byte {content.source.size} of their content; the rest is missing"
        advice = "what was unpacked is listed; find another copy of the container"
        found.append(container_problem("container-damaged", what, content.failure, advice, start_byte=content.consumed))
    elif content.consumed < source.size and any(source.read_at(content.consumed, 1 << 16)):
        rest = source.size - content.consumed
        what = f"{rest} bytes follow the end of the {packing.name} data"
        why = "they are not of that format"
        advice = "look at them by themselves: something may be hidden there"
        found.append(container_problem("trailing-data", what, why, advice, start_byte=content.consumed, size_bytes=rest))
    if parse_header(content.source.read_at(0, BLOCK)) is not None:
        return TarReader(content.source, tuple(found))
    return SingleReader(content.source, _stem(name), packing.name, tuple(found))


def _archive_kind(image: Image) -> str:
    try:
        head = image.read_at(0, _HEAD_BYTES)
    except ImageReadError as error:
        message = f"the first bytes of the archive cannot be read: {error}"
        raise FilesystemError(message) from error
    packing = packing_of(head)
    if packing is not None:
        return "tar" if _holds_tar(image, packing) else packing.name
    return opener_of(head, image.path.name).name


def _holds_tar(source: ByteSource, packing: Packing) -> bool:
    return parse_header(unpacked_head(source, packing, BLOCK)) is not None


def _scan(image: Image) -> FolderListing:
    """The folder as it lies there now."""
    try:
        return scan_folder(image.path)
    except ImageError as error:
        raise FilesystemError(str(error)) from error


def _stem(name: bytes) -> bytes:
    return name.rpartition(b".")[0] or name + b".content"
