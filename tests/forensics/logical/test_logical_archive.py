"""Archives that are read from front to back (7z, RAR, cab, cpio …), as logical evidence: made by 7z and libarchive's and GNU's tools."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from listed import listed, survives

from forensics.errors import FilesystemError, ForensicsError
from forensics.image import open_image
from forensics.logical.open_logical import open_logical

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7z is not installed")

FILES = {"text": b"some text\n" * 5000, "noise": random.Random(1).randbytes(60_000), "d/\u00fc": b"x", "d/empty": b""}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(content)
    return tmp_path / "tree"


def packed(tree: Path, *options: str) -> Path:
    subprocess.run(["7z", "a", "-t7z", *options, "../case.7z", "text", "noise", "d"], cwd=tree, check=True, capture_output=True)
    return tree.parent / "case.7z"


@pytest.mark.parametrize("solid", ["-ms=on", "-ms=off"])
def test_a_7z_lists_its_tree(tree: Path, solid: str) -> None:
    found = listed(packed(tree, solid))
    assert (found.filesystem, found.problems) == ("7z", [])
    assert found.contents == FILES


@pytest.mark.parametrize("names", ["-mhe=off", "-mhe=on"])
def test_an_encrypted_7z_opens_with_its_passphrase_and_says_so_without(tree: Path, names: str) -> None:
    path = packed(tree, "-ps3cret", names)
    assert listed(path, "wrong", "s3cret").contents == FILES
    for passphrases in ((), ("wrong",)):
        try:
            found = listed(path, *passphrases)
        except FilesystemError as error:
            assert names == "-mhe=on"
            assert "passphrase" in str(error)  # noqa: PT017 - nothing can be listed
        else:
            assert {problem.code for problem in found.problems} == {"member-encrypted"}
            assert not any(content for content in found.contents.values())


def test_processes_of_a_run_share_what_was_unpacked(tree: Path, tmp_path: Path) -> None:
    path = packed(tree)
    (tmp_path / "spool").mkdir()
    with open_image(path) as image:
        open_logical(image, image, credentials=(), spool=tmp_path / "spool")
        before = {one.name: one.stat().st_mtime_ns for one in (tmp_path / "spool").iterdir()}
        open_logical(image, image, credentials=(), spool=tmp_path / "spool")
        assert {one.name: one.stat().st_mtime_ns for one in (tmp_path / "spool").iterdir() if one.suffix != ".lock"} == {
            name: time for name, time in before.items() if not name.endswith(".lock")
        }


def test_a_spool_that_cannot_be_written_to_is_an_error(tree: Path, tmp_path: Path) -> None:
    with open_image(packed(tree)) as image, pytest.raises(ForensicsError, match="could not be unpacked into"):
        open_logical(image, image, credentials=(), spool=tmp_path / "nowhere")


def test_an_archive_that_is_cut_off_is_an_error_or_says_what_is_missing(tree: Path) -> None:
    path = packed(tree)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FilesystemError, match="cannot be opened"):
        listed(path)


def test_damaged_archives_give_errors_of_ours_only(tree: Path, tmp_path: Path) -> None:
    survives(tmp_path, "x.7z", packed(tree).read_bytes(), times=25)
