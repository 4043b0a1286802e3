"""Whole runs over files that may be VeraCrypt containers: opened where a passphrase fits, else told of once, with what was tried."""

from __future__ import annotations

import hashlib
import io
import random
from typing import TYPE_CHECKING

import pytest
from running import evidex, rows_of, run, tables_of, unpack
from truecrypt_volume import truecrypt_volume

from forensics.credentials import passphrase_credential
from forensics.expansion.encrypted_container import EncryptedContainer, RandomFiles, together
from sample_images.gpt_fat32_ext4 import EXT_FILES

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.run import RunResult

_SECRET = "open sesame"
_EXT4 = ((128 + (34 << 11) + 64) * 512, 8 << 20)  # sample_images/gpt_fat32_ext4.py: where it begins, and its size, bytes
_KIB = 1 << 10


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    image = unpack("gpt-fat32-ext4", tmp_path_factory.mktemp("image") / "a.dd")
    return truecrypt_volume(image.read_bytes()[_EXT4[0] : sum(_EXT4)], _SECRET.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, container: bytes) -> Path:
    """A container, a file that looks like one, and random files whose size no container has."""
    made = tmp_path_factory.mktemp("evidence") / "files"
    made.mkdir()
    (made / "safe.bin").write_bytes(container)
    for number, (name, size) in enumerate({"noise": 320 * _KIB, "odd": 320 * _KIB + 1, "small": 128 * _KIB}.items()):
        (made / f"{name}.dat").write_bytes(random.Random(number).randbytes(size))
    (made / "zeros.dat").write_bytes(bytes(320 * _KIB))
    return made


def _told(result: RunResult) -> list[str]:
    return [f"{row['what']}: {row['why']}" for row in rows_of(tables_of(result), "problems") if row["code"] == "looks-encrypted"]


def test_a_container_opens_and_another_random_file_is_told_of_with_what_was_tried(folder: Path, tmp_path: Path) -> None:
    result = run(folder, tmp_path / "case", rules=(), credentials=(passphrase_credential(_SECRET),))
    found = {row["path"]: row["sha256"] for row in rows_of(tables_of(result), "entries") if row["kind"] == "file"}
    for file in EXT_FILES[:2]:
        assert found[f"safe.bin//v01.1/{file.path.decode()}"] == hashlib.sha256(file.content).hexdigest()
    (told,) = _told(result)
    assert "not opened: 1, e.g. noise.dat" in told
    assert "on 1 what was given was tried in vain" in told
    assert "PIM" in told
    assert _SECRET not in told
    _check_extract(result, folder, tmp_path)


def _check_extract(result: RunResult, folder: Path, tmp_path: Path) -> None:
    """A file in the container comes out with the bytes that were put in."""
    secrets = tmp_path / "keys.toml"
    secrets.write_text(f'[[credential]]\nkind = "passphrase"\nvalue = "{_SECRET}"\n')
    selector = f"path:safe.bin//v01.1/{EXT_FILES[1].path.decode()}"
    out = tmp_path / "out"
    options = ("--image", folder, "--credentials", secrets)
    answer = evidex("extract", result.case, selector, "--to", out, *options, state=tmp_path / "case-state")
    assert answer.returncode == 0, answer.stderr
    written = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert EXT_FILES[1].content in written


def test_without_a_passphrase_they_are_told_of_in_one_row(folder: Path, tmp_path: Path) -> None:
    result = run(folder, tmp_path / "case", rules=())
    (told,) = _told(result)
    assert "not opened: 2, e.g. noise.dat" in told
    assert "on 2 nothing was tried, because no passphrase or key file was given" in told


def test_no_more_tries_are_spent_than_the_bound_allows(container: bytes) -> None:
    opener = EncryptedContainer(most_tries=1)
    credentials = (passphrase_credential(_SECRET),)
    opened = [bool(list(opener.iter_members(io.BytesIO(container), len(container), "a.hc", credentials))) for _ in range(3)]
    assert opened == [True, False, False]
    assert opener.unopened == RandomFiles(bounded=2)
    problem = opener.unopened.problem()
    assert problem is not None
    assert "on 2 nothing was tried, to bound the time" in problem.why


def test_the_sum_over_batches_is_the_same_in_any_order() -> None:
    counts = [RandomFiles(in_vain=1, example="b"), RandomFiles(), RandomFiles(without=2, bounded=3, example="a")]
    assert together(counts) == together(reversed(counts)) == RandomFiles(in_vain=1, without=2, bounded=3, example="a")
    assert together([]).problem() is None
