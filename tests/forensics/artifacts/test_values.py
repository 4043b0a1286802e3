from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import PureWindowsPath

import pyarrow as pa
import pytest
from flow.record import RecordDescriptor, fieldtypes
from flow.record.whitelist import WHITELIST
from hypothesis import given
from hypothesis import strategies as st

from forensics.artifacts.values import OutOfRangeError, as_json, as_nanoseconds, as_text, field_readers, plain, typename_of


def read(typename, value):
    """What Arrow stores of a value that went through a real record of flow.record."""
    record = RecordDescriptor("test/one", [(typename, "field")])(field=value)
    (reader,) = field_readers("field", typename)
    return pa.array([reader.read(record.field)], reader.type).to_pylist()[0]


@pytest.mark.parametrize(
    ("typename", "value", "expected"),
    [
        ("string", "text", "text"),
        ("string", "na\u00efve \u2603 \U0001f600", "na\u00efve \u2603 \U0001f600"),
        ("string", b"caf\xe9", "caf\\xe9"),
        ("string", "lone \ud800", "lone \\ud800"),
        ("string", "two\nlines", "two\nlines"),
        ("wstring", "wide", "wide"),
        ("varint", -5, -5),
        ("varint", 2**62, 2**62),
        ("filesize", 4096, 4096),
        ("unix_file_mode", 0o644, 0o644),
        ("uint16", 65535, 65535),
        ("uint32", 4294967295, 4294967295),
        ("float", 0.5, 0.5),
        ("boolean", True, True),
        ("boolean", False, False),
        ("bytes", b"\x00\xff", b"\x00\xff"),
        ("uri", "http://example.com/a?b=c", "http://example.com/a?b=c"),
        ("net.ipaddress", "192.0.2.1", "192.0.2.1"),
        ("net.ipaddress", "2001:db8::1", "2001:db8::1"),
        ("net.ipnetwork", "192.0.2.0/24", "192.0.2.0/24"),
        ("net.ipinterface", "192.0.2.1/24", "192.0.2.1/24"),
        ("path", fieldtypes.path.from_windows("C:\\Windows\\a b.exe"), "C:\\Windows\\a b.exe"),
        ("path", PureWindowsPath("D:/x"), "D:\\x"),
        ("path", fieldtypes.path.from_posix("/etc/passwd"), "/etc/passwd"),
        ("path", fieldtypes.path.from_posix("/tmp/new\nline\u202e"), "/tmp/new\\x0aline\\u202e"),
        ("path", fieldtypes.path.from_posix("/tmp/\udcff"), "/tmp/\\udcff"),
        ("command", "/bin/sh -c 'a b'", "/bin/sh -c 'a b'"),
        ("command", 'C:\\tools\\run.exe /x "a b"', 'C:\\tools\\run.exe /x "a b"'),
        ("string[]", ["a", "b"], ["a", "b"]),
        ("varint[]", [1, 2], [1, 2]),
        ("stringlist", ["x"], ["x"]),
        ("net.ipaddress[]", ["192.0.2.1"], ["192.0.2.1"]),
        ("dictlist", [{"b": 1, "a": b"\x01"}], '[{"a": "01", "b": 1}]'),
        ("dynamic", 7, "7"),
    ],
)
def test_a_value_of_each_field_type_is_stored_as_it_stands(typename, value, expected):
    assert read(typename, value) == expected


def test_every_field_type_of_flow_record_has_a_reader():
    for typename in [*WHITELIST, *(f"{one}[]" for one in WHITELIST)]:
        assert field_readers("field", typename), typename


def test_a_digest_becomes_three_columns():
    md5, sha1, sha256 = "0" * 32, "1" * 40, "2" * 64
    record = RecordDescriptor("test/digest", [("digest", "d")])(d=(md5, sha1, sha256))
    readers = field_readers("d", "digest")
    assert [one.column for one in readers] == ["d_md5", "d_sha1", "d_sha256"]
    assert [one.read(record.d) for one in readers] == [md5, sha1, sha256]


def test_a_record_inside_a_record_is_json_without_reserved_fields():
    inner = RecordDescriptor("test/inner", [("string", "b"), ("datetime", "a")])(b="x", a=datetime(2020, 1, 2, tzinfo=UTC))
    outer = RecordDescriptor("test/outer", [("record", "r"), ("record[]", "rs")])(r=inner, rs=[inner])
    (one,) = field_readers("r", "record")
    (many,) = field_readers("rs", "record[]")
    expected = '{"a": "2020-01-02T00:00:00+00:00", "b": "x"}'
    assert one.read(outer.r) == expected
    assert many.read(outer.rs) == [expected]


def test_times_are_nanoseconds_since_1970_whatever_their_zone():
    # 1,234,567,890 seconds since 1970 is 2009-02-13T23:31:30Z (POSIX, `date -u -d @1234567890`).
    assert as_nanoseconds(datetime(2009, 2, 13, 23, 31, 30, 5, tzinfo=UTC)) == 1_234_567_890_000_005_000
    east = timezone(timedelta(hours=2))
    assert as_nanoseconds(datetime(2009, 2, 14, 1, 31, 30, tzinfo=east)) == 1_234_567_890_000_000_000
    naive = datetime(2009, 2, 13, 23, 31, 30)  # noqa: DTZ001 - that is what is tested
    assert as_nanoseconds(naive) == 1_234_567_890_000_000_000


@pytest.mark.parametrize("year", [1, 1601, 1677, 2263, 9999])
def test_a_time_that_64_bits_of_nanoseconds_do_not_hold_is_refused_with_its_raw_value(year):
    with pytest.raises(OutOfRangeError, match=f"{year:04d}-01-01T00:00:00"):
        as_nanoseconds(datetime(year, 1, 1, tzinfo=UTC))


@given(st.datetimes(min_value=datetime(1678, 1, 1), max_value=datetime(2262, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants it so
def test_a_time_in_range_comes_back_from_arrow_as_it_was(value):
    """timestamp[ns] loses nothing of a datetime, which has microseconds."""
    stored = pa.array([as_nanoseconds(value)], pa.timestamp("ns", tz="UTC"))
    assert stored.cast(pa.timestamp("us", tz="UTC")).to_pylist() == [value]


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_unicode_that_arrow_takes(value):
    """Text of evidence is any sequence of code points, lone surrogates among them."""
    stored = as_text(value)
    assert pa.array([stored], pa.string()).to_pylist() == [stored]
    if not any("\ud800" <= one <= "\udfff" for one in value):
        assert stored == value


def test_equal_values_give_equal_json_whatever_the_order_of_their_keys():
    assert as_json({"b": 1, "a": [None, True, 1.5, b"\x00"]}) == as_json({"a": [None, True, 1.5, b"\x00"], "b": 1})
    assert plain({1: fieldtypes.varint(2)}) == {"1": 2}


@pytest.mark.parametrize(
    ("value", "typename"),
    [(True, "boolean"), (3, "varint"), (0.5, "float"), (b"", "bytes"), ("x", "string"), (datetime(2020, 1, 1, tzinfo=UTC), "datetime")],
)
def test_a_plain_value_has_the_type_of_its_class(value, typename):
    assert typename_of(value) == typename
