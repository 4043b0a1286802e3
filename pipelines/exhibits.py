"""What the examiner named on the command line -> exhibits: an image, the images of an exhibit, a folder of images, a folder of files.

A folder in which there is nothing but disk images, and notes of the acquisition, holds images: each is an exhibit of its own. One
without a disk image is logical evidence. One of both is not guessed at: taken for files its images would stay closed, taken for images
its files would not be examined.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from forensics.containers.parallels import is_disk_folder
from forensics.exhibit import shown
from forensics.filesystems.readers import READERS
from forensics.names import display_path
from pipelines.errors import RunError
from pipelines.image_folder import read_image_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TOLD = 3


class FolderAs(StrEnum):
    """What a folder is taken for."""

    AUTO = "auto"
    IMAGES = "images"
    FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibits:
    """What the paths mean.

    Attributes:
        images: of each exhibit the images; one of several is an array.
        of_folder: whether each is an image of a folder.
        left_out: what lies in that folder beside its images, and belongs to no exhibit.
    """

    images: tuple[tuple[Path, ...], ...]
    of_folder: bool = False
    left_out: tuple[Path, ...] = ()


def exhibits_of(paths: tuple[Path, ...], folder_as: FolderAs = FolderAs.AUTO) -> Exhibits:
    """The exhibits that the paths mean: several files are the disks of one exhibit, a folder of images one exhibit an image.

    Raises:
        RunError: a folder is named beside other images, holds images and other files and nobody said what it is to be taken for, or was
            to be taken for images and holds none.
        ImageError: a folder cannot be listed.
    """
    folders = [path for path in paths if path.is_dir() and not is_disk_folder(path)]
    if not folders:
        return Exhibits(images=(paths,))
    if len(paths) > 1:
        message = f"{shown(folders[0])} is a folder; give a folder alone, or the images of one exhibit"
        raise RunError(message)
    if folder_as is FolderAs.FILES:
        return Exhibits(images=(paths,))
    found = read_image_folder(folders[0])
    if not found.images:
        if folder_as is FolderAs.IMAGES:
            message = f"{shown(folders[0])} holds no disk image; leave out --folder-as images to take it for a collection of files"
            raise RunError(message)
        return Exhibits(images=(paths,))
    if found.others and folder_as is FolderAs.AUTO:
        message = (
            f"{shown(folders[0])} holds disk images ({names_of(found.images)}) and something else ({names_of(found.others)}); say "
            "--folder-as images to process each image and leave out the rest, --folder-as files to take all of it for a collection of files"
        )
        raise RunError(message)
    return Exhibits(images=tuple((image,) for image in found.images), of_folder=True, left_out=found.others)


def names_of(paths: Sequence[Path], most: int = _TOLD) -> str:
    """The names of the first `most` files as one line of text, and how many more there are."""
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(name_of(path) for path in paths[:most]) + more


def name_of(path: Path) -> str:
    """The file's name as one line of text in which no character acts."""
    return display_path(os.fsencode(path.name))[0]


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
