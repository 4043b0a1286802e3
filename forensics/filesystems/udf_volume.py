"""UDF's volume structures: where its logical blocks lie, and where its root directory is.

Read here because the one library at hand, pycdlib, opens UDF only as the second half of an ISO 9660 image, not what Windows, mkudffs or a
disc recorder makes. Physical, sparable and metadata partitions are read; a virtual one (a disc written once, piece by piece) is refused.

References: ECMA-167, 3rd edition, part 3 (10.2 anchor, 10.5 partition, 10.6 logical volume) and part 4 (14.1 file set); OSTA UDF 2.60,
2.2.8 to 2.2.10 (partition maps), 2.2.12 (sparing table), 2.2.13 (metadata file). Little-endian.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import FilesystemError, StreamReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.source import ByteSource

ANCHOR, POINTER, PARTITION, LOGICAL_VOLUME, TERMINATOR, FILE_SET = 2, 3, 5, 6, 8, 256
FILE_ENTRY, EXTENDED_FILE_ENTRY = 261, 266
_BLOCK_SIZES = (2048, 512, 4096, 1024)
_ANCHOR_BLOCK = 256
_MOST_DESCRIPTORS = 256
_MOST_MAPS = 64
_MOST_SPARED = 1 << 16
_NOT_SPARED = 0xFFFFFFF0  # OSTA UDF 2.2.12: from here on an entry is unused or bad
_TAG = struct.Struct("<HHBBHHHI")


def is_udf(head: bytes) -> bool:
    """Whether the volume recognition sequence at 32 KiB names NSR02 or NSR03 (ECMA-167 part 2, 9.1)."""
    return any(head[place + 1 : place + 5] == b"NSR0" for place in range(0x8000, len(head) - 5, 2048))


def tag_of(raw: bytes, location: int | None) -> int | None:
    """Identifier of the descriptor in `raw`; None where its tag, checksum, CRC or place is not right (ECMA-167 part 3, 7.2)."""
    if len(raw) < _TAG.size:
        return None
    identifier, _, checksum, _, _, crc, length, place = _TAG.unpack_from(raw)
    total = sum(raw[: _TAG.size]) - checksum
    if total & 0xFF != checksum or (location is not None and place != location) or len(raw) < _TAG.size + length:
        return None
    return identifier if binascii.crc_hqx(raw[_TAG.size : _TAG.size + length], 0) == crc else None


@dataclass(frozen=True, slots=True)
class Place:
    """A logical block: its number, and its partition as the logical volume counts them."""

    block: int
    partition: int


@dataclass(frozen=True, slots=True)
class _Physical:
    """A partition on the disc: first block, number of blocks, and blocks that were replaced: packet -> where it lies instead."""

    start: int
    blocks: int
    packet: int = 1
    spared: tuple[tuple[int, int], ...] = ()

    def runs(self, block: int, count: int) -> Iterator[tuple[int, int]]:
        """Blocks of the disc, as (first, number of them)."""
        if block + count > self.blocks:
            message = f"block {block + count - 1} of a partition of {self.blocks} blocks does not exist"
            raise StreamReadError(message)
        if not self.spared:
            yield self.start + block, count
            return
        elsewhere = dict(self.spared)
        for number in range(block, block + count):
            packet, within = number - number % self.packet, number % self.packet
            yield (elsewhere[packet] + within if packet in elsewhere else self.start + number), 1


@dataclass(frozen=True, slots=True)
class _Metadata:
    """A partition that lies in a file of another: pieces as (first block in the other, number of blocks)."""

    below: _Physical
    pieces: tuple[tuple[int, int], ...]

    def runs(self, block: int, count: int) -> Iterator[tuple[int, int]]:
        """Blocks of the disc, as (first, number of them)."""
        passed = 0
        for first, length in self.pieces:
            if count and block < passed + length:
                within = block - passed
                taken = min(count, length - within)
                yield from self.below.runs(first + within, taken)
                block, count = block + taken, count - taken
            passed += length
        if count:
            message = f"block {block} of the metadata partition does not exist"
            raise StreamReadError(message)


class UdfVolume:
    """Reads logical blocks, and knows the file set's root."""

    def __init__(self, source: ByteSource) -> None:
        """Reads anchor, volume descriptors, partition maps and the file set descriptor.

        Raises:
            FilesystemError: they are damaged, or of a kind that is not read.
        """
        self._source = source
        self.block_size, anchor = self._anchor()
        self._partitions: list[_Physical | _Metadata] = []
        physical, logical = self._descriptors(anchor)
        stated = struct.unpack_from("<I", logical, 212)[0]
        if stated != self.block_size:
            message = f"it has blocks of {stated} bytes on sectors of {self.block_size}, which is not read"
            raise FilesystemError(message)
        self.label = text_of(logical[84:212][: logical[211]])
        self.size = max((self.block_size * (start + blocks) for start, blocks in physical.values()), default=0)
        self._map_partitions(logical, physical)
        _, block, partition = struct.unpack_from("<IIH", logical, 248)
        file_set = self.read(Place(block, partition), 1)
        if tag_of(file_set, block) != FILE_SET:
            message = "the file set descriptor is damaged"
            raise FilesystemError(message)
        _, block, partition = struct.unpack_from("<IIH", file_set, 400)
        self.root = Place(block, partition)

    def runs(self, place: Place, blocks: int) -> list[tuple[int, int]]:
        """Where logical blocks lie: (first byte, bytes) of the volume, in order.

        Raises:
            StreamReadError: they do not exist.
        """
        if place.partition >= len(self._partitions):
            message = f"partition {place.partition} does not exist"
            raise StreamReadError(message)
        size = self.block_size
        return [(first * size, count * size) for first, count in self._partitions[place.partition].runs(place.block, blocks)]

    def read(self, place: Place, blocks: int) -> bytes:
        """The bytes of logical blocks.

        Raises:
            StreamReadError: they do not exist, or lie beyond the end of the volume.
        """
        raw = b"".join(self._source.read_at(first, length) for first, length in self.runs(place, blocks))
        if len(raw) < blocks * self.block_size:
            message = f"logical block {place.block} lies beyond the end of the volume"
            raise StreamReadError(message)
        return raw

    def _anchor(self) -> tuple[int, bytes]:
        for size in _BLOCK_SIZES:
            last = self._source.size // size - 1
            for block in (_ANCHOR_BLOCK, last, last - _ANCHOR_BLOCK):
                raw = self._source.read_at(block * size, size) if block > 0 else b""
                if tag_of(raw, block) == ANCHOR:
                    return size, raw
        message = "no anchor of a volume descriptor sequence is there"
        raise FilesystemError(message)

    def _descriptors(self, anchor: bytes) -> tuple[dict[int, tuple[int, int]], bytes]:
        """Start and length in blocks of each partition by its number, and the logical volume descriptor, each of the newest version."""
        for place in (16, 24):  # the main sequence, and its copy
            partitions: dict[int, tuple[int, int, int]] = {}
            logical: tuple[int, bytes] | None = None
            for kind, raw in self._sequence(*struct.unpack_from("<II", anchor, place)):
                version = struct.unpack_from("<I", raw, 16)[0]
                number = struct.unpack_from("<H", raw, 22)[0]
                if kind == PARTITION and partitions.get(number, (-1,))[0] < version:
                    partitions[number] = (version, *struct.unpack_from("<II", raw, 188))
                elif kind == LOGICAL_VOLUME and (logical is None or logical[0] < version):
                    logical = (version, raw)
            if partitions and logical is not None:
                return {number: (one[1], one[2]) for number, one in partitions.items()}, logical[1]
        message = "its volume descriptor sequences name no partition, or no logical volume"
        raise FilesystemError(message)

    def _sequence(self, length: int, block: int) -> Iterator[tuple[int, bytes]]:
        size = self.block_size
        left = min(length // size, _MOST_DESCRIPTORS)
        for _ in range(_MOST_DESCRIPTORS):
            if left <= 0:
                return
            raw = self._source.read_at(block * size, size)
            kind = tag_of(raw, block)
            if kind is None or kind == TERMINATOR:
                return
            if kind == POINTER:
                length, block = struct.unpack_from("<II", raw, 20)
                left = min(length // size, _MOST_DESCRIPTORS)
                continue
            yield kind, raw
            block, left = block + 1, left - 1

    def _map_partitions(self, logical: bytes, physical: dict[int, tuple[int, int]]) -> None:
        length, count = struct.unpack_from("<II", logical, 264)
        table, place = logical[440 : 440 + length], 0
        for _ in range(min(count, _MOST_MAPS)):
            entry = table[place : place + (table[place + 1] if place + 1 < len(table) else 0)]
            if len(entry) < 6:  # noqa: PLR2004 - the shortest partition map
                break
            number = struct.unpack_from("<H", entry, 4 if entry[0] == 1 else 38)[0] if entry[0] == 1 or len(entry) >= 64 else -1  # noqa: PLR2004
            if number not in physical:
                message = f"partition map {len(self._partitions)} names a partition that is not there"
                raise FilesystemError(message)
            self._partitions.append(self._mapped(entry, _Physical(*physical[number])))
            place += len(entry)

    def _mapped(self, entry: bytes, partition: _Physical) -> _Physical | _Metadata:
        kind = entry[5:28].rstrip(b"\0") if entry[0] != 1 else b""
        if not kind:
            return partition
        if kind == b"*UDF Sparable Partition":
            return self._sparable(entry, partition)
        if kind == b"*UDF Metadata Partition":
            return self._metadata(entry, partition)
        message = f"it has a {kind[1:].decode('ascii', 'replace')}, which is not read by this version"
        raise FilesystemError(message)

    def _sparable(self, entry: bytes, partition: _Physical) -> _Physical:
        packet, tables, size = struct.unpack_from("<HBxI", entry, 40)
        for block in struct.unpack_from(f"<{min(tables, 4)}I", entry, 48):
            raw = self._source.read_at(block * self.block_size, min(size, 8 * _MOST_SPARED))
            if tag_of(raw, block) is None or raw[17:40].rstrip(b"\0") != b"*UDF Sparing Table":
                continue
            count = min(struct.unpack_from("<H", raw, 48)[0], (len(raw) - 56) // 8)
            pairs = struct.iter_unpack("<II", raw[56 : 56 + 8 * count])
            return _Physical(partition.start, partition.blocks, packet or 1, tuple(pair for pair in pairs if pair[0] < _NOT_SPARED))
        message = "no sparing table can be read"
        raise FilesystemError(message)

    def _metadata(self, entry: bytes, partition: _Physical) -> _Metadata:
        for block in struct.unpack_from("<II", entry, 40):  # the metadata file, and its mirror
            pieces: list[tuple[int, int]] = []
            try:
                ((first, _),) = partition.runs(block, 1)
            except StreamReadError:
                continue
            raw = self._source.read_at(first * self.block_size, self.block_size)
            kind = tag_of(raw, block)
            if kind not in (FILE_ENTRY, EXTENDED_FILE_ENTRY):
                continue
            start = 176 if kind == FILE_ENTRY else 216
            attributes, length = struct.unpack_from("<II", raw, start - 8)
            for stated, number in struct.iter_unpack("<II", raw[start + attributes : start + attributes + length // 8 * 8]):
                if stated and stated >> 30 == 0:
                    pieces.append((number, -(-stated // self.block_size)))
            return _Metadata(partition, tuple(pieces))
        message = "neither the metadata file nor its mirror can be read"
        raise FilesystemError(message)


def text_of(raw: bytes) -> str:
    """A string in OSTA's compressed Unicode: its first byte says how many bits a character has (OSTA UDF 2.1.1)."""
    if raw[:1] == b"\x10":
        return raw[1 : 1 + (len(raw) - 1) // 2 * 2].decode("utf-16-be", "surrogatepass")
    return raw[1:].decode("latin-1")
