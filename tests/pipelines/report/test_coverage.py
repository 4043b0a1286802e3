from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.coverage import STATES, Coverage, Range


def one_range(start: int | None, size: int, state: str = "processed") -> Range:
    return Range(
        volume="v",
        start_byte=start,
        size_bytes=size,
        volume_bytes=size,
        state=state,
        reason="",
        streams=6,
        streams_read=3,
        streams_skipped=2,
        streams_failed=1,
        unallocated_bytes=0,
        streams_inside=10,
        inside_read=7,
        inside_skipped=2,
        inside_failed=1,
    )


def ranges(*pairs: tuple[int | None, int]) -> tuple[Range, ...]:
    return tuple(one_range(start, size) for start, size in pairs)


@pytest.mark.parametrize(
    ("pairs", "size", "whole"),
    [
        ([(0, 4), (4, 6)], 10, True),
        ([(4, 6), (0, 4)], 10, True),
        ([], 0, True),
        ([(0, 4), (None, 0), (4, 6)], 10, True),  # a derived volume, which takes none of the image's bytes
        ([(0, 4), (5, 5)], 10, False),
        ([(0, 5), (4, 6)], 10, False),
        ([(0, 10)], 11, False),
        ([(0, 5), (0, 5)], 10, False),
        ([(0, 10)], None, False),
    ],
)
def test_ranges_add_up_only_without_hole_or_overlap(pairs: list[tuple[int | None, int]], size: int | None, *, whole: bool) -> None:
    assert Coverage(ranges=ranges(*pairs), media_size=size).adds_up is whole


@given(st.lists(st.tuples(st.integers(min_value=0, max_value=10**12), st.sampled_from(STATES)), max_size=20))
def test_sizes_by_state_add_up_to_all(sizes: list[tuple[int, str]]) -> None:
    """Every range counts in exactly one state."""
    parts = tuple(one_range(0, size, state) for size, state in sizes)
    coverage = Coverage(ranges=parts, media_size=None)
    assert sum(coverage.size_of(state) for state in STATES) == coverage.total


def test_streams_are_summed() -> None:
    assert Coverage(ranges=ranges((0, 1), (1, 1)), media_size=2).streams == (12, 6, 4, 2, 20, 14, 4, 2)
