"""ZIP files: against Python's zipfile, Info-ZIP's zip and 7z; damaged ones, and bytes made by hand."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opened import contents, damaged, walk
from test_walk import assembled, stored_entry, zipped

from forensics.expansion.zip_archive import Zip
from forensics.filesystems.base import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEEDS_7Z = pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7z is not installed")
NEEDS_ZIP = pytest.mark.skipif(shutil.which("zip") is None and not os.environ.get("CI"), reason="zip is not installed")
TEXT = b"The quick brown fox jumps over the lazy dog.\n" * 5000


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., bytes]:
    """Runs a program that packs the folder `d` and gives the archive."""
    (tmp_path / "d" / "ünter").mkdir(parents=True)
    (tmp_path / "d" / "text.txt").write_bytes(TEXT)
    (tmp_path / "d" / "ünter" / "binary").write_bytes(bytes(range(256)) * 300)

    def run(*command: str) -> bytes:
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return next(tmp_path.glob("out*")).read_bytes()

    return run


EXPECTED = {"d/text.txt": TEXT, "d/ünter/binary": bytes(range(256)) * 300}


def files(data: bytes, *passphrases: str) -> tuple[dict[str, bytes | None], list[str], set[str]]:
    """Contents of the members that are files, the codes of the problems, and what opened them."""
    got, problems = walk(data, passphrases=passphrases)
    listed = [one for one in got if one.item.member.kind is Kind.FILE]
    return contents(listed), [problem.code for problem in problems], {one.item.member.unlocked_with for one in listed}


@NEEDS_7Z
@pytest.mark.parametrize("method", ["Copy", "Deflate", "Deflate64", "BZip2", "LZMA"])
def test_methods_of_7z_come_out_right(made: Callable[..., bytes], method: str) -> None:
    assert files(made("7z", "a", "-tzip", f"-mm={method}", "out.zip", "d")) == (EXPECTED, [], {""})


@NEEDS_7Z
@pytest.mark.parametrize("cipher", ["ZipCrypto", "AES128", "AES192", "AES256"])
@pytest.mark.parametrize("method", ["Deflate", "LZMA", "Copy"])
def test_an_encrypted_archive_of_7z_is_opened_by_the_right_passphrase(made: Callable[..., bytes], cipher: str, method: str) -> None:
    data = made("7z", "a", "-tzip", f"-mem={cipher}", f"-mm={method}", "-psecret", "out.zip", "d")
    assert files(data, "wrong", "secret", "wrong too") == (EXPECTED, [], {"passphrase"})
    assert files(data, "wrong") == (dict.fromkeys(EXPECTED), ["member-encrypted"], {""})
    assert files(data) == (dict.fromkeys(EXPECTED), ["member-encrypted"], {""})


@NEEDS_ZIP
def test_an_encrypted_archive_of_zip_that_was_written_as_a_stream_is_opened(made: Callable[..., bytes]) -> None:
    assert files(made("zip", "-q", "-r", "-P", "secret", "-fd", "out.zip", "d"), "secret") == (EXPECTED, [], {"passphrase"})


def test_a_passphrase_never_stands_in_a_problem() -> None:
    local, central = stored_entry(b"a", 0, 0, b"x" * 30, 18)
    encrypted = [data[:at] + b"\1" + data[at + 1 :] for data, at in ((local, 6), (central, 8))]
    got, problems = walk(assembled([(b"a", encrypted[1], 0)], encrypted[0]), passphrases=("hunter2hunter2",))
    assert problems
    assert "hunter2" not in repr(problems) + repr(got)


@NEEDS_ZIP
def test_a_symbolic_link_states_where_it_points(made: Callable[..., bytes], tmp_path: Path) -> None:
    (tmp_path / "d" / "link").symlink_to("../../etc/passwd")
    got, problems = walk(made("zip", "-q", "-r", "-y", "out.zip", "d"))
    (link,) = (one.item.member for one in got if one.path == "d/link")
    assert (link.kind, link.link_target, link.blocks, problems) == (Kind.LINK, "../../etc/passwd", None, [])


def test_zip64_sizes_and_places_are_read() -> None:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", allowZip64=True) as archive, archive.open("big", "w", force_zip64=True) as member:
        member.write(TEXT)
    assert files(into.getvalue()) == ({"big": TEXT}, [], {""})


def test_a_zip64_directory_is_found_by_its_locator() -> None:
    """APPNOTE 4.3.14 and 4.3.15: the end record holds all ones, the true values stand in the ZIP64 end record."""
    local, central = stored_entry(b"a", 0, zlib.crc32(b"abc"), b"abc", 3)
    plain = assembled([(b"a", central, 0)], local)
    directory = plain[len(local) : -22]
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), len(local))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(local) + len(directory), 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert files(local + directory + end64 + locator + end) == ({"a": b"abc"}, [], {""})


def test_names_that_are_not_utf8_are_of_code_page_437() -> None:
    local, central = stored_entry("Müller".encode("cp437"), 0, zlib.crc32(b"x"), b"x", 1)
    got, _ = walk(assembled([("Müller".encode("cp437"), central, 0)], local))
    assert [one.path for one in got] == ["Müller"]


def test_a_damaged_directory_leaves_the_members_that_local_headers_show() -> None:
    data = zipped({"a": TEXT, "b": b"second"})
    found, codes, _ = files(data[: data.index(b"PK\1\2") + 10])
    assert found == {"a": TEXT, "b": b"second"}
    assert codes == ["container-damaged"]


def test_a_member_that_the_directory_leaves_out_is_given_as_deleted() -> None:
    first, first_central = stored_entry(b"listed", 0, zlib.crc32(b"1"), b"1", 1)
    hidden, _ = stored_entry(b"hidden", 0, zlib.crc32(b"2"), b"2", 1)
    third, third_central = stored_entry(b"also listed", 0, zlib.crc32(b"3"), b"3", 1)
    body = first + hidden + third
    data = assembled([(b"listed", first_central, 0), (b"also listed", third_central, len(first + hidden))], body)
    got, problems = walk(data)
    assert problems == []
    assert [(one.path, one.content, one.item.member.deleted) for one in got] == [
        ("listed", b"1", False),
        ("also listed", b"3", False),
        ("hidden", b"2", True),
    ]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:  # an ordinary program does not see it
        assert archive.namelist() == ["listed", "also listed"]


def test_a_wrong_checksum_is_said_after_the_content() -> None:
    local, central = stored_entry(b"a", 0, 1, b"abc", 3)
    got, _ = walk(assembled([(b"a", central, 0)], local))
    assert got[0].content == b"abc"
    assert "CRC-32" in got[0].failure


def test_more_content_than_stated_is_cut_and_said() -> None:
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(bytes(1 << 20)) + packer.flush()
    local, central = stored_entry(b"a", 8, 0, packed, 100)
    got, _ = walk(assembled([(b"a", central, 0)], local))
    assert got[0].content == bytes(100)
    assert "more content than the 100 bytes stated" in got[0].failure


def test_times_of_the_extra_field_go_before_dos_times() -> None:
    """Info-ZIP's extended timestamp: 2001-09-09 01:46:40 UTC is 1,000,000,000 seconds; DOS 0x21 is 1980-01-01."""
    extra = struct.pack("<2HBi", 0x5455, 5, 1, 1_000_000_000)
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        with_extra = zipfile.ZipInfo("with", (1999, 12, 31, 23, 59, 58))
        with_extra.extra = extra
        archive.writestr(with_extra, b"")
        archive.writestr(zipfile.ZipInfo("without", (1999, 12, 31, 23, 59, 58)), b"")
    got, _ = walk(into.getvalue())
    assert [one.item.member.times.modified for one in got] == [10**18, 946684798 * 10**9]


@settings(max_examples=40)
@given(st.dictionaries(st.text("abcäöü/. ", min_size=1).filter(lambda name: name.strip("/") == name), st.binary(max_size=3000), max_size=8))
def test_members_come_out_as_they_went_in(members: dict[str, bytes]) -> None:
    got, _ = walk(zipped(members))
    assert [(one.path, one.content) for one in got if len(one.item.steps) == 1] == list(members.items())


def test_damage_gives_problems_and_no_other_exception() -> None:
    whole = zipped({"a": TEXT[:3000], "b/": b"", "c": os.urandom(500)})
    for data in damaged(whole, 7, 150):
        if Zip().recognises(data[:64], "", ""):
            walk(data, passphrases=("x",))


@NEEDS_7Z
@pytest.mark.parametrize("options", [("-mm=Deflate64",), ("-mm=LZMA",), ("-mm=BZip2",), ("-mem=AES256", "-px")])
def test_damage_inside_other_methods_gives_problems_and_no_other_exception(made: Callable[..., bytes], options: tuple[str, ...]) -> None:
    whole = made("7z", "a", "-tzip", *options, "out.zip", "d")
    for data in damaged(whole, 11, 25):
        walk(data, passphrases=("x",))
