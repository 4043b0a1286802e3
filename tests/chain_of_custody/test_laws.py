"""Law: flipping any byte of the log, a manifest, a table, the roster or a checkpoint never verifies with INTEGRITY PASS."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from custody_cases import RUN, Finished
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain_of_custody.events import EXAMINER_MAY, GROUPS, PROCESSOR_MAY, REQUIREMENTS, Event, may_sign
from chain_of_custody.findings import FAILURES, LIMITS, Claim, Findings, Result, Statement, Verdict
from chain_of_custody.verify import verify_case

FILES = (
    "custody/custody.intoto.jsonl",
    f"custody/manifests/{RUN}.sha256",
    f"runs/{RUN}/tables/hits/part-000.parquet",
    f"runs/{RUN}/run.json",
    "custody/roster.dsse.json",
    "custody/checkpoints/000000004.note",
)


@pytest.fixture(scope="module")
def spoiled(pristine: Finished, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    case = tmp_path_factory.mktemp("law") / "case"
    shutil.copytree(pristine.case, case)
    return replace(pristine, case=case)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_no_flipped_byte_passes(spoiled: Finished, name: str, where: float, mask: int) -> None:
    assert_flip_fails(spoiled, spoiled.case / name, where, mask)


@pytest.mark.parametrize("mask", [1, 4, 7, 32, 128, 255])
def test_no_flip_of_the_logs_last_line_end_passes(finished: Finished, mask: int) -> None:
    """The last byte's flip leaves a whole entry without its line end, which must not look like a crash's torn write.

    No checkpoint covers that entry, so nothing else can give the flip away.
    """
    (finished.case / "custody/checkpoints/000000007.note").unlink()
    assert_flip_fails(finished, finished.case / FILES[0], 0.9999999, mask)


def assert_flip_fails(spoiled: Finished, path: Path, where: float, mask: int) -> None:
    data = path.read_bytes()
    changed = bytearray(data)
    changed[int(where * len(data))] ^= mask
    path.write_bytes(changed)
    try:
        verdict = verify_case(spoiled.case, trust=spoiled.agency.fingerprint)
    finally:
        path.write_bytes(data)
    assert verdict.result_of(Claim.INTEGRITY) is Result.FAIL


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_log_cut_anywhere_is_never_complete_nor_taken_for_another(spoiled: Finished, cut: float) -> None:
    """With the head known, a cut is an integrity failure wherever it falls."""
    path = spoiled.case / FILES[0]
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    try:
        verdict = verify_case(spoiled.case, trust=spoiled.agency.fingerprint, expect_head=spoiled.head)
    finally:
        path.write_bytes(data)
    assert verdict.result_of(Claim.INTEGRITY) is Result.FAIL
    assert verdict.result_of(Claim.COMPLETENESS) is not Result.PASS


def test_every_event_has_its_requirement_and_every_group_its_events() -> None:
    assert set(REQUIREMENTS) == set(Event)
    assert len(Event) == 23
    assert {f"{event.split('.')[0]}." for event in Event} == GROUPS


def test_a_processor_may_sign_its_four_kinds_and_a_person_everything() -> None:
    """Custody format, section 5: only process.*, evidence.verify, checkpoint.anchor, log.recovered."""
    allowed = {event for event in Event if may_sign(PROCESSOR_MAY, event)}
    assert allowed == {"process.start", "process.end", "process.abort", "evidence.verify", "checkpoint.anchor", "log.recovered"}
    assert all(may_sign(EXAMINER_MAY, event) for event in Event)


def test_a_grant_is_a_whole_name_or_a_group_and_no_other_prefix() -> None:
    assert not may_sign(("evidence",), "evidence.verify")
    assert not may_sign(("evidence.v",), "evidence.verify")
    assert not may_sign(("",), "note.add")


def test_every_code_belongs_to_a_statement_and_is_either_failure_or_limit() -> None:
    assert not FAILURES.keys() & LIMITS.keys()
    assert {code[:2] for code in FAILURES} == {"E_", "U_", "T_"}
    assert {code[:2] for code in LIMITS} == {"U_", "T_", "I_"}
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in (*FAILURES.values(), *LIMITS.values()))


def test_every_code_that_is_raised_or_added_is_in_the_closed_set() -> None:
    folder = Path(__file__).resolve().parents[2] / "chain_of_custody"
    used = {code for path in folder.glob("*.py") for code in re.findall(r'"([EUTI]_[A-Z0-9_]+)"', path.read_text())}
    assert used == FAILURES.keys() | LIMITS.keys()


@pytest.mark.parametrize(
    ("codes", "result", "exit_code"), [((), "PASS", 0), (("U_NO_TRUST",), "NOT SHOWN", 3), (("U_NO_TRUST", "U_ROLE"), "FAIL", 4)]
)
def test_a_failure_outweighs_what_is_not_shown(codes: tuple[str, ...], result: str, exit_code: int) -> None:
    findings = Findings()
    for code in codes:
        findings.add(code)
    statements = tuple(Statement(claim=claim, findings=findings.of(claim)) for claim in Claim)
    verdict = Verdict(
        statements=statements, origin="", entries=0, head="", root_fingerprint="", demonstration=False, counts=findings.counts()
    )
    assert verdict.result_of(Claim.IDENTITY) == result
    assert verdict.exit_code == exit_code


def test_an_unknown_code_is_a_defect() -> None:
    with pytest.raises(KeyError):
        Findings().add("E_NO_SUCH_CODE")
