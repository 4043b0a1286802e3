"""What the examiner named on the command line -> exhibits: an image, the images of an exhibit, a folder of images, a folder of files.

A folder holds images if every file in it that is not a note of the acquisition (its log, its list of digests) is a disk image or a
segment of one; then each image is an exhibit of its own. Anything else, and any folder with folders in it, is logical evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from forensics.containers.kinds import identify
from forensics.containers.parallels import is_disk_folder
from forensics.containers.vmdk_descriptor import read_descriptor
from forensics.containers.vmdk_extents import FLAT, SPARSE, sparse_header
from forensics.errors import ImageError, SegmentMissingError
from forensics.exhibit import Container, SourceFile, shown
from forensics.filesystems.readers import READERS
from forensics.logical.open_logical import LOGICAL_KINDS
from forensics.segment_sets import ad1_set, ewf2_set, ewf_set, l01_set, split_raw_set
from forensics.signatures import HEAD_BYTES
from forensics.signatures import identify as identify_volume
from pipelines.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NOTES = frozenset((".txt", ".log", ".csv", ".json", ".xml", ".md5", ".sha1", ".sha256", ".sha512", ".pdf", ".html", ".htm", ".md", ".asc"))
_SETS = {Container.EWF: ewf_set, Container.EWF2: ewf2_set, Container.AD1: ad1_set, Container.L01: l01_set}
_RAW_NAMES = re.compile(r"\.(dd|raw|img|bin|iso|dmg|[0-9]{3,4}|aa)", re.IGNORECASE)
_HEADS = ((510, b"\x55\xaa"), (0x438, b"\x53\xef"), (0x8001, b"CD001"))  # boot sector, ext (s_magic), ISO 9660


class FolderAs(StrEnum):
    """What a folder is taken for."""

    AUTO = "auto"
    IMAGES = "images"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class ExhibitFiles:
    """One exhibit: what its number has behind the one given (".1", ".2"; "" for a single one), and its images."""

    suffix: str
    images: tuple[Path, ...]


def exhibits_of(paths: tuple[Path, ...], folder_as: FolderAs = FolderAs.AUTO) -> tuple[ExhibitFiles, ...]:
    """The exhibits that the paths mean: several files are the disks of one exhibit, a folder of images one exhibit an image.

    Raises:
        RunError: a folder was asked to be taken for images and holds none, or is named beside other images.
        ImageError: a folder cannot be listed.
    """
    folders = [path for path in paths if path.is_dir() and not is_disk_folder(path)]
    if not folders:
        return (ExhibitFiles("", paths),)
    if len(paths) > 1:
        message = f"{shown(folders[0])} is a folder; give a folder alone, or the images of one exhibit"
        raise RunError(message)
    images = () if folder_as is FolderAs.FILES else images_in(folders[0], strict=folder_as is FolderAs.AUTO)
    if not images:
        if folder_as is FolderAs.IMAGES:
            message = f"{shown(folders[0])} holds no disk image; leave out --folder-as images to take it for a collection of files"
            raise RunError(message)
        return (ExhibitFiles("", paths),)
    if len(images) == 1:
        return (ExhibitFiles("", images),)
    return tuple(ExhibitFiles(f".{number}", (image,)) for number, image in enumerate(images, start=1))


def images_in(folder: Path, *, strict: bool) -> tuple[Path, ...]:
    """The first file of each disk image in the folder, by name.

    Args:
        folder: the folder; folders inside it are not entered.
        strict: whether anything that is no image, no segment and no note makes it a folder without images.

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
    images = []
    for path in there:
        if path in segments or _is_note(path):
            continue
        try:
            found = None if path.is_symlink() else _segments(path)
        except SegmentMissingError:  # an image; what is missing is said when it is opened, and its later segments are part of it
            found = () if (path.stem, len(path.suffix)) in incomplete else (path,)
            incomplete.add((path.stem, len(path.suffix)))
        if found is None:
            if strict:
                return ()
            continue
        images += [path] if found else []
        segments.update(found)
    return tuple(images)


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


def parse_readers(stated: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(volume, reader) of each `VOLUME=READER`.

    Raises:
        RunError: it is not of that form, or names no reader.
    """
    readers = []
    for one in stated:
        volume, equals, reader = one.partition("=")
        if not (volume and equals) or reader not in READERS:
            message = f"--reader {one!r}: write VOLUME=READER, e.g. v02=dissect; readers: {', '.join(READERS)}"
            raise RunError(message)
        readers.append((volume, reader))
    return tuple(readers)
