from __future__ import annotations

import json

import pyarrow as pa

from pipelines.plain_rows import plain_rows, rows_digest


def test_every_type_of_our_schema_becomes_json_without_loss() -> None:
    # 2024-03-01 09:30:00 UTC is 1709285400 s by `date -u -d @1709285400`; 1969-07-20 20:17:40 is -14182940 s.
    table = pa.table(
        {
            "time": pa.array([1709285400123456700, -14182939999999999, None], pa.timestamp("ns", tz="UTC")),
            "bytes": pa.array([b"\xff\x00", b"", None], pa.binary()),
            "texts": pa.array([["a", "b"], [], None], pa.list_(pa.string())),
            "map": pa.array([[("k", "v")], [], None], pa.map_(pa.string(), pa.string())),
            "times": pa.array([[1709285400000000000], [], None], pa.list_(pa.timestamp("ns", tz="UTC"))),
            "flag": [True, False, None],
        }
    )
    rows = plain_rows(table)
    assert rows[0] == {
        "time": "2024-03-01T09:30:00.123456700Z",
        "bytes": {"hex": "ff00"},
        "texts": ["a", "b"],
        "map": {"k": "v"},
        "times": ["2024-03-01T09:30:00.000000000Z"],
        "flag": True,
    }
    assert rows[1]["time"] == "1969-07-20T20:17:40.000000001Z"
    assert set(rows[2].values()) == {None}
    json.dumps(rows)


def test_the_digest_changes_with_a_value_and_with_the_order() -> None:
    rows = [{"a": 1}, {"a": 2}]
    assert rows_digest(rows) == rows_digest([dict(row) for row in rows])
    assert len({rows_digest(rows), rows_digest(rows[::-1]), rows_digest([{"a": 1}, {"a": 3}]), rows_digest(rows[:1])}) == 4
