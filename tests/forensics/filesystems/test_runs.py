"""Streams made of pieces of a volume read as the bytes that the pieces state, at any offset."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_volumes import pattern

from forensics.errors import StreamReadError
from forensics.filesystems import raw_space
from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
from forensics.filesystems.pieces import PiecesStream
from forensics.filesystems.raw_space import RawSpaceReader
from forensics.filesystems.runs import BytesStream, Run, RunStream

_VOLUME = pattern(4096)


@dataclass
class _Bytes:
    """Bytes at hand as a source."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length] if length > 0 else b""


_PARTS = st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 4000)), st.integers(1, 96)), max_size=12)


@given(_PARTS, st.integers(0, 50), st.integers(0, 1300), st.integers(0, 1300))
def test_runs_and_holes_read_as_what_they_stand_for(parts: list[tuple[int | None, int]], behind: int, offset: int, length: int) -> None:
    """`read_at(o, n)` is `stream[o : o + n]`, where a hole is zeros and so is what no run covers."""
    runs, whole = [], b""
    for place, size in parts:
        runs.append(Run(len(whole), size, place))
        whole += bytes(size) if place is None else _VOLUME[place : place + size]
    whole += bytes(behind)
    stream = RunStream(_Bytes(_VOLUME), reversed(runs), len(whole))
    assert stream.read_at(offset, length) == whole[offset : offset + length]


@given(_PARTS, st.integers(0, 1300), st.integers(0, 1300))
def test_pieces_read_as_one(parts: list[tuple[int | None, int]], offset: int, length: int) -> None:
    pieces = [(place, size) for place, size in parts if place is not None]
    whole = b"".join(_VOLUME[place : place + size] for place, size in pieces)
    stream = PiecesStream(_Bytes(_VOLUME), pieces)
    assert stream.size == len(whole)
    assert stream.read_at(offset, length) == whole[offset : offset + length]
    assert BytesStream(whole).read_at(offset, length) == whole[offset : offset + length]


def test_a_piece_behind_the_end_of_the_volume_is_an_error_and_no_short_read() -> None:
    with pytest.raises(StreamReadError, match="the volume ends at byte 4096"):
        PiecesStream(_Bytes(_VOLUME), [(0, 10), (4090, 10)]).read_at(0, 20)
    with pytest.raises(StreamReadError, match="ends at 4096"):
        RunStream(_Bytes(_VOLUME), [Run(0, 10, 4090)], 10).read_at(0, 10)


def test_raw_space_is_cut_into_pieces_that_together_are_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_space, "ITEM_BYTES", 1000)
    reader = RawSpaceReader(_Bytes(_VOLUME))
    entries = [e for e in reader.iter_entries(ListingLimits(orphans=0, orphan_bytes=0)) if isinstance(e, Entry)]
    assert [(e.start_byte, e.size) for e in entries] == [(0, 1000), (1000, 1000), (2000, 1000), (3000, 1000), (4000, 96)]
    streams = [reader.open_stream(e.address) for e in entries if e.address]
    assert b"".join(one.read_at(0, one.size) for one in streams) == _VOLUME
    assert [reader.runs_of(e.address) for e in entries if e.address] == [((e.start_byte, e.size),) for e in entries]
    for number in (0, -1, 6, 10**12):
        with pytest.raises(StreamReadError, match="no piece"):
            reader.open_stream(StreamAddress(number, 0, 0))
