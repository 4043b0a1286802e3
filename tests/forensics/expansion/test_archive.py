"""Archives that libarchive reads: against tar, cpio, ar, gcab, rpmbuild's form, jlha; what it must not do."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opened import damaged, walk
from test_walk import tarred

from forensics.expansion.libarchive import version_details
from forensics.filesystems.base import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = b"The quick brown fox jumps over the lazy dog.\n" * 3000
FILES = {"d/text.txt": TEXT, "d/sub/binary": bytes(range(256)) * 300}
COMMANDS = {
    "cpio newc": "find d | cpio -o -H newc > out",
    "cpio odc": "find d | cpio -o -H odc > out",
    "cpio bin": "find d | cpio -o -H bin > out",
    "cpio crc": "find d | cpio -o -H crc > out",
    "tar gnu": "tar --format=gnu -cf out d",
    "tar posix": "tar --format=posix -cf out d",
    "tar ustar": "tar --format=ustar -cf out d",
    "tar v7": "tar --format=v7 -cf out d",
    "cab stored": "gcab -c out d/text.txt d/sub/binary",
    "cab mszip": "gcab -c -z out d/text.txt d/sub/binary",
    "lha": "jlha a out.lzh d/text.txt d/sub/binary && mv out.lzh out",
    "7z lzma": "7z a -t7z -m0=LZMA out.7z d && mv out.7z out",
    "7z bcj2": "7z a -t7z -m0=BCJ2 -m1=LZMA:d23 -m2=LZMA:d19 -m3=LZMA:d19 -mb0:1 -mb0s1:2 -mb0s2:3 out.7z d && mv out.7z out",
    "7z ppmd": "7z a -t7z -m0=PPMd out.7z d && mv out.7z out",
    "7z bzip2": "7z a -t7z -m0=BZip2 out.7z d && mv out.7z out",
    "7z deflate64": "7z a -t7z -m0=Deflate64 out.7z d && mv out.7z out",
}


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], bytes]:
    """Runs a shell command in a folder that holds `d`, and gives the file `out`."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))

    def run(command: str) -> bytes:
        program = next(word for word in command.split() if word not in ("find", "d", "|"))
        if shutil.which(program) is None and not os.environ.get("CI"):
            pytest.skip(f"{program} is not installed")
        subprocess.run(command, cwd=tmp_path, check=True, shell=True, capture_output=True)
        return (tmp_path / "out").read_bytes()

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_program_packed_comes_out_right(made: Callable[[str], bytes], command: str) -> None:
    got, problems = walk(made(COMMANDS[command]))
    assert problems == []
    found = {one.path: (one.content, one.failure) for one in got if one.item.member.kind is Kind.FILE}
    assert found == {name: (content, "") for name, content in FILES.items()}
    modified = {one.item.member.times.modified for one in got if one.item.member.kind is Kind.FILE}
    assert {time // 10**9 for time in modified} == {1_000_000_000}, "as the files were stamped, the machine being on UTC"


def test_ar_and_the_deb_made_of_it_are_read(made: Callable[[str], bytes]) -> None:
    got, problems = walk(made("tar -C d -czf data.tar.gz . && echo 2.0 > debian-binary && ar rc out debian-binary data.tar.gz"), "p.deb")
    assert problems == []
    assert [one.path for one in got if len(one.item.steps) == 1] == ["debian-binary", "data.tar.gz"]
    assert dict.fromkeys(FILES.values()).keys() <= {one.content for one in got}


def test_an_rpm_package_gives_its_files_as_rpm2cpio_does(made: Callable[[str], bytes], tmp_path: Path) -> None:
    """Lead, signature header padded to 8 bytes, header, and the payload (RPM package file format, rpm.org)."""
    payload = made("find d | cpio -o -H newc > out")
    name, compressor = b"p\0", b"gzip\0"
    index = struct.pack(">4I4I", 1000, 6, 0, 1, 1125, 6, len(name), 1)  # RPMTAG_NAME and RPMTAG_PAYLOADCOMPRESSOR, strings
    store = name + compressor
    header = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">2I", 2, len(store)) + index + store
    signature = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">2I", 1, 4) + struct.pack(">4I", 1000, 4, 0, 1) + bytes(4)
    lead = b"\xed\xab\xee\xdb\3\0" + struct.pack(">2H66s2H16x", 0, 1, b"p-1-1", 1, 5)
    packed = gzip.compress(payload, mtime=0)
    data = lead + signature + bytes(-len(signature) % 8) + header + packed
    got, problems = walk(data, "p.rpm")
    assert problems == []
    found = {one.path: one.content for one in got if one.item.member.kind is Kind.FILE}
    assert found == FILES
    if shutil.which("rpm2cpio") is None and not os.environ.get("CI"):
        pytest.skip("rpm2cpio is not installed")
    (tmp_path / "p.rpm").write_bytes(data)
    done = subprocess.run(["rpm2cpio", "p.rpm"], cwd=tmp_path, capture_output=True, check=False)
    assert done.stdout == payload


def test_the_pages_of_a_web_archive_come_as_they_were_fetched() -> None:
    """WARC 1.0 (ISO 28500), 4 and 6.3: header fields, blank line, block, two blank lines."""
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>hello</html>"
    fields = (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.org/a/b.html\r\nWARC-Date: 2001-09-09T01:46:40Z\r\n"
        b"WARC-Record-ID: <urn:uuid:92283950-ef2f-4d72-b224-f54c6ec90bb0>\r\nContent-Type: application/http; msgtype=response\r\n"
        b"Content-Length: %d\r\n\r\n" % len(page)
    )
    got, problems = walk(fields + page + b"\r\n\r\n", "a.warc")
    assert problems == []
    assert [(one.content, one.failure) for one in got if one.item.member.kind is Kind.FILE] == [(page, "")]
    assert got[-1].item.member.times.modified == 10**18


def test_links_holes_and_special_files_of_a_tar_are_told() -> None:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        for name, kind, target in (
            ("soft", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard", tarfile.LNKTYPE, "soft"),
            ("pipe", tarfile.FIFOTYPE, ""),
            ("dev", tarfile.CHRTYPE, ""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            archive.addfile(entry)
    got, problems = walk(into.getvalue())
    assert problems == []
    assert [(one.path, one.item.member.kind, one.item.member.link_target) for one in got] == [
        ("soft", Kind.LINK, "/etc/passwd"),
        ("hard", Kind.LINK, "soft"),
        ("pipe", Kind.FIFO, None),
        ("dev", Kind.CHARACTER_DEVICE, None),
    ]


def test_a_sparse_file_in_a_tar_comes_with_its_holes(made: Callable[[str], bytes], tmp_path: Path) -> None:
    with (tmp_path / "d" / "sparse").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"behind the hole")
        file.truncate(5 << 20)
    got, problems = walk(made("tar -Scf out d/sparse"))
    assert problems == []
    assert got[0].content == bytes(3 << 20) + b"behind the hole" + bytes((2 << 20) - 15)


def test_a_damaged_header_in_a_tar_is_passed_over_with_a_problem() -> None:
    """Python's tarfile takes it for the end, without a word."""
    data = bytearray(tarred({"a": b"1", "b": b"2", "c": b"3"}))
    data[1024 + 150] ^= 0xFF
    got, problems = walk(bytes(data))
    assert [one.path for one in got] == ["a", "c"]
    assert [problem.code for problem in problems] == ["container-damaged"]


def test_a_tar_that_is_cut_off_says_so() -> None:
    got, _ = walk(tarred({"a": b"x" * 5000})[:3000])
    assert got[0].content == b"x" * (3000 - 512)
    assert "Truncated" in got[0].failure


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_names_and_times_do_not_depend_on_the_machine(made: Callable[[str], bytes], tmp_path: Path, zone: str, locale: str) -> None:
    (tmp_path / "d" / "Grüße").write_bytes(b"x")
    os.utime(tmp_path / "d" / "Grüße", (1_000_000_000, 1_000_000_000))
    made("gcab -c out d/text.txt && 7z a -t7z second.7z d/Gr*")
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]; from pathlib import Path; from opened import walk\n"
        "for path in ('out', 'second.7z'):\n"
        "    for one in walk(Path(sys.argv[1], path).read_bytes())[0]:\n"
        "        print(ascii(one.path), one.item.member.times.modified)\n"
    )
    folders = [str(tmp_path), str(Path(__file__).parent), str(Path(__file__).resolve().parents[3])]
    environment = {**os.environ, "TZ": zone, "LC_ALL": locale}
    done = subprocess.run([sys.executable, "-c", code, *folders], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["'d/text.txt' 1000000000000000000", r"'d/Gr\xfc\xdfe' 1000000000000000000"]


def test_libarchive_is_the_one_that_the_package_carries() -> None:
    assert version_details().startswith("libarchive 3.8.")


@settings(max_examples=40)
@given(st.dictionaries(st.text("abcäöü/. ", min_size=1).filter(lambda name: name.strip("/") == name), st.binary(max_size=3000), max_size=8))
def test_members_of_a_tar_come_out_as_they_went_in(members: dict[str, bytes]) -> None:
    got, _ = walk(tarred(members))
    assert [(one.path, one.content) for one in got if len(one.item.steps) == 1] == list(members.items())


@pytest.mark.parametrize("command", ["cpio newc", "tar posix", "cab mszip", "lha", "7z lzma", "7z ppmd", "7z bzip2"])
def test_damage_gives_problems_and_no_other_exception(made: Callable[[str], bytes], command: str) -> None:
    for data in damaged(made(COMMANDS[command]), 5, 30):
        walk(data)
