from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from forensics.schema import TIME
from forensics.timestamps import OutOfRange, from_filetime, from_unix

_1601 = datetime(1601, 1, 1, tzinfo=UTC)
_1970 = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(0, 26 * 10**17))
def test_a_filetime_is_hundreds_of_nanoseconds_since_1601(value: int) -> None:
    """MS-DTYP 2.3.3; the calendar is Python's, exact in microseconds."""
    got = from_filetime(value)
    moment = _1601 + timedelta(microseconds=value // 10)
    if isinstance(got, int):
        assert _1970 + timedelta(microseconds=got // 1000) == moment
        assert got % 1000 == value % 10 * 100, "the last digit of the FILETIME is kept"
    else:
        assert value == 0 or not datetime(1677, 9, 22, tzinfo=UTC) < moment < datetime(2262, 4, 11, tzinfo=UTC)


def test_known_filetimes() -> None:
    # Microsoft, "Converting a time_t value to a FILETIME": 116444736000000000 is 1970-01-01.
    assert from_filetime(116_444_736_000_000_000) == 0
    assert from_filetime(116_444_736_000_000_001) == 100
    # Raymond Chen, "The Old New Thing", 2009-03-06: 0x01C9B8A58A2A8000 style values are plain arithmetic; 2001-09-09T01:46:40Z is Unix 1e9.
    assert from_filetime(116_444_736_000_000_000 + 10**9 * 10**7) == 10**18


def test_a_time_that_was_never_set_is_none() -> None:
    assert from_filetime(0) is None
    assert from_unix(0, 0) is None


def test_1601_is_none_and_the_next_tick_is_out_of_range_with_its_raw_value() -> None:
    assert from_filetime(1) == OutOfRange("FILETIME 1")


@given(st.integers(-(2**63), 2**63), st.integers(0, 999_999_999))
def test_a_unix_time_fits_arrow_or_says_what_was_stored(seconds: int, nanoseconds: int) -> None:
    got = from_unix(seconds, nanoseconds)
    if isinstance(got, int):
        assert got == seconds * 10**9 + nanoseconds
        assert pa.array([got], TIME)[0].value == got
    elif got is not None:
        assert str(seconds) in got.raw
        assert abs(seconds) > 9_223_372_035


@given(st.integers(1, 2**64 - 1))
def test_every_filetime_that_is_an_integer_fits_arrow(value: int) -> None:
    got = from_filetime(value)
    if isinstance(got, int):
        assert pa.array([got], TIME)[0].value == got


def test_the_ends_of_the_range() -> None:
    # 2**63 ns after 1970 is 2262-04-11T23:47:16.854775808Z (Apache Arrow, timestamp with unit nanosecond).
    assert from_unix(9_223_372_036, 854_775_807) == 2**63 - 1
    assert isinstance(from_unix(9_223_372_036, 854_775_808), OutOfRange)
    assert isinstance(from_unix(-9_223_372_037, 0), OutOfRange)
