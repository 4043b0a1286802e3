"""exFAT: the allocation bitmap, a run of clusters that an entry of the root directory names.

References: Microsoft, exFAT file system specification, sections 3.1 (main boot sector), 6.2 (directory entries), 7.1 (allocation bitmap).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.allocation.block_map import Geometry, bits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from forensics.source import ByteSource

_FIRST_CLUSTER = 2
_ENTRY_BYTES = 32
_BITMAP_ENTRY = 0x81
_END_OF_DIRECTORY = 0x00
_LAST_CLUSTER = 0xFFFFFFF7  # this and above mark bad clusters and the end of a chain
_LARGEST_DIRECTORY = 256 << 20  # section 7.4: 256 MB
_HIGHEST_SHIFT = 25  # section 3.1.15: a cluster has at most 32 MB


class ExfatBitmap:
    """The first allocation bitmap; unit 0 is cluster 2."""

    def __init__(self, volume: ByteSource) -> None:
        """Raises StreamReadError where there is none that makes sense, ImageReadError where it cannot be read."""
        boot = volume.read_at(0, 512).ljust(512, b"\0")
        sectors, table, _, heap, clusters, root = struct.unpack_from("<Q5I", boot, 72)
        sector_shift, cluster_shift = boot[108], boot[109]
        if sector_shift + cluster_shift > _HIGHEST_SHIFT:
            message = f"the boot sector states clusters of 2^{sector_shift + cluster_shift} bytes"
            raise StreamReadError(message)
        self._volume = volume
        self._table_byte = table << sector_shift
        end = min(sectors << sector_shift, volume.size)
        unit = 1 << (sector_shift + cluster_shift)
        first = heap << sector_shift
        self.geometry = Geometry(first_byte=first, unit_bytes=unit, units=min(clusters, max(0, end - first) // unit), end_byte=end)
        start, self._size = self._find(root)
        self._clusters = self._chain(start, -(-self._size // unit))

    def allocated(self, first: int, count: int) -> NDArray[np.bool_]:
        """See BlockMap."""
        start, length = first // 8, -(-count // 8)
        unit = self.geometry.unit_bytes
        parts = []
        while length and start < self._size:
            cluster, within = divmod(start, unit)
            if cluster >= len(self._clusters):
                break
            part = self._volume.read_at(self._byte_of(self._clusters[cluster]) + within, min(length, unit - within))
            if not part:
                break
            parts.append(part)
            start, length = start + len(part), length - len(part)
        if length:
            message = "the allocation bitmap ends before the last cluster"
            raise StreamReadError(message)
        return bits(b"".join(parts), count)

    def _find(self, root: int) -> tuple[int, int]:
        """First cluster and bytes of the bitmap."""
        unit = self.geometry.unit_bytes
        for cluster in self._chain(root, -(-_LARGEST_DIRECTORY // unit)):
            data = self._volume.read_at(self._byte_of(cluster), unit)
            for at in range(0, len(data) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
                if data[at] == _BITMAP_ENTRY and not data[at + 1] & 1:
                    start, size = struct.unpack_from("<IQ", data, at + 20)
                    return int(start), min(int(size), -(-self.geometry.units // 8))
                if data[at] == _END_OF_DIRECTORY:
                    break
        message = "the root directory names no allocation bitmap"
        raise StreamReadError(message)

    def _chain(self, cluster: int, longest: int) -> tuple[int, ...]:
        """The clusters of a chain as the table links them, each once; an entry of 0 is taken as "the next one", as TSK does."""
        chain: dict[int, None] = {}
        while len(chain) < longest and _FIRST_CLUSTER <= cluster < self.geometry.units + _FIRST_CLUSTER and cluster not in chain:
            chain[cluster] = None
            entry = self._volume.read_at(self._table_byte + 4 * cluster, 4)
            if len(entry) < 4:  # noqa: PLR2004 - an entry has 4 bytes
                break
            following = int.from_bytes(entry, "little")
            if following >= _LAST_CLUSTER:
                break
            cluster = following or cluster + 1
        return tuple(chain)

    def _byte_of(self, cluster: int) -> int:
        return self.geometry.first_byte + (cluster - _FIRST_CLUSTER) * self.geometry.unit_bytes
