"""The recipe of FORMAT.md, "By hand": openssl, sed, base64 and coreutils agree with us on one entry, a manifest and a checkpoint."""

from __future__ import annotations

import base64
import os
import subprocess
from typing import TYPE_CHECKING

from custody_cases import RUN, Agency, Finished, body_of, read_lines

from chain_of_custody.keys import key_id, to_pem
from chain_of_custody.merkle import tree_root

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = r"""
set -eu
sed -n "${NUMBER}p" "$CASE/custody/custody.intoto.jsonl" > line
sed 's/.*"payload":"\([^"]*\)".*/\1/' line | base64 -d > payload.json
sed 's/.*"sig":"\([^"]*\)".*/\1/' line | base64 -d > sig.bin
printf 'DSSEv1 28 application/vnd.in-toto+json %d ' $(wc -c < payload.json) | cat - payload.json > pae.bin
"""
ED25519 = RECIPE + "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in pae.bin -sigfile sig.bin"
P256 = RECIPE + "openssl dgst -sha256 -verify key.pem -signature sig.bin pae.bin"
LEAF = RECIPE + r"""(printf '\000'; tr -d '\n' < line) | openssl dgst -sha256 -r | cut -d' ' -f1"""


def shell(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=60
    )


def write_key(agency: Agency, role: str, folder: Path) -> None:
    (folder / "key.pem").write_text(to_pem(agency.identity(role).key.public_key()))


def test_openssl_verifies_an_ed25519_entry(finished: Finished, tmp_path: Path) -> None:
    write_key(finished.agency, "examiner", tmp_path)
    assert "Signature Verified Successfully" in shell(ED25519, tmp_path, CASE=str(finished.case), NUMBER="3").stdout


def test_openssl_refuses_an_ed25519_entry_of_another_key(finished: Finished, tmp_path: Path) -> None:
    write_key(finished.agency, "processor", tmp_path)
    assert shell(ED25519, tmp_path, CASE=str(finished.case), NUMBER="3").returncode != 0


def test_openssl_verifies_a_p256_entry(finished: Finished, tmp_path: Path) -> None:
    write_key(finished.agency, "case-officer", tmp_path)
    assert "Verified OK" in shell(P256, tmp_path, CASE=str(finished.case), NUMBER="5").stdout


def test_openssls_leaf_hash_is_the_next_lines_prev(finished: Finished, tmp_path: Path) -> None:
    for number, following in enumerate(read_lines(finished.case)[1:], start=1):
        leaf = shell(LEAF, tmp_path, CASE=str(finished.case), NUMBER=str(number)).stdout.strip()
        assert leaf == body_of(following)["predicate"]["log"]["prev"]


def test_sha256sum_checks_the_manifest(finished: Finished) -> None:
    manifest = finished.case / f"custody/manifests/{RUN}.sha256"
    result = shell(f"sha256sum --check --strict < {manifest}", finished.case / "runs" / RUN)
    assert result.returncode == 0
    assert result.stdout.count(": OK\n") == 3


def test_the_roots_key_in_the_case_has_the_fingerprint_as_its_name_and_signs_the_roster(finished: Finished, tmp_path: Path) -> None:
    """With the fingerprint heard from the agency, the root's key can be taken out of the case: its digest is its name."""
    pem = finished.case / f"custody/keys/{finished.agency.fingerprint}.pem"
    digest = shell(f"openssl pkey -pubin -in {pem} -outform DER | sha256sum | cut -c1-64", tmp_path).stdout.strip()
    assert digest == finished.agency.fingerprint
    script = r"""
    sed 's/.*"payload":"\([^"]*\)".*/\1/' "$ROSTER" | base64 -d > payload.json
    sed 's/.*"sig":"\([^"]*\)".*/\1/' "$ROSTER" | base64 -d > sig.bin
    printf 'DSSEv1 34 application/vnd.evidex.roster+json %d ' $(wc -c < payload.json) | cat - payload.json > pae.bin
    openssl pkeyutl -verify -pubin -inkey "$ROOT" -rawin -in pae.bin -sigfile sig.bin
    """
    verified = shell(script, tmp_path, ROSTER=str(finished.case / "custody/roster.dsse.json"), ROOT=str(pem))
    assert "Signature Verified Successfully" in verified.stdout


def test_openssls_digest_of_a_key_is_its_keyid(finished: Finished, tmp_path: Path) -> None:
    for role in ("examiner", "case-officer"):
        write_key(finished.agency, role, tmp_path)
        digest = shell("openssl pkey -pubin -in key.pem -outform DER | sha256sum | cut -c1-64", tmp_path).stdout.strip()
        assert digest == key_id(finished.agency.identity(role).key.public_key())


def test_openssl_verifies_a_checkpoint_and_the_tree_is_that_of_openssls_leaves(finished: Finished, tmp_path: Path) -> None:
    """C2SP signed-note: the signature is over everything before the empty line, LF included."""
    note = (finished.case / "custody/checkpoints/000000007.note").read_text()
    text, _, rest = note.partition("\n\n")
    (tmp_path / "text").write_text(text + "\n")
    signature = base64.b64decode(rest.strip().split(" ")[2])
    (tmp_path / "sig").write_bytes(signature[4:])
    (tmp_path / "key.pem").write_text(to_pem(finished.agency.identity("examiner").log_key.public_key()))
    verified = shell("openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in text -sigfile sig", tmp_path)
    assert "Signature Verified Successfully" in verified.stdout
    leaves = [bytes.fromhex(shell(LEAF, tmp_path, CASE=str(finished.case), NUMBER=str(number)).stdout.strip()) for number in range(1, 8)]
    assert base64.b64decode(text.split("\n")[2]) == tree_root(leaves)
    origin = text.split("\n")[0]
    hint = f"(printf '%s\\n\\001' '{origin}'; openssl pkey -pubin -in key.pem -outform DER | tail -c 32) | sha256sum | cut -c1-8"
    assert shell(hint, tmp_path).stdout.strip() == signature[:4].hex()
