"""Whatever bytes lie in a case, a reader answers with a value or with a coded refusal: never a crash, a wait or a full memory."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from custody_cases import RUN, Finished, body_of, edit_and_resign, log_path, read_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain_of_custody.checkpoint import parse_head, parse_note, parse_vkey
from chain_of_custody.encoding import parse_base64, to_base64, to_canonical
from chain_of_custody.envelope import STATEMENT_TYPE, parse_line
from chain_of_custody.errors import CustodyError, FormatError, KeyFileError
from chain_of_custody.findings import Claim, Result
from chain_of_custody.keys import parse_public_key
from chain_of_custody.manifest import parse_manifest
from chain_of_custody.roster import parse_roster
from chain_of_custody.statement import parse_body
from chain_of_custody.verify import verify_case

if TYPE_CHECKING:
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_by_every_reader(data: bytes) -> None:
    for read in (
        lambda: parse_line(data, STATEMENT_TYPE),
        lambda: parse_body(data),
        lambda: parse_roster(data + b"\n"),
        lambda: parse_note(data, ()),
    ):
        with pytest.raises(FormatError):
            read()
    with pytest.raises(KeyFileError):
        parse_public_key(data)


@given(st.text(max_size=60))
def test_random_text_is_refused_as_a_head_or_verifier_key(text: str) -> None:
    with pytest.raises(FormatError):
        parse_head(text)
    with pytest.raises(FormatError):
        parse_vkey(text)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        assert parse_manifest(data)


def places(value: object, path: tuple = ()) -> list[tuple]:
    found = [path]
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(child, (*path, key))
    return found


def put(value: object, path: tuple, new: object) -> object:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), new=JSON)
def test_a_statement_with_any_member_replaced_is_read_or_refused(pristine: Finished, data: st.DataObject, new: object) -> None:
    body = body_of(read_lines(pristine.case)[3])
    path = data.draw(st.sampled_from(places(body)))
    with contextlib.suppress(FormatError):
        assert parse_body(to_canonical(put(body, path, new))).seq >= 0


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), new=JSON)
def test_a_roster_with_any_member_replaced_is_refused(pristine: Finished, data: st.DataObject, new: object) -> None:
    """At the latest by the root's signature, which is over other bytes."""
    envelope = json.loads((pristine.case / "custody/roster.dsse.json").read_bytes())
    value = json.loads(parse_base64(envelope["payload"]))
    path = data.draw(st.sampled_from(places(value)))
    changed = put(value, path, new)
    if changed == value:
        return
    envelope["payload"] = to_base64(to_canonical(changed))
    with pytest.raises(FormatError):
        parse_roster(to_canonical(envelope) + b"\n")


@pytest.mark.parametrize(
    "name",
    [
        "custody/custody.intoto.jsonl",
        "custody/roster.dsse.json",
        "custody/checkpoints/000000004.note",
        f"custody/manifests/{RUN}.sha256",
        "custody/checkpoints",
        "custody/manifests",
        "custody",
        "runs",
    ],
)
@pytest.mark.parametrize("kind", ["fifo", "link to itself", "link to a device"])
def test_nothing_special_in_the_place_of_a_file_or_folder_blocks_or_passes(finished: Finished, name: str, kind: str) -> None:
    path = finished.case / name
    shutil.move(path, finished.case.parent / "moved")
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "link to itself" else "/dev/zero")
    verdict = verify_case(finished.case, trust=finished.agency.fingerprint)
    assert verdict.result_of(Claim.INTEGRITY) is Result.FAIL
    assert verdict.counts.keys() & {"E_FILE_KIND", "E_TABLE_KIND"}


@pytest.mark.parametrize(
    "name", ["reports/\x00", "reports/" + "x" * 300, "reports/../custody/custody.intoto.jsonl", "reports", "/etc/passwd"]
)
def test_an_output_with_a_name_that_no_file_has_is_no_crash(finished: Finished, name: str) -> None:
    def edit(body: dict) -> None:
        body["predicate"]["event"] = "output.export"
        body["subject"] = [{"name": name, "digest": {"sha256": "ab" * 32}}]

    edit_and_resign(finished.case, finished.agency, 5, edit)
    assert verify_case(finished.case).result_of(Claim.COMPLETENESS) is Result.NOT_SHOWN


@pytest.mark.parametrize("torn", [b"1" * 5000, b"[" * 100_000, b"\x00" * 4096, b"\xff\xfe", b'{"payload":"' + b"A" * 500_000])
def test_torn_bytes_of_any_kind_are_a_torn_line(finished: Finished, torn: bytes) -> None:
    with log_path(finished.case).open("ab") as stream:
        stream.write(torn)
    verdict = verify_case(finished.case)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert "I_TORN" in verdict.counts


def test_a_log_of_many_gigabytes_without_a_line_end_is_refused_after_its_first_mebibyte(finished: Finished) -> None:
    os.truncate(log_path(finished.case), 1 << 40)
    verdict = verify_case(finished.case)
    assert verdict.result_of(Claim.INTEGRITY) is Result.FAIL
    assert "E_LINE_SIZE" in verdict.counts


def test_there_must_be_a_case_folder_and_a_usable_trust(pristine: Finished, tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match="no case folder"):
        verify_case(tmp_path / "none")
    for trust in ("", "xyz", str(tmp_path), "ab" * 31):
        with pytest.raises(CustodyError):
            verify_case(pristine.case, trust=trust)
    with pytest.raises(CustodyError, match="three words"):
        verify_case(pristine.case, expect_head="x")


def test_an_empty_folder_fails_and_is_no_crash(tmp_path: Path) -> None:
    verdict = verify_case(tmp_path)
    assert {"E_LOG_MISSING", "E_ROSTER", "U_ROSTER"} <= verdict.counts.keys()
    assert verdict.exit_code == 4
