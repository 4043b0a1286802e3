"""What a filesystem's bitmap, table or cylinder groups give: which of its blocks are allocated, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where the units that a filesystem allocates lie in its volume.

    Attributes:
        first_byte: first byte of unit 0, counted from the start of the volume.
        unit_bytes: size of a unit: a cluster, block or fragment.
        units: how many there are.
        end_byte: where the filesystem ends; the last unit may reach beyond it, and behind it bytes may be left that are no unit.
    """

    first_byte: int
    unit_bytes: int
    units: int
    end_byte: int


class BlockMap(Protocol):
    """The allocation of one filesystem."""

    geometry: Geometry

    def allocated(self, first: int, count: int) -> NDArray[np.bool_]:
        """For each of the units `[first : first + count]` whether it is allocated.

        Args:
            first: a multiple of 8.
            count: how many; never beyond the last unit.

        Raises:
            ImageReadError, StreamReadError: it cannot be read, or ends before.
        """


def bits(data: bytes, count: int, *, most_significant_first: bool = False) -> NDArray[np.bool_]:
    """The first `count` bits, as a bitmap counts them."""
    order = "big" if most_significant_first else "little"
    unpacked = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=count, bitorder=order)  # type: ignore[call-overload]
    flags: NDArray[np.bool_] = unpacked.astype(np.bool_)
    return flags
