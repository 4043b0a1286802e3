"""The streams of an AFF4 volume as bytes: compressed image streams, maps over them, plain members.

References:
    AFF4 Standard 1.0: "Image Stream" (bevies, index of 12-byte entries), "Map" (28-byte points), "Symbolic Streams".
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from dissect.util.compression import lz4, snappy

from forensics.block_cache import BlockCache
from forensics.boundary import attempt
from forensics.containers.aff4_volume import AFF4, TYPE
from forensics.errors import ImageError, ImageReadError
from forensics.names import escape_text
from forensics.source import SourceSlice

if TYPE_CHECKING:
    from forensics.containers.aff4_volume import Aff4Volume
    from forensics.source import ByteSource

_INDEX = struct.Struct("<QI")
_POINT = struct.Struct("<QQQI")
_MAX_CHUNK_BYTES = 16 << 20
_MAX_MAP_BYTES = 64 << 20
_MAX_INDEX_BYTES = 16 << 20
_MOST_INDEXES = 8
_NESTED = 8  # maps over maps
_SYMBOLIC = AFF4 + "SymbolicStream"
_BYTE = re.compile("[0-9A-Fa-f]{2}")
_METHODS = {
    "https://www.ietf.org/rfc/rfc1950.txt": "zlib",
    "https://tools.ietf.org/html/rfc1951": "deflate",
    "http://code.google.com/p/snappy/": "snappy",
    "https://github.com/google/snappy": "snappy",
    "https://code.google.com/p/lz4/": "lz4",
    AFF4 + "NullCompressor": "stored",
}


class ImageStream:
    """Chunks of equal size, each compressed by itself or stored, gathered in bevies."""

    def __init__(self, volume: Aff4Volume, source: ByteSource, urn: str) -> None:
        self._volume, self._source, self._urn = volume, source, urn
        size, chunk, in_bevy = (volume.number(urn, name) for name in ("size", "chunkSize", "chunksInSegment"))
        method = volume.value(urn, "compressionMethod")
        self._method = "stored" if method is None else _METHODS.get(method, "")
        if size is None or not chunk or not in_bevy or chunk > _MAX_CHUNK_BYTES or not self._method:
            stated = f"size {size}, chunks of {chunk}, {in_bevy} a bevy, compression {escape_text(method or 'none')}"
            message = f"the AFF4 stream {escape_text(urn)} states {stated}, which is not read"
            raise ImageError(message)
        self.size, self._chunk_size, self._in_bevy = size, chunk, in_bevy
        self._cache = BlockCache()
        self._bevies: dict[int, tuple[bytes, int, int]] = {}

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the stream, short only at its end.

        Raises:
            ImageReadError: a chunk is damaged or not there.
        """
        end = min(offset + length, self.size)
        parts = []
        while offset < end:
            index, skip = divmod(offset, self._chunk_size)
            part = self._chunk(index)[skip : skip + end - offset]
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def _chunk(self, index: int) -> bytes:
        kept = self._cache.get(index)
        if kept is not None:
            return kept
        expected = min(self._chunk_size, self.size - index * self._chunk_size)
        bevy, number = divmod(index, self._in_bevy)
        table, start, size = self._bevy(bevy)
        where = f"chunk {index} of the AFF4 stream {escape_text(self._urn)}"
        if (number + 1) * _INDEX.size > len(table):
            message = f"{where} is not in the index of its bevy"
            raise ImageReadError(message)
        at, length = _INDEX.unpack_from(table, number * _INDEX.size)
        if at + length > size or length > 2 * self._chunk_size:
            message = f"{where} is placed outside its bevy"
            raise ImageReadError(message)
        stored = self._source.read_at(start + at, length)
        data = stored if length == self._chunk_size or self._method == "stored" else self._unpacked(stored, where)
        if len(data) < expected:
            message = f"{where} has {len(data)} bytes where {expected} should be"
            raise ImageReadError(message)
        data = data[:expected]
        self._cache.put(index, data)
        return data

    def _unpacked(self, stored: bytes, where: str) -> bytes:
        found: list[bytes] = []

        def unpack() -> None:
            if self._method == "snappy":
                found.append(_unsnappy(stored, self._chunk_size))
            elif self._method == "lz4":
                found.append(lz4.decompress(stored, self._chunk_size))
            else:
                found.append(_inflate(stored, self._chunk_size, -15 if self._method == "deflate" else 15))

        error = attempt(unpack)
        if error is not None:
            message = f"{where} is damaged: {type(error).__name__}: {error}"
            raise ImageReadError(message) from error
        return bytes(found[0])

    def _bevy(self, number: int) -> tuple[bytes, int, int]:
        """Index of a bevy, and where its bytes lie in the file."""
        if number not in self._bevies:
            name = f"{self._urn}/{number:08d}"
            try:
                index = self._volume.read(f"{name}.index", most=_MAX_INDEX_BYTES)
            except ImageError as error:
                raise ImageReadError(str(error)) from error
            if len(self._bevies) >= _MOST_INDEXES:
                self._bevies.clear()
            self._bevies[number] = (index, *self._volume.place(name))
        return self._bevies[number]


class Map:
    """Ranges of other streams, and of symbolic ones."""

    def __init__(self, volume: Aff4Volume, source: ByteSource, urn: str, depth: int) -> None:
        points = volume.read(f"{urn}/map", most=_MAX_MAP_BYTES)
        self._targets = volume.read(f"{urn}/idx").decode("utf-8", "replace").split("\n")
        if len(points) % _POINT.size:
            message = f"the AFF4 map {escape_text(urn)} is cut off: {len(points)} bytes are no whole number of ranges"
            raise ImageError(message)
        self._ranges = sorted(_POINT.iter_unpack(points))
        for (start, length, _, _), following in pairwise(self._ranges):
            if start + length > following[0]:
                message = f"the ranges of the AFF4 map {escape_text(urn)} lie over each other at byte {following[0]}"
                raise ImageError(message)
        self._starts = [one[0] for one in self._ranges]
        stated = volume.number(urn, "size")
        self.size = stated if stated is not None else max((start + length for start, length, _, _ in self._ranges), default=0)
        self._gap = volume.value(urn, "mapGapDefaultStream") or AFF4 + "Zero"
        self._volume, self._source, self._depth, self._urn = volume, source, depth, urn
        self._opened: dict[str, ByteSource] = {}

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the map, short only at its end.

        Raises:
            ImageReadError: some were not readable when the image was made, or are not there now.
        """
        end = min(offset + length, self.size)
        parts = []
        while offset < end:
            index = bisect_right(self._starts, offset) - 1
            start, size, target_offset, target = self._ranges[index] if index >= 0 else (0, 0, 0, 0)
            if offset < start + size:
                take = min(end, start + size) - offset
                name = self._targets[target].strip() if target < len(self._targets) else ""
                parts.append(self._read(name, target_offset + offset - start, take))
            else:
                following = self._starts[index + 1] if index + 1 < len(self._starts) else end
                take = min(end, following) - offset
                parts.append(self._read(self._gap, 0, take))
            offset += take
        return b"".join(parts)

    def _read(self, target: str, offset: int, length: int) -> bytes:
        if target == AFF4 + "Zero":
            return bytes(length)
        symbolic = target.removeprefix(_SYMBOLIC) if target.startswith(_SYMBOLIC) else ""
        if _BYTE.fullmatch(symbolic):
            return bytes.fromhex(symbolic) * length
        if target.startswith(AFF4):  # UnknownData, UnreadableData
            message = f"the bytes were not read when the image was made ({escape_text(target.removeprefix(AFF4))})"
            raise ImageReadError(message)
        if target not in self._opened:
            try:
                self._opened[target] = open_stream_of(self._volume, self._source, target, depth=self._depth + 1)
            except ImageError as error:
                raise ImageReadError(str(error)) from error
        data = self._opened[target].read_at(offset, length)
        if len(data) != length:
            message = f"the AFF4 map {escape_text(self._urn)} leads behind the end of {escape_text(target)}"
            raise ImageReadError(message)
        return data


def _inflate(stored: bytes, size: int, window: int) -> bytes:
    """The content; one byte more than `size` is asked for, since the checksum is looked at only at the end."""
    decoder = zlib.decompressobj(window)
    data = decoder.decompress(stored, size + 1)
    if not decoder.eof:
        data += decoder.decompress(decoder.unconsumed_tail, 1)
    if not decoder.eof or len(data) > size:
        message = f"it does not end after {size} bytes"
        raise ValueError(message)
    return data


def _unsnappy(stored: bytes, size: int) -> bytes:
    """The content; the length that stands before it is looked at first (format_description.txt, section 1)."""
    stated = shift = 0
    for byte in stored[:5]:
        stated |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the last one
            break
    if stated > size:
        message = f"it states {stated} bytes"
        raise ValueError(message)
    return bytes(snappy.decompress(stored))


def open_stream_of(volume: Aff4Volume, source: ByteSource, urn: str, *, depth: int = 0) -> ByteSource:
    """The bytes of a stream of the volume.

    Args:
        volume: the volume.
        source: the bytes of its file.
        urn: name of the stream.
        depth: how many streams lead to it.

    Raises:
        ImageError: it is not there, or of a kind that is not read.
    """
    if depth > _NESTED:
        message = f"the AFF4 streams lead from one to the other more than {_NESTED} times"
        raise ImageError(message)
    kinds = volume.graph.get(urn, {}).get(TYPE, ())
    if AFF4 + "Map" in kinds or AFF4 + "map" in kinds:
        return Map(volume, source, urn, depth)
    if AFF4 + "ImageStream" in kinds:
        return ImageStream(volume, source, urn)
    following = volume.value(urn, "dataStream")
    if following is not None:
        return open_stream_of(volume, source, following, depth=depth + 1)
    try:
        start, size = volume.place(urn)
    except ImageReadError:
        return _Member(volume.read(urn))
    return SourceSlice(source, start, size)


class _Member:
    """A member that the ZIP compresses, whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of it."""
        return self._data[offset : offset + length]
