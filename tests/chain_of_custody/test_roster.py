"""A roster holds by all of its roots and nobody else, and its fingerprint is one that a shell can compute."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_cases import Finished, replace_roster, roster_value

from chain_of_custody.errors import FormatError
from chain_of_custody.findings import Claim, Result
from chain_of_custody.identity import sign_roster
from chain_of_custody.keys import PrivateKey, key_id, to_pem
from chain_of_custody.roster import parse_roster
from chain_of_custody.verify import verify_case

if TYPE_CHECKING:
    from pathlib import Path

OTHER = Ed25519PrivateKey.generate()


def root_member(key: PrivateKey) -> dict[str, str]:
    return {"keyid": key_id(key.public_key()), "pem": to_pem(key.public_key())}


def with_two_roots(finished: Finished) -> tuple[dict[str, Any], list[PrivateKey]]:
    value = roster_value(finished.case)
    roots = [finished.agency.root(), OTHER]
    value["policy"]["roots"] = [root_member(root) for root in roots]
    return value, roots


def test_two_roots_have_the_fingerprint_that_sha256sum_gives_and_are_trusted_together(finished: Finished, tmp_path: Path) -> None:
    value, roots = with_two_roots(finished)
    replace_roster(finished.case, finished.agency, value, roots)
    keyids = "\n".join(key_id(root.public_key()) for root in roots)
    command = "LC_ALL=C sort | sha256sum | cut -c1-64"
    fingerprint = subprocess.run(["sh", "-c", command], input=keyids + "\n", capture_output=True, text=True, check=True).stdout.strip()
    pem = tmp_path / "roots.pem"
    pem.write_text("".join(to_pem(root.public_key()) for root in roots))
    for trust in (fingerprint, fingerprint.upper(), ":".join(fingerprint[i : i + 2] for i in range(0, 64, 2)), os.fspath(pem)):
        assert verify_case(finished.case, trust=trust).result_of(Claim.IDENTITY) is Result.PASS
    assert verify_case(finished.case, trust=finished.agency.fingerprint).result_of(Claim.IDENTITY) is Result.FAIL


def test_a_root_that_has_not_signed_is_no_root(finished: Finished) -> None:
    value, roots = with_two_roots(finished)
    for signed_by in (roots[:1], roots[1:]):
        with pytest.raises(FormatError, match="has not signed"):
            parse_roster(sign_roster(value, signed_by))


def test_a_stranger_may_not_sign_beside_the_root(finished: Finished) -> None:
    value = roster_value(finished.case)
    with pytest.raises(FormatError, match="no root has signed"):
        parse_roster(sign_roster(value, [finished.agency.root(), OTHER]))


@pytest.mark.parametrize(
    "edit",
    [
        lambda value: value["signers"][0].update(keyid="ab" * 32),
        lambda value: value["signers"][0].update(may=["evidence"]),
        lambda value: value["signers"][0].update(may=[""]),
        lambda value: value["signers"][0].update(may=["evidence.*"]),
        lambda value: value["signers"][0].update(extra="x"),
        lambda value: value["signers"][0].pop("role"),
        lambda value: value["signers"][0].update(valid_until="2027-01-01"),
        lambda value: value["signers"][0].update(revoked_at="yesterday"),
        lambda value: value["signers"].append(value["signers"][0]),
        lambda value: value["policy"].update(roots=[]),
        lambda value: value["policy"].pop("roots"),
        lambda value: value["logs"][0].update({"origin-name": "other.example"}),
        lambda value: value["logs"][0].update(vkey=value["logs"][0]["vkey"].replace("+", "+0", 1)),
        lambda value: value.update(version=0),
        lambda value: value.update(version=True),
        lambda value: value.update(comment="x"),
        lambda value: value.pop("tsas"),
    ],
)
def test_a_roster_in_another_form_is_refused_although_the_root_signed_it(finished: Finished, edit: Any) -> None:
    value = roster_value(finished.case)
    parse_roster(sign_roster(value, [finished.agency.root()]))
    edit(value)
    with pytest.raises(FormatError):
        parse_roster(sign_roster(value, [finished.agency.root()]))


def test_a_log_key_signs_for_its_name_and_those_below_it_only(finished: Finished) -> None:
    roster = parse_roster(sign_roster(roster_value(finished.case), [finished.agency.root()]))
    assert len(roster.keys_for_log("police.example")) == 1
    assert len(roster.keys_for_log("police.example/case/1")) == 1
    assert roster.keys_for_log("police.example.org/case/1") == ()
    assert roster.keys_for_log("police") == ()


def test_a_later_version_is_taken_as_it_is_and_its_succession_not_shown(finished: Finished) -> None:
    value = {**roster_value(finished.case), "version": 2}
    replace_roster(finished.case, finished.agency, value, [finished.agency.root(), OTHER])
    verdict = verify_case(finished.case, trust=finished.agency.fingerprint)
    assert verdict.result_of(Claim.IDENTITY) is Result.NOT_SHOWN
    assert "U_ROSTER_SUCCESSION" in verdict.counts
