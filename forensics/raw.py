"""A raw image: the media byte for byte, in one file or cut into segments that follow each other."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from forensics.errors import Problem, Stage
from forensics.exhibit import Container
from forensics.media import DEFAULT_SECTOR_BYTES, Media, iter_salvaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.exhibit import SourceFile
    from forensics.media import MediaBlock


class RawReader:
    """The files' bytes, one file after the other."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self._files = tuple(files)
        self._starts = (0, *accumulate(file.size for file in files))

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `media[offset : offset + length]`.

        Raises:
            ImageReadError: the system cannot read them.
        """
        parts = []
        index = bisect_right(self._starts, offset) - 1
        while length > 0 and index < len(self._files):
            part = self._files[index].read_at(offset - self._starts[index], length)
            parts.append(part)
            offset += len(part)
            length -= len(part)
            index += 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes of the media in order; what the system cannot read as zeros, and named."""
        return iter_salvaged(self.read_at, self._starts[-1])


def open_raw(files: Sequence[SourceFile], problems: Sequence[Problem] = ()) -> Media:
    """The media of a raw image in one file, or of a split one; what `problems` were found while its segments were gathered."""
    reader = RawReader(files)
    size = sum(file.size for file in files)
    found = [*problems, *_uneven_segments(files)]
    if size % DEFAULT_SECTOR_BYTES:
        found.append(
            Problem(
                stage=Stage.IMAGE,
                code="raw-not-whole-sectors",
                what=f"The image does not end on a sector of {DEFAULT_SECTOR_BYTES} bytes; it may be cut off.",
                why=f"its size of {size} bytes leaves {size % DEFAULT_SECTOR_BYTES} bytes over",
                advice="Compare its size with the acquisition notes.",
                start_byte=size - size % DEFAULT_SECTOR_BYTES,
                size_bytes=size % DEFAULT_SECTOR_BYTES,
            )
        )
    single = len(files) == 1
    return Media(
        container=Container.RAW if single else Container.SPLIT_RAW,
        size=size,
        files=tuple(files),
        reader=reader,
        problems=tuple(found),
        native_path=files[0].path if single else None,
    )


def open_whole(file: SourceFile, container: Container) -> Media:
    """The file itself as the media, byte for byte: for containers that hold files and not a disk."""
    return Media(container=container, size=file.size, files=(file,), reader=RawReader((file,)))


def _uneven_segments(files: Sequence[SourceFile]) -> list[Problem]:
    """A splitter fills each segment but the last, so another size means a segment that is cut off or from elsewhere."""
    usual = files[0].size
    uneven = [file for file in files[1:-1] if file.size != usual] + [file for file in files[1:][-1:] if file.size > usual]
    return [
        Problem(
            stage=Stage.IMAGE,
            code="segment-size",
            what=f"Segment {file.name} does not have the size of the first; it may be cut off or belong to another image.",
            why=f"it has {file.size} bytes, {files[0].name} has {usual}",
            advice="Compare the segments with the acquisition notes.",
            path=file.name,
        )
        for file in uneven
    ]
