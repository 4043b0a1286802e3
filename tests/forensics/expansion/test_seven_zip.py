"""Encrypted 7z archives, made by 7z."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from opened import contents, damaged, walk

from forensics.filesystems.base import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7z is not installed")

FILES = {"d/text.txt": b"The quick brown fox\n" * 9000, "d/ünter/binary": bytes(range(256)) * 300}


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., bytes]:
    """Packs the folder `d` with 7z and the options given."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)

    def run(*options: str) -> bytes:
        subprocess.run(["7z", "a", "-t7z", *options, "out.7z", "d"], cwd=tmp_path, check=True, capture_output=True)
        return (tmp_path / "out.7z").read_bytes()

    return run


@pytest.mark.parametrize("names", ["-mhe=off", "-mhe=on"])
@pytest.mark.parametrize("method", ["LZMA2", "PPMd", "BZip2", "Copy"])
def test_the_right_passphrase_opens_contents_and_names(made: Callable[..., bytes], names: str, method: str) -> None:
    data = made("-psecret", names, f"-m0={method}")
    got, problems = walk(data, passphrases=("wrong", "secret"))
    assert problems == []
    listed = [one for one in got if one.item.member.kind is Kind.FILE]
    assert contents(listed) == FILES
    assert {one.item.member.unlocked_with for one in listed} == {"passphrase"}
    assert {one.failure for one in listed} == {""}


def test_without_the_passphrase_members_are_listed_and_one_problem_says_so(made: Callable[..., bytes]) -> None:
    data = made("-psecret")
    for passphrases in ((), ("wrong",)):
        got, problems = walk(data, passphrases=passphrases)
        assert contents([one for one in got if one.item.member.kind is Kind.FILE]) == dict.fromkeys(FILES)
        assert [problem.code for problem in problems] == ["member-encrypted"]


def test_without_the_passphrase_of_the_names_one_problem_says_so(made: Callable[..., bytes]) -> None:
    got, problems = walk(made("-psecret", "-mhe=on"), passphrases=("wrong",))
    assert got == []
    assert [problem.code for problem in problems] == ["member-encrypted"]
    assert "names" in problems[0].what


def test_damage_gives_problems_and_no_other_exception(made: Callable[..., bytes]) -> None:
    for data in damaged(made("-psecret"), 13, 12):
        walk(data, passphrases=("secret",))
