"""The log as a person reads it; nothing from evidence can act on the terminal."""

from __future__ import annotations

import json
import os
import unicodedata
from typing import TYPE_CHECKING

import pytest
from custody_cases import LATER, Clock, Finished, log_path, open_recorder
from hypothesis import given
from hypothesis import strategies as st

from chain_of_custody.errors import CustodyError
from chain_of_custody.events import Event
from chain_of_custody.identity import read_roster
from chain_of_custody.recorder import Recorded
from chain_of_custody.show import iter_entries, iter_text, roster_text, shown, verdict_text
from chain_of_custody.statement import Subject
from chain_of_custody.verify import verify_case

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "\x1b[2J\u202egpj.exe\n\u2028\x7f\x9b\\u{1b}" + os.fsdecode(b"\xff")


@given(st.text())
def test_what_is_shown_has_no_character_that_acts(text: str) -> None:
    assert all(unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in shown(text))


@given(st.text(), st.text())
def test_different_texts_are_shown_differently(one: str, other: str) -> None:
    assert (shown(one) == shown(other)) == (one == other)


def test_a_hostile_name_is_escaped_in_the_text_and_whole_in_the_values(finished: Finished) -> None:
    recorder = open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), Clock(LATER))
    subject = Subject(name=HOSTILE, sha256="11" * 32)
    recorder.record(Recorded(event=Event.EVIDENCE_VERIFY, subjects=(subject,), details={"match": True, "\x1b]0;x\x07": ["\u202e"]}))
    text = list(iter_text(finished.case))
    assert all(character.isprintable() for line in text for character in line)
    assert any("\\u{1b}[2J\\u{202e}gpj.exe\\u{a}" in line for line in text)
    last = list(iter_entries(finished.case))[-1]
    assert last["subjects"][0]["name"] == HOSTILE
    assert json.loads(json.dumps(last)) == last


def test_every_entry_is_shown_with_who_signed_it(finished: Finished) -> None:
    entries = list(iter_entries(finished.case))
    assert [entry["event"] for entry in entries][:4] == ["log.init", "evidence.receive", "process.start", "process.end"]
    assert [entry["signed_by"] for entry in entries][3:5] == [["Kim Hansen"], ["Olu Berg"]]
    assert sum(line.startswith("#") for line in iter_text(finished.case)) == 7


def test_a_damaged_log_is_shown_as_far_as_it_can_be_read(finished: Finished) -> None:
    with log_path(finished.case).open("ab") as stream:
        stream.write(b"\x1bnonsense\n{")
    text = list(iter_text(finished.case))
    assert text[-2].startswith("#7  cannot be read")
    assert text[-1] == "#8  cannot be read: the line is cut short"


def test_a_case_without_a_log_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match="cannot be read"):
        list(iter_entries(tmp_path))


def test_a_roster_is_shown_with_its_fingerprint_and_signers(finished: Finished) -> None:
    roster = read_roster(finished.agency.folder / "roster.dsse.json")[0]
    text = list(roster_text(roster))
    assert f"Root          {finished.agency.fingerprint}" in text
    assert [line for line in text if line.startswith("Signer")] == [
        "Signer        Kim Hansen (examiner, Example Police)",
        "Signer        Olu Berg (case-officer, Example Police)",
        "Signer        ws-17 (processor, Example Police)",
    ]


def test_a_verdict_is_text_and_values(finished: Finished) -> None:
    (finished.case / "runs" / "\x1b[31m").mkdir()
    verdict = verify_case(finished.case)
    text = "\n".join(verdict_text(verdict))
    assert "INTEGRITY     FAIL" in text
    assert "E_RUN_UNLISTED: There are results that no entry of the log accounts for. (runs/\\u{1b}[31m; no process.start names it)" in text
    value = json.loads(json.dumps(verdict.to_dict()))
    assert [item["result"] for item in value["statements"]] == ["FAIL", "NOT SHOWN", "NOT SHOWN", "NOT SHOWN"]
    assert value["exit_code"] == 4
