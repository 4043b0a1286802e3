"""Every attack of FORMAT.md, section "Attacks", that needs no time stamp: which statement fails, and with which code.

Each attack is applied to a copy of a case that verifies with INTEGRITY and IDENTITY PASS (the first test), so each verdict is
the attack's doing.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from custody_cases import (
    LATER,
    RUN,
    START_DETAILS,
    Clock,
    Finished,
    body_of,
    edit_and_resign,
    log_path,
    make_agency,
    make_case,
    open_recorder,
    read_lines,
    rechained,
    record_run,
    remake_checkpoints,
    replace_roster,
    roster_value,
    signed_line,
    signer_of,
    signing_keys,
    write_lines,
)

from chain_of_custody.checkpoint import Head, file_name, to_note
from chain_of_custody.encoding import sha256_hex, to_canonical
from chain_of_custody.envelope import leaf_hash
from chain_of_custody.events import Event, Relation
from chain_of_custody.findings import Claim, Result, Verdict
from chain_of_custody.identity import sign_roster
from chain_of_custody.keys import key_id, to_pem
from chain_of_custody.merkle import tree_root
from chain_of_custody.recorder import Recorded
from chain_of_custody.statement import Ref, Subject
from chain_of_custody.verify import verify_case

Attack = Callable[[Finished], None]
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
OFFICERS_ENTRY = 4


def verdict_on(finished: Finished, *, expect_head: bool = False) -> Verdict:
    return verify_case(finished.case, trust=finished.agency.fingerprint, expect_head=finished.head if expect_head else None)


def test_the_untouched_case_passes_where_it_can(finished: Finished) -> None:
    verdict = verdict_on(finished, expect_head=True)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict.result_of(Claim.IDENTITY) is Result.PASS
    assert verdict.counts == {"T_NO_STAMP": 1, "I_NOT_SEALED": 1}
    assert verdict.exit_code == 3


def edit_line(entry: int, edit: Callable[[bytes], bytes]) -> Attack:
    def attack(finished: Finished) -> None:
        lines = read_lines(finished.case)
        changed = edit(lines[entry])
        assert changed != lines[entry]
        lines[entry] = changed
        write_lines(finished.case, lines)

    return attack


def edit_envelope(edit: Callable[[dict], None], entry: int = 5) -> Attack:
    def change(line: bytes) -> bytes:
        value = json.loads(line)
        edit(value)
        return to_canonical(value)

    return edit_line(entry, change)


def edit_lines(edit: Callable[[list[bytes]], list[bytes]]) -> Attack:
    def attack(finished: Finished) -> None:
        write_lines(finished.case, edit(read_lines(finished.case)))

    return attack


def edit_body(edit: Callable[[bytes], bytes]) -> Attack:
    """The payload's bytes changed and validly signed again, checkpoints and all: only the form can give it away."""

    def attack(finished: Finished) -> None:
        lines = read_lines(finished.case)
        examiner = finished.agency.identity("examiner")
        body = base64.b64decode(json.loads(lines[6])["payload"])
        changed = edit(body)
        assert changed != body
        write_lines(finished.case, [*lines[:6], signed_line(changed, examiner.key)])
        remake_checkpoints(finished.case, examiner.log_key)

    return attack


def flip_payload_bit(value: dict) -> None:
    body = bytearray(base64.b64decode(value["payload"]))
    body[len(body) // 2] ^= 1
    value["payload"] = base64.b64encode(body).decode()


def edit_field_under_old_signature(value: dict) -> None:
    value["payload"] = base64.b64encode(base64.b64decode(value["payload"]).replace(b"kept", b"lost")).decode()


def insert_validly_signed(finished: Finished) -> None:
    lines = read_lines(finished.case)
    body = body_of(lines[5])
    body["predicate"]["log"] |= {"seq": 3, "prev": leaf_hash(lines[2]).hex()}
    write_lines(finished.case, [*lines[:3], signed_line(body, finished.agency.identity("examiner").key), *lines[3:]])


def line_of_another_case(finished: Finished) -> None:
    other = finished.case.parent / "other"
    make_case(other, finished.case.parent / "other-state", finished.agency)
    write_lines(finished.case, [*read_lines(finished.case)[:5], read_lines(other)[5], read_lines(finished.case)[6]])


def resign_from_line_3(finished: Finished) -> None:
    lines = read_lines(finished.case)
    body = body_of(lines[3])
    body["predicate"]["details"]["problems"] = 7
    keys = signing_keys(finished.agency)
    lines[3] = signed_line(body, keys[signer_of(lines[3])])
    write_lines(finished.case, rechained(lines, keys, 3))


def add_after_seal(finished: Finished) -> None:
    recorder = open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), Clock(LATER))
    recorder.record(Recorded(event=Event.LOG_SEAL))
    lines = read_lines(finished.case)
    body = body_of(lines[5])
    body["predicate"]["log"] |= {"seq": len(lines), "prev": leaf_hash(lines[-1]).hex()}
    body["predicate"]["time"] = body_of(lines[-1])["predicate"]["time"]
    write_lines(finished.case, [*lines, signed_line(body, finished.agency.identity("examiner").key)])


def bad_signature_beside_good(value: dict) -> None:
    value["signatures"].append({"keyid": "ab" * 32, "sig": base64.b64encode(b"x" * 64).decode()})


def mirror_ecdsa(value: dict) -> None:
    r, s = decode_dss_signature(base64.b64decode(value["signatures"][0]["sig"]))
    value["signatures"][0]["sig"] = base64.b64encode(encode_dss_signature(r, P256_ORDER - s)).decode()


def set_spare_bits(line: bytes) -> bytes:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    end = line.index(b'=="}]')  # an Ed25519 signature has 64 bytes, so its base64 ends in == with four spare bits
    return line[: end - 1] + alphabet[alphabet.index(line[end - 1]) ^ 1 :][:1] + line[end:]


def empty_checkpoint_signature_by_stranger(finished: Finished) -> None:
    head = Head(origin=body_of(read_lines(finished.case)[0])["predicate"]["log"]["origin"], size=4, root=b"\x01" * 32)
    (finished.case / "custody/checkpoints" / file_name(4)).write_bytes(to_note(head, Ed25519PrivateKey.generate()))


def resign_checkpoint_by_stranger(finished: Finished) -> None:
    remake_checkpoints(finished.case, Ed25519PrivateKey.generate())


def edit_checkpoint_root(finished: Finished) -> None:
    note = finished.case / "custody/checkpoints" / file_name(4)
    lines = note.read_bytes().split(b"\n")
    lines[2] = base64.b64encode(bytes(32))
    note.write_bytes(b"\n".join(lines))


def log_as_link(finished: Finished) -> None:
    path = log_path(finished.case)
    path.rename(path.parent / "elsewhere")
    path.symlink_to("elsewhere")


def in_run(change: Callable[[Path], None]) -> Attack:
    return lambda finished: change(finished.case / "runs" / RUN)


PART = "tables/hits/part-000.parquet"


def edit_table_keeping_size_and_time(run: Path) -> None:
    before = (run / PART).stat()
    data = (run / PART).read_bytes()
    (run / PART).write_bytes(data[:-1] + b"!")
    os.utime(run / PART, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (run / PART).stat().st_size == before.st_size


def link_to_same_bytes(run: Path) -> None:
    (run / PART).rename(run.parent.parent / "same")
    (run / PART).symlink_to(run.parent.parent / "same")


def folder_as_link(run: Path) -> None:
    shutil.move(run / "tables" / "hits", run.parent.parent / "hits")
    (run / "tables" / "hits").symlink_to(run.parent.parent / "hits")


def run_as_link(run: Path) -> None:
    shutil.move(run, run.parent.parent / "moved")
    run.symlink_to(run.parent.parent / "moved")


def add_socket(run: Path) -> None:
    here = Path.cwd()
    os.chdir(run)  # a socket's path may have 108 bytes only
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
    finally:
        os.chdir(here)


def fit_manifest_to_edit(finished: Finished) -> None:
    table = finished.case / "runs" / RUN / PART
    old = sha256_hex(table.read_bytes())
    table.write_bytes(b"other rows")
    manifest = finished.case / f"custody/manifests/{RUN}.sha256"
    manifest.write_text(manifest.read_text().replace(old, sha256_hex(b"other rows")))


def remove_manifest(finished: Finished) -> None:
    (finished.case / f"custody/manifests/{RUN}.sha256").unlink()


def add_a_whole_run(finished: Finished) -> None:
    shutil.copytree(finished.case / "runs" / RUN, finished.case / "runs" / "002-KH-2")


def checkpoints_cut_log(finished: Finished) -> None:
    write_lines(finished.case, read_lines(finished.case)[:5])


def empty_log(finished: Finished) -> None:
    log_path(finished.case).write_bytes(b"")


def whole_log(edit: Callable[[bytes], bytes]) -> Attack:
    return lambda finished: log_path(finished.case).write_bytes(edit(log_path(finished.case).read_bytes()))


def reference_to_nothing(finished: Finished) -> None:
    edit_and_resign(finished.case, finished.agency, 3, lambda body: body["predicate"]["refs"][0].update(entry="ab" * 32))


def edit_by_insider(edit: Callable[[dict], None], entry: int = 5) -> Attack:
    return lambda finished: edit_and_resign(finished.case, finished.agency, entry, edit)


def record_output_and_edit_it(finished: Finished) -> None:
    page = finished.case / "reports" / RUN / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>3 hits</p>")
    recorder = open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), Clock(LATER))
    recorder.record(
        Recorded(event=Event.OUTPUT_EXPORT, subjects=(Subject(name=f"reports/{RUN}/index.html", sha256=sha256_hex(page.read_bytes())),))
    )
    assert not verdict_on(finished).counts.keys() & {"E_OUTPUT_CHANGED", "I_OUTPUT_MISSING"}
    page.write_text("<p>0 hits</p>")


def anchored_stamp_deleted(finished: Finished) -> None:
    stamp = finished.case / "custody/checkpoints/000000004.tsr"
    stamp.write_bytes(b"stamp")
    recorder = open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), Clock(LATER))
    recorder.record(Recorded(event=Event.CHECKPOINT_ANCHOR, subjects=(Subject(name="000000004.tsr", sha256=sha256_hex(b"stamp")),)))
    assert "E_ANCHOR" not in verdict_on(finished).counts
    stamp.unlink()


def another_roster_of_the_same_root(finished: Finished) -> None:
    value = roster_value(finished.case)
    value["signers"][2]["may"] = ["evidence.", "process."]
    (finished.case / "custody/roster.dsse.json").write_bytes(sign_roster(value, [finished.agency.root()]))


INTEGRITY_ATTACKS: dict[str, tuple[str, Attack]] = {
    "a bit flipped in a payload": ("E_PREV", edit_envelope(flip_payload_bit)),
    "a field edited under its old signature": ("E_SIGNATURE", edit_envelope(edit_field_under_old_signature)),
    "a line deleted": ("E_SEQ", edit_lines(lambda lines: lines[:4] + lines[5:])),
    "two lines swapped": ("E_SEQ", edit_lines(lambda lines: [*lines[:4], lines[5], lines[4], lines[6]])),
    "a line repeated": ("E_SEQ", edit_lines(lambda lines: [*lines[:5], lines[4], *lines[5:]])),
    "a line inserted, validly signed": ("E_PREV", insert_validly_signed),
    "a line of another case by the same keys": ("E_ORIGIN", line_of_another_case),
    "tail cut, checkpoints left": ("E_CHECKPOINT_BEYOND", checkpoints_cut_log),
    "insider re-signs from line 3, old checkpoints exist": ("E_CHECKPOINT_ROOT", resign_from_line_3),
    "entry after seal": ("E_AFTER_SEAL", add_after_seal),
    "all signatures stripped": ("E_NO_SIGNATURE", edit_envelope(lambda value: value.update(signatures=[]))),
    "an invalid signature beside a good one": ("E_SIGNATURE", edit_envelope(bad_signature_beside_good)),
    "ECDSA s to n-s": ("E_SIGNATURE", edit_envelope(mirror_ecdsa, OFFICERS_ENTRY)),
    "payload type swapped": ("E_PAYLOAD_TYPE", edit_envelope(lambda value: value.update(payloadType="application/json"))),
    "extra unsigned member in the envelope": ("E_MEMBERS", edit_envelope(lambda value: value.update(note="x"))),
    "extra unsigned member in a signature": ("E_MEMBERS", edit_envelope(lambda value: value["signatures"][0].update(cert="x"))),
    "the same signature twice": ("E_MEMBERS", edit_envelope(lambda value: value["signatures"].append(value["signatures"][0]))),
    "duplicate key in the envelope": (
        "E_DUPLICATE_KEY",
        edit_line(5, lambda line: line.replace(b'{"payload":', b'{"payload":"","payload":', 1)),
    ),
    "duplicate key in the payload": (
        "E_DUPLICATE_KEY",
        edit_body(lambda body: body.replace(b'"details":{', b'"details":{"match":true,', 1)),
    ),
    "a float in the payload": ("E_NUMBER", edit_body(lambda body: body.replace(b'"match":true', b'"match":1.0'))),
    "NaN in the payload": ("E_NUMBER", edit_body(lambda body: body.replace(b'"match":true', b'"match":NaN'))),
    "an integer beyond 2^53-1": ("E_NUMBER", edit_body(lambda body: body.replace(b'"match":true', b'"match":9007199254740992'))),
    "pretty-printing": ("E_CANONICAL", edit_line(5, lambda line: line.replace(b'","payloadType', b'", "payloadType'))),
    "pretty-printing inside the payload": ("E_CANONICAL", edit_body(lambda body: body.replace(b":", b": ", 1))),
    "CRLF": ("E_CANONICAL", edit_line(5, lambda line: line + b"\r")),
    "BOM": ("E_ENCODING", whole_log(lambda data: b"\xef\xbb\xbf" + data)),
    "UTF-16": ("E_ENCODING", whole_log(lambda data: data.decode().encode("utf-16"))),
    "NFC to NFD, signed again": ("E_NFC", edit_by_insider(lambda body: body["predicate"].update(purpose="Fo\u0308rvaring"), 1)),
    "base64 spare bits": ("E_BASE64", edit_line(5, set_spare_bits)),
    "blank line": ("E_JSON", edit_lines(lambda lines: [*lines[:3], b"", *lines[3:]])),
    "a 5 MB line": ("E_LINE_SIZE", edit_lines(lambda lines: [*lines[:3], b"x" * 5_000_000, *lines[3:]])),
    "100,000 nested lists": ("E_DEPTH", edit_lines(lambda lines: [*lines[:3], b"[" * 100_000 + b"]" * 100_000, *lines[3:]])),
    "40 nested lists in details": ("E_DEPTH", edit_body(lambda body: body.replace(b'"match":true', b'"match":' + b"[" * 40 + b"]" * 40))),
    "empty log": ("E_LOG_EMPTY", empty_log),
    "log deleted": ("E_LOG_MISSING", lambda finished: log_path(finished.case).unlink()),
    "log replaced by a link": ("E_FILE_KIND", log_as_link),
    "checkpoint root edited": ("E_CHECKPOINT_SIGNATURE", edit_checkpoint_root),
    "checkpoint with another root by a stranger": ("E_CHECKPOINT_SIGNATURE", empty_checkpoint_signature_by_stranger),
    "checkpoints re-signed by a stranger": ("E_CHECKPOINT_SIGNATURE", resign_checkpoint_by_stranger),
    "table edited": ("E_TABLE_CHANGED", in_run(lambda run: (run / PART).write_bytes(b"other"))),
    "table edited, size and time kept": ("E_TABLE_CHANGED", in_run(edit_table_keeping_size_and_time)),
    "table removed": ("E_TABLE_MISSING", in_run(lambda run: (run / PART).unlink())),
    "table added": ("E_TABLE_UNLISTED", in_run(lambda run: (run / "tables/hits/part-001.parquet").write_bytes(b"more"))),
    "table renamed": ("E_TABLE_UNLISTED", in_run(lambda run: (run / PART).rename(run / "tables/hits/part-009.parquet"))),
    "table replaced by a link to the same bytes": ("E_TABLE_KIND", in_run(link_to_same_bytes)),
    "table's folder replaced by a link": ("E_TABLE_KIND", in_run(folder_as_link)),
    "run's folder replaced by a link": ("E_TABLE_KIND", in_run(run_as_link)),
    "run's folder removed": ("E_TABLE_MISSING", in_run(shutil.rmtree)),
    "a FIFO in the folder": ("E_TABLE_KIND", in_run(lambda run: os.mkfifo(run / "fifo"))),
    "a FIFO in place of a table": ("E_TABLE_KIND", in_run(lambda run: ((run / PART).unlink(), os.mkfifo(run / PART)))),
    "a socket in the folder": ("E_TABLE_KIND", in_run(add_socket)),
    "a run that no entry began": ("E_RUN_UNLISTED", add_a_whole_run),
    "manifest edited to fit": ("E_MANIFEST_CHANGED", fit_manifest_to_edit),
    "manifest removed": ("E_MANIFEST_MISSING", remove_manifest),
    "an unknown event": ("E_EVENT", edit_by_insider(lambda body: body["predicate"].update(event="note.remove"))),
    "an extra member in the predicate": ("E_MEMBERS", edit_by_insider(lambda body: body["predicate"].update(comment="x"))),
    "a subject without sha256": ("E_DIGEST", edit_by_insider(lambda body: body["subject"][0].update(digest={"md5": "66" * 16}), 6)),
    "a time without its zone": ("E_TIME", edit_by_insider(lambda body: body["predicate"]["time"].update(utc="2026-03-01T09:00:05.000000"))),
    "a day that does not exist": (
        "E_TIME",
        edit_by_insider(lambda body: body["predicate"]["time"].update(utc="2026-02-30T09:00:05.000000Z")),
    ),
    "a reference to no entry": ("E_REF", reference_to_nothing),
    "a second beginning": (
        "E_FIRST",
        edit_by_insider(
            lambda body: (
                body.update(body, subject=[{"name": "x", "digest": {"sha256": "ab" * 32}}]) or body["predicate"].update(event="log.init")
            )
        ),
    ),
    "a recorded report edited": ("E_OUTPUT_CHANGED", record_output_and_edit_it),
    "an anchored time stamp deleted": ("E_ANCHOR", anchored_stamp_deleted),
    "roster replaced by another of the same root": ("E_ROSTER", another_roster_of_the_same_root),
    "roster's last byte gone": ("E_ROSTER", lambda finished: os.truncate(finished.case / "custody/roster.dsse.json", 900)),
}


@pytest.mark.parametrize("name", INTEGRITY_ATTACKS)
def test_integrity_fails_and_names_what_broke(finished: Finished, name: str) -> None:
    code, attack = INTEGRITY_ATTACKS[name]
    attack(finished)
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.INTEGRITY) is Result.FAIL
    assert code in verdict.counts
    assert verdict.exit_code == 4


def unknown_key(finished: Finished, keyid: str | None = None) -> None:
    lines = read_lines(finished.case)
    lines[6] = signed_line(body_of(lines[6]), Ed25519PrivateKey.generate(), keyid)
    write_lines(finished.case, lines)
    remake_checkpoints(finished.case, finished.agency.identity("examiner").log_key)


def forged_keyid(finished: Finished) -> None:
    unknown_key(finished, finished.agency.identity("examiner").keyid)


def processor_receives_evidence(finished: Finished) -> None:
    lines = read_lines(finished.case)
    body = body_of(lines[5])
    body["predicate"]["actor"] |= {"name": "ws-17", "role": "processor"}
    lines[5] = signed_line(body, finished.agency.identity("processor").key)
    write_lines(finished.case, rechained(lines, signing_keys(finished.agency), 6))
    remake_checkpoints(finished.case, finished.agency.identity("examiner").log_key)


def self_signed_roster(finished: Finished) -> None:
    root = Ed25519PrivateKey.generate()
    value = roster_value(finished.case)
    value["policy"]["roots"] = [{"keyid": key_id(root.public_key()), "pem": to_pem(root.public_key())}]
    (finished.case / "custody/roster.dsse.json").write_bytes(sign_roster(value, [root]))


def self_signed_roster_from_the_beginning(finished: Finished) -> None:
    root = Ed25519PrivateKey.generate()
    value = roster_value(finished.case)
    value["policy"]["roots"] = [{"keyid": key_id(root.public_key()), "pem": to_pem(root.public_key())}]
    replace_roster(finished.case, finished.agency, value, [root])


def entry_as_roster(finished: Finished) -> None:
    (finished.case / "custody/roster.dsse.json").write_bytes(read_lines(finished.case)[0] + b"\n")


def with_signer(change: dict[str, object], index: int = 0) -> Attack:
    def attack(finished: Finished) -> None:
        value = roster_value(finished.case)
        value["signers"][index].update(change)
        replace_roster(finished.case, finished.agency, value, [finished.agency.root()])

    return attack


def with_roster(change: dict[str, object]) -> Attack:
    def attack(finished: Finished) -> None:
        replace_roster(finished.case, finished.agency, {**roster_value(finished.case), **change}, [finished.agency.root()])

    return attack


IDENTITY_ATTACKS: dict[str, tuple[str, Attack]] = {
    "unknown key": ("U_UNKNOWN_KEY", unknown_key),
    "unknown key under a forged keyid": ("U_SIGNATURE", forged_keyid),
    "role may not sign this event": ("U_ROLE", processor_receives_evidence),
    "roster replaced by a self-signed one": ("U_ROOT", self_signed_roster),
    "roster self-signed from the beginning": ("U_ROOT", self_signed_roster_from_the_beginning),
    "a log entry offered as a roster": ("U_ROSTER", entry_as_roster),
    "key revoked before the entries": ("U_REVOKED", with_signer({"revoked_at": "2026-03-01T00:00:00.000000Z", "reason": "lost"})),
    "key not valid yet": ("U_VALIDITY", with_signer({"valid_from": "2026-06-01T00:00:00.000000Z"})),
    "key no longer valid": ("U_VALIDITY", with_signer({"valid_until": "2026-02-28T10:00:00.000000Z"})),
    "roster expired before the entries": ("U_ROSTER_EXPIRED", with_roster({"expires": "2026-02-28T10:00:00.000000Z"})),
    "another person named than the key's": (
        "U_ACTOR",
        edit_by_insider(lambda body: body["predicate"]["actor"].update(name="Somebody Else")),
    ),
    "another agency named than the key's": ("U_ACTOR", edit_by_insider(lambda body: body["predicate"]["actor"].update(agency="B"))),
}


@pytest.mark.parametrize("name", IDENTITY_ATTACKS)
def test_identity_fails_and_names_who(finished: Finished, name: str) -> None:
    code, attack = IDENTITY_ATTACKS[name]
    attack(finished)
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.IDENTITY) is Result.FAIL
    assert code in verdict.counts
    assert verdict.exit_code == 4


def test_a_roster_that_is_not_the_logs_fails_identity_without_any_trust(finished: Finished) -> None:
    another_roster_of_the_same_root(finished)
    verdict = verify_case(finished.case)
    assert verdict.result_of(Claim.IDENTITY) is Result.FAIL
    assert "U_ROSTER" in verdict.counts


def test_a_key_revoked_after_the_entries_is_not_shown_without_a_proven_time(finished: Finished) -> None:
    with_signer({"revoked_at": "2026-04-01T00:00:00.000000Z", "reason": "left"})(finished)
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.IDENTITY) is Result.NOT_SHOWN
    assert "U_REVOKED_UNPROVEN" in verdict.counts
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS


def test_without_trust_from_outside_identity_is_not_shown(finished: Finished) -> None:
    verdict = verify_case(finished.case)
    assert verdict.result_of(Claim.IDENTITY) is Result.NOT_SHOWN
    assert verdict.counts["U_NO_TRUST"] == 1


def test_a_roster_self_signed_from_the_beginning_is_not_shown_without_trust(finished: Finished) -> None:
    self_signed_roster_from_the_beginning(finished)
    verdict = verify_case(finished.case)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict.result_of(Claim.IDENTITY) is Result.NOT_SHOWN


def test_trust_may_be_the_roots_public_key_file(finished: Finished) -> None:
    trust = os.fspath(finished.agency.folder / "root" / "root.pub.pem")
    assert verify_case(finished.case, trust=trust).result_of(Claim.IDENTITY) is Result.PASS


def test_the_examiners_key_is_no_root(finished: Finished, tmp_path: Path) -> None:
    pem = tmp_path / "examiner.pem"
    pem.write_text(to_pem(finished.agency.identity("examiner").key.public_key()))
    assert verify_case(finished.case, trust=os.fspath(pem)).result_of(Claim.IDENTITY) is Result.FAIL


def test_a_swapped_public_key_file_changes_nothing(finished: Finished) -> None:
    before = verdict_on(finished).to_dict()
    for pem in (finished.case / "custody/keys").iterdir():
        pem.write_text(to_pem(Ed25519PrivateKey.generate().public_key()))
    assert verdict_on(finished).to_dict() == before


def test_a_clock_set_back_without_declaration_fails_time(finished: Finished) -> None:
    edit_by_insider(lambda body: body["predicate"]["time"].update(utc="2026-03-01T06:00:00.000000Z"))(finished)
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.TIME) is Result.FAIL
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert [finding.entry for statement in verdict.statements for finding in statement.findings if finding.code == "T_CLOCK_BACK"] == [5]


@pytest.mark.parametrize("name", ["000000004.tsr", "000000004.tsq", "000000004.cosig"])
def test_a_time_stamp_that_is_not_checked_is_never_a_pass(finished: Finished, name: str) -> None:
    (finished.case / "custody/checkpoints" / name).write_bytes(b"anything")
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.TIME) is Result.NOT_SHOWN
    assert verdict.counts["T_UNCHECKED"] == 1


def test_a_torn_last_line_is_not_shown_and_no_failure(finished: Finished) -> None:
    with log_path(finished.case).open("ab") as stream:
        stream.write(read_lines(finished.case)[5][:300])
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict.result_of(Claim.COMPLETENESS) is Result.NOT_SHOWN
    assert verdict.counts["I_TORN"] == 1


def test_a_run_without_its_end_is_not_shown(finished: Finished) -> None:
    recorder = open_recorder(finished.case, finished.state, finished.agency.identity("processor"), Clock(LATER))
    exhibit = Subject(name="KH-2", sha256="77" * 32)
    recorder.record(Recorded(event=Event.PROCESS_START, subjects=(exhibit,), details={**START_DETAILS, "run": "002-KH-2"}))
    (finished.case / "runs/002-KH-2").mkdir()
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict.counts["I_RUN_OPEN"] == 1


def test_full_resigning_is_seen_by_the_printed_head_and_else_not_shown(finished: Finished) -> None:
    edit_by_insider(lambda body: body["predicate"]["details"].update(text="lost"))(finished)
    assert verdict_on(finished).result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict_on(finished).result_of(Claim.COMPLETENESS) is Result.NOT_SHOWN
    verdict = verdict_on(finished, expect_head=True)
    assert verdict.result_of(Claim.INTEGRITY) is Result.FAIL
    assert "E_HEAD" in verdict.counts


def test_a_cut_tail_without_its_checkpoint_is_seen_by_the_printed_head(finished: Finished) -> None:
    checkpoints_cut_log(finished)
    (finished.case / "custody/checkpoints/000000007.note").unlink()
    assert verdict_on(finished).result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict_on(finished).result_of(Claim.COMPLETENESS) is Result.NOT_SHOWN
    assert "E_HEAD" in verdict_on(finished, expect_head=True).counts


def test_a_head_of_an_earlier_day_leaves_the_tail_uncovered(finished: Finished) -> None:
    open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), Clock(LATER)).record(Recorded(event=Event.NOTE_ADD))
    verdict = verdict_on(finished, expect_head=True)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict.counts["I_TAIL_UNCOVERED"] == 1


def test_a_sealed_log_with_its_head_known_is_complete(finished: Finished) -> None:
    recorder = open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), Clock(LATER))
    recorder.record(Recorded(event=Event.LOG_SEAL))
    verdict = verify_case(finished.case, trust=finished.agency.fingerprint, expect_head=recorder.checkpoint().text)
    assert verdict.counts == {"T_NO_STAMP": 1}
    assert verdict.result_of(Claim.COMPLETENESS) is Result.PASS


def two_agencies(finished: Finished) -> None:
    value = roster_value(finished.case)
    value["signers"][1]["agency"] = "Agency B"
    replace_roster(finished.case, finished.agency, value, [finished.agency.root()])
    edit_and_resign(finished.case, finished.agency, OFFICERS_ENTRY, lambda body: body["predicate"]["actor"].update(agency="Agency B"))
    assert verdict_on(finished).result_of(Claim.IDENTITY) is Result.PASS


def handover(finished: Finished, *, receiver: str, received_sha256: str) -> Verdict:
    two_agencies(finished)
    clock, fresh = Clock(LATER), finished.case.parent / "fresh-state"
    exhibit = Subject(name="KH-1", sha256="77" * 32)
    details = {"to": "Agency B", "transport": "courier", "seal": "S-9"}
    giver = open_recorder(finished.case, fresh, finished.agency.identity("examiner"), clock)
    release = giver.record(Recorded(event=Event.HANDOVER_RELEASE, subjects=(exhibit,), details=details))
    taker = open_recorder(finished.case, fresh, finished.agency.identity(receiver), clock)
    taker.record(
        Recorded(
            event=Event.HANDOVER_RECEIPT,
            subjects=(Subject(name="KH-1", sha256=received_sha256),),
            refs=(Ref(rel=Relation.ANSWERS, entry=release.leaf),),
        )
    )
    return verdict_on(finished)


def test_a_handover_between_two_agencies_passes(finished: Finished) -> None:
    verdict = handover(finished, receiver="case-officer", received_sha256="77" * 32)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict.result_of(Claim.IDENTITY) is Result.PASS


def test_a_receipt_with_another_digest_fails_integrity(finished: Finished) -> None:
    verdict = handover(finished, receiver="case-officer", received_sha256="78" * 32)
    assert verdict.result_of(Claim.INTEGRITY) is Result.FAIL
    assert "E_HANDOVER" in verdict.counts


def test_a_receipt_by_the_releasing_agency_fails_identity(finished: Finished) -> None:
    verdict = handover(finished, receiver="examiner", received_sha256="77" * 32)
    assert verdict.result_of(Claim.IDENTITY) is Result.FAIL
    assert "U_RECEIPT" in verdict.counts


def test_a_release_without_receipt_is_not_shown(finished: Finished) -> None:
    recorder = open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), Clock(LATER))
    details = {"to": "Agency B", "transport": "courier", "seal": "S-9"}
    recorder.record(Recorded(event=Event.HANDOVER_RELEASE, subjects=(Subject(name="KH-1", sha256="77" * 32),), details=details))
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict.counts["I_RELEASE_OPEN"] == 1


@pytest.mark.parametrize(
    ("image", "fits"),
    [
        (Subject(name="KH-1.E01", sha256="11" * 32), True),
        (Subject(name="KH-1.E01", sha256="11" * 32, md5="66" * 16), True),
        (Subject(name="KH-1.E01", sha256="12" * 32, md5="66" * 16), False),
        (Subject(name="KH-1.E01", sha256="11" * 32, md5="67" * 16), False),
    ],
)
def test_all_digests_of_an_evidence_image_must_be_those_of_the_log(finished: Finished, image: Subject, fits: bool) -> None:
    verdict = verify_case(finished.case, trust=finished.agency.fingerprint, evidence=(image,))
    assert ("E_EVIDENCE" not in verdict.counts) is fits
    assert (verdict.result_of(Claim.INTEGRITY) is Result.PASS) is fits


def test_an_image_that_only_a_failed_check_named_is_not_the_evidence(finished: Finished) -> None:
    recorder = open_recorder(finished.case, finished.state, finished.agency.identity("examiner"), Clock(LATER))
    other = Subject(name="KH-1", sha256="99" * 32)
    recorder.record(Recorded(event=Event.EVIDENCE_VERIFY, subjects=(other,), details={"match": False}))
    assert "E_EVIDENCE" in verify_case(finished.case, evidence=(other,)).counts


def test_a_second_run_by_another_signer_of_the_case_verifies(finished: Finished) -> None:
    processor = open_recorder(finished.case, finished.state, finished.agency.identity("processor"), Clock(LATER))
    record_run(finished.case, processor, "002-KH-2")
    verdict = verdict_on(finished)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict.result_of(Claim.IDENTITY) is Result.PASS
    assert verdict.entries == 9


def test_the_head_of_the_verdict_is_that_of_the_last_checkpoint(finished: Finished) -> None:
    assert verdict_on(finished).head == finished.head
    lines = read_lines(finished.case)
    assert base64.b64decode(finished.head.split(" ")[2]) == tree_root(leaf_hash(line) for line in lines)


def test_another_agencys_root_is_refused(finished: Finished, tmp_path: Path) -> None:
    other = make_agency(tmp_path / "other")
    assert verify_case(finished.case, trust=other.fingerprint).result_of(Claim.IDENTITY) is Result.FAIL
