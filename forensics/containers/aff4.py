"""AFF4: a disk in an AFF4 volume. What the image calls unreadable is an error where it is read, never zeros.

References:
    AFF4 Standard 1.0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.containers.aff4_streams import open_stream_of
from forensics.containers.aff4_volume import AFF4, Aff4Volume
from forensics.errors import ImageError, ImageReadError, UnsupportedImageError
from forensics.exhibit import Container, StatedDigests, shown
from forensics.media import DEFAULT_SECTOR_BYTES, Damage, Media, MediaBlock, iter_salvaged
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.exhibit import SourceFile
    from forensics.source import ByteSource

_DISKS = ("DiskImage", "ContiguousImage", "VolumeImage", "Image")
_FACTS = (
    *("caseNumber", "evidenceNumber", "examiner", "notes", "caseDescription", "caseName"),
    *("diskSerial", "diskMake", "diskModel", "endTime"),
)
_MAX_SIZE = 1 << 56
_MAX_SECTOR_BYTES = 1 << 16


class Aff4Media:
    """The media of an AFF4 disk image."""

    def __init__(self, stream: ByteSource, size: int) -> None:
        self._stream, self._size = stream, size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the media.

        Raises:
            ImageReadError: they are damaged, or were not readable when the image was made.
        """
        data = self._stream.read_at(offset, length)
        if len(data) != length:
            message = f"the AFF4 image gives {len(data)} of {length} bytes at byte {offset}"
            raise ImageReadError(message)
        return data

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes in order; unreadable ones as zeros, and named to the sector."""
        position = 0
        for block in iter_salvaged(self.read_at, self._size):
            yield self._narrowed(block, position) if block.damage else block
            position += len(block.data)

    def _narrowed(self, block: MediaBlock, position: int) -> MediaBlock:
        """The block, which is `media[position : …]`, with what of its damaged ranges can be read sector by sector."""
        data = bytearray(block.data)
        damage: list[Damage] = []
        for one in block.damage:
            end = one.start_byte + one.size_bytes
            for start in range(one.start_byte, end, DEFAULT_SECTOR_BYTES):
                size = min(DEFAULT_SECTOR_BYTES, end - start)
                try:
                    data[start - position : start - position + size] = self.read_at(start, size)
                except ImageReadError as error:
                    last = damage[-1] if damage else None
                    if last is not None and last.start_byte + last.size_bytes == start and last.why == str(error):
                        damage[-1] = replace(last, size_bytes=last.size_bytes + size)
                    else:
                        damage.append(Damage(start_byte=start, size_bytes=size, code=one.code, why=str(error)))
        return MediaBlock(bytes(data), tuple(damage))


def open_aff4(file: SourceFile) -> Media:
    """The media of the one disk in an AFF4 volume.

    Raises:
        UnsupportedImageError: it holds none, or several.
        ImageError: it is damaged.
    """
    volume = Aff4Volume(file, shown(file.path))
    disks = next((found for kind in _DISKS if (found := _with_data(volume, kind))), [])
    if len(disks) != 1:
        names = f"{len(disks)} images" if disks else "no disk image"
        message = f"{shown(file.path)}: the AFF4 volume holds {names}; give a volume with one"
        raise UnsupportedImageError(message)
    disk = disks[0]
    stream = open_stream_of(volume, file, disk)
    size = volume.number(disk, "size") or stream.size
    if not 0 < size <= min(stream.size, _MAX_SIZE):
        message = f"{shown(file.path)}: the AFF4 image states {size} bytes, its data has {stream.size}"
        raise ImageError(message)
    digests = volume.digests(disk)
    sector = volume.number(disk, "blockSize") or DEFAULT_SECTOR_BYTES
    return Media(
        container=Container.AFF4,
        size=size,
        files=(file,),
        reader=Aff4Media(stream, size),
        sector_size=sector if 0 < sector <= _MAX_SECTOR_BYTES else DEFAULT_SECTOR_BYTES,
        stated=StatedDigests(md5=digests.get("md5"), sha1=digests.get("sha1")),
        header_values=_header_values(volume),
    )


def is_logical(file: SourceFile) -> bool:
    """Whether the volume holds files and no disk."""
    try:
        volume = Aff4Volume(file, shown(file.path))
    except ImageError:
        return False
    return bool(volume.subjects("FileImage")) and not volume.subjects("DiskImage")


def _with_data(volume: Aff4Volume, kind: str) -> list[str]:
    return [one for one in volume.subjects(kind) if volume.value(one, "dataStream") is not None]


def _header_values(volume: Aff4Volume) -> dict[str, str]:
    found: dict[str, str] = {}
    for facts in volume.graph.values():
        for name in _FACTS:
            for value in facts.get(AFF4 + name, ())[:1]:
                found.setdefault(name, escape_text(str(value)))
    return found
