"""An exhibit's files as one read-only, seekable image, whatever container they are in.

The container is decided by signature, never by name; nothing is opened for writing; no file outside the exhibit's own folder
is ever opened because something inside an image names it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from forensics.containers.aff4 import open_aff4
from forensics.containers.dmg import open_dmg
from forensics.containers.ewf2 import open_ewf2
from forensics.containers.folder import open_folder, scan_folder
from forensics.containers.kinds import identify
from forensics.containers.logical_set import open_ad1, open_l01
from forensics.containers.parallels import descriptor_in
from forensics.containers.virtual import open_virtual_disk
from forensics.errors import ImageError
from forensics.ewf import open_ewf
from forensics.exhibit import Container, SourceFile, SourceState, read_fingerprint, read_state
from forensics.raw import open_raw, open_whole
from forensics.segment_sets import ad1_set, ewf2_set, ewf_set, l01_set, split_raw_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from forensics.errors import Problem
    from forensics.exhibit import Segment, StatedDigests
    from forensics.media import Media, MediaBlock

_MAX_OPEN_SEGMENTS = 256
# They hold files and not a disk: what was acquired is the file itself, and its digest is the media's.
_WHOLE_FILES = frozenset((Container.AFF4_LOGICAL, Container.TAR, Container.ZIP, Container.WIM, Container.ARCHIVE))

_SETS: Mapping[Container, tuple[Callable[[Path], tuple[Path, ...]], Callable[[Sequence[SourceFile]], Media]]] = MappingProxyType(
    {
        Container.EWF: (ewf_set, open_ewf),
        Container.EWF2: (ewf2_set, open_ewf2),
        Container.AD1: (ad1_set, open_ad1),
        Container.L01: (l01_set, open_l01),
    }
)
_SINGLE: Mapping[Container, Callable[[SourceFile], Media]] = MappingProxyType({Container.AFF4: open_aff4, Container.DMG: open_dmg})


class Image:
    """The media inside an exhibit's files, read-only. Threads may share it; another process opens it by path again.

    Attributes:
        path: the file that was named when it was opened.
        container: the format of the files.
        size: size of the media, bytes.
        sector_size: size of a sector as the container states it, else 512; bytes.
        segments: the files, in order.
        stated: the digests of the media that the container stores.
        header_values: what the container says of the acquisition.
        native_path: the file, where it is raw and one file, so that TSK can read it natively; else None.
    """

    def __init__(self, path: Path, media: Media) -> None:
        self.path = path
        self.container: str = media.container.value
        self.size = media.size
        self.sector_size = media.sector_size
        self.segments: tuple[Segment, ...] = tuple(file.segment for file in media.files)
        self.stated: StatedDigests = media.stated
        self.header_values: Mapping[str, str] = media.header_values
        self.native_path = media.native_path
        self._media = media

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> str | tuple[object, ...]:
        message = "an image is not pickled: the other process opens it by its path"
        raise TypeError(message)

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `media[offset : offset + length]`, short only at the end of the media.

        Raises:
            ImageReadError: some of them are damaged or cannot be read; the message names sectors or bytes. Never zeros instead.
        """
        if offset < 0 or length < 0:
            message = f"negative offset {offset} or length {length}"
            raise ValueError(message)
        length = min(length, self.size - offset)
        return self._media.reader.read_at(offset, length) if length > 0 else b""

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes of the media in order, in blocks of the reader's choice; damaged ranges are named, never raised."""
        return self._media.reader.iter_blocks()

    def problems(self) -> tuple[Problem, ...]:
        """What was found while opening."""
        return self._media.problems

    def close(self) -> None:
        """Closes the files."""
        _release(self._media.files)


def open_image(path: Path) -> Image:
    """The image that the file is, or is a segment of; or that the folder is: a disk folder of Parallels, or a folder of files.

    A file that holds files and not a disk (logical evidence, an archive) is its own media, byte for byte; of a set the files' bytes
    one after the other.

    Raises:
        ImageNotFoundError: there is no such file.
        SegmentMissingError: a segment of the set is not there; the message names it.
        UnsupportedImageError: the container is known and not read, needs a file that belongs to no exhibit, or a segment is a
            symbolic link.
        ImageError: it is no regular file, cannot be read, or is damaged so that the media is not whole.
    """
    descriptor = descriptor_in(path)
    if descriptor is None and path.is_dir():
        return Image(path, open_folder(path))
    first = SourceFile(descriptor or path)
    files: Sequence[SourceFile] = (first,)
    try:
        container = Container.PARALLELS if descriptor else identify(first)
        if container is Container.RAW:
            paths, problems = split_raw_set(path)
            files = _open_all(paths, first)
            return Image(path, open_raw(files, problems))
        if container in _SETS:
            segments_of, open_set = _SETS[container]
            files = _open_all(segments_of(path), first)
            return Image(path, open_set(files))
        if container in _WHOLE_FILES:
            return Image(path, open_whole(first, container))
        if container in _SINGLE:
            return Image(path, _SINGLE[container](first))
        return Image(path, open_virtual_disk(container, first))
    except ImageError:
        _release(files)
        raise


def source_state(image: Image) -> SourceState:
    """Size and time of last change of the image's files as they are now; equal before and after, if nothing was written.

    Raises:
        ImageError: a file is no longer there.
    """
    return read_state(tuple(segment.path for segment in image.segments))


def source_fingerprint(image: Image) -> str:
    """Equal for two looks at the image's files if nothing was written to, exchanged or copied between them; hex.

    Times of change cannot be set at will, so that files of which it says "equal" need not be hashed again. Of a folder it is its listing.

    Raises:
        ImageError: a file is no longer there.
    """
    if image.container == Container.FOLDER:
        return scan_folder(image.path).fingerprint
    return read_fingerprint(tuple(segment.path for segment in image.segments))


def _open_all(paths: Sequence[Path], first: SourceFile) -> tuple[SourceFile, ...]:
    """The files of the set, `first` among them; of a large set only some are held open."""
    files: list[SourceFile] = []
    try:
        for path in paths:
            file = first if path == first.path else SourceFile(path, named=False)
            if len(files) >= _MAX_OPEN_SEGMENTS:
                file.release()
            files.append(file)
    except ImageError:
        _release(files)
        raise
    return tuple(files)


def _release(files: Sequence[SourceFile]) -> None:
    for file in files:
        file.release()
