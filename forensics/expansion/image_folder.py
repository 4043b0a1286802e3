"""The folder that an image inside an image is opened in: a copy of it, and of those files beside it in the evidence that it needs.

The folder is ours and empty; the image's copy has a name of ours. What it needs (a backing file, a parent, an extent) is copied under its
own plain name, because the image finds it by that; the segments of a set under ours with their own extensions. Nothing of the examiner's
disk can be found from there.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Protocol

from forensics.containers.vmdk_descriptor import MAX_DESCRIPTOR_BYTES, names_in_descriptor
from forensics.disks import open_disks
from forensics.errors import ArchiveError, ForensicsError, SegmentMissingError
from forensics.expansion.guard import guarded
from forensics.names import escape_text
from forensics.segment_sets import companions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from forensics.disks import Disks

_MOST_BYTES = 1 << 40  # of all files beside an image together; their links to one file could make any number of copies of it
_LONGEST_NAME = 255
_EXTENT = ".vmdk"
_WHAT_NEXT = "extract both into one folder and process that"


class Siblings(Protocol):
    """The files that lie beside an image in the evidence.

    Attributes:
        own: the image's own name, as the filesystem has it, as `os.fsdecode` gives it.
    """

    own: str

    def sizes(self) -> Mapping[str, int]:
        """Size in bytes of each plain file in the image's folder but itself, by its name."""

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of one of them.

        Raises:
            StreamReadError: some of it cannot be read.
        """


class ImageFolder:
    """The image and what lies beside it, as files of ours."""

    def __init__(self, folder: Path, name: str, siblings: Siblings | None) -> None:
        """`folder` is empty; `name` is the image's, escaped; without `siblings` nothing lies beside it."""
        self._folder, self._name, self._siblings = folder, name, siblings
        self._left = _MOST_BYTES
        self._segments = companions(siblings.own, siblings.sizes()) if siblings is not None else ()
        suffix = os.path.splitext(siblings.own)[1] if siblings is not None and self._segments else _safe_suffix(name)  # noqa: PTH122
        self.path = folder / f"image{suffix}"

    def is_part(self) -> bool:
        """Whether the image is opened through another file beside it: an extent of a VMDK, or not the first of its segments."""
        if self._siblings is None:
            return False
        if self._segments:
            return self._siblings.own != min((self._siblings.own, *self._segments), key=str.casefold)
        return self._siblings.own.lower().endswith(_EXTENT) and any(
            self._siblings.own in names_in_descriptor(b"".join(self._blocks(name)))
            for name, size in self._siblings.sizes().items()
            if name.lower().endswith(_EXTENT) and size <= MAX_DESCRIPTOR_BYTES
        )

    def open(self, file: BinaryIO) -> Disks:
        """The image, with what it needs from beside it.

        Raises:
            ArchiveError: it cannot be opened, what it needs does not lie beside it, or there is no room for the copies.
        """
        _place(file, self.path)
        for name in self._segments:
            self._bring(name, self.path.with_suffix(os.path.splitext(name)[1]))  # noqa: PTH122
        while True:
            try:
                return open_disks((self.path,))
            except SegmentMissingError as error:
                if not self._bring_one_of(error.wanted):
                    raise ArchiveError(self._why_missing(error)) from error
            except ForensicsError as error:
                raise ArchiveError(self._told(error)) from error

    def _bring_one_of(self, wanted: tuple[str, ...]) -> bool:
        if self._siblings is None:
            return False
        for name in wanted:
            alike = [other for other in self._siblings.sizes() if other.casefold() == name.casefold()]
            found = name if name in alike else alike[0] if len(alike) == 1 else ""
            if _is_plain(found) and not (self._folder / found).exists():
                self._bring(found, self._folder / found)
                return True
        return False

    def _bring(self, name: str, target: Path) -> None:
        assert self._siblings is not None, "else there would be no name"
        self._left -= self._siblings.sizes()[name]
        if self._left < 0:
            message = f"the files beside it that it needs are larger than {_MOST_BYTES} bytes together"
            raise ArchiveError(message)
        try:
            with target.open("xb") as copy:
                for block in self._blocks(name):
                    if block.count(0) < len(block):
                        copy.write(block)
                    else:  # a hole takes no room
                        copy.seek(len(block), os.SEEK_CUR)
                copy.truncate()
        except OSError as error:
            raise _no_room(error) from error

    def _blocks(self, name: str) -> Iterator[bytes]:
        assert self._siblings is not None, "else there would be no name"
        return guarded(self._siblings.blocks(name), f"{_shown(name)}, which lies beside it")

    def _told(self, error: ForensicsError) -> str:
        return str(error).replace(str(self.path), self._name).replace(f"{self._folder}{os.sep}", "")

    def _why_missing(self, error: SegmentMissingError) -> str:
        if not error.role:
            return self._told(error)
        if not error.wanted:
            return f"it needs a {error.role}, which no name tells, and by that none is looked for here; {_WHAT_NEXT}"
        where = (
            "and what is inside another container is opened by itself here"
            if self._siblings is None
            else "which does not lie beside it in the evidence; nothing of another folder is opened because an image names it"
        )
        return f"it needs the {error.role} '{error.stated}', {where}; {_WHAT_NEXT}"


def _shown(name: str) -> str:
    return escape_text(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not set(name) & {"/", "\0"} and len(os.fsencode(name)) <= _LONGEST_NAME


def _place(file: BinaryIO, path: Path) -> None:
    """Puts the file's bytes under the path: as a second name of one file where that can be."""
    name = getattr(file, "name", None)
    try:
        if isinstance(name, str):
            path.hardlink_to(name)
            return
    except OSError:  # another filesystem, or one without hard links
        pass
    file.seek(0)
    try:
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> ArchiveError:
    return ArchiveError(f"no room for a temporary copy of the disk image: {error.strerror}")


def _safe_suffix(name: str) -> str:
    """The name's ending where it is one that a reader goes by; another one could promise what the bytes are not."""
    return next((ending for ending in (".dmg", ".vhd") if name.lower().endswith(ending)), "")
