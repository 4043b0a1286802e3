"""A finished run stands for an exhibit if it was over the same media, with the same settings, and nothing more can be unlocked now."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from running import request, run, unpack

from chain_of_custody.show import verdict_text
from chain_of_custody.verify import verify_case
from forensics.credentials import passphrase_credential
from forensics.errors import ImageNotFoundError
from pipelines.done_before import DoneBefore, find_done
from pipelines.job import JobExhibit, Outcome, run_job
from pipelines.profiles import Profile
from pipelines.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipelines.run import ProcessRequest

_QUICK: dict[str, Any] = {"profile": Profile.TRIAGE, "rules": ()}


class Heard(Silent):
    """Keeps the names of the stages: hashing is one."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str, *, items: int | None = None, size_bytes: int | None = None) -> None:
        del items, size_bytes
        self.stages.append(name)


@pytest.fixture
def done(tmp_path: Path) -> ProcessRequest:
    """A request over exFAT that has been processed."""
    image = unpack("exfat", tmp_path / "image.dd")
    run(image, tmp_path / "case", **_QUICK)
    return request(image, tmp_path / "case", **_QUICK)


def test_the_same_again_is_done_and_nothing_is_hashed(done: ProcessRequest) -> None:
    heard = Heard()
    assert find_done(done, heard) == DoneBefore(run="001-KH-1")
    assert heard.stages == []
    assert next(iter(verdict_text(verify_case(done.case)))) == "INTEGRITY     PASS", "the state of the files is no result"


def test_another_exhibit_and_another_case_are_not_done(done: ProcessRequest, tmp_path: Path) -> None:
    assert find_done(replace(done, exhibit="KH-2"), Silent()) == DoneBefore()
    assert find_done(replace(done, case=tmp_path / "other"), Silent()) == DoneBefore()


@pytest.mark.parametrize("change", ["copied", "renamed", "no state"])
def test_files_that_are_not_known_are_hashed_and_the_same_media_is_done(done: ProcessRequest, tmp_path: Path, change: str) -> None:
    image = tmp_path / "moved.dd"
    if change == "no state":
        shutil.rmtree(done.case / "sources")
        image = done.images[0]
    else:
        (shutil.copyfile if change == "copied" else os.rename)(done.images[0], image)
    heard = Heard()
    assert find_done(replace(done, images=(image,)), heard) == DoneBefore(run="001-KH-1")
    assert heard.stages == ["hash the media"]


def test_another_image_of_the_same_name_size_and_time_is_seen(done: ProcessRequest) -> None:
    image = done.images[0]
    status = image.stat()
    with image.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\1")
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert find_done(done, Silent()) == DoneBefore(difference="run 001-KH-1 had another image")


def test_an_image_of_another_size_and_more_images_are_seen(done: ProcessRequest, tmp_path: Path) -> None:
    other = tmp_path / "other.dd"
    other.write_bytes(done.images[0].read_bytes() + bytes(512))
    for images in ((other,), (done.images[0], other)):
        assert find_done(replace(done, images=images), Silent()).difference == "run 001-KH-1 had another image"


def test_an_image_that_is_gone_is_an_error_since_nobody_can_say_whether_it_was_that_one(done: ProcessRequest) -> None:
    done.images[0].unlink()
    with pytest.raises(ImageNotFoundError):
        find_done(done, Silent())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"profile": Profile.STANDARD}, "the profile triage, and standard is asked for"),
        ({"readers": (("v01", "raw"),)}, "other readers"),
        ({"cross_check": True}, "no cross-check"),
        ({"expect_hash": "0" * 32}, "another digest that was expected, or none"),
    ],
)
def test_settings_that_differ_are_named(done: ProcessRequest, changes: dict[str, Any], told: str) -> None:
    assert find_done(replace(done, **changes), Silent()) == DoneBefore(difference=f"run 001-KH-1 had {told}")


def test_other_rules_are_seen(done: ProcessRequest, tmp_path: Path) -> None:
    rule = tmp_path / "own.yar"
    rule.write_text("rule everything { condition: filesize > 0 }")
    assert find_done(replace(done, rules=(rule,)), Silent()) == DoneBefore(difference="run 001-KH-1 had other rules")
    run(done.images[0], done.case, profile=Profile.TRIAGE, rules=(rule,))
    assert find_done(replace(done, rules=(rule,)), Silent()) == DoneBefore(run="002-KH-1")
    assert find_done(done, Silent()) == DoneBefore(run="001-KH-1"), "an earlier run may be the one"


def test_a_digest_that_was_expected_then_is_expected_still(tmp_path: Path) -> None:
    image = unpack("exfat", tmp_path / "image.dd")
    expected = hashlib.sha1(image.read_bytes(), usedforsecurity=False).hexdigest()
    run(image, tmp_path / "case", expect_hash=expected, **_QUICK)
    asked = request(image, tmp_path / "case", **_QUICK)
    for stated in (None, expected, expected.upper()):
        assert find_done(replace(asked, expect_hash=stated), Silent()).run == "001-KH-1"


@pytest.mark.parametrize("broken", ["run.json", "tables/volumes/part-000000.parquet"])
def test_a_run_that_cannot_be_read_is_not_taken_for_one_that_did_it(done: ProcessRequest, broken: str) -> None:
    (done.case / "runs" / "001-KH-1" / broken).write_bytes(b"{}")
    assert "results that cannot be read" in find_done(done, Silent()).difference


def test_a_folder_of_files_is_done_as_long_as_nothing_in_it_changes(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    folder.mkdir()
    (folder / "letter.txt").write_text("text")
    run(folder, tmp_path / "case", **_QUICK)
    asked = request(folder, tmp_path / "case", **_QUICK)
    assert find_done(asked, Silent()).run == "001-KH-1"
    (folder / "empty").mkdir()  # the media, the contents of its files, is as before
    assert find_done(asked, Silent()).difference == "run 001-KH-1 had the folder in another state"


def test_a_job_processes_an_image_that_was_exchanged_again_and_says_why(done: ProcessRequest, tmp_path: Path) -> None:
    """It was passed over as done before."""
    other = tmp_path / "other.dd"
    other.write_bytes(done.images[0].read_bytes()[:-1] + b"\1")
    (outcome,) = run_job((JobExhibit(request=replace(done, images=(other,))),), Silent(), str)
    assert outcome.outcome in (Outcome.COMPLETE, Outcome.WITH_PROBLEMS), outcome.told
    assert outcome.told.startswith("run 002-KH-1")
    assert outcome.told.endswith("(run 001-KH-1 had another image)")


@pytest.mark.corpus
def test_a_credential_that_opens_what_stayed_locked_is_a_reason_to_process_again(
    tmp_path: Path, corpus_image: Callable[[str], Path]
) -> None:
    """The right passphrase in place of a wrong one, too; what is told and kept holds neither."""
    image = corpus_image("luks2-ext4-derived")
    wrong, right = passphrase_credential("Zq7-wrong-Xk2"), passphrase_credential("corpus-pass")
    case = tmp_path / "case"
    run(image, case, credentials=(wrong,), **_QUICK)
    asked = request(image, case, **_QUICK)
    assert find_done(asked, Silent()).run == "001-KH-1"
    assert find_done(replace(asked, credentials=(wrong,)), Silent()).run == "001-KH-1"
    assert find_done(replace(asked, credentials=(wrong, wrong)), Silent()).run == "001-KH-1", "it opens nothing more"
    assert find_done(replace(asked, credentials=(right,)), Silent()).difference.startswith("run 001-KH-1 had no credential that opens v01")
    run(image, case, credentials=(right,), **_QUICK)
    for credentials in ((right,), (wrong, right), ()):
        assert find_done(replace(asked, credentials=credentials), Silent()).run == "002-KH-1"
    written = b"".join(path.read_bytes() for path in case.rglob("*") if path.is_file())
    assert not {one.value for one in (wrong, right) if one.value in written}


def test_another_number_of_credentials_is_a_reason_where_files_stayed_encrypted(tmp_path: Path) -> None:
    """Which one was wrong is not kept; with as many of each kind the run counts as the same."""
    folder = tmp_path / "collection"
    folder.mkdir()
    (tmp_path / "letter.txt").write_text("text")
    subprocess.run(["7z", "a", "-psecret", "collection/a.7z", "letter.txt"], cwd=tmp_path, check=True, capture_output=True)
    one, another = passphrase_credential("wrong"), passphrase_credential("wrong too")
    run(folder, tmp_path / "case", rules=(), credentials=(one,))
    asked = request(folder, tmp_path / "case", rules=())
    for credentials in ((), (one,), (another,)):
        assert find_done(replace(asked, credentials=credentials), Silent()).run == "001-KH-1"
    told = "run 001-KH-1 had other credentials, and files that stayed encrypted"
    assert find_done(replace(asked, credentials=(one, another)), Silent()).difference == told


def test_another_number_of_credentials_is_none_where_nothing_stayed_encrypted(done: ProcessRequest) -> None:
    assert find_done(replace(done, credentials=(passphrase_credential("x"),)), Silent()).run == "001-KH-1"
