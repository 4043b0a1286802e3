"""ZIP as logical evidence: archives made by Info-ZIP, 7z and Python beside what they were made of."""

from __future__ import annotations

import io
import os
import random
import shutil
import struct
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest
from listed import LIMITS, listed, survives

from forensics.filesystems.base import Kind, Recovery
from forensics.image import open_image
from forensics.logical.zip import ZipReader

if TYPE_CHECKING:
    from pathlib import Path

needs_zip = pytest.mark.skipif(shutil.which("zip") is None and not os.environ.get("CI"), reason="zip is not installed")
needs_7z = pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7z is not installed")

FILES = {
    "plain.txt": b"plain\n" * 100,
    "d/empty": b"",
    "d/noise": random.Random(1).randbytes(70_000),
    "d/\u00fcnter/\u65e5\u672c": bytes(range(256)) * 300,
}
TIME = 1_600_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        os.utime(folder / name, (TIME, TIME))
    return folder


def run(folder: Path, *command: str) -> Path:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder.parent / "case.zip"


def laid(folder: Path, data: bytes) -> Path:
    path = folder / "x.zip"
    path.write_bytes(data)
    return path


def made(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 9, 13, 12, 26, 40)), content, compress_type=method)
    return buffer.getvalue()


@needs_zip
def test_an_archive_of_info_zip_lists_its_tree(tree: Path) -> None:
    (tree / "link").symlink_to("../../outside")
    found = listed(run(tree, "zip", "-ry", "../case.zip", "."))
    assert (found.filesystem, found.problems) == ("zip", [])
    assert {path: found.contents[path] for path in FILES} == FILES
    link = found.entry("link")
    assert (link.kind, link.link_target) == (Kind.LINK, "../../outside")
    assert found.entry("d").kind is Kind.DIRECTORY
    entry = found.entry("plain.txt")
    assert (entry.size, entry.mode, entry.times.modified) == (600, (tree / "plain.txt").stat().st_mode & 0o7777, TIME * 10**9)


@needs_zip
def test_a_file_that_was_zipped_from_a_pipe_has_its_length_behind_it(tree: Path) -> None:
    command = "cat plain.txt | zip ../case.zip - && zip -q ../case.zip d/noise"
    assert listed(run(tree, "sh", "-c", command)).contents == {"-": FILES["plain.txt"], "d/noise": FILES["d/noise"]}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_of_python_lists_its_members(tmp_path: Path, method: int) -> None:
    found = listed(laid(tmp_path, made(FILES, method)))
    assert (found.contents, found.problems) == (FILES, [])
    assert found.entry("plain.txt").times.modified == TIME * 10**9


def test_zip64_is_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("one", "w", force_zip64=True) as file:
        file.write(FILES["d/noise"])
    assert listed(laid(tmp_path, buffer.getvalue())).contents == {"one": FILES["d/noise"]}


def test_more_members_than_the_old_count_has_room_for(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(66_000):
            archive.writestr(zipfile.ZipInfo(f"{number}/"), b"")
    with open_image(laid(tmp_path, buffer.getvalue())) as image:
        found = [getattr(one, "path", one) for one in ZipReader(image).iter_entries(LIMITS)]
    assert found == [b"%d" % number for number in range(66_000)]


@needs_zip
def test_traditional_encryption_opens_with_its_passphrase_and_says_so_without(tree: Path) -> None:
    path = run(tree, "zip", "-r", "-P", "s3cret", "../case.zip", ".")
    assert {name: found for name, found in listed(path, "wrong", "s3cret").contents.items() if name in FILES} == FILES
    assert listed(path, "s3cret").problems == []
    for passphrases, why in (((), "no passphrase was given"), (("wrong", "also wrong"), "none of the 2 passphrases given opens it")):
        found = listed(path, *passphrases)
        assert {problem.code for problem in found.problems} == {"member-encrypted"}
        assert {problem.why for problem in found.problems} == {why}
        assert sorted(problem.path for problem in found.problems) == sorted(FILES)
        assert not any("s3cret" in repr(problem) for problem in found.problems)
        assert len(found.entries) == 6


@needs_7z
@pytest.mark.parametrize("method", ["AES128", "AES256", "ZipCrypto"])
def test_encryption_of_7z_opens_with_its_passphrase(tree: Path, method: str) -> None:
    path = run(tree, "7z", "a", "-tzip", f"-mem={method}", "-ps3cret", "../case.zip", "plain.txt", "d")
    found = listed(path, "wrong", "s3cret")
    assert (found.contents, found.problems) == (FILES, [])
    assert {problem.code for problem in listed(path, "wrong").problems} == {"member-encrypted"}


@pytest.mark.parametrize("method", ["AES256", "ZipCrypto"])
@needs_7z
def test_a_damaged_member_under_the_right_passphrase_is_damaged_and_not_locked(tree: Path, method: str) -> None:
    path = run(tree, "7z", "a", "-tzip", f"-mem={method}", "-mx=0", "-ps3cret", "../case.zip", "plain.txt", "d/noise")
    data = bytearray(path.read_bytes())
    data[-30_000] ^= 1  # in the second one
    path.write_bytes(data)
    found = listed(path, "s3cret")
    assert found.contents["plain.txt"] == FILES["plain.txt"]
    assert "member-encrypted" not in found.codes
    content = found.contents["d/noise"]
    assert isinstance(content, str) or found.codes == ["stated-digest-mismatch"]


def test_names_are_data(tmp_path: Path) -> None:
    files = {"../../escape": b"1", "/etc/passwd": b"2", "C:\\x\\y": b"3", "a\x1b[2J\n": b"4"}
    found = listed(laid(tmp_path, made(files)))
    assert set(found.contents.values()) == {b"1", b"2", b"3", b"4"}
    assert {entry.path for entry in found.entries} >= {b"../../escape", b"/etc/passwd", b"a\x1b[2J\n"}


def test_a_name_that_is_not_utf_8_is_in_code_page_437(tmp_path: Path) -> None:
    data = made({"caf_": b"x"}).replace(b"caf_", b"caf\x82")
    assert listed(laid(tmp_path, data)).contents == {"café": b"x"}


def test_a_checksum_that_does_not_hold_is_a_problem(tmp_path: Path) -> None:
    data = bytearray(made({"a": b"content of a"}, zipfile.ZIP_STORED))
    data[data.index(b"content of a")] ^= 1
    found = listed(laid(tmp_path, bytes(data)))
    assert found.codes == ["stated-digest-mismatch"]
    assert "CRC-32" in found.problems[0].why


def test_a_member_that_the_directory_does_not_list_is_deleted(tmp_path: Path) -> None:
    whole = made({"kept": b"kept", "gone": b"gone", "last": b"last"}, zipfile.ZIP_STORED)
    start = whole.index(b"PK\1\2")
    entries = whole[start : whole.index(b"PK\5\6")]
    second = entries.index(b"PK\1\2", 4)
    without = entries[:second] + entries[entries.index(b"PK\1\2", second + 4) :]
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2, 2, len(without), start, 0)
    found = listed(laid(tmp_path, whole[:start] + without + end))
    assert found.contents == {"kept": b"kept", "gone": b"gone", "last": b"last"}
    assert [(entry.path, entry.recovery) for entry in found.entries] == [
        (b"kept", Recovery.ALLOCATED),
        (b"last", Recovery.ALLOCATED),
        (b"gone", Recovery.DELETED),
    ]


def test_without_its_directory_the_members_are_looked_for(tmp_path: Path) -> None:
    whole = made({"a": b"1" * 500, "b": b"2" * 500})
    found = listed(laid(tmp_path, whole[: whole.index(b"PK\1\2")]))
    assert found.codes == ["container-damaged"]
    assert found.contents == {"a": b"1" * 500, "b": b"2" * 500}


def test_what_stands_before_an_archive_is_said(tmp_path: Path) -> None:
    found = listed(laid(tmp_path, b"PK\3\4 is how it must begin to be taken for one".ljust(512) + made({"a": b"1"})))
    assert found.contents == {"a": b"1"}
    assert [(problem.code, problem.size_bytes) for problem in found.problems] == [("prefix-data", 512)]


def test_local_headers_that_say_something_else_are_said(tmp_path: Path) -> None:
    data = made({"shown.txt": b"1"}).replace(b"shown.txt", b"other.exe", 1)
    found = listed(laid(tmp_path, data))
    assert found.codes == ["zip-headers-differ"]
    assert found.contents == {"shown.txt": b"1"}


def test_members_that_share_bytes_are_not_read(tmp_path: Path) -> None:
    whole = made({"a": b"1" * 50_000})
    start = whole.index(b"PK\1\2")
    entry = whole[start : whole.index(b"PK\5\6")]
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 9, 9, 9 * len(entry), start, 0)
    found = listed(laid(tmp_path, whole[:start] + entry * 9 + end))
    assert found.codes == ["member-overlaps"] * 8
    assert found.contents == {"a": b"1" * 50_000}


def test_a_member_out_of_proportion_is_not_read(tmp_path: Path) -> None:
    data = bytearray(made({"a": bytes(1 << 20)}))
    at = data.index(b"PK\1\2") + 24
    data[at : at + 4] = b"\xfe\xff\xff\xff"
    found = listed(laid(tmp_path, bytes(data)))
    assert isinstance(found.contents.get("a", ""), str)
    assert set(found.codes) <= {"zip-headers-differ", "expansion-limit"}


def test_a_directory_that_places_a_member_before_the_file_is_an_error_of_that_member(tmp_path: Path) -> None:
    data = bytearray(made({"a": b"1", "b": b"2"}))
    end = data.rindex(b"PK\5\6")
    struct.pack_into("<I", data, end + 16, struct.unpack_from("<I", data, end + 16)[0] + (1 << 30))
    found = listed(laid(tmp_path, bytes(data)))
    assert [entry.path for entry in found.entries] == [b"a", b"b", b"a", b"b"]  # by the directory, then by their local headers
    assert all(isinstance(content, bytes) for content in found.contents.values())


def test_damaged_archives_give_errors_of_ours_only(tmp_path: Path) -> None:
    data = made({name: content[:3000] for name, content in FILES.items()})
    assert survives(tmp_path, "x.zip", data, times=60) > 20


@needs_zip
def test_damaged_encrypted_archives_give_errors_of_ours_only(tmp_path: Path, tree: Path) -> None:
    data = run(tree, "zip", "-P", "s3cret", "../case.zip", "plain.txt", "d/empty").read_bytes()
    survives(tmp_path, "x.zip", data, times=40, passphrases=("s3cret",))
