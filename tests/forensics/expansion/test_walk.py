"""The walk through files inside files: its order, its bounds, and what it records."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import warnings
import zipfile
import zlib

import pytest
from opened import contents, walk

from forensics.expansion.bounds import Bounds
from forensics.expansion.kinds import ALL_OPENERS
from forensics.expansion.zstandard import zstd

MIB = 1 << 20


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return into.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return into.getvalue()


def deflated_zeros(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


def stored_entry(name: bytes, method: int, crc: int, packed: bytes, size: int) -> tuple[bytes, bytes]:
    """Local header with data, and the part of the central header that repeats it (APPNOTE 4.3.7 and 4.3.12)."""
    middle = struct.pack("<5H3I2H", 20, 0, method, 0, 0x21, crc, len(packed), size, len(name), 0)
    return b"PK\3\4" + middle + name + packed, b"PK\1\2" + struct.pack("<H", 20) + middle


def assembled(entries: list[tuple[bytes, bytes, int]], body: bytes) -> bytes:
    """A ZIP file of that body whose directory has an entry (name, central header, offset) each."""
    directory = b"".join(central + struct.pack("<3H2I", 0, 0, 0, 0, offset) + name for name, central, offset in entries)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    return body + directory + end


def test_members_come_depth_first_with_the_chain_of_their_addresses() -> None:
    inner = tarred({"deep.txt": b"deep"})
    got, problems = walk(zipped({"a/inner.tar.gz": gzip.compress(inner, mtime=0), "b.txt": b"b"}), "outer.zip")
    assert problems == []
    assert [(one.path, one.item.address) for one in got] == [
        ("a/inner.tar.gz", "zip entry 1"),
        ("a/inner.tar.gz/inner.tar", "zip entry 1 > gzip content"),
        ("a/inner.tar.gz/inner.tar/deep.txt", "zip entry 1 > gzip content > tar entry 1"),
        ("b.txt", "zip entry 2"),
    ]
    assert contents(got)["a/inner.tar.gz/inner.tar/deep.txt"] == b"deep"


def test_what_is_no_container_gives_nothing() -> None:
    assert walk(b"just text") == ([], [])


def test_every_kind_has_a_name_of_its_own() -> None:
    names = [opener.name for opener in ALL_OPENERS]
    assert len(set(names)) == len(names) > 10


@pytest.mark.parametrize("opener", ALL_OPENERS, ids=lambda opener: opener.name)
@pytest.mark.parametrize("head", [b"", b"\0", b"\0" * 4096, b"From ", b"\xff" * 600, b"text\n" * 200])
def test_no_kind_claims_what_is_none(opener: object, head: bytes) -> None:
    assert opener.recognises(head, "application/octet-stream", "name") is False  # type: ignore[attr-defined]


def test_a_bomb_of_nested_zips_costs_one_problem() -> None:
    """Like 42.zip: 16 to the power of 5 files of 4 GiB of zeros each."""
    zeros = 4 << 30
    # The Deflate stream of so many zeros repeats itself; it is made of the one of 64 MiB, cut to whole bytes, over and over.
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(64 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = block * (zeros // (64 * MIB)) + b"\x03\x00"
    local, central = stored_entry(b"zeros.dll", 8, 0, packed, zeros - 1)
    level = assembled([(b"zeros.dll", central, 0)], local)
    for depth in range(5):
        level = zipped({f"lib {depth}{number:x}.zip": level for number in range(16)})
    got, problems = walk(level, "42.zip")
    assert [problem.code for problem in problems] == ["expansion-limit"]
    assert "bytes out of a container" in problems[0].why
    assert len(got) < 1000
    assert any(one.item.is_cut for one in got)


def test_overlapping_members_are_read_once() -> None:
    """As in the bombs by D. Fifield: all directory entries lead to the same stored bytes."""
    packed = deflated_zeros(32 * MIB)
    local, central = stored_entry(b"a", 8, zlib.crc32(bytes(32 * MIB)), packed, 32 * MIB)
    got, problems = walk(assembled([(b"a", central, 0)] * 5000, local))
    assert [problem.code for problem in problems] == ["member-overlaps"]
    assert [one.content is not None for one in got] == [True] + [False] * 4999
    assert problems[0].what.startswith("4999 members")


@pytest.mark.parametrize("method", ["gz", "bz2", "xz", "zst"])
def test_ten_gibibytes_of_zeros_cost_one_problem(method: str) -> None:
    one = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd.compress}[method](bytes(64 * MIB))
    got, problems = walk(one * 160, f"zeros.{method}", bounds=Bounds(floor_bytes=128 * MIB, factor=10))
    assert [problem.code for problem in problems] == ["expansion-limit"]
    assert len(got) == 1
    assert got[0].failure == "limit"
    assert 64 * MIB - MIB <= len(got[0].content or b"") <= 128 * MIB


def test_gzip_a_thousand_times_ends_at_the_depth_bound() -> None:
    data = b"heart"
    for _ in range(1000):
        data = gzip.compress(data, 1, mtime=0)
    got, problems = walk(data, "russian.gz")
    assert len(got) == 8
    assert [problem.code for problem in problems] == ["expansion-limit"]
    assert "8 containers one in the other" in problems[0].why


def test_zips_one_in_the_other_end_at_the_depth_bound() -> None:
    """So does one that contains itself, which to the walk is a chain of archives without an end."""
    inner = zipped({"self.zip": b"x"}, zipfile.ZIP_STORED)
    for _ in range(20):
        inner = zipped({"self.zip": inner}, zipfile.ZIP_STORED)
    got, problems = walk(inner)
    assert len(got) == 8
    assert [problem.code for problem in problems] == ["expansion-limit"]


def test_members_beyond_the_bound_are_not_listed() -> None:
    got, problems = walk(zipped({f"{number}": b"" for number in range(50)}), bounds=Bounds(members=20))
    assert len(got) == 20
    assert [problem.why for problem in problems] == ["bounds reached: at most 20 members (once)"]


def test_a_member_whose_stated_size_is_too_large_is_not_begun_and_the_others_are_read() -> None:
    local, central = stored_entry(b"huge", 8, 0, deflated_zeros(MIB), (1 << 32) - 2)
    other, other_central = stored_entry(b"small", 0, zlib.crc32(b"small"), b"small", 5)
    got, problems = walk(assembled([(b"huge", central, 0), (b"small", other_central, len(local))], local + other))
    assert [(one.path, one.content, one.item.is_cut) for one in got] == [("huge", None, True), ("small", b"small", False)]
    assert [problem.code for problem in problems] == ["expansion-limit"]


def test_what_was_read_before_the_total_is_reached_stays() -> None:
    members = {f"{number}": bytes([number]) * 1000 for number in range(10)}
    got, problems = walk(zipped(members, zipfile.ZIP_STORED), bounds=Bounds(floor_bytes=4500, factor=0))
    assert [one.content for one in got[:4]] == list(members.values())[:4]
    assert [one.item.is_cut for one in got] == [False] * 4 + [True] * 6
    assert [problem.code for problem in problems] == ["expansion-limit"]
    assert "4 members" not in problems[0].what
    assert "4000 bytes" in problems[0].what


def test_names_are_data_and_come_as_they_are() -> None:
    names = ["../../etc/passwd", "C:\\Windows\\x", "a/./b", "same", "same", "line\nbreak"]
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive, warnings.catch_warnings(action="ignore"):  # of the duplicate
        for name in names:
            archive.writestr(name, name)
    got, problems = walk(into.getvalue())
    assert problems == []
    assert [(one.path, one.content) for one in got] == [(name, name.encode()) for name in names]


def test_an_absolute_name_loses_its_slash_only() -> None:
    got, _ = walk(tarred({"/etc/shadow": b"x", "..": b"y"}))
    assert [one.path for one in got] == ["etc/shadow", ".."]


def test_equal_problems_of_members_come_once_a_container() -> None:
    local, central = stored_entry(b"n", 6, 0, b"", 0)
    body, entries = b"", []
    for number in range(10_000):
        name = b"%05d" % number
        local, central = stored_entry(name, 6, 0, b"imploded", 20)
        entries.append((name, central, len(body)))
        body += local
    got, problems = walk(assembled(entries, body))
    assert len(got) == 10_000
    assert {one.item.member.problem.code for one in got if one.item.member.problem is not None} == {"member-unsupported"}
    assert [problem.code for problem in problems] == ["member-unsupported"]
    assert problems[0].what.startswith("10000 members")
