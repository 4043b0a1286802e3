from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from forensics import schema

from .case_builder import EXHIBIT, MOMENT, NS, build_case, entry, hit, moment, problem

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def small_case(tmp_path: Path) -> Path:
    """Two files, one hit, one problem, one artifact table, two times."""
    columns = pa.schema([*schema.ARTIFACT_FIELDS, pa.field("ts", schema.TIME), pa.field("name", pa.string())])
    users = [{"exhibit": EXHIBIT, "record_type": "windows/user", "ts": MOMENT, "name": "alice"}]
    return build_case(
        tmp_path / "case",
        entries=[entry(5, "/a", hits=1), entry(6, "/b", recovery="orphan", name_allocated=None)],
        hits=[hit(5, "/a")],
        problems=[problem(metadata_address=5)],
        timeline=[moment(MOMENT), moment(MOMENT + NS, table="artifact_users", volume="", metadata_address=None)],
        artifacts={"artifact_users": (columns, users)},
    )
