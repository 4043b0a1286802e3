"""What lies in a folder that may be one of images: disk images, their segments, notes of the acquisition, and other files.

Notes (the log of an acquisition, its list of digests) and the segments of an image are neither images of their own nor other files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.containers.kinds import identify
from forensics.containers.parallels import is_disk_folder
from forensics.containers.vmdk_descriptor import read_descriptor
from forensics.containers.vmdk_extents import FLAT, SPARSE, sparse_header
from forensics.errors import ImageError, SegmentMissingError
from forensics.exhibit import Container, SourceFile, shown
from forensics.logical.open_logical import LOGICAL_KINDS
from forensics.segment_sets import ad1_set, ewf2_set, ewf_set, l01_set, split_raw_set
from forensics.signatures import HEAD_BYTES
from forensics.signatures import identify as identify_volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NOTES = frozenset((".txt", ".log", ".csv", ".json", ".xml", ".md5", ".sha1", ".sha256", ".sha512", ".pdf", ".html", ".htm", ".md", ".asc"))
_SETS = {Container.EWF: ewf_set, Container.EWF2: ewf2_set, Container.AD1: ad1_set, Container.L01: l01_set}
_RAW_NAMES = re.compile(r"\.(dd|raw|img|bin|iso|dmg|[0-9]{3,4}|aa)", re.IGNORECASE)
_HEADS = ((510, b"\x55\xaa"), (0x438, b"\x53\xef"), (0x8001, b"CD001"))  # boot sector, ext (s_magic), ISO 9660


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """What lies in a folder: the first file of each disk image, and everything that is no image, no segment and no note; by name."""

    images: tuple[Path, ...]
    others: tuple[Path, ...]


def read_image_folder(folder: Path) -> ImageFolder:
    """What lies in the folder, by name; folders inside it are not entered.

    Raises:
        ImageError: it cannot be listed.
    """
    try:
        there = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        message = f"{shown(folder)}: cannot be listed: {error.strerror}"
        raise ImageError(message) from error
    segments = {extent for path in there for extent in _extents(path)}
    incomplete: set[tuple[str, int]] = set()
    images, others = [], []
    for path in there:
        if path in segments or _is_note(path):
            continue
        try:
            found = None if path.is_symlink() else _segments(path)
        except SegmentMissingError:  # an image; what is missing is said when it is opened, and its later segments are part of it
            found = () if (path.stem, len(path.suffix)) in incomplete else (path,)
            incomplete.add((path.stem, len(path.suffix)))
        if found is None:
            others.append(path)
            continue
        images += [path] if found else []
        segments.update(found)
    return ImageFolder(images=tuple(images), others=tuple(others))


def _is_note(path: Path) -> bool:
    return path.is_file() and (path.suffix.lower() in _NOTES or path.name.startswith("."))


def _segments(path: Path) -> Iterable[Path] | None:
    """All files of the image that begins with this file; None if it is no disk image.

    Raises:
        SegmentMissingError: it is one, and files of it are missing.
    """
    if path.is_dir():
        return (path,) if is_disk_folder(path) else None
    try:
        file = SourceFile(path)
    except ImageError:
        return None
    try:
        return _of_container(identify(file), file)
    except SegmentMissingError:
        raise
    except ImageError:
        return None
    finally:
        file.release()


def _of_container(container: Container, file: SourceFile) -> Iterable[Path] | None:
    if container is Container.RAW:
        return _raw_segments(file)
    if container in _SETS:
        return _SETS[container](file.path)
    return None if container in LOGICAL_KINDS else (file.path,)


def _extents(path: Path) -> tuple[Path, ...]:
    """The files beside a VMDK's descriptor that are nothing but its extents; none if the file is no descriptor.

    What is read whole with the descriptor, or cannot be opened without it; a descriptor hides no image of which it reads a part.
    """
    if path.suffix.lower() != ".vmdk" or path.is_symlink():
        return ()
    try:
        return tuple(_iter_extents(SourceFile(path)))
    except ImageError:  # what is wrong with it is said when it is opened
        return ()


def _iter_extents(file: SourceFile) -> Iterator[Path]:
    try:
        extents = read_descriptor(file, 0, file.size).extents if file.read_at(0, 1) == b"#" else ()
    finally:
        file.release()
    for name in {one.name for one in extents}:
        if not name or "/" in name or "\0" in name:
            continue
        path = file.path.with_name(name) if name not in (".", "..") else file.path
        if path == file.path or path.is_symlink() or not path.is_file():
            continue
        own = [one for one in extents if one.name == name]
        is_whole_flat = all(one.kind in FLAT for one in own) and sum(one.size for one in own) == path.stat().st_size
        if is_whole_flat or (all(one.kind in SPARSE for one in own) and _is_sparse_extent(path)):
            yield path


def _is_sparse_extent(path: Path) -> bool:
    """Whether the sparse file describes no disk of its own."""
    file = SourceFile(path)
    try:
        header = sparse_header(file)
        return not read_descriptor(file, header.descriptor_at, header.descriptor_size).extents
    finally:
        file.release()


def _raw_segments(file: SourceFile) -> Iterable[Path] | None:
    head = file.read_at(0, HEAD_BYTES)
    known = identify_volume(head) is not None or any(head.startswith(magic, offset) for offset, magic in _HEADS)
    if known or _RAW_NAMES.fullmatch(file.path.suffix):
        return split_raw_set(file.path)[0]
    return None
