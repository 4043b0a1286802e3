"""A job for the night: every exhibit that can be done is, whatever becomes of the others, and running it again does what is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from running import SAMPLES, command, digests, environment, evidex, request, rows_of, run, tables_of, unpack

import cli
from chain_of_custody.show import verdict_text
from chain_of_custody.verify import verify_case
from forensics.credentials import passphrase_credential
from pipelines.errors import PipelineError
from pipelines.exhibits import FolderAs
from pipelines.job import JobExhibit, Outcome, run_job
from pipelines.job_file import JobSettings, read_job
from pipelines.profiles import Profile
from pipelines.progress import Silent
from pipelines.run import Signer, process

_SETTINGS = JobSettings(signer=Signer(), rules=(Path("shipped"),), credentials=(passphrase_credential("of the environment"),), host="here")
_HEAD = 'case = "case"\nexaminer = "E"\n'
_ONE = '[[exhibit]]\nnumber = "KH-1"\nimages = ["a.dd"]\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "night.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_job_states_is_what_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "secrets.toml").write_text('[[credential]]\nkind = "recovery-key"\nvalue = "1-2"\n')
    job = written(
        tmp_path,
        'case = "cases/one"\nexaminer = "A. Examiner"\ncase_number = "2026-0142"\nagency = "Agency"\nprofile = "full"\nworkers = 2\n'
        'rules = ["own.yar"]\ncross_check = true\nfolder_as = "images"\n'
        '[[exhibit]]\nnumber = "KH-1"\nimages = ["one.E01", "/else/two.E01"]\ncredentials = "secrets.toml"\nreaders = ["v01=dissect"]\n'
        f'expect_hash = "{"0" * 64}"\naccept_mismatch = "why"\n'
        '[[exhibit]]\nnumber = "KH-2"\nimages = ["files/"]\nprofile = "triage"\nworkers = 0\ncross_check = false\n'
        'folder_as = "files"\n',
    )
    one, two = read_job(job, _SETTINGS)
    first, second = one.request, two.request
    assert (one.credentials, one.folder_as) == (tmp_path / "secrets.toml", FolderAs.IMAGES)
    assert (two.credentials, two.folder_as) == (None, FolderAs.FILES)
    assert first.images == (tmp_path / "one.E01", Path("/else/two.E01"))
    assert first.case == second.case == tmp_path / "cases" / "one"
    assert (first.exhibit, first.examiner, first.case_number, first.agency) == ("KH-1", "A. Examiner", "2026-0142", "Agency")
    assert (first.profile, first.workers, first.cross_check) == (Profile.FULL, 2, True)
    assert first.rules == (tmp_path / "own.yar",)
    assert first.credentials == _SETTINGS.credentials
    assert (first.readers, first.expect_hash, first.accept_mismatch, first.host) == ((("v01", "dissect"),), "0" * 64, "why", "here")
    assert (second.profile, second.workers, second.cross_check) == (Profile.TRIAGE, 0, False)
    assert second.credentials == _SETTINGS.credentials
    assert second.rules == first.rules


def test_without_settings_they_are_those_of_process(tmp_path: Path) -> None:
    (one,) = read_job(written(tmp_path, _HEAD + _ONE), _SETTINGS)
    request = one.request
    assert (one.folder_as, one.credentials) == (FolderAs.AUTO, None)
    assert (request.profile, request.workers, request.cross_check, request.readers) == (Profile.STANDARD, None, False, ())
    assert (request.rules, request.expect_hash, request.accept_mismatch) == (_SETTINGS.rules, None, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("case = ", r"night\.toml: the job cannot be read"),
        ("\0", r"night\.toml: the job cannot be read"),
        (_ONE, "case is missing"),
        ('case = "c"\n' + _ONE, "examiner is missing"),
        ('case = ""\nexaminer = "E"\n' + _ONE, "case is missing or empty"),
        ('case = "c"\nexaminer = "  "\n' + _ONE, "examiner is missing or empty"),
        (_HEAD, "exhibit is missing"),
        (_HEAD + "exhibit = []", "exhibit is missing"),
        (_HEAD + "exhibit = [1]", "exhibit 1 is no table"),
        (_HEAD + "[exhibit]\nnumber = 1", "exhibit must be a list"),
        (_HEAD + "wrokers = 1\n" + _ONE, "'wrokers' is not known"),
        (_HEAD + _ONE + 'password = "x"\n', "exhibit 1: 'password' is not known"),
        (_HEAD + _ONE + "[[exhibit]]\nnumber = 2\n", "exhibit 2: number must be a text"),
        (_HEAD + _ONE + '[[exhibit]]\nnumber = "KH-2"\nimages = "a.dd"\n', "exhibit 2: images must be a list"),
        (_HEAD + _ONE + '[[exhibit]]\nnumber = "KH-2"\nimages = []\n', "exhibit 2 must have a number and images"),
        (_HEAD + _ONE + '[[exhibit]]\nnumber = "KH-2"\nimages = [1]\n', "exhibit 2: a list holds something else than texts"),
        (_HEAD + _ONE + '[[exhibit]]\nnumber = "KH-2"\nimages = [""]\n', "exhibit 2: a list holds something else than texts"),
        (_HEAD + _ONE + '[[exhibit]]\nnumber = "KH-2"\nimages = ["a\\u0000b"]\n', "exhibit 2: a path holds a NUL"),
        (_HEAD + _ONE + '[[exhibit]]\nnumber = "KH-1"\nimages = ["b.dd"]\n', "exhibit KH-1 stands there twice"),
        (_HEAD + '[[exhibit]]\nnumber = "../x"\nimages = ["b.dd"]\n', r"exhibit 1: exhibit number '\.\./x' cannot be used"),
        (_HEAD + "workers = true\n" + _ONE, "workers must be a whole number"),
        (_HEAD + _ONE + 'workers = "2"\n', "exhibit 1: workers must be a whole number"),
        (_HEAD + _ONE + "workers = -1\n", "exhibit 1: workers must be 0 or more"),
        (_HEAD + _ONE + "cross_check = 1\n", "exhibit 1: cross_check must be true or false"),
        (_HEAD + _ONE + 'profile = "fast"\n', "exhibit 1: profile must be one of triage, standard, full"),
        (_HEAD + _ONE + 'readers = ["v01"]\n', "exhibit 1: .*VOLUME=READER"),
        (_HEAD + _ONE + 'expect_hash = "xyz"\n', "exhibit 1: .*xyz"),
        (_HEAD + _ONE + 'accept_mismatch = " "\n', "exhibit 1: accept_mismatch is empty"),
        (_HEAD + _ONE + 'folder_as = "disks"\n', "exhibit 1: folder_as must be one of auto, images, files"),
    ],
)
def test_a_job_that_cannot_be_understood_is_refused_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PipelineError, match=told) as caught:
        read_job(written(tmp_path, text), _SETTINGS)
    assert "night.toml" in str(caught.value)


def test_a_job_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="the job cannot be read"):
        read_job(tmp_path / "none.toml", _SETTINGS)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PipelineError, match="the job cannot be read"):
        read_job(tmp_path / "binary.toml", _SETTINGS)


def test_a_secret_is_in_no_message_and_no_repr(tmp_path: Path, exfat: Path) -> None:
    secret = "Zq7-secret-Xk2"
    (tmp_path / "secrets.toml").write_text(f'[[credential]]\nkind = "{secret}"\nvalue = "{secret}"\nvalue = 1\n')
    job = written(tmp_path, _HEAD + f'credentials = "secrets.toml"\n[[exhibit]]\nnumber = "KH-1"\nimages = ["{exfat}"]\n')
    (outcome,) = run_job(read_job(job, _SETTINGS), Silent(), str)
    assert outcome.outcome is Outcome.FAILED
    assert "secrets.toml" in outcome.told
    assert secret not in repr(outcome)


def batch(job: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return evidex("batch", job, *more, state=job.parent / "state")


def outcomes(answer: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    return {line["exhibit"]: line for line in lines if line["event"] == "exhibit"}


@pytest.fixture(scope="module")
def exfat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack("exfat", tmp_path_factory.mktemp("exfat") / "good.dd")


class TestANight:
    """Two exhibits that can be done, between them one that is not there and an E01 cut off."""

    def job(self, folder: Path, exfat: Path) -> Path:
        evidence = folder / "evidence"
        evidence.mkdir()
        shutil.copyfile(exfat, evidence / "one.dd")
        shutil.copyfile(exfat, evidence / "four.dd")
        first, second = (SAMPLES / "ewf-split" / f"ewf-split.E0{number}" for number in (1, 2))
        shutil.copyfile(first, evidence / "cut.E01")
        (evidence / "cut.E02").write_bytes(second.read_bytes()[: second.stat().st_size // 2])
        images = ("one.dd", "none.dd", "cut.E01", "four.dd")
        exhibits = "".join(
            f'[[exhibit]]\nnumber = "KH-{number}"\nimages = ["evidence/{image}"]\n' for number, image in enumerate(images, start=1)
        )
        return written(folder, _HEAD + 'profile = "triage"\nworkers = 0\n' + exhibits)

    def test_each_exhibit_has_its_outcome_and_a_second_night_does_what_is_left(self, tmp_path: Path, exfat: Path) -> None:
        job = self.job(tmp_path, exfat)
        answer = batch(job, "--json")
        assert answer.returncode == 1, answer.stderr
        assert "Traceback" not in answer.stderr
        first = outcomes(answer)
        assert list(first) == ["KH-1", "KH-2", "KH-3", "KH-4"]
        assert first["KH-2"]["outcome"] == "FAILED"
        assert "none.dd" in first["KH-2"]["told"]
        assert {first[number]["outcome"] for number in ("KH-1", "KH-4")} <= {"complete", "complete with problems"}
        assert first["KH-3"]["outcome"] in ("FAILED", "complete with problems"), "half a segment is never complete"
        case = tmp_path / "case"
        assert next(iter(verdict_text(verify_case(case)))) == "INTEGRITY     PASS"

        before = {path.name: digests(path / "tables") for path in (case / "runs").iterdir()}
        shutil.copyfile(exfat, tmp_path / "evidence" / "none.dd")
        again = batch(job, "--json")
        second = outcomes(again)
        assert second["KH-1"]["outcome"] == second["KH-4"]["outcome"] == "done before"
        assert second["KH-1"]["told"] == "run 001-KH-1"
        assert second["KH-2"]["outcome"] in ("complete", "complete with problems")
        assert again.returncode == (1 if second["KH-3"]["outcome"] == "FAILED" else 3)
        after = {path.name: digests(path / "tables") for path in (case / "runs").iterdir()}
        assert before.items() <= after.items()
        assert next(iter(verdict_text(verify_case(case)))) == "INTEGRITY     PASS"


def test_a_job_whose_exhibits_are_all_whole_gives_the_code_of_process(tmp_path: Path, exfat: Path) -> None:
    case = tmp_path / "alone"
    alone = evidex(
        *("process", exfat, "--case", case, "--exhibit", "KH-1", "--examiner", "E", "--workers", "0", "--profile", "triage"),
        state=tmp_path / "state",
    )
    job = written(tmp_path, _HEAD + f'profile = "triage"\nworkers = 0\n[[exhibit]]\nnumber = "KH-1"\nimages = ["{exfat}"]\n')
    assert batch(job).returncode == alone.returncode
    assert digests(tmp_path / "case" / "runs" / "001-KH-1" / "tables") == digests(case / "runs" / "001-KH-1" / "tables")
    assert batch(job).returncode == 0, "nothing was left to do"


def test_credentials_that_cannot_be_read_fail_their_own_exhibit_only(tmp_path: Path, exfat: Path) -> None:
    job = written(
        tmp_path,
        _HEAD + 'profile = "triage"\nworkers = 0\n'
        f'[[exhibit]]\nnumber = "KH-1"\nimages = ["{exfat}"]\ncredentials = "none.toml"\n'
        f'[[exhibit]]\nnumber = "KH-2"\nimages = ["{exfat}"]\n',
    )
    answer = batch(job, "--json")
    assert answer.returncode == 1, answer.stderr
    found = outcomes(answer)
    assert found["KH-1"]["outcome"] == "FAILED"
    assert "none.toml: the credentials cannot be read" in found["KH-1"]["told"]
    assert found["KH-2"]["outcome"] in ("complete", "complete with problems")


def test_a_folder_of_images_in_a_job_is_an_exhibit_an_image(tmp_path: Path, exfat: Path) -> None:
    """As with `process`: an E01 of two segments and a raw image are two exhibits, numbered below the one stated."""
    seized, mixed = tmp_path / "seized", tmp_path / "mixed"
    for folder in (seized, mixed):
        folder.mkdir()
        shutil.copyfile(exfat, folder / "a.dd")
    for number in (1, 2):
        shutil.copyfile(SAMPLES / "ewf-split" / f"ewf-split.E0{number}", seized / f"ewf-split.E0{number}")
    (mixed / "label-photo.jpg").write_bytes(b"\xff\xd8\xff")
    text = _HEAD + 'profile = "triage"\nworkers = 0\n[[exhibit]]\nnumber = "KH-1"\nimages = ["seized"]\n'
    text += '[[exhibit]]\nnumber = "KH-2"\nimages = ["mixed"]\n'
    first = outcomes(batch(written(tmp_path, text), "--json"))
    assert {number: one["images"] for number, one in first.items()} == {
        "KH-1.1": ["a.dd"],
        "KH-1.2": ["ewf-split.E01"],
        "KH-2": ["mixed"],
    }
    assert first["KH-2"]["outcome"] == "FAILED"
    assert "label-photo.jpg" in first["KH-2"]["told"]
    (source,) = rows_of(tmp_path / "case" / "runs" / "002-KH-1.2" / "tables", "sources")
    assert source["segments"] == ["ewf-split.E01", "ewf-split.E02"]

    answer = batch(written(tmp_path, text + 'folder_as = "images"\n'))
    second = [line.split(": ")[:2] for line in answer.stdout.splitlines() if line.startswith("exhibit ")]
    assert [line[0] for line in second] == ["exhibit KH-1.1 (a.dd)", "exhibit KH-1.2 (ewf-split.E01)", "exhibit KH-2 (a.dd)"]
    assert [line[1] for line in second[:2]] == ["done before", "done before"]
    assert second[2][1] in ("complete", "complete with problems")
    assert "left out: label-photo.jpg" in answer.stderr


def test_a_folder_does_not_take_the_number_of_another_exhibit_of_the_job(tmp_path: Path, exfat: Path) -> None:
    seized = tmp_path / "seized"
    seized.mkdir()
    for name in ("a.dd", "b.dd"):
        shutil.copyfile(exfat, seized / name)
    text = _HEAD + 'profile = "triage"\nworkers = 0\n[[exhibit]]\nnumber = "KH-1"\nimages = ["seized"]\n'
    job = written(tmp_path, text + f'[[exhibit]]\nnumber = "KH-1.1"\nimages = ["{exfat}"]\n')
    assert {number: one["images"] for number, one in outcomes(batch(job, "--json")).items()} == {
        "KH-1.2": ["a.dd"],
        "KH-1.3": ["b.dd"],
        "KH-1.1": [exfat.name],
    }


def test_a_job_file_that_is_wrong_does_nothing(tmp_path: Path, exfat: Path) -> None:
    job = written(tmp_path, _HEAD + f'[[exhibit]]\nnumber = "KH-1"\nimages = ["{exfat}"]\nprofil = "triage"\n')
    answer = batch(job)
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("evidex: ")
    assert "'profil' is not known" in answer.stderr
    assert not (tmp_path / "case").exists()


def test_a_night_that_is_killed_goes_on_where_it_was(tmp_path: Path, exfat: Path) -> None:
    """The first exhibit is done, the second is killed in the middle of its tasks, the third not begun."""
    linux = unpack("linux", tmp_path / "linux.dd")
    images = (exfat, linux, exfat)
    exhibits = "".join(f'[[exhibit]]\nnumber = "KH-{number}"\nimages = ["{image}"]\n' for number, image in enumerate(images, start=1))
    rule = tmp_path / "own.yar"
    rule.write_text("rule everything { condition: filesize > 0 }")
    job = written(tmp_path, _HEAD + 'workers = 0\nrules = ["own.yar"]\n' + exhibits)
    case = tmp_path / "case"
    night = subprocess.Popen(
        command("batch", job),
        env=environment(tmp_path / "state"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while time.monotonic() < until and night.poll() is None and len(list(case.glob("runs/002-KH-2/receipts/*.json"))) < 3:
        time.sleep(0.005)
    os.killpg(night.pid, signal.SIGKILL)
    assert night.wait() == -signal.SIGKILL, "it was to be killed in the middle"
    first = digests(case / "runs" / "001-KH-1" / "tables")
    begun = {path.name: path.read_bytes() for path in case.glob("runs/002-KH-2/receipts/*.json")}
    assert (case / "work" / "002-KH-2").is_dir()

    answer = batch(job, "--json")
    assert answer.returncode in (0, 3), answer.stderr
    found = outcomes(answer)
    assert found["KH-1"]["outcome"] == "done before"
    assert [path.name for path in sorted((case / "runs").iterdir())] == ["001-KH-1", "002-KH-2", "003-KH-3"]
    assert digests(case / "runs" / "001-KH-1" / "tables") == first
    assert {path.name: path.read_bytes() for path in case.glob("runs/002-KH-2/receipts/*.json")}.items() >= begun.items()
    undisturbed = tables_of(run(linux, tmp_path / "undisturbed", exhibit="KH-2", rules=(rule,)))
    assert digests(case / "runs" / "002-KH-2" / "tables") == digests(undisturbed)
    assert next(iter(verdict_text(verify_case(case)))) == "INTEGRITY     PASS"


def test_ctrl_c_ends_the_night_keeps_what_is_told_and_says_how_to_go_on(
    tmp_path: Path, exfat: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = written(
        tmp_path,
        _HEAD
        + 'profile = "triage"\nworkers = 0\n'
        + "".join(f'[[exhibit]]\nnumber = "{number}"\nimages = ["{image}"]\n' for number, image in (("KH-1", "none.dd"), ("KH-2", exfat))),
    )
    monkeypatch.setenv("EVIDEX_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("pipelines.run.check_unchanged", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(SystemExit) as ended:
        cli.main(["batch", str(job)])
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "interrupted; what is finished is kept. The same command again does what is left." in said.err
    assert [line.split(": ")[:2] for line in said.out.splitlines() if line.startswith("exhibit ")] == [["exhibit KH-1 (none.dd)", "FAILED"]]


@pytest.mark.parametrize("change", ["profile", "image"])
def test_an_unfinished_run_that_cannot_be_gone_on_with_gives_way_to_a_new_one(
    tmp_path: Path, exfat: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A job has no --resume to leave out: an exhibit must not fail night after night because its job was mended."""
    image = tmp_path / "image.dd"
    shutil.copyfile(exfat, image)
    asked = request(image, tmp_path / "case", rules=(), profile=Profile.TRIAGE)
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.run.check_unchanged", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            process(asked, Silent())
    if change == "profile":
        asked = replace(asked, profile=Profile.STANDARD)
    else:
        image.write_bytes(image.read_bytes()[:-1] + b"\1")
    (outcome,) = run_job((JobExhibit(request=asked),), Silent(), str)
    assert outcome.outcome in (Outcome.COMPLETE, Outcome.WITH_PROBLEMS), outcome.told
    assert outcome.told.startswith("run 002-KH-1")
    assert next(iter(verdict_text(verify_case(asked.case)))) == "INTEGRITY     PASS"
    (outcome,) = run_job((JobExhibit(request=asked),), Silent(), str)
    assert (outcome.outcome, outcome.told) == (Outcome.DONE_BEFORE, "run 002-KH-1")


@pytest.mark.corpus
def test_a_night_takes_its_secrets_from_a_file_beside_it(tmp_path: Path, corpus_image: Any) -> None:
    image = corpus_image("luks2-ext4-derived")
    (tmp_path / "secrets.toml").write_text('[[credential]]\nkind = "passphrase"\nvalue = "corpus-pass"\n')
    job = written(
        tmp_path,
        _HEAD + 'profile = "triage"\nworkers = 0\n'
        f'[[exhibit]]\nnumber = "KH-1"\nimages = ["{image}"]\ncredentials = "secrets.toml"\n'
        f'[[exhibit]]\nnumber = "KH-2"\nimages = ["{image}"]\n',
    )
    answer = batch(job)
    assert answer.returncode == 3, answer.stderr
    for name, expected in (("001-KH-1", ["passphrase"]), ("002-KH-2", [])):
        volumes = rows_of(tmp_path / "case" / "runs" / name / "tables", "volumes")
        assert [row["unlocked_with"] for row in volumes if row["unlocked_with"]] == expected
    assert "corpus-pass" not in answer.stdout + answer.stderr
