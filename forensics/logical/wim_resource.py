"""A resource of a WIM as bytes: stored, or in chunks that are compressed each by itself; a chunk that did not shrink is stored.

References: Microsoft, "Windows Imaging File Format (WIM)", 2007, "File Resources" and "Resource Compression"; wimlib's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, StreamReadError
from forensics.logical.wim_huffman import DamagedChunkError
from forensics.logical.wim_lzx import unpack_lzx
from forensics.logical.wim_xpress import unpack_xpress

if TYPE_CHECKING:
    from forensics.source import ByteSource

_WIDE_RESOURCE_BYTES = 1 << 32  # from there on the table of chunks has entries of 8 bytes
_COMPRESSED, _SPANNED, _SOLID = 0x04, 0x08, 0x10
METADATA = 0x02


class Method(IntEnum):
    """How chunks are compressed: flags of the header."""

    NONE = 0
    XPRESS = 0x00020000
    LZX = 0x00040000


@dataclass(frozen=True, slots=True)
class Resource:
    """Where a resource lies, and how long it is.

    Attributes:
        stored: bytes in the file.
        flags: RESHDR flags.
        at: first byte in the file.
        size: bytes of its content.
    """

    stored: int
    flags: int
    at: int
    size: int


class ResourceStream:
    """The content of a resource.

    Attributes:
        size: bytes of it.
        stated: digests that the WIM states.
    """

    def __init__(self, source: ByteSource, resource: Resource, method: Method, chunk_size: int, stated: dict[str, str]) -> None:
        """Of a resource in `source`, in chunks of that many bytes.

        Raises:
            StreamReadError: it is of a kind that is not read, or does not lie in the file.
        """
        self._source, self._resource, self._method, self._chunk_size = source, resource, method, chunk_size
        self.size, self.stated = resource.size, stated
        self._kept: tuple[int, bytes] = (-1, b"")
        self._is_stored = not resource.flags & _COMPRESSED
        if resource.flags & (_SPANNED | _SOLID):
            message = "the content is in a solid or spanned resource, which is not read; export the image with wimlib-imagex without solid"
            raise StreamReadError(message)
        if self._is_stored and resource.stored != resource.size:
            message = f"the content is stored in {resource.stored} bytes and stated as {resource.size}"
            raise StreamReadError(message)
        if not self._is_stored and method is Method.NONE:
            message = "the content is compressed, and the WIM does not say how"
            raise StreamReadError(message)
        self._count = -(-resource.size // chunk_size) if not self._is_stored else 0
        self._entry_bytes = 8 if resource.size >= _WIDE_RESOURCE_BYTES else 4
        self._data_at = resource.at + max(0, self._count - 1) * self._entry_bytes

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: they are damaged or not there.
        """
        end, parts = min(offset + length, self.size), []
        try:
            if self._is_stored:
                return self._stored(self._resource.at + offset, end - offset) if offset < end else b""
            while offset < end:
                index, skip = divmod(offset, self._chunk_size)
                part = self._chunk(index)[skip : skip + end - offset]
                parts.append(part)
                offset += len(part)
        except ImageReadError as error:
            raise StreamReadError(str(error)) from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def checksum_failure(self) -> str:
        """Nothing: what the WIM states is a digest."""
        return ""

    def _chunk(self, index: int) -> bytes:
        if self._kept[0] != index:
            expected = min(self._chunk_size, self.size - index * self._chunk_size)
            begin, end = self._place(index), self._place(index + 1)
            if not 0 < end - begin <= expected:
                message = f"chunk {index} of the content is stated as {end - begin} bytes, which cannot be"
                raise StreamReadError(message)
            stored = self._stored(self._data_at + begin, end - begin)
            self._kept = index, stored if len(stored) == expected else self._unpacked(index, stored, expected)
        return self._kept[1]

    def _unpacked(self, index: int, stored: bytes, expected: int) -> bytes:
        try:
            if self._method is Method.XPRESS:
                return unpack_xpress(stored, expected)
            return unpack_lzx(stored, expected, self._chunk_size)
        except DamagedChunkError as error:
            message = f"chunk {index} of the content is damaged: {error}"
            raise StreamReadError(message) from error

    def _place(self, index: int) -> int:
        """Where the chunk begins, counted from the first one; the first has no entry in the table."""
        if not index:
            return 0
        if index >= self._count:
            return self._resource.stored - (self._data_at - self._resource.at)
        return int.from_bytes(self._stored(self._resource.at + (index - 1) * self._entry_bytes, self._entry_bytes), "little")

    def _stored(self, at: int, length: int) -> bytes:
        data = self._source.read_at(at, length) if at + length <= self._source.size else b""
        if len(data) < length:
            message = f"{length} bytes of the content lie at byte {at}, where the WIM has only {self._source.size}"
            raise StreamReadError(message)
        return data
