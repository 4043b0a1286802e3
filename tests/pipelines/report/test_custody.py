from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from chain_of_custody.envelope import leaf_hash
from chain_of_custody.events import Event, Relation
from chain_of_custody.identity import demonstration_identity
from chain_of_custody.statement import Ref
from pipelines.report.custody import read_custody

from .case_builder import EXHIBIT, RUN, custody_line

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def case(tmp_path: Path) -> Path:
    (tmp_path / "custody").mkdir()
    return tmp_path


def write_log(case: Path, *lines: bytes) -> None:
    (case / "custody" / "custody.intoto.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def test_a_case_without_a_log_has_no_entries_and_no_head(tmp_path: Path) -> None:
    log = read_custody(tmp_path)
    assert (log.entries, log.head, log.roster) == ((), "", "missing")


def test_entries_come_in_order_under_their_leaf_hashes(case: Path) -> None:
    lines = [custody_line(0, Event.LOG_INIT), custody_line(1, Event.NOTE_ADD, details={"text": "x"})]
    write_log(case, *lines)
    log = read_custody(case)
    assert [one.entry for one in log.entries] == [leaf_hash(line).hex() for line in lines]
    assert [one.time for one in log.entries] == ["2026-11-23 14:54:04.603848"] * 2
    assert log.entries[1].details == (("text", "x"),)


def test_head_names_origin_size_and_root(case: Path) -> None:
    """RFC 6962, section 2.1: the root over two leaves is SHA-256(0x01 || left || right)."""
    lines = [custody_line(0, Event.LOG_INIT), custody_line(1, Event.NOTE_ADD)]
    write_log(case, *lines)
    left, right = (hashlib.sha256(b"\0" + line).digest() for line in lines)
    root = base64.b64encode(hashlib.sha256(b"\1" + left + right).digest()).decode()
    assert read_custody(case).head == f"police.example/case/1 2 {root}"


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", b"[" * 100_000, custody_line(1, Event.NOTE_ADD) + b" "])
def test_a_line_that_is_no_entry_is_named_and_there_is_no_head(case: Path, line: bytes) -> None:
    write_log(case, custody_line(0, Event.LOG_INIT), line)
    log = read_custody(case)
    assert len(log.entries) == 1
    assert [number for number, _ in log.unreadable] == [2]
    assert log.head == ""


def test_entries_of_other_exhibits_and_runs_are_left_out(case: Path) -> None:
    write_log(
        case,
        custody_line(0, Event.LOG_INIT),
        custody_line(1, Event.EVIDENCE_VERIFY, subject="KH-2", details={"match": "match"}),
        custody_line(2, Event.EVIDENCE_VERIFY, details={"match": "match"}),
        custody_line(3, Event.PROCESS_START, details={"run": "002-KH-2"}),
        custody_line(4, Event.PROCESS_START, details={"run": RUN}),
        custody_line(5, Event.NOTE_ADD),
    )
    assert [one.seq for one in read_custody(case).about(EXHIBIT, RUN)] == [0, 2, 4, 5]


def test_a_correction_of_an_entry_is_shown_with_it(case: Path) -> None:
    first = custody_line(0, Event.PROCESS_START, details={"run": RUN})
    refs = (Ref(rel=Relation.CORRECTS, entry=leaf_hash(first).hex()),)
    write_log(case, first, custody_line(1, Event.ENTRY_CORRECT, details={"reason": "typing error", "run": "other"}, refs=refs))
    assert [one.seq for one in read_custody(case).about(EXHIBIT, RUN)] == [0, 1]


def test_a_demonstration_roster_is_noticed(case: Path, tmp_path: Path) -> None:
    identity = demonstration_identity(tmp_path / "state", datetime(2026, 11, 23, tzinfo=UTC))
    (case / "custody" / "roster.dsse.json").write_bytes(identity.roster_bytes)
    write_log(case, custody_line(0, Event.LOG_INIT))
    log = read_custody(case)
    assert (log.roster, log.demonstration) == ("held", True)


def test_a_damaged_roster_is_said(case: Path) -> None:
    (case / "custody" / "roster.dsse.json").write_bytes(b"{}\n")
    log = read_custody(case)
    assert log.roster not in {"held", "missing"}
    assert not log.demonstration


def test_a_torn_last_line_is_named(case: Path) -> None:
    line = custody_line(0, Event.LOG_INIT)
    (case / "custody" / "custody.intoto.jsonl").write_bytes(line + b"\n" + line[:100])
    log = read_custody(case)
    assert (len(log.entries), [number for number, _ in log.unreadable], log.head) == (1, [2], "")


def test_a_log_that_is_no_regular_file_is_not_read(case: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(custody_line(0, Event.LOG_INIT) + b"\n")
    (case / "custody" / "custody.intoto.jsonl").symlink_to(elsewhere)
    log = read_custody(case)
    assert (log.entries, [number for number, _ in log.unreadable]) == ((), [0])


def test_nested_details_are_shown_in_one_line(case: Path) -> None:
    checks = [{"by": "image", "algorithm": "md5"}, {"by": "examiner", "algorithm": "sha1"}]
    write_log(case, custody_line(0, Event.NOTE_ADD, details={"checks": checks, "bytes": 5, "sealed": True}))
    assert read_custody(case).entries[0].details == (
        ("bytes", "5"),
        ("checks", "algorithm: md5, by: image; algorithm: sha1, by: examiner"),
        ("sealed", "true"),
    )
