"""Tar: archives made by GNU tar beside the tree they were made of; header blocks built here after POSIX.1-2017."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import socket
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listed import listed, survives

from forensics.errors import Problem
from forensics.filesystems.base import Kind
from forensics.logical.tar_headers import iter_records, number, pax_time
from forensics.logical.tar_index import TarScan
from forensics.timestamps import OutOfRange

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMATS = ("gnu", "oldgnu", "pax", "ustar")
LONG = "n" * 90 + "/" + "m" * 120 + "/" + "o" * 60
TIME_NS = 1_600_000_000_123_456_789


class Bytes:
    """Some bytes as a byte source."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


def laid_tree(folder: Path, *, long: bool = True) -> dict[str, bytes]:
    """A tree of every kind of entry; the contents of its files by their paths."""
    contents = {"plain.txt": b"plain\n", "sub/empty": b"", "sub/block": b"b" * 512, "sub/öä": bytes(range(256)) * 9}
    if long:
        contents[LONG] = b"long"
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        os.utime(folder / name, ns=(TIME_NS, TIME_NS))
    (folder / "link").symlink_to("sub/block")
    (folder / "away").symlink_to("../../../../etc/passwd")
    os.mkfifo(folder / "fifo")
    os.link(folder / "plain.txt", folder / "sub" / "second")
    return {**contents, "sub/second": b"plain\n"}


def packed(folder: Path, *options: str, of: str = ".", name: str = "case.tar") -> Path:
    target = folder.parent / name
    subprocess.run(["tar", "--sort=name", *options, "-cf", target, "-C", folder, of], check=True)
    return target


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


@pytest.mark.parametrize("form", FORMATS)
def test_an_archive_of_gnu_tar_lists_its_tree(tree: Path, form: str) -> None:
    contents = laid_tree(tree, long=form != "ustar")
    found = listed(packed(tree, f"--format={form}"))
    assert (found.filesystem, found.problems) == ("tar", [])
    assert {path.removeprefix("./"): content for path, content in found.contents.items()} == contents
    assert found.entry("./link").link_target == "sub/block"
    assert found.entry("./away").link_target == "../../../../etc/passwd"
    assert found.entry("./fifo").kind is Kind.FIFO
    assert found.entry("./sub").kind is Kind.DIRECTORY
    status = (tree / "plain.txt").stat()
    entry = found.entry("./plain.txt")
    assert (entry.size, entry.owner, entry.group, entry.mode) == (6, status.st_uid, status.st_gid, status.st_mode & 0o7777)
    assert entry.times.modified == (TIME_NS if form == "pax" else TIME_NS // 10**9 * 10**9)


@pytest.mark.parametrize("options", ["--format=gnu", *(f"--format=pax --sparse-version={version}" for version in ("0.0", "0.1", "1.0"))])
@pytest.mark.parametrize("pieces", [0, 1, 3, 60])
def test_sparse_files_come_out_with_their_holes(tree: Path, options: str, pieces: int) -> None:
    with (tree / "sparse").open("wb") as file:
        for piece in range(pieces):
            file.seek(piece * 65536)
            file.write(b"data %03d\n" % piece * 500)
        file.truncate(65536 * (pieces + 2) + 7)
    (tree / "later").write_bytes(b"later")
    found = listed(packed(tree, "--sparse", *options.split()))
    assert found.problems == []
    assert found.contents["./sparse"] == (tree / "sparse").read_bytes()
    assert found.contents["./later"] == b"later"
    assert found.entry("./sparse").size == 65536 * (pieces + 2) + 7


def test_times_of_pax_have_nanoseconds_also_before_1970(tree: Path) -> None:
    (tree / "old").write_bytes(b"x")
    os.utime(tree / "old", ns=(-1_500_000_001, -1_500_000_001))
    entry = listed(packed(tree, "--format=pax", "--pax-option=delete=ctime", "--atime-preserve")).entry("./old")
    assert entry.times.modified == -1_500_000_001


def test_names_that_are_not_utf_8_are_kept_as_bytes(tree: Path) -> None:
    (tree / os.fsdecode(b"caf\xe9\x1b[2J\n")).write_bytes(b"x")
    for form in FORMATS:
        found = listed(packed(tree, f"--format={form}"))
        assert [entry.path for entry in found.entries] == [b".", b"./caf\xe9\x1b[2J\n"]
        assert list(found.contents.values()) == [b"x"]


def test_absolute_paths_and_dots_are_data(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("/etc/passwd", "../../escape", "a/../b"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    path = tmp_path / "x.tar"
    path.write_bytes(buffer.getvalue())
    assert list(listed(path).contents) == ["/etc/passwd", "../../escape", "a/../b"]


@pytest.mark.parametrize(("option", "suffix"), [("-z", "gz"), ("-j", "bz2"), ("-J", "xz"), ("--zstd", "zst")])
def test_a_compressed_archive_lists_the_same(tree: Path, option: str, suffix: str) -> None:
    contents = laid_tree(tree)
    found = listed(packed(tree, option, name=f"case.tar.{suffix}"))
    assert (found.filesystem, found.problems) == ("tar", [])
    assert {path.removeprefix("./"): content for path, content in found.contents.items()} == contents


@pytest.mark.parametrize("of", ["gz", "xz", "bz2", "zst"])
def test_one_compressed_file_is_its_content(tmp_path: Path, of: str) -> None:
    (tmp_path / "notes.txt").write_bytes(b"notes\n" * 1000)
    tool = {"gz": "gzip", "xz": "xz", "bz2": "bzip2", "zst": "zstd"}[of]
    subprocess.run([tool, "-q", "notes.txt"], cwd=tmp_path, check=True)
    found = listed(tmp_path / f"notes.txt.{of}")
    assert found.contents == {"notes.txt": b"notes\n" * 1000}
    assert found.problems == []


def test_a_compressed_archive_that_is_cut_off_lists_what_is_there(tree: Path) -> None:
    laid_tree(tree)
    (tree / "zz-random").write_bytes(os.urandom(200_000))
    path = packed(tree, "-z", name="case.tgz")
    path.write_bytes(path.read_bytes()[:-50_000])
    found = listed(path)
    assert found.codes == ["container-damaged", "member-cut-off"]
    assert found.contents["./plain.txt"] == b"plain\n"
    assert "lie behind that" in found.contents["./zz-random"]


def test_what_follows_compressed_data_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"one") + gzip.compress(b"two") + b"something hidden")
    found = listed(path)
    assert found.contents == {"x": b"onetwo"}
    assert [(problem.code, problem.size_bytes) for problem in found.problems] == [("trailing-data", 16)]


def test_hard_links_have_the_content_of_the_member_before_them(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for content, links in ((b"first", ["one"]), (b"second", ["two", "missing"])):
            info = tarfile.TarInfo("file")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
            for name in links:
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.LNKTYPE, "file" if name != "missing" else "nowhere"
                archive.addfile(link)
    path = tmp_path / "x.tar"
    path.write_bytes(buffer.getvalue())
    found = listed(path)
    assert (found.contents["one"], found.contents["two"]) == (b"first", b"second")
    assert found.codes == ["link-target-missing"]
    assert [entry.path for entry in found.entries] == [b"file", b"one", b"file", b"two", b"missing"]


def test_an_archive_appended_to_another_is_listed_and_said(tree: Path) -> None:
    (tree / "a").write_bytes(b"1")
    first = packed(tree, of="a").read_bytes()
    (tree / "b").write_bytes(b"2")
    path = packed(tree, of="b")
    path.write_bytes(first + path.read_bytes())
    found = listed(path)
    assert found.contents == {"a": b"1", "b": b"2"}
    assert found.codes == ["archive-goes-on"]


def test_a_damaged_header_costs_its_member_only(tree: Path) -> None:
    for name in "abc":
        (tree / name).write_bytes(name.encode() * 600)
    path = packed(tree)
    data = bytearray(path.read_bytes())
    at = data.index(b"./b\0")
    data[at + 5] ^= 1
    path.write_bytes(data)
    found = listed(path)
    assert found.contents == {"./a": b"a" * 600, "./c": b"c" * 600}
    assert [(problem.code, problem.start_byte, problem.size_bytes) for problem in found.problems] == [("tar-header-damaged", at, 3 * 512)]


@pytest.mark.parametrize("size", [1 << 62, (1 << 63) - 1, -1])
def test_a_member_of_a_size_that_cannot_be_is_said(tmp_path: Path, size: int) -> None:
    block = bytearray(tarfile.TarInfo("huge").tobuf())
    block[124:136] = (0x80 << 88 | size).to_bytes(12, "big") if size >= 0 else b"\xff" * 12
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)
    path = tmp_path / "x.tar"
    path.write_bytes(bytes(block) + b"content".ljust(512, b"\0") + tarfile.TarInfo("after").tobuf())
    found = listed(path)
    if size < 0:
        assert found.codes == ["tar-header-damaged"]
        assert [entry.path for entry in found.entries] == [b"after"]
    else:
        assert found.codes == ["member-cut-off"]
        assert found.contents["huge"] in ("too much for a test", found.contents["huge"])
        assert isinstance(found.contents["huge"], str)


@pytest.mark.parametrize(
    ("records", "code"),
    [
        (b"GNU.sparse.map=0,10,5,10", "sparse-map-damaged"),
        (b"GNU.sparse.map=0,99999999", "sparse-map-damaged"),
        (b"GNU.sparse.map=a,b", "sparse-map-damaged"),
        (b"GNU.sparse.major=1", "sparse-map-damaged"),
        (b"size=99999999999999", "member-cut-off"),
        (b"no equals sign", "header-extension-damaged"),
    ],
)
def test_extended_headers_that_cannot_be_are_said(tmp_path: Path, records: bytes, code: str) -> None:
    text = b" " + records + b"\n"
    length = len(text) + len(str(len(text)))
    text = str(length if len(str(length)) + len(text) == length else length + 1).encode() + text
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.XHDTYPE, len(text)
    member = tarfile.TarInfo("member")
    member.size = 7
    path = tmp_path / "x.tar"
    path.write_bytes(head.tobuf() + text.ljust(512, b"\0") + member.tobuf() + b"content".ljust(512, b"\0") + bytes(1024))
    found = listed(path)
    assert code in found.codes
    assert [entry.path for entry in found.entries] == [b"member"]


def test_extended_headers_without_end_do_not_fill_memory(tmp_path: Path) -> None:
    value = b"v" * (3 << 20)
    blocks = []
    for index in range(6):
        record = b"key%d=" % index + value
        text = b"%d %s\n" % (len(record) + 9, record)
        head = tarfile.TarInfo("x")
        head.type, head.size = tarfile.XHDTYPE, len(text)
        blocks += [head.tobuf(), text.ljust(-(-len(text) // 512) * 512, b"\0")]
    path = tmp_path / "x.tar"
    path.write_bytes(b"".join(blocks) + tarfile.TarInfo("member").tobuf() + bytes(1024))
    found = listed(path)
    assert found.codes == ["header-extension-damaged"]
    assert [entry.path for entry in found.entries] == [b"member"]


def test_a_bomb_of_zeros_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.logical.kept_file._FREE_BYTES", 1 << 20)
    monkeypatch.setattr("forensics.logical.kept_file._RATIO", 100)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(20 << 20)))
    found = listed(path)
    assert found.codes == ["container-damaged"]
    assert "made to exhaust a reader" in found.problems[0].why
    assert len(found.contents["x"]) < 4 << 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1.5", 1_500_000_000),
        (b"-1.5", -1_500_000_000),
        (b"1.1234567899", 1_123_456_789),
        (b"x", None),
        (b"99999999999999999999", None),
        (b"", None),
    ],
)
def test_times_are_decimal_numbers(text: bytes, expected: int | None) -> None:
    assert pax_time(text) == expected if expected is not None else isinstance(pax_time(text), OutOfRange)


def test_a_time_of_zero_is_a_time_that_was_never_set() -> None:
    assert pax_time(b"0") is None


@given(st.dictionaries(st.binary(min_size=1, max_size=9).filter(lambda key: b"=" not in key), st.binary(max_size=200), max_size=5))
def test_records_read_back(records: dict[bytes, bytes]) -> None:
    """A record is its length in digits, a space, key, "=", value and a newline; the length counts its own digits."""
    data = b""
    for key, value in records.items():
        rest = b" " + key + b"=" + value + b"\n"
        length = next(n for n in range(len(rest), len(rest) + 6) if n == len(rest) + len(str(n)))
        data += str(length).encode() + rest
    assert dict(iter_records(data)) == records


@given(value=st.integers(0, 8**11 - 1))
def test_numbers_are_octal_or_base_256(value: int) -> None:
    assert number(b"%011o\0" % value) == number((0x80 << 88 | value).to_bytes(12, "big")) == value
    assert number((-value - 1).to_bytes(12, "big", signed=True)) == -value - 1


@given(data=st.binary(max_size=3000))
def test_any_bytes_are_members_and_problems_and_an_end(data: bytes) -> None:
    found = list(TarScan(Bytes(data)).members())
    assert sum(isinstance(one, Problem) for one in found) <= 1000


def test_a_socket_is_left_out_by_tar_and_nothing_is_said_of_it(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tree / "s"))
        assert [entry.path for entry in listed(packed(tree)).entries] == [b"."]


@pytest.mark.corpus
def test_the_public_archive_has_the_contents_of_the_truth(corpus: Path, corpus_image: Callable[[str], Path]) -> None:
    (row,) = [json.loads(line) for line in (corpus / "open" / "truth" / "tar-acquire-hash.jsonl").read_text().splitlines()]
    found = listed(corpus_image("tar-acquire-hash"))
    assert found.problems == []
    (content,) = found.contents.values()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (row["size"], row["sha256"])


@pytest.mark.parametrize("form", FORMATS)
def test_damaged_archives_give_errors_of_ours_only(tmp_path: Path, tree: Path, form: str) -> None:
    laid_tree(tree, long=form != "ustar")
    data = packed(tree, *(["--sparse"] if form != "ustar" else []), f"--format={form}").read_bytes()
    assert survives(tmp_path, "x.tar", data, seed=2, times=20) > 10
    assert survives(tmp_path, "x.tgz", gzip.compress(data), seed=2, times=10) > 3
