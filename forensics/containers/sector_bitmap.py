"""Which sectors of a block are the disk's own and which its parent's, as a differencing VHD or VHDX keeps it in bits."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # Bytes at an offset inside the block, of a length.
    ReadPart = Callable[[int, int], bytes]


class SectorBitmap:
    """One bit a sector, 1 where the sector is the disk's own.

    Attributes:
        read: the bitmap's bytes at an offset, of a length.
        first_bit: the bit of the block's first sector.
        sector_size: bytes.
        highest_first: whether a byte's first sector is its highest bit (VHD) or its lowest (VHDX).
    """

    def __init__(self, read: ReadPart, *, first_bit: int, sector_size: int, highest_first: bool) -> None:
        self._read = read
        self._first_bit = first_bit
        self._sector_size = sector_size
        self._highest_first = highest_first

    def merge(self, offset: int, length: int, *, own: ReadPart, parent: ReadPart) -> bytes:
        """The bytes `block[offset : offset + length]`, each sector from where its bit says.

        Raises:
            ImageReadError: the bitmap, or one of the two, does not give them.
        """
        parts = []
        for is_own, size in self._runs(offset, length):
            part = (own if is_own else parent)(offset, size)
            if len(part) != size:
                message = f"the container gives {len(part)} of {size} bytes; it is cut off or damaged"
                raise ImageReadError(message)
            parts.append(part)
            offset += size
        return b"".join(parts)

    def _runs(self, offset: int, length: int) -> Iterator[tuple[bool, int]]:
        """Whether the next bytes are the disk's own, and how many are alike."""
        sector, end = offset // self._sector_size, -(-(offset + length) // self._sector_size)
        for is_own, group in groupby(self._bits(sector, end - sector)):
            sector += sum(1 for _ in group)
            stop = min(sector * self._sector_size, end_byte := offset + length)
            yield is_own, stop - offset
            offset, length = stop, end_byte - stop

    def _bits(self, first: int, count: int) -> Iterator[bool]:
        bit = self._first_bit + first
        raw = self._read(bit // 8, (bit + count + 7) // 8 - bit // 8)
        if len(raw) * 8 < bit % 8 + count:
            message = "its sector bitmap is cut off"
            raise ImageReadError(message)
        for number in range(bit % 8, bit % 8 + count):
            shift = 7 - number % 8 if self._highest_first else number % 8
            yield bool(raw[number // 8] >> shift & 1)
