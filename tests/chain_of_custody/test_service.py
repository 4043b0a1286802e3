"""The custody process as its caller sees it, and what a first run without any key gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from custody_cases import END_DETAILS, RUN, START_DETAILS, body_of, read_lines, write_results

from chain_of_custody.errors import (
    CustodyError,
    IdentityError,
    KeyFileError,
    LogBusyError,
    LogWriteError,
    ManifestError,
    PassphraseError,
    ServiceError,
)
from chain_of_custody.findings import Claim, Result
from chain_of_custody.identity import Person, create_identity, demonstration_identity, export_public_key, read_roster, state_folder
from chain_of_custody.keys import key_id, parse_public_key
from chain_of_custody.service import CustodyService
from chain_of_custody.statement import Actor, Subject, Tool
from chain_of_custody.verify import verify_case

PASSPHRASE = b"correct horse battery"
EXHIBIT = Subject(name="KH-1", sha256="11" * 32)


def start(case: Path, state: Path, key: Path | None = None, passphrase: bytes | None = None, **options: object) -> CustodyService:
    options.setdefault("actor", Actor())
    return CustodyService.start(
        case=case, state=state, key=key, passphrase=passphrase, tool=Tool(name="evidex", version="0.1"), case_number="2026-0142", **options
    )


@pytest.fixture(scope="session")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An identity folder whose keys need a passphrase."""
    folder = tmp_path_factory.mktemp("protected")
    people = (
        Person(name="Kim Hansen", role="examiner"),
        Person(name="Ana Ruiz", role="second-examiner"),
        Person(name="ws-17", role="processor"),
    )
    create_identity(
        folder,
        agency="Example Police",
        origin_name="police.example",
        people=people,
        passphrase=PASSPHRASE,
        root_passphrase=b"another",
        now=datetime(2026, 1, 1, tzinfo=UTC),
        days=36500,
    )
    return folder


def run_once(service: CustodyService, case: Path, run: str = RUN) -> None:
    begun = service.append("process.start", subject=(EXHIBIT,), details={**START_DETAILS, "run": run})
    write_results(case, run)
    details = {name: value for name, value in END_DETAILS.items() if name != "run"}
    service.append_end_of_run(case, run, details=details, answers=begun)


def test_a_first_run_without_a_key_makes_a_demonstration_that_is_never_an_identity(tmp_path: Path) -> None:
    case = tmp_path / "case"
    with start(case, tmp_path / "state", actor=Actor(name="Kim Hansen", agency="Example Police")) as custody:
        assert custody.identity.demonstration
        run_once(custody, case)
        head = custody.checkpoint()
    verdict = verify_case(case, trust=custody.identity.root_fingerprint, expect_head=head.text)
    assert verdict.result_of(Claim.INTEGRITY) is Result.PASS
    assert verdict.result_of(Claim.IDENTITY) is Result.NOT_SHOWN
    assert "U_DEMONSTRATION" in verdict.counts
    assert verdict.demonstration
    assert verdict.exit_code == 3


def test_two_exhibits_by_two_signers_of_one_agency_are_one_log(tmp_path: Path, protected: Path) -> None:
    case, state = tmp_path / "case", tmp_path / "state"
    with start(case, state, protected / "examiner.key.pem", PASSPHRASE) as first:
        run_once(first, case, "001-KH-1")
    with start(case, state, protected / "processor.key.pem", PASSPHRASE, actor=Actor(name="Kim Hansen", role="examiner")) as second:
        run_once(second, case, "002-KH-2")
        head = second.checkpoint()
    assert second.identity.origin == first.identity.origin
    verdict = verify_case(case, trust=first.identity.root_fingerprint, expect_head=head.text)
    assert verdict.counts == {"T_NO_STAMP": 1, "I_NOT_SEALED": 1}
    assert verdict.entries == 5
    assert head.size == 5


def test_each_checkpoint_asked_for_by_the_format_is_made(tmp_path: Path) -> None:
    case = tmp_path / "case"
    with start(case, tmp_path / "state") as custody:
        run_once(custody, case)
        custody.append("process.start", subject=(EXHIBIT,), details={**START_DETAILS, "run": "002-KH-1"})
        custody.append("process.abort", details={"run": "002-KH-1", "reason": "stopped by the examiner"})
        custody.append("log.seal")
        with pytest.raises(CustodyError, match="sealed"):
            custody.append("note.add")
    assert sorted(path.name for path in (case / "custody/checkpoints").iterdir()) == [
        "000000001.note",
        "000000003.note",
        "000000005.note",
        "000000006.note",
    ]


@pytest.mark.parametrize("passphrase", [b"wrong", None, b""])
def test_a_wrong_passphrase_is_one_clear_line_and_leaves_no_case(tmp_path: Path, protected: Path, passphrase: bytes | None) -> None:
    with pytest.raises(PassphraseError, match="passphrase") as raised:
        start(tmp_path / "case", tmp_path / "state", protected / "examiner.key.pem", passphrase)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "case").exists()


def test_the_passphrase_is_in_no_argument_environment_or_file(tmp_path: Path, protected: Path) -> None:
    with start(tmp_path / "case", tmp_path / "state", protected / "examiner.key.pem", PASSPHRASE) as custody:
        process = Path("/proc") / str(custody._process.pid)
        assert PASSPHRASE not in (process / "cmdline").read_bytes()
        if os.geteuid() == 0:  # the process has made its memory private, from its own user too
            assert PASSPHRASE not in (process / "environ").read_bytes()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or PASSPHRASE not in path.read_bytes()


def test_another_persons_name_than_the_keys_is_refused(tmp_path: Path, protected: Path) -> None:
    with pytest.raises(IdentityError, match="Kim Hansen"):
        start(tmp_path / "case", tmp_path / "state", protected / "examiner.key.pem", PASSPHRASE, actor=Actor(name="Ana Ruiz"))
    with pytest.raises(IdentityError, match="Example Police"):
        start(tmp_path / "case", tmp_path / "state", protected / "processor.key.pem", PASSPHRASE, actor=Actor(agency="Other"))


def test_a_second_session_over_a_case_is_refused_at_once_unless_it_shares(tmp_path: Path) -> None:
    case, state = tmp_path / "case", tmp_path / "state"
    with start(case, state), pytest.raises(LogBusyError, match="another process is writing"):
        start(case, state)
    with start(case, state, exclusive=False) as one, start(case, state, exclusive=False) as two:
        assert [one.append("note.add").seq, two.append("note.add").seq, one.append("note.add").seq] == [1, 2, 3]
    assert verify_case(case).result_of(Claim.INTEGRITY) is Result.PASS


@pytest.mark.parametrize(
    ("event", "details", "words"),
    [
        ("note.remove", {}, "no such event"),
        ("process.abort", {"run": "x"}, "without the details reason"),
        ("log.init", {}, "by the log itself"),
        ("output.export", {}, "without a subject"),
        ("note.add", {"number": 1.5}, "no integer"),
        ("note.add", {"number": 2**60}, "canonical"),
        ("entry.correct", {"reason": "typo"}, "reference"),
    ],
)
def test_what_breaks_the_format_is_refused_and_the_session_goes_on(tmp_path: Path, event: str, details: dict, words: str) -> None:
    with start(tmp_path / "case", tmp_path / "state") as custody:
        with pytest.raises(CustodyError, match=words):
            custody.append(event, details=details)
        assert custody.append("note.add").seq == 1


def test_a_name_from_evidence_that_is_no_utf8_is_kept_as_base64(tmp_path: Path) -> None:
    name = os.fsdecode(b"KH-\xff\n1")
    with start(tmp_path / "case", tmp_path / "state") as custody:
        custody.append("evidence.verify", subject=(Subject(name=name, sha256="11" * 32),), details={"match": True})
    assert body_of(read_lines(tmp_path / "case")[1])["subject"][0]["name_b64"] == "S0gt/wox"
    assert verify_case(tmp_path / "case").result_of(Claim.INTEGRITY) is Result.PASS


def test_a_message_with_a_name_that_is_no_utf8_is_recorded_all_the_same(tmp_path: Path) -> None:
    message = "cannot read " + os.fsdecode(b"\xff.txt")
    with start(tmp_path / "case", tmp_path / "state") as custody:
        custody.append("process.start", subject=(EXHIBIT,), details=START_DETAILS)
        custody.append("process.abort", details={"run": RUN, "reason": message}, purpose=message)
    predicate = body_of(read_lines(tmp_path / "case")[2])["predicate"]
    assert predicate["details"]["reason"] == predicate["purpose"] == "cannot read \\udcff.txt"


def test_an_answer_that_ctrl_c_left_unread_is_not_taken_for_the_next(tmp_path: Path) -> None:
    def interrupted(_: object) -> dict:
        raise KeyboardInterrupt

    with start(tmp_path / "case", tmp_path / "state") as custody:
        read_answer = custody._read_answer
        custody._read_answer = interrupted
        with pytest.raises(KeyboardInterrupt):
            custody.append("note.add", details={"text": "interrupted"})
        custody._read_answer = read_answer
        assert custody.append("note.add").seq == 2


def test_a_session_ends_when_its_process_is_gone(tmp_path: Path) -> None:
    with start(tmp_path / "case", tmp_path / "state") as custody:
        custody._process.kill()
        custody._process.wait()
        with pytest.raises(ServiceError, match="nothing more can be recorded"):
            custody.append("note.add")
    custody.close()


def test_a_case_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "case").write_text("no folder")
    with pytest.raises(LogWriteError, match="cannot be written"):
        start(tmp_path / "case", tmp_path / "state")


def test_a_run_with_a_link_in_it_is_not_ended(tmp_path: Path) -> None:
    case = tmp_path / "case"
    with start(case, tmp_path / "state") as custody:
        begun = custody.append("process.start", subject=(EXHIBIT,), details=START_DETAILS)
        write_results(case)
        (case / "runs" / RUN / "link").symlink_to("run.json")
        with pytest.raises(ManifestError):
            custody.append_end_of_run(case, RUN, details=END_DETAILS, answers=begun)
        custody.append("process.abort", details={"run": RUN, "reason": "a link among the results"})


def test_a_module_in_the_working_directory_is_not_imported_by_the_custody_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rfc8785.py").write_text("raise SystemExit('imported from the working directory')")
    monkeypatch.chdir(tmp_path)
    with start(tmp_path / "case", tmp_path / "state") as custody:
        assert custody.append("note.add").seq == 1


def test_the_custody_process_imports_three_libraries_and_nothing_of_ours() -> None:
    code = "import chain_of_custody.service_process, sys, json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    root = Path(__file__).resolve().parents[2]
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True).stdout))
    site = {"__main__", "sitecustomize", "usercustomize", "_distutils_hack", "cffi", "_cffi_backend", "_openssl"}
    foreign = {
        name
        for name in loaded - site
        if name not in sys.stdlib_module_names and not name.startswith(("_virtualenv", "__editable__", "a1_"))
    }
    assert foreign == {"chain_of_custody", "cryptography", "rfc8785", "filelock"}


def test_the_demonstration_identity_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first = demonstration_identity(tmp_path, datetime.now(UTC))
    assert demonstration_identity(tmp_path, datetime.now(UTC)).keyid == first.keyid
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*.key.pem"))


def test_the_state_folder_is_the_configured_one(tmp_path: Path) -> None:
    assert state_folder({"EVIDEX_STATE_DIR": str(tmp_path)}) == tmp_path
    assert state_folder({}).name == "evidex"


def test_an_identity_folder_is_not_made_twice(protected: Path) -> None:
    with pytest.raises(KeyFileError, match="never overwritten"):
        create_identity(
            protected, agency="x", origin_name="x", people=(), passphrase=None, root_passphrase=None, now=datetime(2026, 1, 1, tzinfo=UTC)
        )


def test_a_name_typed_with_combining_characters_is_one_person(tmp_path: Path) -> None:
    """Unicode normal form: "é" typed as one character or as two is the same name, in the roster and in the entry."""
    folder = tmp_path / "identity"
    create_identity(
        folder,
        agency="Polizei Zu\u0308rich",
        origin_name="police.example",
        people=(Person(name="Andre\u0301", role="examiner"),),
        passphrase=None,
        root_passphrase=None,
        now=datetime(2026, 1, 1, tzinfo=UTC),
        days=36500,
    )
    for name in ("Andr\u00e9", "Andre\u0301", ""):
        with start(tmp_path / "case", tmp_path / "state", folder / "examiner.key.pem", actor=Actor(name=name)) as custody:
            custody.append("note.add")
    verdict = verify_case(tmp_path / "case", trust=custody.identity.root_fingerprint)
    assert verdict.result_of(Claim.IDENTITY) is Result.PASS


def test_the_public_key_file_of_the_root_gives_the_fingerprint(protected: Path, tmp_path: Path) -> None:
    pem = (protected / "root" / "root.pub.pem").read_text()
    assert key_id(parse_public_key(pem)) == read_roster(protected / "roster.dsse.json")[0].fingerprint
    keyid = export_public_key(protected / "examiner.key.pem", PASSPHRASE, tmp_path / "examiner.pem")
    assert key_id(parse_public_key((tmp_path / "examiner.pem").read_text())) == keyid


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "/x", "x/"])
def test_an_origin_name_that_no_note_can_carry_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(IdentityError):
        create_identity(
            tmp_path / "x",
            agency="x",
            origin_name=name,
            people=(Person(name="x", role="examiner"),),
            passphrase=None,
            root_passphrase=None,
            now=datetime(2026, 1, 1, tzinfo=UTC),
        )
