"""Streams with parts that cannot be read: every sector that can be is given, in its place."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.content import ContentReader, Scan
from forensics.errors import StreamReadError
from forensics.readable import Hole, iter_readable
from forensics.rule_externals import Externals
from forensics.yara_rules import load_rules

if TYPE_CHECKING:
    from pathlib import Path

_MIB = 1 << 20


class _Damaged:
    """A stream of which reads fail that touch one of the ranges."""

    def __init__(self, data: bytes, ranges: list[tuple[int, int]]) -> None:
        self._data, self._ranges = data, ranges
        self.size = len(data)
        self.reads = 0

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads += 1
        for start, size in self._ranges:
            if start < offset + length and offset < start + size:
                message = f"bytes {start} to {start + size} are damaged"
                raise StreamReadError(message)
        return self._data[offset : offset + length]


def _laid_out(stream: _Damaged) -> tuple[bytes, list[tuple[int, int]]]:
    """The bytes with zeros for holes, and where the holes are, joined."""
    data, holes = b"", []
    for piece in iter_readable(stream):
        if isinstance(piece, Hole):
            holes.append((len(data), piece.size))
            data += bytes(piece.size)
        else:
            data += piece
    return data, holes


@given(st.integers(0, 3 * _MIB), st.integers(0, 5000), st.integers(1, 70))
def test_one_damaged_part_costs_its_sectors_and_nothing_else(size: int, sector: int, sectors: int) -> None:
    data = bytes(range(1, 252)) * (size // 251)
    start, length = sector * 512, sectors * 512
    got, holes = _laid_out(_Damaged(data, [(start, length)]))
    lost = range(min(start, len(data)), min(start + length, len(data)))
    assert got == data[: lost.start] + bytes(len(lost)) + data[lost.stop :]
    assert sum(size for _, size in holes) == len(lost)


def test_a_range_that_is_gone_is_passed_over_with_few_reads_and_one_without_end_is_not_tried() -> None:
    data = b"a" * (20 * _MIB)
    stream = _Damaged(data, [(_MIB, 16 * _MIB)])
    got, holes = _laid_out(stream)
    assert (got[-1:], sum(size for _, size in holes)) == (b"a", 16 * _MIB)
    assert stream.reads < 100
    with pytest.raises(StreamReadError, match="was not tried"):
        _laid_out(_Damaged(bytes(70 * _MIB), [(0, 70 * _MIB)]))


def test_rules_hit_behind_what_cannot_be_read_at_the_right_place_and_digests_cover_what_was_read(tmp_path: Path) -> None:
    rule = tmp_path / "a.yar"
    rule.write_text('rule marked { strings: $a = "the marker behind" condition: $a }')
    data = b"x" * 40_000 + b"y" * 512 + b"z" * 70_000 + b"the marker behind" + b"w" * 900
    reader = ContentReader(rules=load_rules((rule,))[0], spool=tmp_path)
    for window in (1 << 20, 1 << 12):
        reader.window_bytes = window
        for ranges, is_whole in (([(40_000 // 512 * 512, 1024)], False), ([], True)):
            result = reader.read(_Damaged(data, ranges), lambda _: Externals.of_path("a", windows=False, filetype="", owner="0"))
            left = data if is_whole else data[: 40_000 // 512 * 512] + data[40_000 // 512 * 512 + 1024 :]
            assert (result.is_whole, result.bytes_read, result.sha256) == (is_whole, len(left), hashlib.sha256(left).hexdigest())
            assert result.scan is (Scan.COMPLETE if is_whole else Scan.PARTIAL)
            assert [match.offset for match in result.matches] == [data.index(b"the marker")]
            assert [problem.size_bytes for problem in result.problems] == ([] if is_whole else [1024])
