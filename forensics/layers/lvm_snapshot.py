"""Snapshots of LVM that are not thin: what was copied before the origin changed, over the origin.

References:
    Linux 6.1, drivers/md/dm-snap-persistent.c: disk_header, disk_exception, area_location.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.errors import VolumeError
from forensics.layers.unit_source import read_exactly

if TYPE_CHECKING:
    from forensics.source import ByteSource

SECTOR_BYTES = 512
_HEADER = struct.Struct("<4I")
_MAGIC = 0x70416E53
_MAX_CHUNK_SECTORS = 1 << 16
_MOST_EXCEPTIONS = 16_000_000  # a copy of 64 GB in the smallest chunks; each takes about a hundred bytes of memory here


class SnapshotVolume:
    """The origin as it was."""

    def __init__(self, origin: ByteSource, store: ByteSource, *, size: int) -> None:
        """Reads which chunks were copied.

        Raises:
            VolumeError: the copies are damaged, or were given up because there was no more room for them.
            ImageReadError: they cannot be read.
        """
        magic, valid, version, sectors = _HEADER.unpack(read_exactly(store, 0, _HEADER.size))
        if magic != _MAGIC or version != 1 or not 0 < sectors <= _MAX_CHUNK_SECTORS or sectors & (sectors - 1):
            message = "the head of its copies is damaged"
            raise VolumeError(message)
        if not valid:
            message = "the system gave the snapshot up, because there was no more room for its copies"
            raise VolumeError(message)
        self._origin, self._store, self.size = origin, store, size
        self._chunk = sectors * SECTOR_BYTES
        self._copied = self._exceptions()

    def _exceptions(self) -> dict[int, int]:
        """Where the copy of each copied chunk lies in the store."""
        found: dict[int, int] = {}
        per_area = self._chunk // 16
        area = 1
        while (area + 1) * self._chunk <= self._store.size:
            for old, new in struct.iter_unpack("<QQ", read_exactly(self._store, area * self._chunk, self._chunk)):
                if new == 0:
                    return found
                found[old] = new
            if len(found) > _MOST_EXCEPTIONS:
                message = f"it has more than {_MOST_EXCEPTIONS} copied chunks, which is more than this version keeps"
                raise VolumeError(message)
            area += per_area + 1
        return found

    def read(self, offset: int, length: int) -> bytes:
        """The bytes `volume[offset : offset + length]`.

        Raises:
            ImageReadError: some of them cannot be read.
        """
        parts = []
        while length > 0:
            chunk, skip = divmod(offset, self._chunk)
            piece = min(length, self._chunk - skip)
            copy = self._copied.get(chunk)
            if copy is None:
                parts.append(read_exactly(self._origin, offset, piece))
            else:
                parts.append(read_exactly(self._store, copy * self._chunk + skip, piece))
            offset += piece
            length -= piece
        return b"".join(parts)
