"""Files that hold files and do not begin with a signature of their own, or that only a disk image's reader opens, inside an exhibit."""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import plistlib
import random
import shutil
import struct
import subprocess
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from running import SAMPLES, unpack
from test_inside import LETTER, SEVEN, SEVEN_ARCHIVE, case_of, zipped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# What the corpus holds of each kind, put into the exhibit under a name that says nothing.
IMAGES = ("ad1-test", "dmg-hfsplus-dfvfs", "hfsplus-dfvfs", "apfs-dfvfs", "vmdk-ext2-dfvfs")
STUB = b"MZ" + random.Random(3).randbytes(150_000)
needs_wimlib = pytest.mark.skipif(
    shutil.which("wimlib-imagex") is None and not os.environ.get("CI"), reason="wimlib-imagex is not installed"
)
needs_7z = pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7z is not installed")
needs_zip = pytest.mark.skipif(shutil.which("zip") is None and not os.environ.get("CI"), reason="zip is not installed")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def held(members: list[dict[str, Any]]) -> dict[str, str]:
    """The digest of each member by its path."""
    return {row["path"]: row["sha256"] for row in members}


@pytest.mark.corpus
@pytest.mark.parametrize("identifier", IMAGES)
def test_an_image_inside_gives_what_independent_tools_found_in_it(
    corpus: Path, corpus_image: Callable[[str], Path], tmp_path: Path, identifier: str
) -> None:
    """The truth is fls and icat's, or that of the tools that the corpus names."""
    truth = [json.loads(line) for line in (corpus / "open" / "truth" / f"{identifier}.jsonl").read_text().splitlines()]
    wanted = {row["sha256"] for row in truth if row.get("allocated", True) and row.get("sha256") and row.get("meta_type", "r") == "r"}
    assert wanted
    members, problems = case_of(tmp_path, {"a file": corpus_image(identifier).read_bytes()})
    assert wanted <= {row["sha256"] for row in members}
    assert not [row for row in problems if row["code"] == "container-unreadable"]


@needs_wimlib
def test_a_wim_file_gives_the_files_that_wimlib_captured(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "letter.txt").write_bytes(LETTER)
    subprocess.run(["wimlib-imagex", "capture", str(tree), "made.wim", "one"], cwd=tmp_path, check=True, capture_output=True)
    members, problems = case_of(tmp_path, {"a file": (tmp_path / "made.wim").read_bytes()})
    assert [digest(LETTER)] == [row["sha256"] for row in members if row["path"].endswith("/sub/letter.txt")]
    assert problems == []


def test_a_disk_with_a_gpt_is_opened_whatever_its_name(tmp_path: Path) -> None:
    """Expected are the digests that icat gave of the sample."""
    image = unpack("gpt-fat32-ext4", tmp_path / "made.dd")
    lines = (SAMPLES / "gpt-fat32-ext4" / "expected" / "entries.jsonl").read_text().splitlines()[1:]
    wanted = {
        f"a file//{row['volume']}/{row['path']}": row["sha256"]
        for row in map(json.loads, lines)
        if row["recovery"] == "allocated" and row["kind"] == "file" and row.get("sha256")
    }
    members, _ = case_of(tmp_path, {"a file": image.read_bytes()})
    assert len(wanted) > 5
    assert wanted.items() <= held(members).items()


def test_a_dmg_that_begins_like_bzip2_is_opened_as_the_disk_that_it_is(tmp_path: Path) -> None:
    """The file as Apple's tools write it in the form UDBZ: compressed data first, the format's own record last."""
    disk = unpack("ntfs-mbr", tmp_path / "made.dd").read_bytes()
    members, _ = case_of(tmp_path, {"a file": udbz(disk)})
    lines = (SAMPLES / "ntfs-mbr" / "expected" / "entries.jsonl").read_text().splitlines()[1:]
    wanted = {
        row["sha256"] for row in map(json.loads, lines) if row["recovery"] == "allocated" and row["kind"] == "file" and row.get("sha256")
    }
    assert wanted <= set(held(members).values())
    assert all(path.startswith("a file//v") for path in held(members))


def udbz(disk: bytes) -> bytes:
    """A DMG of one table of bzip2 chunks of 1 MiB (structures as in Apple's UDIF resource file; `koly` at the end)."""
    chunk = 1 << 20
    stored, records = bytearray(), []
    for at in range(0, len(disk), chunk):
        part = disk[at : at + chunk]
        packed = bz2.compress(part)
        records.append(struct.pack(">IIQQQQ", 0x80000006, 0, at // 512, len(part) // 512, len(stored), len(packed)))
        stored += packed
    records.append(struct.pack(">IIQQQQ", 0xFFFFFFFF, 0, len(disk) // 512, 0, len(stored), 0))
    checksum = struct.pack(">II128s", 2, 32, struct.pack(">I", zlib.crc32(disk)))
    table = struct.pack(">4sIQQQII24s", b"mish", 1, 0, len(disk) // 512, 0, 2056, 0, bytes(24)) + checksum
    table += struct.pack(">I", len(records)) + b"".join(records)
    resources = plistlib.dumps({"resource-fork": {"blkx": [{"Attributes": "0x0050", "Data": table, "ID": "0", "Name": "disk"}]}})
    end = struct.pack(">4sIII QQQQQ II 16s", b"koly", 4, 512, 1, 0, 0, len(stored), 0, 0, 1, 1, bytes(16))
    end += struct.pack(">II128s QQ 120s", 0, 0, bytes(128), len(stored), len(resources), bytes(120))
    end += struct.pack(">II128s IQ 12s", 0, 0, bytes(128), 1, len(disk) // 512, bytes(12))
    assert len(end) == 512
    return bytes(stored) + resources + end


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("setup.exe", STUB + SEVEN_ARCHIVE, {"setup.exe//seven.txt": digest(SEVEN)}),
        ("setup.exe", STUB + zipped({"letter.txt": LETTER}), {"setup.exe//letter.txt": digest(LETTER)}),
        ("photo.jpg", b"\xff\xd8\xff\xe0" + STUB + zipped({"letter.txt": LETTER}), {"photo.jpg//letter.txt": digest(LETTER)}),
        # A signature behind the archive, as signed programs have it.
        ("setup.exe", STUB + zipped({"letter.txt": LETTER}) + b"\1\0\2\0" * 2000, {"setup.exe//letter.txt": digest(LETTER)}),
    ],
    ids=["7z behind a program", "zip behind a program", "zip behind a picture", "zip in a signed program"],
)
def test_an_archive_behind_other_bytes_is_opened(tmp_path: Path, name: str, content: bytes, expected: dict[str, str]) -> None:
    """The 7z archive is 7-Zip's own; what was put in is the truth."""
    members, problems = case_of(tmp_path, {name: content})
    assert held(members) == expected
    assert problems == []


def test_a_program_that_holds_the_signatures_of_archives_is_no_archive(tmp_path: Path) -> None:
    program = STUB + b"7z\xbc\xaf\x27\x1c" + b"Rar!\x1a\x07\x00" + b"PK\3\4PK\1\2PK\5\6" + random.Random(4).randbytes(30_000)
    members, problems = case_of(tmp_path, {"7z.exe": program})
    assert (members, problems) == ([], [])


def test_a_zip_that_ends_another_container_does_not_stand_for_it(tmp_path: Path) -> None:
    """A 7z archive with a ZIP file behind it: as bytes go, its end is that of the ZIP file."""
    members, _ = case_of(tmp_path, {"seven.7z": SEVEN_ARCHIVE + zipped({"letter.txt": LETTER})})
    assert held(members)["seven.7z//seven.txt"] == digest(SEVEN)


@needs_zip
def test_the_last_part_of_a_split_zip_says_what_the_archive_holds_and_where_the_rest_is(tmp_path: Path) -> None:
    """Split by Info-ZIP; the names are those of the files that it was given."""
    contents = {f"{number}.bin": random.Random(number).randbytes(60_000) for number in range(4)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    subprocess.run(["zip", "-q", "-s", "100k", "all.zip", *contents], cwd=tmp_path, check=True)
    parts = {path.name: path.read_bytes() for path in tmp_path.glob("all.z*")}
    assert set(parts) == {"all.z01", "all.z02", "all.zip"}
    members, problems = case_of(tmp_path, parts)
    listed = {row["path"]: row["scan"] for row in members if row["path"].startswith("all.zip//")}
    assert {f"all.zip//{name}" for name in contents} <= set(listed)
    (problem,) = (row for row in problems if row["path"] == "all.zip" and row["code"] == "member-elsewhere")
    assert "3 files" in problem["why"]
    # What lies in one part whole is read there.
    assert held(members)["all.z01//0.bin"] == digest(contents["0.bin"])


@needs_7z
def test_the_first_part_of_a_split_7z_says_that_it_is_one_part(tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(random.Random(5).randbytes(300_000))
    subprocess.run(["7z", "a", "-v100k", "all.7z", "noise.bin"], cwd=tmp_path, check=True, capture_output=True)
    parts = {path.name: path.read_bytes() for path in tmp_path.glob("all.7z.*")}
    assert len(parts) == 3
    members, problems = case_of(tmp_path, parts)
    assert members == []
    (problem,) = problems
    assert (problem["path"], problem["code"]) == ("all.7z.001", "container-unreadable")
    assert "one part of an archive in several files" in problem["why"]
