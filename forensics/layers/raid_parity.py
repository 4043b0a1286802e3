"""Arrays with parity: RAID 4, 5 and 6 in every layout of Linux, with what is missing computed from the rest.

References:
    Linux 6.1, drivers/md/raid5.c: raid5_compute_sector, raid5_size, raid6_d0, raid6_idx_to_slot; raid5.h: the algorithms' numbers.
    H. P. Anvin, "The mathematics of RAID-6".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forensics.errors import ImageReadError, VolumeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from forensics.layers.raid_component import Component

LEVELS = (4, 5, 6)
PARITY_FIRST, PARITY_LAST = 4, 5
_RAID_6 = 6
_DDF = (8, 9, 10)  # of these, Q counts the places of the parities, too
_FIVE_AND_Q = {16: 0, 17: 1, 18: 2, 19: 3, 20: PARITY_FIRST}  # a layout of RAID 5, with Q on the last disk
_SYMMETRIC = (2, 3)
_RIGHT = (1, 3)
_POLYNOMIAL = 0x11D


class ParityArray:
    """RAID 4, 5 or 6."""

    def __init__(self, disks: Sequence[Component | None], *, level: int, layout: int, chunk: int, component_size: int) -> None:
        """`component_size` is what of each disk is in use, in bytes.

        Raises:
            VolumeError: such a layout cannot be, or too many disks are missing.
        """
        self._disks, self._chunk = disks, chunk
        self._parities = 2 if level == _RAID_6 else 1
        self._layout = PARITY_LAST if level == 4 else layout  # noqa: PLR2004 - RAID 4
        self._data = len(disks) - self._parities
        known = (*range(6), *_DDF, *_FIVE_AND_Q) if level == _RAID_6 else range(6)
        if level not in LEVELS or self._layout not in known or self._data < 1:
            message = f"an array of level {level} with {len(disks)} disks cannot have the layout {layout}"
            raise VolumeError(message)
        if sum(disk is None for disk in disks) > self._parities:
            message = f"more than {self._parities} of its {len(disks)} disks are missing"
            raise VolumeError(message)
        self.size = component_size // chunk * chunk * self._data

    def read(self, offset: int, length: int) -> bytes:
        """See Array."""
        parts = []
        while length > 0:
            number, skip = divmod(offset, self._chunk)
            row, index = divmod(number, self._data)
            piece = min(length, self._chunk - skip)
            data, p, q = self._row(row)
            parts.append(self._piece(data, p, q, index, row * self._chunk + skip, piece))
            offset += piece
            length -= piece
        return b"".join(parts)

    def _piece(self, data: list[int], p: int, q: int | None, index: int, offset: int, length: int) -> bytes:  # noqa: PLR0917
        """The bytes of a row's data disk number `index`, computed if they cannot be read."""
        found = self._read(data[index], offset, length)
        if found is not None:
            return found.tobytes()
        blocks = {disk: self._read(disk, offset, length) for disk in (*data, p, *(() if q is None else (q,))) if disk != data[index]}
        gone = [disk for disk in data if disk != data[index] and blocks[disk] is None]
        have_p, have_q = blocks[p], None if q is None else blocks[q]
        others = [(disk, block) for disk in data if disk != data[index] and (block := blocks[disk]) is not None]
        if not gone and have_p is not None:
            return _xor([have_p, *(block for _, block in others)]).tobytes()
        if q is None or have_q is None or len(gone) > 1 or (gone and have_p is None):
            message = f"{length} bytes of the array cannot be read, nor computed from its other disks: too many of these fail there, too"
            raise ImageReadError(message)
        powers = self._powers(data, q)
        rest = _xor([have_q, *(_times(block, _EXP[powers[disk]]) for disk, block in others)])
        x = _EXP[powers[data[index]]]
        if not gone:
            return _times(rest, _inverse(x)).tobytes()
        assert have_p is not None, "looked at above"
        y = _EXP[powers[gone[0]]]
        sums = _xor([have_p, *(block for _, block in others)])
        return _times(_xor([rest, _times(sums, y)]), _inverse(x ^ y)).tobytes()

    def _read(self, disk: int, offset: int, length: int) -> NDArray[np.uint8] | None:
        component = self._disks[disk]
        if component is None:
            return None
        try:
            return np.frombuffer(component.read(offset, length), dtype=np.uint8)
        except ImageReadError:
            return None

    def _row(self, row: int) -> tuple[list[int], int, int | None]:
        """The disks of a row: of its data in order, of P, and of Q if there is one."""
        count, layout = len(self._disks), self._layout
        if self._parities == 1:
            return *_five(layout, row, count), None
        if layout in _FIVE_AND_Q:
            return *_five(_FIVE_AND_Q[layout], row, count - 1), count - 1
        if layout in (PARITY_FIRST, PARITY_LAST):
            p = 0 if layout == PARITY_FIRST else self._data
            return [disk for disk in range(count) if disk not in (p, p + 1)], p, p + 1
        is_right = layout in _RIGHT or layout == 8  # noqa: PLR2004 - zero restart
        turn = row + 1 if layout == 9 else row  # noqa: PLR2004 - N restart
        p = turn % count if is_right else count - 1 - turn % count
        if layout == 10:  # noqa: PLR2004 - N continue: Q stands before P
            return [(p + 1 + index) % count for index in range(self._data)], p, (p - 1) % count
        q = (p + 1) % count
        if layout in _SYMMETRIC:
            return [(p + 2 + index) % count for index in range(self._data)], p, q
        return [disk for disk in range(count) if disk not in (p, q)], p, q

    def _powers(self, data: list[int], q: int) -> dict[int, int]:
        """Of each data disk of a row, the power of the generator that it has in Q."""
        if self._layout in _DDF:
            return {disk: disk for disk in data}
        count = len(self._disks)
        return {disk: power for power, disk in enumerate(sorted(data, key=lambda disk: (disk - q - 1) % count))}


def _five(layout: int, row: int, count: int) -> tuple[list[int], int]:
    """The data disks of a row of RAID 5 in order, and that of its parity."""
    if layout == PARITY_FIRST:
        p = 0
    elif layout == PARITY_LAST:
        p = count - 1
    else:
        p = row % count if layout in _RIGHT else count - 1 - row % count
    if layout in _SYMMETRIC:
        return [(p + 1 + index) % count for index in range(count - 1)], p
    return [disk for disk in range(count) if disk != p], p


def _tables() -> tuple[list[int], list[int]]:
    """Powers and logarithms of the generator 2 of GF(2^8)."""
    powers, logarithms = [0] * 510, [0] * 256
    value = 1
    for power in range(255):
        powers[power] = powers[power + 255] = value
        logarithms[value] = power
        value = value << 1 ^ (_POLYNOMIAL if value & 0x80 else 0)
    return powers, logarithms


_EXP, _LOG = _tables()


def _inverse(value: int) -> int:
    return _EXP[255 - _LOG[value]]


def _times(block: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    table = np.array([0, *(_EXP[_LOG[value] + _LOG[factor]] for value in range(1, 256))], dtype=np.uint8)
    return table[block]


def _xor(blocks: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    result = blocks[0].copy()
    for block in blocks[1:]:
        result ^= block
    return result
