"""Manifests that coreutils agrees with, and folders that try to lead a reader astray."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_of_custody.errors import FormatError, ManifestError
from chain_of_custody.manifest import differences, manifest_name, parse_manifest, write_manifest

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    b"run.json",
    b"tables/a-b/part.parquet",
    b"tables/a/part.parquet",
    b"new\nline",
    b"back\\slash",
    b"re\rturn",
    b"\xff\xfe",
    b"  two",
    b"*star",
]


def make_run(case: Path, names: list[bytes]) -> Path:
    run = case / "runs" / "r1"
    for name in names:
        path = run / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content of " + name)
    return run


def test_a_manifest_is_what_sha256sum_writes_and_checks(tmp_path: Path) -> None:
    run = make_run(tmp_path, NAMES)
    write_manifest(tmp_path, "r1")
    manifest = (tmp_path / manifest_name("r1")).read_bytes()
    theirs = subprocess.run([b"sha256sum", *sorted(NAMES)], cwd=run, capture_output=True, check=True).stdout
    assert manifest == theirs
    checked = subprocess.run(["sha256sum", "--check", "--strict", "--quiet"], cwd=run, input=manifest, check=False)
    assert checked.returncode == 0


def test_a_sealed_run_shows_no_difference(tmp_path: Path) -> None:
    make_run(tmp_path, NAMES)
    subject = write_manifest(tmp_path, "r1")
    manifest = (tmp_path / manifest_name("r1")).read_bytes()
    assert subject.sha256 == hashlib.sha256(manifest).hexdigest()
    assert list(differences(tmp_path, "r1", parse_manifest(manifest))) == []


def test_sealing_again_is_refused_when_the_results_changed(tmp_path: Path) -> None:
    run = make_run(tmp_path, [b"a"])
    first = write_manifest(tmp_path, "r1")
    assert write_manifest(tmp_path, "r1") == first
    (run / "a").write_bytes(b"other")
    with pytest.raises(ManifestError, match="sealed already"):
        write_manifest(tmp_path, "r1")


@pytest.mark.parametrize("kind", ["link", "broken link", "folder link", "fifo"])
def test_a_folder_with_a_link_or_special_file_is_not_sealed(tmp_path: Path, kind: str) -> None:
    run = make_run(tmp_path, [b"a"])
    if kind == "fifo":
        os.mkfifo(run / "x")
    else:
        (run / "x").symlink_to({"link": "a", "broken link": "none", "folder link": tmp_path}[kind])
    with pytest.raises(ManifestError, match="link or special file"):
        write_manifest(tmp_path, "r1")


@pytest.mark.parametrize("name", ["../r1", "a/b", "", ".", "..", "-x", "a\nb", "x" * 200])
def test_a_run_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    make_run(tmp_path, [b"a"])
    with pytest.raises(ManifestError):
        write_manifest(tmp_path, name)


def test_an_empty_run_is_not_sealed(tmp_path: Path) -> None:
    (tmp_path / "runs" / "r1").mkdir(parents=True)
    with pytest.raises(ManifestError, match="empty"):
        write_manifest(tmp_path, "r1")


D = b"a" * 64


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        D + b"  a",
        D + b" *a\n",
        D + b" a\n",
        D.upper() + b"  a\n",
        D + b"  /etc/passwd\n",
        D + b"  ../a\n",
        D + b"  a/../b\n",
        D + b"  ./a\n",
        D + b"  a//b\n",
        D + b"  b\n" + D + b"  a\n",
        D + b"  a\n" + D + b"  a\n",
        D + b"  a\r\n",
        b"\\" + D + b"  a\n",
        b"\\" + D + b"  a\\x\n",
        D + b"  a\\\\b\n",
        b"\n" + D + b"  a\n",
        b"# comment\n",
    ],
)
def test_a_manifest_in_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError) as raised:
        parse_manifest(data)
    assert raised.value.code == "E_MANIFEST"


SAFE = st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name and b"\x00" not in name and name not in (b".", b".."))


@settings(max_examples=50)
@given(names=st.sets(SAFE, min_size=1, max_size=5))
def test_any_names_a_filesystem_can_hold_are_sealed_and_read_back(names: set[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    case = tmp_path_factory.mktemp("case")
    make_run(case, sorted(names))
    write_manifest(case, "r1")
    listed = parse_manifest((case / manifest_name("r1")).read_bytes())
    assert listed == {name: hashlib.sha256(b"content of " + name).hexdigest() for name in names}
