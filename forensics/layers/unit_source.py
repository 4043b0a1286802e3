"""A volume whose bytes are computed from other bytes, in units, with those used last kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.block_cache import BlockCache
from forensics.errors import ImageReadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.source import ByteSource

    # The volume's bytes at an offset, of a length; both in bytes and multiples of the alignment, except at the volume's end.
    ReadVolume = Callable[[int, int], bytes]

_UNIT_BYTES = 64 * 1024
_CACHE_BYTES = 8 * 1024 * 1024


class UnitSource:
    """A byte source over a function that computes aligned ranges. Small reads are answered from whole units, which are kept."""

    def __init__(self, read: ReadVolume, *, size: int, alignment: int = 512) -> None:
        """`size` is the volume's, in bytes; `read` is asked for ranges that begin and end at multiples of `alignment` or at the end."""
        self._read = read
        self.size = size
        self._alignment = alignment
        self._unit = max(_UNIT_BYTES, alignment)
        self._cache = BlockCache(_CACHE_BYTES)

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `volume[offset : offset + length]`, short only at its end.

        Raises:
            ImageReadError: some of them cannot be had. Never zeros instead.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        if length >= self._unit:
            return self._aligned(offset, length)
        parts = []
        while length > 0:
            index, skip = divmod(offset, self._unit)
            part = self._of_unit(index, skip, min(length, self._unit - skip))
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def _of_unit(self, index: int, skip: int, length: int) -> bytes:
        unit = self._cache.get(index)
        if unit is None:
            start = index * self._unit
            try:
                unit = self._exact(start, min(self._unit, self.size - start))
            except ImageReadError:  # what is damaged may lie beside what is asked for
                return self._aligned(start + skip, length)
            self._cache.put(index, unit)
        return unit[skip : skip + length]

    def _aligned(self, offset: int, length: int) -> bytes:
        start = offset - offset % self._alignment
        end = min(self.size, -(-(offset + length) // self._alignment) * self._alignment)
        return self._exact(start, end - start)[offset - start :][:length]

    def _exact(self, offset: int, length: int) -> bytes:
        data = self._read(offset, length)
        if len(data) != length:
            message = f"bytes {offset} to {offset + length - 1} of the volume cannot be read: only {len(data)} of them are there"
            raise ImageReadError(message)
        return data


def read_exactly(source: ByteSource, offset: int, length: int) -> bytes:
    """The bytes `source[offset : offset + length]`, all of them.

    Raises:
        ImageReadError: the source ends before, or they are damaged.
    """
    data = source.read_at(offset, length)
    if len(data) != length:
        message = f"bytes {offset} to {offset + length - 1} lie beyond the end of the volume that holds them; it is cut off or damaged"
        raise ImageReadError(message)
    return data
