"""The Btrfs superblock, and where its logical addresses lie on the one device that is here.

Btrfs may spread over several devices. Of those, this reads what the device at hand holds whole: single, DUP and mirrored chunks;
what lies on another device, or striped over several, is an error that names the device.

References: Btrfs documentation, "On-disk format" (superblock, chunk items, nodes); Linux, include/uapi/linux/btrfs_tree.h. Little-endian.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import FilesystemError, StreamReadError
from forensics.filesystems.checksums import crc32c

if TYPE_CHECKING:
    from forensics.source import ByteSource

SUPERBLOCK_PLACE = 0x10000
MAGIC = b"_BHRfS_M"
_SUPERBLOCK_BYTES = 4096
_CHUNK_ARRAY = 811
_CHUNK_ARRAY_ROOM = 2048
_KEY = struct.Struct("<QBQ")
_CHUNK = struct.Struct("<QQQQIIIHH")
_STRIPE = struct.Struct("<QQ16s")
_CHUNK_ITEM = 228
_RAID0, _RAID10, _RAID5, _RAID6 = 8, 64, 128, 256
_SMALLEST, _LARGEST_NODE = 512, 1 << 16
_CRC32C, _SHA256, _BLAKE2 = 0, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Superblock:
    """What is needed of it; sizes in bytes, `roots` as logical address and level of the root, chunk and log trees."""

    sector_size: int
    node_size: int
    filesystem_id: bytes
    checksum_type: int
    device: int
    devices: int
    device_bytes: int
    label: str
    root: tuple[int, int]
    chunk_root: tuple[int, int]
    has_log: bool
    chunk_array: bytes


def parse_superblock(raw: bytes) -> Superblock:
    """The superblock in `raw`, the bytes from SUPERBLOCK_PLACE on.

    Raises:
        FilesystemError: it is not there, fails its checksum or states sizes that cannot be.
    """
    if len(raw) < _SUPERBLOCK_BYTES or raw[64:72] != MAGIC:
        message = "the Btrfs superblock is not there"
        raise FilesystemError(message)
    raw = raw[:_SUPERBLOCK_BYTES]
    root, chunk_root, log_root = struct.unpack_from("<3Q", raw, 80)
    devices, sector_size, node_size = struct.unpack_from("<QII", raw, 136)
    array_size = struct.unpack_from("<I", raw, 160)[0]
    checksum_type = struct.unpack_from("<H", raw, 196)[0]
    if not checksum_holds(raw, checksum_type):
        message = "the Btrfs superblock is damaged: its checksum is not that of its bytes"
        raise FilesystemError(message)
    sizes = (sector_size, node_size)
    if any(size & (size - 1) or not _SMALLEST <= size <= _LARGEST_NODE for size in sizes) or array_size > _CHUNK_ARRAY_ROOM:
        message = f"the Btrfs superblock is damaged: sectors of {sector_size} bytes, nodes of {node_size}"
        raise FilesystemError(message)
    device, device_bytes = struct.unpack_from("<QQ", raw, 201)
    return Superblock(
        sector_size=sector_size,
        node_size=node_size,
        filesystem_id=raw[32:48],
        checksum_type=checksum_type,
        device=device,
        devices=devices,
        device_bytes=device_bytes,
        label=raw[299:555].partition(b"\0")[0].decode("utf-8", "replace"),
        root=(root, raw[198]),
        chunk_root=(chunk_root, raw[199]),
        has_log=bool(log_root),
        chunk_array=raw[_CHUNK_ARRAY : _CHUNK_ARRAY + array_size],
    )


def checksum_holds(raw: bytes, checksum_type: int) -> bool:
    """Whether the bytes from 32 on have the checksum that the first 32 state; True for xxHash, which is not checked here."""
    if checksum_type == _CRC32C:
        return int.from_bytes(raw[:4], "little") == crc32c(raw[32:])
    if checksum_type == _SHA256:
        return raw[:32] == hashlib.sha256(raw[32:]).digest()
    if checksum_type == _BLAKE2:
        return raw[:32] == hashlib.blake2b(raw[32:], digest_size=32).digest()
    return True


@dataclass(frozen=True, slots=True)
class _Chunk:
    """`length` bytes from a logical address: where their copies start on this device, or why they are not there."""

    length: int
    places: tuple[int, ...]
    missing: str


class ChunkMap:
    """Logical addresses -> bytes of the device."""

    def __init__(self, source: ByteSource, superblock: Superblock) -> None:
        self._source = source
        self._superblock = superblock
        self._chunks: dict[int, _Chunk] = {}
        self._starts: list[int] = []
        self._add_array(superblock.chunk_array)

    def add(self, start: int, item: bytes) -> None:
        """Takes a chunk item."""
        if len(item) < _CHUNK.size or start in self._chunks:
            return
        length, _, _, kind, _, _, _, stripes, sub_stripes = _CHUNK.unpack_from(item)
        if len(item) < _CHUNK.size + stripes * _STRIPE.size:
            return
        placed = [_STRIPE.unpack_from(item, _CHUNK.size + number * _STRIPE.size) for number in range(stripes)]
        here = tuple(place for device, place, _ in placed if device == self._superblock.device)
        striped = (
            (kind & _RAID0 and stripes > 1) or (kind & _RAID10 and stripes > sub_stripes) or (kind & (_RAID5 | _RAID6) and stripes > 1)
        )
        others = sorted({device for device, _, _ in placed} - {self._superblock.device})
        missing = f"it needs device {', '.join(map(str, others))} of this filesystem, which has {self._superblock.devices}"
        self._chunks[start] = _Chunk(length, () if striped else here, missing)
        self._starts = sorted(self._chunks)

    def places(self, address: int, length: int) -> list[tuple[int, int]]:
        """Where the copies of those bytes lie on this device, at least one: (first byte, `length`).

        Raises:
            StreamReadError: none lies on this device.
        """
        number = bisect_right(self._starts, address) - 1
        start = self._starts[number] if number >= 0 else 0
        chunk = self._chunks.get(start)
        if chunk is None or not start <= address <= address + length <= start + chunk.length:
            message = f"no chunk of this filesystem holds logical address {address}"
            raise StreamReadError(message)
        if not chunk.places:
            raise StreamReadError(chunk.missing)
        return [(place + address - start, length) for place in chunk.places]

    def read(self, address: int, length: int) -> list[bytes]:
        """The copies of `length` bytes from a logical address, at least one; they may differ, if one is damaged.

        Raises:
            StreamReadError: no copy lies on this device, or it ends before.
        """
        copies = [self._source.read_at(place, length) for place, _ in self.places(address, length)]
        whole = [copy for copy in copies if len(copy) == length]
        if not whole:
            message = f"logical address {address} lies beyond the end of the volume"
            raise StreamReadError(message)
        return whole

    def _add_array(self, array: bytes) -> None:
        offset = 0
        while offset + _KEY.size + _CHUNK.size <= len(array):
            _, kind, start = _KEY.unpack_from(array, offset)
            size = _CHUNK.size + _STRIPE.size * _CHUNK.unpack_from(array, offset + _KEY.size)[7]
            if kind != _CHUNK_ITEM:
                message = "the Btrfs superblock is damaged: its list of system chunks holds something else"
                raise FilesystemError(message)
            self.add(start, array[offset + _KEY.size : offset + _KEY.size + size])
            offset += _KEY.size + size
