"""A bitmap that is a file of its filesystem: NTFS $Bitmap, the allocation file of HFS+.

References:
    Linux-NTFS project, NTFS Documentation, "$Bitmap (6)": least significant bit first.
    Apple, Technical Note TN1150, "Allocation File": most significant bit first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.allocation.block_map import Geometry, bits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from forensics.filesystems.base import Stream


class StreamBitmap:
    """A bitmap that is a stream of a file, one bit a unit."""

    def __init__(self, stream: Stream, geometry: Geometry, *, most_significant_first: bool = False) -> None:
        self._stream = stream
        self.geometry = geometry
        self._most_significant_first = most_significant_first

    def allocated(self, first: int, count: int) -> NDArray[np.bool_]:
        """See BlockMap."""
        length = -(-count // 8)
        data = self._stream.read_at(first // 8, length)
        if len(data) < length:
            message = f"the bitmap ends at unit {8 * self._stream.size} of {self.geometry.units}"
            raise StreamReadError(message)
        return bits(data, count, most_significant_first=self._most_significant_first)
