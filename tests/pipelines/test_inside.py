"""Whole runs over files that hold files: each member a row, each bound one problem, and nothing written where a name says."""

from __future__ import annotations

import base64
import bz2
import email.message
import functools
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from running import SAMPLES, digests, rows_of, run, tables_of, unpack

from forensics.credentials import passphrase_credential
from forensics.expansion.bounds import Bounds
from forensics.expansion.zstandard import zstd

if TYPE_CHECKING:
    from pipelines.run import RunResult

_MIB = 1 << 20
_MARK = b"the marker that the rule looks for"
_RULE = 'rule marked { strings: $a = "the marker that the rule looks for" condition: $a }\n'
_PASSWORD = "open sesame"
_WHEN = (2024, 3, 1, 9, 30, 0)
_WHEN_NS = 1_709_285_400_000_000_000  # date -u -d '2024-03-01 09:30:00' +%s
LETTER, DEEP, LOCKED, NOTES, DOCUMENT = (
    b"Dear Sir or Madam\n" * 100,
    b"deep " + _MARK,
    b"locked " + _MARK,
    b"notes\n" * 500,
    b"<w:document/>",
)
# Made with `7z a` (7-Zip 26.02) of a file seven.txt with these 18 bytes and the time above.
SEVEN = b"Found inside a 7z\n"
SEVEN_ARCHIVE = bytes.fromhex(
    "377abcaf271c000466e9a6d216000000000000005a00000000000000e972a47c010011466f756e6420696e73696465206120377a0a000104060001091600070b"
    "010001212101000c1200080a016f4fd58a00000501190c00000000000000000000000011150073006500760065006e002e007400780074000000140a0100009c"
    "1c08bb6bda01150601002080a4810000"
)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), content, compress_type=method)
    return made.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), _WHEN_NS // 10**9
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def locked_zip(name: str, content: bytes, password: str) -> bytes:
    """A ZIP of one stored member under the traditional encryption (PKWARE APPNOTE 6.1)."""
    table = [functools.reduce(lambda crc, _: crc >> 1 ^ (0xEDB88320 if crc & 1 else 0), range(8), byte) for byte in range(256)]
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = table[(keys[0] ^ byte) & 255] ^ keys[0] >> 8
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = table[(keys[2] ^ keys[1] >> 24) & 255] ^ keys[2] >> 8

    for byte in password.encode():
        update(byte)
    packed = bytearray()
    crc = zlib.crc32(content)
    for byte in (*bytes(11), crc >> 24, *content):
        key = keys[2] & 0xFFFF | 2
        packed.append(byte ^ (key * (key ^ 1)) >> 8 & 255)
        update(byte)
    middle = struct.pack("<5H3I2H", 20, 1, 0, 9 << 11 | 30 << 5, 44 << 9 | 3 << 5 | 1, crc, len(packed), len(content), len(name), 0)
    local = b"PK\3\4" + middle + name.encode() + packed
    directory = b"PK\1\2" + struct.pack("<H", 20) + middle + struct.pack("<3H2I", 0, 0, 0, 0, 0) + name.encode()
    return local + directory + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(local), 0)


def message(attached: bytes) -> bytes:
    mail = email.message.EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "files"
    mail.set_content("See the file.")
    mail.add_attachment(attached, maintype="application", subtype="octet-stream", filename="attached.bin")
    return mail.as_bytes()


def evidence(folder: Path) -> Path:
    """A folder of files that hold files."""
    folder.mkdir()
    inner = gzip.compress(tarred({"deep/secret.txt": DEEP}), mtime=0)
    for name, content in {
        "outer.zip": zipped({"letter.txt": LETTER, "inner.tar.gz": inner}),
        "locked.zip": locked_zip("locked.txt", LOCKED, _PASSWORD),
        "seven.7z": SEVEN_ARCHIVE,
        "notes.txt.gz": gzip.compress(NOTES, mtime=0),
        "notes.txt.bz2": bz2.compress(NOTES),
        "notes.txt.xz": lzma.compress(NOTES),
        "notes.txt.zst": zstd.compress(NOTES),
        "mail.eml": message(zipped({"enclosed.txt": DEEP})),
        "report.docx": zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": DOCUMENT}),
        "plain.txt": LETTER,
    }.items():
        (folder / name).write_bytes(content)
    unpack("ntfs-mbr", folder / "disk.dd")
    return folder


def rule_file(folder: Path) -> Path:
    path = folder / "marked.yar"
    path.write_text(_RULE)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inside")


@pytest.fixture(scope="module")
def folder(place: Path) -> Path:
    return evidence(place / "files")


@pytest.fixture(scope="module")
def result(place: Path, folder: Path) -> RunResult:
    return run(folder, place / "case", rules=(rule_file(place),), credentials=(passphrase_credential(_PASSWORD),))


@pytest.fixture(scope="module")
def entries(result: RunResult) -> dict[str, dict[str, Any]]:
    """The rows of default streams, by path."""
    return {row["path"]: row for row in rows_of(tables_of(result), "entries") if not row["stream"]}


_MEMBERS = {
    "outer.zip//letter.txt": LETTER,
    "outer.zip//inner.tar.gz//inner.tar//deep/secret.txt": DEEP,
    "locked.zip//locked.txt": LOCKED,
    "seven.7z//seven.txt": SEVEN,
    "notes.txt.gz//notes.txt": NOTES,
    "notes.txt.bz2//notes.txt": NOTES,
    "notes.txt.xz//notes.txt": NOTES,
    "notes.txt.zst//notes.txt": NOTES,
    "mail.eml//attached.bin//enclosed.txt": DEEP,
    "report.docx//[Content_Types].xml": b"<Types/>",
    "report.docx//word/document.xml": DOCUMENT,
}


@pytest.mark.parametrize("path", _MEMBERS)
def test_a_member_is_a_row_with_its_digests_and_the_way_to_it(entries: dict[str, dict[str, Any]], path: str) -> None:
    row, content = entries[path], _MEMBERS[path]
    assert row["recovery"] == "archive member"
    assert (row["size"], row["bytes_read"], row["scan"]) == (len(content), len(content), "complete")
    assert [row[name] for name in ("md5", "sha1", "sha256")] == [
        hashlib.new(name, content).hexdigest() for name in ("md5", "sha1", "sha256")
    ]
    assert len(row["address_chain"]) == path.count("//"), "a step for each container"
    container = entries[path.partition("//")[0]]
    assert container["recovery"] == "allocated"
    assert [row[name] for name in ("volume", "metadata_address")] == [container[name] for name in ("volume", "metadata_address")]


def test_the_way_names_each_container(entries: dict[str, dict[str, Any]]) -> None:
    chain = entries["outer.zip//inner.tar.gz//inner.tar//deep/secret.txt"]["address_chain"]
    assert [step.partition(":")[0] for step in chain] == ["zip", "gzip", "tar"]


def test_every_path_stands_there_once(result: RunResult) -> None:
    rows = [(row["path"], row["stream"], row["recovery"]) for row in rows_of(tables_of(result), "entries")]
    members = [row for row in rows if row[2] == "archive member"]
    assert len(members) > len(_MEMBERS)
    disk = [row for row in members if row[0].startswith("disk.dd//")]
    assert len({row for row in members if row not in disk}) == len([row for row in members if row not in disk])


def test_times_of_members_are_those_of_the_archive(entries: dict[str, dict[str, Any]]) -> None:
    for path, basis in (
        ("outer.zip//letter.txt", "local, unknown zone"),
        ("outer.zip//inner.tar.gz//inner.tar//deep/secret.txt", "UTC"),
        ("seven.7z//seven.txt", "UTC"),
        ("locked.zip//locked.txt", "local, unknown zone"),
    ):
        assert (entries[path]["modified"], entries[path]["tz_basis"]) == (_WHEN_NS, basis), path


def test_rules_are_matched_inside_members(result: RunResult) -> None:
    hits = rows_of(tables_of(result), "hits")
    found = {row["path"]: row for row in hits}
    expected = [path for path, content in _MEMBERS.items() if _MARK in content]
    assert set(expected) <= set(found)
    for path in expected:
        assert found[path]["offset"] == _MEMBERS[path].index(_MARK)
        assert found[path]["sha256"] == hashlib.sha256(_MEMBERS[path]).hexdigest()
        assert found[path]["volume_offset"] is None


def test_files_of_a_disk_image_inside_are_those_that_icat_gave(entries: dict[str, dict[str, Any]]) -> None:
    lines = (SAMPLES / "ntfs-mbr" / "expected" / "entries.jsonl").read_text().splitlines()[1:]
    truth = {}
    for row in map(json.loads, lines):
        if row["recovery"] == "allocated" and not row["stream"] and row.get("sha256") and row["kind"] == "file":
            truth[f"disk.dd//{row['volume']}/{row['path']}"] = row["sha256"]
    found = {path: entries[path]["sha256"] for path in truth if path in entries}
    assert found == truth
    assert len(truth) > 10


def test_members_count_nowhere_in_the_ledger(result: RunResult, folder: Path) -> None:
    tables = tables_of(result)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert sum(row["size_bytes"] for row in rows_of(tables, "coverage")) == size
    assert sum(row["stream_bytes"] for row in rows_of(tables, "coverage")) == size


def test_two_workers_give_the_same_tables(place: Path, folder: Path, result: RunResult) -> None:
    again = run(folder, place / "again", rules=(place / "marked.yar",), credentials=(passphrase_credential(_PASSWORD),), workers=2)
    assert digests(tables_of(again)) == digests(tables_of(result))


@pytest.mark.parametrize("passwords", [(), ("wrong", "also wrong")])
def test_a_locked_member_is_listed_and_a_problem_says_what_was_tried(tmp_path: Path, passwords: tuple[str, ...]) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "locked.zip").write_bytes(locked_zip("locked.txt", LOCKED, _PASSWORD))
    credentials = tuple(passphrase_credential(one) for one in passwords)
    tables = tables_of(run(files, tmp_path / "case", rules=(), credentials=credentials))
    (row,) = (row for row in rows_of(tables, "entries") if row["recovery"] == "archive member")
    assert (row["path"], row["size"], row["bytes_read"], row["sha256"], row["scan"]) == (
        "locked.zip//locked.txt",
        len(LOCKED),
        0,
        None,
        "failed",
    )
    (problem,) = rows_of(tables, "problems")
    assert (problem["code"], problem["path"]) == ("member-encrypted", "locked.zip//locked.txt")
    assert problem["why"] == (f"none of the {len(passwords)} passphrases given opens it" if passwords else "no passphrase was given")


def bounded(monkeypatch: pytest.MonkeyPatch, **bounds: int) -> None:
    """Runs in this process have these bounds."""
    monkeypatch.setattr("pipelines.profiles.Bounds", functools.partial(Bounds, **bounds))


def case_of(tmp_path: Path, files: dict[str, bytes]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Members and problems of a run over the files."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    result = run(folder, tmp_path / "case", rules=())
    assert not (result.case / "work").exists(), "no copy is left behind"
    tables = tables_of(result)
    return [row for row in rows_of(tables, "entries") if row["recovery"] == "archive member"], rows_of(tables, "problems")


def test_a_bomb_of_nested_zips_is_one_problem_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like 42.zip: 16 archives in each of 16 in each of 16, 8 MiB of zeros in each of the last; 32 GiB in all."""
    bounded(monkeypatch, floor_bytes=32 * _MIB, factor=10)
    level = zipped({"zeros": bytes(8 * _MIB)})
    for depth in range(3):
        level = zipped({f"lib {depth}{number:x}.zip": level for number in range(16)})
    members, problems = case_of(tmp_path, {"42.zip": level, "beside.zip": zipped({"letter.txt": LETTER})})
    assert [(row["code"], row["path"]) for row in problems] == [("expansion-limit", "42.zip")]
    assert sum(row["bytes_read"] or 0 for row in members) <= 33 * _MIB
    assert [row["sha256"] for row in members if row["path"] == "beside.zip//letter.txt"] == [hashlib.sha256(LETTER).hexdigest()]
    for row in members:
        assert row["bytes_read"] == row["size"] or row["scan"] in ("skipped", "partial", "failed"), "what was cut off says so"
        assert row["bytes_read"] == row["size"] or row["sha256"] is None


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_a_stream_of_zeros_is_one_problem_and_read_to_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Any) -> None:
    bounded(monkeypatch, floor_bytes=8 * _MIB, factor=1)
    (member,), problems = case_of(tmp_path, {"zeros": pack(bytes(16 * _MIB))})
    assert [(row["code"], row["path"]) for row in problems] == [("expansion-limit", "zeros")]
    assert member["bytes_read"] <= 8 * _MIB
    assert member["sha256"] is None


def test_members_are_listed_up_to_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bounded(monkeypatch, members=20)
    members, problems = case_of(tmp_path, {"many.zip": zipped({f"{number}": b"x" for number in range(50)})})
    assert len(members) == 20
    assert [(row["code"], row["path"]) for row in problems] == [("expansion-limit", "many.zip")]


def test_containers_are_opened_to_the_stated_depth(tmp_path: Path) -> None:
    """The default: 8 containers one in the other."""
    inner = DEEP
    for _ in range(12):
        inner = zipped({"x": inner}, zipfile.ZIP_STORED)
    members, problems = case_of(tmp_path, {"deep.zip": inner})
    assert [row["path"].count("//") for row in members] == list(range(1, 9))
    assert [(row["code"], row["path"]) for row in problems] == [("expansion-limit", "deep.zip")]


@pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7z is not installed")
def test_an_encrypted_7z_in_a_zip_is_opened_and_one_that_is_damaged_is_not_called_locked(tmp_path: Path) -> None:
    """The archive is 7-Zip's own, with the names of its members encrypted; what was put in is the truth."""
    (tmp_path / "secret.txt").write_bytes(LOCKED)
    subprocess.run(["7z", "a", f"-p{_PASSWORD}", "-mhe=on", "a.7z", "secret.txt"], cwd=tmp_path, check=True, capture_output=True)
    locked = (tmp_path / "a.7z").read_bytes()
    # Made again without a passphrase, with BZip2, which makes py7zr read it, and with its header struck (7zFormat.txt, Header).
    subprocess.run(["7z", "a", "-m0=BZip2", "b.7z", "secret.txt"], cwd=tmp_path, check=True, capture_output=True)
    whole = (tmp_path / "b.7z").read_bytes()
    struck = whole[:-20] + bytes(8) + whole[-12:]
    files = tmp_path / "files"
    files.mkdir()
    (files / "outer.zip").write_bytes(zipped({"a.7z": locked, "struck.7z": struck}))
    tables = tables_of(run(files, tmp_path / "case", rules=(), credentials=(passphrase_credential(_PASSWORD),)))
    entries = {row["path"]: row for row in rows_of(tables, "entries")}
    member = entries["outer.zip//a.7z//secret.txt"]
    assert (member["sha256"], member["unlocked_with"]) == (hashlib.sha256(LOCKED).hexdigest(), "passphrase")
    problems = [(row["code"], row["path"]) for row in rows_of(tables, "problems")]
    assert problems == [("container-unreadable", "outer.zip//struck.7z")]


def test_a_member_that_its_archive_lists_no_more_is_told_as_deleted(tmp_path: Path) -> None:
    """Its local header and bytes are left, and the central directory does not name it (PKWARE APPNOTE 4.3)."""
    both = zipped({"gone.txt": NOTES, "kept.txt": LETTER})
    directory = both.index(b"PK\x01\x02")
    second = both.index(b"PK\x01\x02", directory + 4)
    end = both.index(b"PK\x05\x06")
    size = end - second
    tail = both[end : end + 8] + struct.pack("<HHII", 1, 1, size, directory) + both[end + 20 :]
    entries, _ = case_of(tmp_path, {"a.zip": both[:directory] + both[second:end] + tail})
    found = {row["path"]: row for row in entries}
    assert (found["a.zip//gone.txt"]["metadata_allocated"], found["a.zip//gone.txt"]["sha256"]) == (
        False,
        hashlib.sha256(NOTES).hexdigest(),
    )
    assert found["a.zip//kept.txt"]["metadata_allocated"] is None


def test_times_of_a_zip_with_a_unix_time_are_utc_and_those_without_are_not(tmp_path: Path) -> None:
    """The extra field "UT" of Info-ZIP holds seconds since 1970 UTC; the MS-DOS time has no zone (APPNOTE 4.4.6, 4.5.3)."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        entry = zipfile.ZipInfo("utc.txt", _WHEN)
        entry.extra = struct.pack("<HHBI", 0x5455, 5, 1, _WHEN_NS // 10**9)
        archive.writestr(entry, b"a")
        archive.writestr(zipfile.ZipInfo("local.txt", _WHEN), b"b")
    entries, _ = case_of(tmp_path, {"a.zip": made.getvalue()})
    assert {row["path"]: row["tz_basis"] for row in entries if "//" in row["path"]} == {
        "a.zip//utc.txt": "UTC",
        "a.zip//local.txt": "local, unknown zone",
    }


def test_names_that_lead_out_write_nothing_outside(tmp_path: Path) -> None:
    names = ["../../escape", "/tmp/evidex-escape", "C:\\evidex-escape", "..\\..\\escape", "a/../../escape", "\x1b[31mred", "n" * 300]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        behind = tarfile.TarInfo("link/escape")
        behind.size = 4
        archive.addfile(behind, io.BytesIO(b"evil"))
    members, problems = case_of(tmp_path, {"slip.zip": zipped(dict.fromkeys(names, b"evil")), "slip.tar": made.getvalue()})
    assert problems == []
    evil = [row["path"] for row in members if row["sha256"] == hashlib.sha256(b"evil").hexdigest()]
    assert len(evil) == len(names) + 1
    assert "slip.tar//link/escape" in evil
    assert "slip.zip//../../escape" in evil
    assert not [path for path in evil if not path.isprintable()]
    (linked,) = (row for row in members if row["path"] == "slip.tar//link")
    assert (linked["kind"], linked["link_target"], linked["sha256"]) == ("link", str(tmp_path), None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case", "case-state", "files"]
    assert not Path("/tmp/evidex-escape").exists()
    assert not [path for path in tmp_path.rglob("*") if "escape" in path.name]


def test_a_damaged_archive_costs_a_problem_and_keeps_what_came_before(tmp_path: Path) -> None:
    whole = zipped({"first.txt": LETTER, "second.txt": bytes(range(256)) * 16}, zipfile.ZIP_STORED)
    damaged = bytearray(whole)
    damaged[whole.index(bytes(range(256))) + 100] ^= 1
    members, problems = case_of(tmp_path, {"damaged.zip": bytes(damaged), "text.zip": base64.b64encode(whole)})
    found = {row["path"]: row for row in members}
    assert found["damaged.zip//first.txt"]["sha256"] == hashlib.sha256(LETTER).hexdigest()
    assert [row["path"] for row in problems] == ["damaged.zip//second.txt"]
    assert "CRC" in problems[0]["why"] or "checksum" in problems[0]["why"]
