"""The media of an exhibit: one image, or several that belong together (the disks of an array), one after the other.

Byte positions in the tables count from the start of the first disk; the second begins where the first ends. An exhibit of one image
is that image.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from forensics.errors import Problem
    from forensics.image import Image


class Disks:
    """The images of one exhibit, open. Threads may share it; another process opens it by its paths again.

    Attributes:
        images: one or more, in the order in which they were given.
        starts: where each begins in the exhibit's media, bytes.
        size: size of all together, bytes.
    """

    def __init__(self, images: Sequence[Image]) -> None:
        self.images = tuple(images)
        self.starts = tuple(accumulate((image.size for image in self.images[:-1]), initial=0))
        self.size = sum(image.size for image in self.images)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file by which each image was opened."""
        return tuple(image.path for image in self.images)

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `media[offset : offset + length]`, short only at the end of the last disk.

        Raises:
            ImageReadError: some of them cannot be read.
        """
        parts = []
        number = bisect_right(self.starts, offset) - 1
        while length > 0 and number < len(self.images):
            part = self.images[number].read_at(offset - self.starts[number], length)
            parts.append(part)
            offset += len(part)
            length -= len(part)
            number += 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def problems(self) -> tuple[Problem, ...]:
        """What was found while opening."""
        return tuple(problem for image in self.images for problem in image.problems())

    def close(self) -> None:
        """Closes the files of all."""
        for image in self.images:
            image.close()


def open_disks(paths: Sequence[Path]) -> Disks:
    """The exhibit's images.

    Raises:
        ImageError: one of them cannot be opened.
    """
    images: list[Image] = []
    try:
        images.extend(open_image(path) for path in paths)
    except BaseException:
        for image in images:
            image.close()
        raise
    return Disks(images)
