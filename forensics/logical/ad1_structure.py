"""The structures of an AD1 logical image (versions 3 and 4): segments, image header, items, their metadata.

There is no specification by the vendor. Followed are the reverse-engineered descriptions "AccessData Format (AD1)" (pcbje/pyad1) and
those of dissect.evidence. The library itself is not used: it follows chains of items without end where they loop, and reads lengths
that the image states whatever they are.

Offsets in an AD1 count from behind the first segment's header, the segments' headers left out.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from forensics.containers.logical_set import AD1_MAGIC, AD1_SEGMENT_HEADER, AD1_SEGMENT_HEADER_BYTES
from forensics.errors import FilesystemError
from forensics.logical.member import LONGEST_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.source import ByteSource

_IMAGE_MAGIC = b"ADLOGICALIMAGE\0"
_IMAGE_HEADER = struct.Struct("<16s3I2QI")
_NAME_AT = {3: 48, 4: 92}
_ITEM = struct.Struct("<5Q2I")
_META = struct.Struct("<Q3I")
_MOST_METAS = 1000
_LONGEST_META = 64 * 1024
_LARGEST_CHUNK = 16 << 20  # FTK Imager writes 64 KiB

FILE, UNKNOWN_FILE, DELETED, FOLDER = 0, 1, 2, 5


class Ad1Error(ValueError):
    """A structure cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file or folder.

    Attributes:
        next: offset of the next item in its folder; 0 if there is none.
        child: offset of the first item in it; 0 if there is none.
        meta: offset of its first metadata; 0 if there is none.
        chunks: offset of the table of its compressed chunks.
        size: bytes of its content.
        type: FILE, UNKNOWN_FILE, DELETED, FOLDER or another.
        name: as stored.
    """

    next: int
    child: int
    meta: int
    chunks: int
    size: int
    type: int
    name: bytes


class Ad1Image:
    """An AD1 whose segments' files stand one after the other in a byte source.

    Attributes:
        name: name of the image: the path that all its items lie under, as a rule.
        chunk_size: bytes of content in one compressed chunk.
        first_item: offset of the first item; 0 if there is none.
    """

    def __init__(self, source: ByteSource, sizes: Sequence[int]) -> None:
        """Opens it.

        Args:
            source: the files' bytes.
            sizes: the length of each file.

        Raises:
            FilesystemError: it is damaged, or a segment is missing.
        """
        self._source = source
        self._starts = (0, *accumulate(sizes[:-1]))
        lengths = []
        image_at = 0
        for number, (start, size) in enumerate(zip(self._starts, sizes, strict=True), start=1):
            head = source.read_at(start, AD1_SEGMENT_HEADER.size)
            if len(head) < AD1_SEGMENT_HEADER.size or head[:16] != AD1_MAGIC or size < AD1_SEGMENT_HEADER_BYTES:
                message = f"file {number} of the AD1 has no segment header"
                raise FilesystemError(message)
            _, _, _, stated, count, _, offset = AD1_SEGMENT_HEADER.unpack(head)
            if stated != number or count != len(sizes):
                message = (
                    f"file {number} of the AD1 says that it is segment {stated} of {count}, and there are {len(sizes)} files; "
                    "put all segments (.ad1, .ad2, …) of the one image into one folder"
                )
                raise FilesystemError(message)
            image_at = image_at or offset
            lengths.append(size - AD1_SEGMENT_HEADER_BYTES)
        self._logical = (0, *accumulate(lengths))
        self._read_header(image_at - AD1_SEGMENT_HEADER_BYTES)

    def _read_header(self, at: int) -> None:
        head = self.read_at(at, _IMAGE_HEADER.size)
        if len(head) < _IMAGE_HEADER.size or not head.startswith(_IMAGE_MAGIC):
            message = f"there is no AD1 image header at byte {at + AD1_SEGMENT_HEADER_BYTES}"
            raise FilesystemError(message)
        _, version, _, self.chunk_size, _, self.first_item, name_bytes = _IMAGE_HEADER.unpack(head)
        if version not in _NAME_AT:
            message = f"the AD1 is of version {version}, and versions 3 and 4 are read; open it with FTK Imager"
            raise FilesystemError(message)
        if not 0 < self.chunk_size <= _LARGEST_CHUNK:
            message = f"the AD1 states chunks of {self.chunk_size} bytes, which cannot be"
            raise FilesystemError(message)
        self.name = self.read_at(at + _NAME_AT[version], min(name_bytes, LONGEST_NAME)).rstrip(b"\0")

    @property
    def size(self) -> int:
        """Bytes of all segments without their headers."""
        return self._logical[-1]

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the image, the segments' headers left out; short only at its end.

        Raises:
            ImageReadError: they cannot be read.
        """
        parts = []
        end = min(offset + length, self.size)
        while 0 <= offset < end:
            index = bisect_right(self._logical, offset) - 1
            skip = offset - self._logical[index]
            part = self._source.read_at(self._starts[index] + AD1_SEGMENT_HEADER_BYTES + skip, min(end, self._logical[index + 1]) - offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def item(self, offset: int) -> Item:
        """The item at the offset.

        Raises:
            Ad1Error: there is none.
        """
        head = self._exactly(offset, _ITEM.size, "an item")
        following, child, meta, chunks, size, kind, name_bytes = _ITEM.unpack(head)
        if name_bytes > LONGEST_NAME:
            message = f"the item at {offset} states a name of {name_bytes} bytes"
            raise Ad1Error(message)
        name = self._exactly(offset + _ITEM.size, name_bytes, "an item's name")
        return Item(next=following, child=child, meta=meta, chunks=chunks, size=size, type=kind, name=name)

    def iter_metas(self, item: Item) -> Iterator[tuple[int, bytes]]:
        """Type and value of each metadata of an item.

        Raises:
            Ad1Error: the next one cannot be read, or there is no end to them.
        """
        offset, seen = item.meta, 0
        while offset:
            seen += 1
            following, _, kind, length = _META.unpack(self._exactly(offset, _META.size, "metadata"))
            if seen > _MOST_METAS or length > _LONGEST_META:
                message = f"the metadata at {offset} have {length} bytes or no end"
                raise Ad1Error(message)
            yield kind, self._exactly(offset + _META.size, length, "metadata")
            offset = following

    def _exactly(self, offset: int, length: int, what: str) -> bytes:
        data = self.read_at(offset, length)
        if len(data) < length:
            message = f"there is no room for {what} at {offset}: the image has {self.size} bytes"
            raise Ad1Error(message)
        return data
