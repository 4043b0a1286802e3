"""An image being opened and what it is built on: each layer's files, in the exhibit's own folder, without loops and not too deep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.block_cache import CACHE_BYTES
from forensics.containers.beside import Beside
from forensics.errors import ImageError, ImageReadError, Problem, Stage, UnsupportedImageError
from forensics.exhibit import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from forensics.exhibit import Container, SourceFile
    from forensics.media import Media

    # Opens the disk in a file, its parents by the lineage.
    OpenDisk = Callable[[SourceFile, "Lineage"], Media]

# VMware makes chains of at most 32. Each layer takes some ten frames of Python's stack and its own cache.
MAX_LAYERS = 40
_PARENT_CACHE_BYTES = 4 * 1024 * 1024


class Lineage:
    """The layers opened so far, the newest first.

    Attributes:
        beside: the files that an image of this exhibit may bring in.
    """

    def __init__(self, first: SourceFile, openers: Mapping[Container, OpenDisk]) -> None:
        self.beside = Beside(first)
        self._openers = openers
        self._layers: list[SourceFile] = []

    @property
    def cache_bytes(self) -> int:
        """How much the layer that is being opened may keep: parents less, because there may be many."""
        return CACHE_BYTES if len(self._layers) <= 1 else _PARENT_CACHE_BYTES

    def open(self, container: Container, file: SourceFile) -> Media:
        """The media of the next layer down.

        Raises:
            UnsupportedImageError: a disk of that format cannot be a layer.
            ImageError: it is a layer already, the chain is too long, or it cannot be opened.
        """
        if container not in self._openers:
            message = f"{shown(file.path)}: is {container.value}, over which no disk is read; convert it to raw first"
            raise UnsupportedImageError(message)
        if any(layer.identity == file.identity for layer in self._layers):
            message = f"{shown(file.path)}: is its own parent, through {len(self._layers)} disks; the chain is a loop"
            raise ImageError(message)
        if len(self._layers) >= MAX_LAYERS:
            message = f"{shown(self._layers[0].path)}: stands on more than {MAX_LAYERS} disks, one over the other; give a merged image"
            raise ImageError(message)
        self._layers.append(file)
        media = self._openers[container](file, self)
        self._layers.pop()
        return media


class Underlay:
    """What a disk finds in its parent: the parent's bytes, and zeros behind the parent's end."""

    def __init__(self, parent: Media, size: int) -> None:
        """`size` is that of the disk above, bytes; it may be rounded up to whole blocks."""
        self._parent = parent
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `underlay[offset : offset + length]`, short only at its end.

        Raises:
            ImageReadError: the parent does not give them; the message names it.
        """
        length = min(length, self.size - offset)
        there = min(length, self._parent.size - offset)
        try:
            data = self._parent.reader.read_at(offset, there) if there > 0 else b""
        except ImageReadError as error:
            message = f"in its parent {self._parent.files[0].name}, {error}"
            raise ImageReadError(message) from error
        return data.ljust(max(0, length), b"\0")


def size_problems(file: SourceFile, size: int, parent: Media) -> tuple[Problem, ...]:
    """What to record of a disk that does not have the size of its parent, in formats where a snapshot keeps it."""
    if size == parent.size:
        return ()
    return (
        Problem(
            stage=Stage.IMAGE,
            code="parent-size",
            what=f"The disk {file.name} and its parent {parent.files[0].name} differ in size; the parent may be another disk's.",
            why=f"the one has {size} bytes, the other {parent.size}; behind the parent's end zeros are read",
            advice="Compare both with the acquisition notes.",
            path=file.name,
        ),
    )
