"""Recycle bins: records built byte by byte after their published layouts, and the bins of made and public volumes.

References:
    J. Metz, Windows Recycle Bin file formats: "$I file" (version 1: a path of 520 bytes; version 2: its length and the path), "INFO2 file".
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_volumes import fat, listed, needs, run
from running import unpack

from forensics.filesystems.recycle_bin import Recycled, parse_i_file, parse_info2, partner_of_i_file, stem_of_d_file
from forensics.filesystems.recycled_names import is_bin
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_AT = datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)
_NANOSECONDS = int(_AT.timestamp()) * 10**9
_FILETIME = (int(_AT.timestamp()) + 11_644_473_600) * 10**7


def _i_file(version: int, path: str, size: int = 1234) -> bytes:
    text = (path + "\0").encode("utf-16-le")
    head = struct.pack("<QQQ", version, size, _FILETIME)
    return head + (text.ljust(520, b"\0") if version == 1 else struct.pack("<I", len(text) // 2) + text)


def _info2(records: list[tuple[int, int, str, bool]], *, unicode: bool) -> bytes:
    """Records of (number, drive, path, whether it left the bin)."""
    record_size = 800 if unicode else 280
    data = struct.pack("<5I", 5, 0, len(records), record_size, 0)
    for number, drive, path, has_left in records:
        ansi = path.encode("cp1252", "replace").ljust(260, b"\0")
        ansi = b"\0" + ansi[1:] if has_left else ansi
        record = ansi + struct.pack("<IIQI", number, drive, _FILETIME, 4096)
        data += record + (path.encode("utf-16-le").ljust(520, b"\0") if unicode else b"")
    return data


@pytest.mark.parametrize("version", [1, 2], ids=["Vista", "Windows 10"])
@pytest.mark.parametrize("path", ["C:\\Users\\alice\\secret plan.txt", "D:\\Grüße\\日本語 🔍.docx", "C:\\" + "x" * 250])
def test_an_i_file_says_where_the_file_was_and_when_it_was_deleted(version: int, path: str) -> None:
    assert parse_i_file(_i_file(version, path)) == Recycled(path, _NANOSECONDS, 1234)


def test_what_is_no_i_file_says_nothing() -> None:
    whole = _i_file(2, "C:\\a.txt")
    for data in (b"", whole[:23], whole[:27], whole[:-2], _i_file(1, ""), struct.pack("<Q", 3) + whole[8:], bytes(544)):
        assert parse_i_file(data) is None
    assert parse_i_file(struct.pack("<QQQI", 2, 1, 1, 0xFFFFFFFF)) is None


def test_info2_of_xp_names_the_files_by_drive_and_number() -> None:
    data = _info2([(1, 2, "C:\\Dokumente\\Grüße.doc", False), (2, 3, "D:\\b.txt", True)], unicode=True)
    assert parse_info2(data) == {
        b"dc1": Recycled("C:\\Dokumente\\Grüße.doc", _NANOSECONDS, 4096),
        b"dd2": Recycled("D:\\b.txt", _NANOSECONDS, 4096),
    }


def test_info2_of_windows_98_has_paths_in_its_code_page_only() -> None:
    found = parse_info2(_info2([(7, 2, "C:\\a b.txt", False), (8, 4, "E:\\left.txt", True)], unicode=False))
    assert {name: one.original_path for name, one in found.items()} == {b"dc7": "C:\\a b.txt", b"de8": "E:\\left.txt"}


@given(st.binary(max_size=2000), st.integers(0, 1619))
def test_damaged_records_never_raise(noise: bytes, at: int) -> None:
    for whole in (_info2([(1, 2, "C:\\a", False), (2, 2, "C:\\b", False)], unicode=True), _i_file(2, "C:\\a" * 50)):
        damaged = whole[:at] + noise + whole[at + len(noise) :]
        parse_info2(damaged[:1620])
        parse_i_file(damaged)
        parse_i_file(noise)
        parse_info2(noise)


def test_names_in_a_bin() -> None:
    assert partner_of_i_file(b"$IABC123.txt") == b"$rabc123.txt"
    assert partner_of_i_file(b"$RABC123.txt") is None
    assert stem_of_d_file(b"Dc12.tar.gz") == b"dc12"
    assert [is_bin(path) for path in (b"$Recycle.Bin/S-1-5-21-1", b"RECYCLER/S-1", b"Recycled")] == [True, True, True]
    assert [is_bin(path) for path in (b"Users/$Recycle.Bin", b"$Recycle.Bin/S-1/$RABC", b"", b"recycledx")] == [False] * 4


@needs("mkfs.fat", "mmd", "mcopy", "mdel")
def test_bins_of_a_volume_name_their_files_and_what_lies_in_deleted_folders(tmp_path: Path) -> None:
    volume = fat(tmp_path / "fat.dd", 16)
    contents = {
        "$RECYCLE.BIN/$IAAAAAA.txt": _i_file(2, "F:\\letters\\one.txt"),
        "$RECYCLE.BIN/$RAAAAAA.txt": b"one",
        "$RECYCLE.BIN/$IFOLDER": _i_file(1, "F:\\folder"),
        "$RECYCLE.BIN/$RFOLDER/sub/in it.txt": b"inner",
        "$RECYCLE.BIN/$RALONE.txt": b"its record is gone",
        "$RECYCLE.BIN/$IBROKEN.txt": b"broken",
        "$RECYCLE.BIN/$RBROKEN.txt": b"its record is broken",
        "RECYCLED/INFO2": _info2([(3, 5, "F:\\x\x1b[2J\u202ey.doc", False)], unicode=True),
        "RECYCLED/DF3.doc": b"xp",
        "elsewhere/$IBBBBBB.txt": _i_file(2, "F:\\no bin.txt"),
        "elsewhere/$RBBBBBB.txt": b"no bin",
    }
    for folder in ("$RECYCLE.BIN", "$RECYCLE.BIN/$RFOLDER", "$RECYCLE.BIN/$RFOLDER/sub", "RECYCLED", "elsewhere"):
        run("mmd", "-i", volume, f"::/{folder}")
    for number, (path, content) in enumerate(contents.items()):
        (tmp_path / str(number)).write_bytes(content)
        run("mcopy", "-i", volume, tmp_path / str(number), f"::/{path}")
    with listed(volume) as found:
        original = {e.path.decode(): e.original_path for e in found.entries if e.original_path is not None and not e.stream}
        assert found.problems == []
    assert original == {
        "$RECYCLE.BIN/$RAAAAAA.txt": "F:\\letters\\one.txt",
        "$RECYCLE.BIN/$RFOLDER": "F:\\folder",
        "$RECYCLE.BIN/$RFOLDER/sub": "F:\\folder\\sub",
        "$RECYCLE.BIN/$RFOLDER/sub/in it.txt": "F:\\folder\\sub\\in it.txt",
        "RECYCLED/DF3.doc": "F:\\x\\x1b[2J\\u202ey.doc",
    }


def test_the_bin_of_the_windows_sample(tmp_path: Path) -> None:
    """sample_images/windows.py states it."""
    with listed(unpack("windows", tmp_path / "windows.dd"), 1048576) as found:
        original = [(e.path.rpartition(b"/")[2], e.original_path) for e in found.entries if e.original_path]
    assert original == [(b"$REVX001.txt", "C:\\Users\\alice\\Documents\\secret plan.txt")]


@pytest.mark.corpus
@needs("icat")
def test_the_bin_of_a_public_windows_disk(corpus_image: Callable[[str], Path]) -> None:
    """The path as it stands in the $I file, which icat prints."""
    path = corpus_image("win-open")
    start = 20480 * 512
    with listed(path, start) as found:
        original = {e.path.rpartition(b"/")[2]: e.original_path for e in found.entries if e.original_path and not e.stream}
    with open_image(path) as image:
        assert image.container == "ewf"
    record = run("icat", "-i", "ewf", "-o", start // 512, path, "448-128-2")
    (characters,) = struct.unpack_from("<I", record, 24)
    stated = record[28 : 28 + 2 * characters].decode("utf-16-le").rstrip("\0")
    assert original == {b"$RRL4KYI.txt": stated}
    assert stated == "C:\\Users\\AndrewRathbun\\Desktop\\deletedfile.txt"
