from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import textwrap
import warnings
from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from flow.record import RecordDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.artifacts.dissect_source import FunctionRun, NotApplicableError
from forensics.artifacts.layout import WIDEST
from forensics.artifacts.reader import map_function
from forensics.artifacts.spool import SpoolError
from forensics.errors import Stage
from forensics.schema import ARTIFACT_FIELDS

FIXED = [one.name for one in ARTIFACT_FIELDS]
PLAIN = RecordDescriptor("test/plain", [("datetime", "ts"), ("string", "name"), ("varint", "size"), ("path", "source")])


@pytest.fixture
def mapped(tmp_path):
    """Maps what a generator function yields, as the function test.one of exhibit E1."""

    def mapped_(function, declared=()):
        table = map_function("test.one", lambda: FunctionRun(tuple(declared), None, function), exhibit="E1", spool=tmp_path)
        rows = [row for batch in table.iter_batches() for row in batch.to_pylist()]
        assert len(rows) == table.rows
        return table, rows

    return mapped_


def test_records_become_rows_with_exhibit_record_type_and_source_path(mapped):
    def function():
        yield PLAIN(ts=datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), name="b", size=3, source="/var/log/x")

    table, rows = mapped(function)
    assert table.table == "artifact_test_one"
    assert table.applicable
    assert table.problems == ()
    assert table.schema.names == [*FIXED, "ts", "name", "size"]
    time = rows[0].pop("ts")
    assert time == datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert rows == [{"exhibit": "E1", "record_type": "test/plain", "source_path": "/var/log/x", "name": "b", "size": 3}]


def test_every_column_says_what_it_means(mapped):
    def function():
        yield PLAIN(name="a")

    table, _ = mapped(function)
    assert all(field.metadata[b"meaning"] for field in table.schema)
    assert b"field size (varint) of test/plain" in table.schema.field("size").metadata[b"meaning"]
    assert table.schema.metadata[b"table"] == b"artifact_test_one"


def test_reserved_fields_of_a_record_are_in_no_column(mapped):
    def function():
        yield PLAIN(name="a", _source="/path/of/this/host", _generated=datetime(2020, 1, 1, tzinfo=UTC), _classification="x")

    table, rows = mapped(function)
    assert not [name for name in table.schema.names if name.startswith("_")]
    assert "/path/of/this/host" not in repr(rows)


def test_rows_are_sorted_whatever_order_they_came_in(mapped):
    def function():
        for name, size in (("b", 1), ("a", 2), (None, 3), ("a", 1)):
            yield PLAIN(name=name, size=size)

    _, rows = mapped(function)
    assert [(row["name"], row["size"]) for row in rows] == [("a", 1), ("a", 2), ("b", 1), (None, 3)]


def test_rows_that_differ_only_in_a_list_are_sorted_too(mapped):
    lists = RecordDescriptor("test/lists", [("string[]", "names")])

    def function(order):
        return lambda: (lists(names=names) for names in order)

    orders = [[["b"], ["a", "c"], [], ["a"]], [["a"], [], ["a", "c"], ["b"]]]
    first, second = (mapped(function(order))[1] for order in orders)
    assert first == second
    assert sorted(map(len, (row["names"] for row in first))) == [0, 1, 1, 2]


def test_many_rows_in_several_batches_keep_order_and_number(mapped):
    def function():
        for number in range(40_000):
            yield PLAIN(name=f"{number * 7919 % 40_000:06d}", size=number)

    table, rows = mapped(function)
    assert table.rows == 40_000
    assert [row["name"] for row in rows] == [f"{number:06d}" for number in range(40_000)]
    assert rows[7919]["size"] == 1
    assert max(batch.num_rows for batch in table.iter_batches()) <= 16_384


def test_a_time_out_of_range_is_null_and_a_problem_that_keeps_the_raw_value(mapped):
    def function():
        yield PLAIN(ts=datetime(2500, 6, 7, tzinfo=UTC), name="late")
        yield PLAIN(ts=datetime(1601, 1, 1, tzinfo=UTC), name="never")
        yield PLAIN(ts=datetime(1601, 1, 1, tzinfo=UTC), name="never again")

    table, rows = mapped(function)
    assert [row["ts"] for row in rows] == [None, None, None]
    late, never = sorted(table.problems, key=lambda one: one.code, reverse=True)
    assert (late.code, late.stage, late.path) == ("time-out-of-range", Stage.ARTIFACTS, "test.one")
    assert late.why.startswith("2500-06-07T00:00:00+00:00")
    assert never.code == "time-never-set"
    assert never.why.startswith("1601-01-01T00:00:00+00:00")
    assert never.why.endswith("(2 times)")


def test_an_integer_beyond_64_bits_makes_its_column_text_and_keeps_every_digit(mapped):
    def function():
        yield PLAIN(name="a", size=2**64)
        yield PLAIN(name="b", size=-1)

    table, rows = mapped(function)
    assert table.schema.field("size").type == pa.string()
    assert [row["size"] for row in rows] == ["18446744073709551616", "-1"]


def test_an_integer_beyond_64_bits_in_a_list_makes_the_list_text(mapped):
    lists = RecordDescriptor("test/lists", [("varint[]", "sizes")])
    _, rows = mapped(lambda: iter([lists(sizes=[1, 2**70])]))
    assert rows[0]["sizes"] == ["1", "1180591620717411303424"]


def test_bytes_that_are_no_unicode_stand_escaped(mapped):
    _, rows = mapped(lambda: iter([PLAIN(name=b"\xff\xfe", source="/tmp/\x1b[2J")]))
    assert (rows[0]["name"], rows[0]["source_path"]) == ("\\xff\\xfe", "/tmp/\\x1b[2J")


def test_shapes_with_different_fields_share_a_table_of_all_columns(mapped):
    one = RecordDescriptor("test/a", [("string", "x"), ("varint", "n")])
    two = RecordDescriptor("test/b", [("string", "x"), ("boolean", "y")])
    table, rows = mapped(lambda: iter([two(x="2", y=True), one(x="1", n=5)]))
    assert table.schema.names == [*FIXED, "x", "n", "y"]
    assert [(row["record_type"], row["x"], row["n"], row["y"]) for row in rows] == [("test/a", "1", 5, None), ("test/b", "2", None, True)]


@pytest.mark.parametrize(
    ("typename", "value", "text"),
    [
        ("varint", 5, "5"),
        ("boolean", True, "true"),
        ("float", 0.5, "0.5"),
        ("datetime", datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02 00:00:00.000000000Z"),
        ("bytes", b"\x01\xff", "01ff"),
        ("string[]", ["a", "b"], '["a", "b"]'),
    ],
)
def test_a_field_with_two_types_is_text(mapped, typename, value, text):
    one = RecordDescriptor("test/a", [("string", "x")])
    two = RecordDescriptor("test/b", [(typename, "x")])
    table, rows = mapped(lambda: iter([one(x="text"), two(x=value)]))
    assert table.schema.field("x").type == pa.string()
    assert [row["x"] for row in rows] == ["text", text]


def test_one_record_type_whose_fields_differ_in_type_is_text_too(mapped):
    """evtx names all its records alike."""
    shapes = [RecordDescriptor("test/a", [(typename, "x")]) for typename in ("string", "varint")]
    _, rows = mapped(lambda: iter([shapes[0](x="b"), shapes[1](x=7)]))
    assert [row["x"] for row in rows] == ["7", "b"]


def test_names_that_differ_in_case_or_meet_a_fixed_column_get_a_number(mapped):
    clash = RecordDescriptor("test/a", [("string", "Data"), ("string", "data"), ("string", "exhibit"), ("string", "data_2")])
    table, rows = mapped(lambda: iter([clash(Data="1", data="2", exhibit="3", data_2="4")]))
    assert table.schema.names == [*FIXED, "Data", "data_2", "exhibit_2", "data_2_2"]
    assert list(rows[0].values())[3:] == ["1", "2", "3", "4"]


def test_a_field_that_a_record_names_twice_is_one_column(mapped):
    """The firewall rules of dissect.target 3.25.1 do so."""
    twice = RecordDescriptor("test/a", [("string", "x"), ("string", "y"), ("string", "x")])
    table, rows = mapped(lambda: iter([twice(x="1", y="2")]))
    assert table.schema.names == [*FIXED, "x", "y"]
    assert (rows[0]["x"], rows[0]["y"]) == ("1", "2")


def test_too_many_fields_leave_the_common_ones_as_columns_and_the_rest_as_json(mapped):
    shapes = [
        RecordDescriptor("test/wide", [("datetime", "ts"), ("varint", f"f{number}"), ("datetime", f"t{number}")])
        for number in range(WIDEST)
    ]

    def function():
        for number, shape in enumerate(shapes):
            yield shape(**{"ts": datetime(2024, 1, 1, 0, number % 60, tzinfo=UTC), f"f{number}": number})

    table, rows = mapped(function)
    assert table.schema.names == [*FIXED, "ts", "other"]
    assert sorted((json.loads(row["other"]) for row in rows), key=str) == sorted(({f"f{n}": n} for n in range(WIDEST)), key=str)


def test_a_row_with_nothing_left_has_no_other(mapped):
    wide = RecordDescriptor("test/wide", [("string", f"f{number}") for number in range(WIDEST)])
    also = RecordDescriptor("test/wide", [("string", f"g{number}") for number in range(WIDEST)])
    _, rows = mapped(lambda: iter([wide(f1="x"), also()]))
    assert sorted(str(row["other"]) for row in rows) == ["None", '{"f1": "x"}']


def test_a_function_that_yields_nothing_gives_an_empty_table_with_the_declared_columns(mapped):
    table, rows = mapped(lambda: iter(()), declared=[PLAIN])
    assert table.applicable
    assert (table.rows, rows, table.problems) == (0, [], ())
    assert table.schema.names == [*FIXED, "ts", "name", "size"]


@pytest.mark.parametrize("value", [None, "", []])
def test_a_property_without_a_value_has_no_row(mapped, value):
    table, rows = mapped(lambda: value)
    assert (table.applicable, rows) == (True, [])


@pytest.mark.parametrize(
    ("value", "expected"),
    [("DESKTOP", ["DESKTOP"]), (["b", "a"], ["a", "b"]), (datetime(2024, 1, 1, tzinfo=UTC), [datetime(2024, 1, 1, tzinfo=UTC)])],
)
def test_a_property_becomes_rows_with_a_column_value(mapped, value, expected):
    table, rows = mapped(lambda: value)
    assert table.schema.names == [*FIXED, "value"]
    assert [row["value"] for row in rows] == expected


def test_a_function_that_raises_keeps_the_rows_before_and_gives_a_problem(mapped):
    def function():
        yield PLAIN(name="kept")
        message = "broken structure at 0x10"
        raise IndexError(message)

    table, rows = mapped(function)
    assert [row["name"] for row in rows] == ["kept"]
    (problem,) = table.problems
    assert problem.code == "function-failed"
    assert "after 1 rows" in problem.what
    assert problem.why == "IndexError: broken structure at 0x10"


def test_an_interrupt_passes(mapped):
    def function():
        yield PLAIN(name="a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mapped(function)


def test_a_spool_folder_that_cannot_be_written_to_is_no_fault_of_the_function(tmp_path):
    missing = tmp_path / "not there"
    with pytest.raises(SpoolError, match="not there"):
        map_function("f", lambda: FunctionRun((), None, lambda: iter([PLAIN(name="a")])), exhibit="E1", spool=missing)


def test_a_function_that_does_not_apply_is_silent(tmp_path):
    def prepare():
        message = "no such files"
        raise NotApplicableError(message)

    table = map_function("f", prepare, exhibit="E1", spool=tmp_path)
    assert (table.applicable, table.rows, table.problems, list(table.iter_batches())) == (False, 0, (), [])


def test_a_function_that_does_not_apply_keeps_what_dissect_could_not_read(tmp_path):
    def prepare():
        logging.getLogger("dissect.x").warning("registry key not found")
        logging.getLogger("dissect.x").warning("registry hive is corrupt")
        raise NotApplicableError

    table = map_function("f", prepare, exhibit="E1", spool=tmp_path)
    assert [one.why for one in table.problems] == ["registry hive is corrupt"]


def test_what_dissect_logs_becomes_problems_each_once_with_a_count(mapped):
    logger = logging.getLogger("dissect.target.target")

    def function():
        for number in range(3):
            logger.warning("<Target None>: cannot parse %s", "record")
            yield PLAIN(name=str(number))
        logger.error("%s is broken at 0x10", object())
        logger.info("not a problem")
        logging.getLogger("dissect.ntfs").warning("file x does not exist")

    table, rows = mapped(function)
    assert len(rows) == 3
    assert [(one.code, one.why) for one in table.problems] == [
        ("artifact-absent", "file x does not exist"),
        ("dissect-error", "<object object> is broken at 0x10"),
        ("dissect-warning", "cannot parse record (3 times)"),
    ]


def test_problems_are_bounded_and_say_how_many_are_left_out_whatever_their_order(mapped):
    def function(numbers):
        def function_():
            for number in numbers:
                logging.getLogger("dissect.x").warning("failure %d", number)
            return iter(())

        return function_

    up, _ = mapped(function([*range(1000), *range(1000)]))
    down, _ = mapped(function([*reversed(range(1000)), *range(1000)]))
    assert up.problems == down.problems
    assert len(up.problems) == 201
    assert up.problems[0].why == "failure 0 (2 times)"
    assert up.problems[-1].code == "more-remarks"
    assert up.problems[-1].what.startswith("1600 ")


def test_a_python_warning_on_data_is_a_problem_and_one_on_the_library_is_not(mapped):
    def function():
        warnings.warn("odd data", UserWarning, stacklevel=1)
        warnings.warn("old name", DeprecationWarning, stacklevel=1)
        return iter(())

    table, _ = mapped(function)
    assert [one.why for one in table.problems] == ["odd data"]


def test_logging_is_as_before_afterwards(mapped):
    def state():
        return [
            (one.level, one.propagate, list(one.handlers)) for one in map(logging.getLogger, ("dissect", "dissect.target.target", "flow"))
        ]

    before = state()
    mapped(lambda: iter([PLAIN(name="a")]))
    assert state() == before


def test_zero_and_minus_zero_are_one_value(mapped):
    numbers = RecordDescriptor("test/floats", [("float", "f"), ("string[]", "many")])
    for order in ([0.0, -0.0], [-0.0, 0.0]):
        _, rows = mapped(lambda order=order: iter([numbers(f=one) for one in order]))
        assert [repr(row["f"]) for row in rows] == ["0.0", "0.0"]


def test_the_spool_is_empty_when_a_table_is_closed(mapped, tmp_path):
    table, _ = mapped(lambda: iter([PLAIN(name="a")]))
    assert [one.name for one in tmp_path.iterdir()] == ["artifact_test_one.arrow"]
    table.close()
    assert list(tmp_path.iterdir()) == []


SHAPES = [
    RecordDescriptor("law/a", [("string", "x"), ("varint", "n"), ("string[]", "many")]),
    RecordDescriptor("law/a", [("varint", "x"), ("datetime", "ts")]),
    RecordDescriptor("law/b", [("bytes", "x"), ("float", "f"), ("path", "source")]),
]
TEXTS = st.text(st.characters(codec=None), max_size=5)
TIMES = st.datetimes(timezones=st.just(UTC))
RECORDS = st.one_of(
    st.builds(SHAPES[0], x=TEXTS, n=st.integers(), many=st.lists(TEXTS, max_size=3)),
    st.builds(SHAPES[1], x=st.integers(-(2**70), 2**70), ts=st.none() | TIMES),
    st.builds(SHAPES[2], x=st.binary(max_size=4), f=st.none() | st.floats(), source=st.none() | st.just("/a") | st.just("/b")),
)


@settings(deadline=None, max_examples=150)
@given(records=st.lists(RECORDS, max_size=12), data=st.data())
def test_no_row_is_lost_and_their_order_of_coming_changes_nothing(records, data, tmp_path_factory):
    """Architecture, laws 3 and 6, for records of any values and shapes, in any order."""
    shuffled = data.draw(st.permutations(records))
    tables = []
    for order in (records, shuffled):
        table = map_function(
            "law", lambda order=order: FunctionRun((), None, lambda: order), exhibit="E1", spool=tmp_path_factory.mktemp("law")
        )
        tables.append(([repr(row) for batch in table.iter_batches() for row in batch.to_pylist()], table.schema, table.problems))
    assert tables[0] == tables[1]
    assert len(tables[0][0]) == len(records)
    assert Counter("law/a" in row for row in tables[0][0]) == Counter(one._desc.name == "law/a" for one in records)
    assert not [one for one in tables[0][2] if not one.code.startswith("time-")]


_SCRIPT = """
    import hashlib, sys
    from pathlib import Path
    import pyarrow as pa
    from flow.record import RecordDescriptor
    from forensics.artifacts.dissect_source import FunctionRun
    from forensics.artifacts.reader import map_function

    shapes = {name: RecordDescriptor("test/" + name, [("string", "s"), ("string[]", "l"), ("varint", "v_" + name)]) for name in "abc"}

    def function():
        for name in {"a", "b", "c"}:
            for text in {"one", "two", "three", "four"}:
                yield shapes[name](**{"s": text, "l": [text, name], "v_" + name: len(text)})

    table = map_function("f", lambda: FunctionRun((), None, function), exhibit="E1", spool=Path(sys.argv[1]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.iter_batches():
            writer.write_batch(batch)
    print(table.rows, hashlib.sha256(sink.getvalue()).hexdigest())
"""


def test_the_table_is_the_same_bytes_whatever_the_hash_seed(tmp_path):
    """Architecture, law 6; a function that walks a set yields in the order of the hash seed."""
    outputs = set()
    for seed in ("0", "1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        command = [sys.executable, "-c", textwrap.dedent(_SCRIPT), str(folder)]
        outputs.add(subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout)
    assert len(outputs) == 1
    assert outputs.pop().startswith("12 ")


def test_reading_twice_gives_the_same_rows(mapped):
    def function():
        yield from (PLAIN(name=str(number), size=number) for number in range(100))

    table, rows = mapped(function)
    again = [row for batch in table.iter_batches() for row in batch.to_pylist()]
    assert hashlib.sha256(repr(rows).encode()).digest() == hashlib.sha256(repr(again).encode()).digest()
