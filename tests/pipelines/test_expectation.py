from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.expectation import DifferenceKind, Expectation, ReplayError, compare, read_expectation

if TYPE_CHECKING:
    from pathlib import Path

_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_ROWS = st.lists(st.fixed_dictionaries({"path": st.text(max_size=3), "size": _VALUES}), max_size=6)


def _expected(*rows: dict[str, Any], complete: bool = True, distinct: bool = False) -> Expectation:
    return Expectation(table="entries", key=("path",), rows=rows, complete=complete, distinct=distinct, source="fls 4.11.1")


@given(_ROWS)
def test_a_table_does_not_differ_from_itself(rows: list[dict[str, Any]]) -> None:
    assert compare(_expected(*rows), rows) == ()


@given(_ROWS, st.randoms())
def test_the_order_of_the_rows_is_not_compared(rows: list[dict[str, Any]], random: Any) -> None:
    mixed = list(rows)
    random.shuffle(mixed)
    assert compare(_expected(*rows), mixed) == ()


@given(_ROWS, st.data())
def test_a_row_left_out_is_named_as_missing(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    rows = [{"path": "always there", "size": 1}, *rows]
    left_out = data.draw(st.integers(0, len(rows) - 1))
    found = compare(_expected(*rows), rows[:left_out] + rows[left_out + 1 :])
    assert [one.kind for one in found] == [DifferenceKind.MISSING]
    assert json.loads(found[0].expected) == rows[left_out]


def test_a_row_too_many_is_named_as_extra() -> None:
    (one,) = compare(_expected({"path": "a", "size": 1}), [{"path": "a", "size": 1}, {"path": "b", "size": 2, "md5": "unasked"}])
    assert (one.kind, one.row, one.got) == (DifferenceKind.EXTRA, 'path="b"', '{"path": "b", "size": 2}')


def test_a_row_too_many_passes_where_the_expectation_is_not_complete() -> None:
    assert compare(_expected({"path": "a"}, complete=False), [{"path": "a"}, {"path": "b"}, {"path": "a"}]) == ()


def test_rows_of_which_the_expectation_says_nothing_are_not_compared() -> None:
    expected = replace(_expected({"path": "a"}), leaves_out={"recovery": ("slack",)})
    rows = [{"path": "a", "recovery": "allocated"}, {"path": "b", "recovery": "slack"}]
    assert compare(expected, rows) == ()
    assert [one.kind for one in compare(expected, [*rows, {"path": "c", "recovery": "orphan"}])] == [DifferenceKind.EXTRA]


def test_a_second_row_with_the_same_key_is_extra() -> None:
    assert [one.kind for one in compare(_expected({"path": "a"}), [{"path": "a"}, {"path": "a"}])] == [DifferenceKind.EXTRA]


def test_rows_that_agree_count_once_where_the_expectation_says_distinct() -> None:
    rows = [{"path": "a", "rule": "r", "offset": 1}, {"path": "a", "rule": "r", "offset": 2}]
    assert compare(_expected({"path": "a", "rule": "r"}, distinct=True), rows) == ()
    assert len(compare(_expected({"path": "a", "rule": "r"}), rows)) == 1


def test_a_differing_column_is_named_with_both_values_and_the_source() -> None:
    (one,) = compare(_expected({"path": "a", "size": 1, "kind": "file"}), [{"path": "a", "size": 2, "kind": "file"}])
    assert (one.kind, one.table, one.row, one.column) == (DifferenceKind.DIFFERS, "entries", 'path="a"', "size")
    assert (one.expected, one.got, one.source) == ("1", "2", "fls 4.11.1")


def test_a_column_that_the_table_lacks_differs_even_from_null() -> None:
    (one,) = compare(_expected({"path": "a", "sha256": None}), [{"path": "a"}])
    assert (one.column, one.got) == ("sha256", "no such column")


def test_rows_with_the_same_key_are_paired_so_that_equal_ones_match() -> None:
    (one,) = compare(
        _expected({"path": "a", "size": 1}, {"path": "a", "size": 2}, {"path": "a", "size": 3}),
        [{"path": "a", "size": 3}, {"path": "a", "size": 9}, {"path": "a", "size": 1}],
    )
    assert (one.expected, one.got) == ("2", "9")


@pytest.mark.parametrize(
    ("wanted", "got", "same"),
    [
        ("2024-03-01T09:30:00Z", "2024-03-01T09:30:00.123456700Z", True),
        ("2024-03-01T09:30:00.1Z", "2024-03-01T09:30:00.123456700Z", True),
        ("2024-03-01T09:30:00.2Z", "2024-03-01T09:30:00.123456700Z", False),
        ("2024-03-01T09:30:01Z", "2024-03-01T09:30:00.999999999Z", False),
        ("2024-03-01T09:30:00.123Z", "2024-03-01T09:30:00Z", False),
        ("2024-03-01T09:30:00Z", None, False),
        (None, "2024-03-01T09:30:00Z", False),
    ],
)
def test_a_time_is_compared_with_the_decimals_that_were_expected(wanted: str | None, got: str | None, same: bool) -> None:
    assert (compare(_expected({"path": "a", "modified": wanted}), [{"path": "a", "modified": got}]) == ()) is same


def test_a_time_in_the_key_names_the_row_without_its_zeros() -> None:
    wanted = [{"path": "2024-03-01T09:30:00Z"}, {"path": "2024-03-01T09:30:00.5Z"}]
    assert compare(_expected(*wanted), [{"path": "2024-03-01T09:30:00.000000000Z"}, {"path": "2024-03-01T09:30:00.500000000Z"}]) == ()
    assert len(compare(_expected(*wanted[:1]), [{"path": "2024-03-01T09:30:00.000000001Z"}])) == 2


@pytest.mark.parametrize(("wanted", "got"), [(True, 1), (0, False), (1, "1"), (None, ""), ("", None)])
def test_values_of_different_types_differ(wanted: object, got: object) -> None:
    assert len(compare(_expected({"path": "a", "value": wanted}), [{"path": "a", "value": got}])) == 1


def test_an_expected_file_is_read_with_its_source(tmp_path: Path) -> None:
    head = {"table": "volumes", "key": ["start_byte"], "complete": True, "tool": "mmls", "version": "4.11.1", "leaves_out": {"kind": ["x"]}}
    path = tmp_path / "volumes.jsonl"
    path.write_text(json.dumps({"expected": head}) + '\n{"start_byte": 512, "slot": "000:000"}\n')
    read = read_expectation(path)
    assert read.leaves_out == {"kind": ("x",)}
    assert (read.table, read.key, read.rows, read.source) == (
        "volumes",
        ("start_byte",),
        ({"start_byte": 512, "slot": "000:000"},),
        "mmls 4.11.1",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON\n",
        "[]\n",
        '{"expected": {"table": "t"}}\n',
        '{"expected": {"table":"t","key":["k"],"complete":true,"tool":"x","version":""}}\n{"a":1}\n',
    ],
)
def test_an_unusable_expected_file_is_refused_and_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(text)
    with pytest.raises(ReplayError, match=r"broken\.jsonl"):
        read_expectation(path)
