"""The bytes of an APFS data stream by its extents: decrypted where the volume is encrypted, zeros where an extent has no blocks.

References: Apple File System Reference (2020-06-22), j_file_extent_key_t, j_file_extent_val_t, fext_tree_val_t.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.apfs_records import FILE_EXTENT
from forensics.filesystems.runs import Run, RunStream

if TYPE_CHECKING:
    from forensics.filesystems.apfs_container import ApfsVolume
    from forensics.filesystems.apfs_records import RecordTree
    from forensics.source import ByteSource

_LENGTH_BITS = (1 << 56) - 1


class _ClearBlocks:
    """The volume's blocks in clear, numbered as the extents' encryption numbers them, at the place where an extent has them."""

    def __init__(self, source: ByteSource, volume: ApfsVolume, runs: dict[int, int]) -> None:
        """`runs`: for the first byte of each extent in the container, the block number that its encryption counts from."""
        self._source, self._volume = source, volume
        self._counted = sorted(runs.items())
        self.size = source.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the container, decrypted."""
        size = self._volume.block_size
        place, counted = max((one for one in self._counted if one[0] <= offset), default=(0, 0))
        first = offset - (offset - place) % size
        whole = -(-(offset + length - first) // size) * size
        data = self._source.read_at(first, whole)
        data = data[: len(data) // size * size]
        return self._volume.decrypt(data, counted + (first - place) // size)[offset - first : offset - first + length]


def open_extents(source: ByteSource, volume: ApfsVolume, trees: tuple[RecordTree, RecordTree | None], stream: int, size: int) -> RunStream:
    """The stream with that identifier.

    Args:
        source: the container.
        volume: the volume or snapshot.
        trees: its file tree, and its tree of extents where it is sealed.
        stream: identifier of the data stream.
        size: its size in bytes.

    Raises:
        StreamReadError: its extents cannot be read.
    """
    files, extents = trees
    if extents is not None:
        found = extents.iter_records((stream, 0), (stream, (1 << 64) - 1))
    else:
        found = files.iter_records((stream, FILE_EXTENT), (stream, FILE_EXTENT))
    runs: list[Run] = []
    counted: dict[int, int] = {}
    for record in found:
        if isinstance(record, str):
            raise StreamReadError(record)
        key, value = record
        start = struct.unpack_from("<Q", key, 8)[0]
        stated, block = struct.unpack_from("<QQ", value)
        place = block * volume.block_size
        runs.append(Run(start, stated & _LENGTH_BITS, place if block else None))
        counted[place] = struct.unpack_from("<Q", value, 16)[0] if extents is None else 0
    return RunStream(_ClearBlocks(source, volume, counted) if volume.is_encrypted else source, runs, size)
