"""Shannon entropy of a stream of bytes, in bits per byte: 0 for one value repeated, 8 for evenly spread values."""

from __future__ import annotations

import math

import numpy as np


class ByteCounts:
    """Counts byte values; adding blocks one by one equals adding their concatenation."""

    def __init__(self) -> None:
        self._counts = np.zeros(256, dtype=np.int64)

    def add(self, block: bytes) -> None:
        """Counts the bytes of the block."""
        self._counts += np.bincount(np.frombuffer(block, dtype=np.uint8), minlength=256)

    def entropy(self) -> float | None:
        """Shannon entropy (A Mathematical Theory of Communication, 1948, section 6), to six digits; None for no bytes."""
        total = int(self._counts.sum())
        if total == 0:
            return None
        shares = [int(count) / total for count in self._counts if count]
        # fsum and a fixed order of terms: the same bytes give the same last digit on any machine
        return abs(round(-math.fsum(share * math.log2(share) for share in shares), 6))
