from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.entropy import ByteCounts


def _of(*blocks: bytes) -> float | None:
    counts = ByteCounts()
    for block in blocks:
        counts.add(block)
    return counts.entropy()


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000)))
def test_entropy_does_not_depend_on_how_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    """Law 5."""
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert _of(*(data[a:b] for a, b in pairwise(ends))) == _of(data)


@given(st.binary(min_size=1, max_size=2000))
def test_entropy_is_shannons(data: bytes) -> None:
    """H = log2(n) - sum(c log2 c) / n, another form of Shannon's formula than the code's."""
    counts = Counter(data)
    expected = math.log2(len(data)) - sum(c * math.log2(c) for c in counts.values()) / len(data)
    assert _of(data) == pytest.approx(expected, abs=1e-6)


def test_known_values() -> None:
    assert _of(bytes(1000)) == 0
    assert _of(bytes(range(256)) * 3) == 8
    assert _of(b"ab") == 1
    assert math.copysign(1, _of(b"a") or 0) == 1, "never minus zero"
    assert _of() is None
