"""What is found where no filesystem names it: carved files, gaps and free space, each with the place of its bytes in the image."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import struct
import subprocess
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import rows_of, run, tables_of

from pipelines.space import NOWHERE, Pieces

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.run import RunResult

_MIB = 1 << 20
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
_MARK = b"the marker that the rule looks for"
_needs_tools = pytest.mark.skipif(
    not all(shutil.which(name, path=_PATH) for name in ("mke2fs", "debugfs")) and not os.environ.get("CI"),
    reason="mke2fs or debugfs is not installed",
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(text: bytes = b"") -> bytes:
    """A picture of one pixel with a comment (PNG specification, sections 5 and 11)."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    words = chunk(b"tEXt", b"Comment\0" + text)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + words + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()


def jpeg() -> bytes:
    """A grey picture of 8 by 8 (ITU-T T.81, annex B): one Huffman code of one bit a table, so that zeros are its whole content."""
    segments = [
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        (0xFE, _MARK),
        (0xDB, b"\0" + bytes([1] * 64)),
        (0xC0, struct.pack(">BHHBBBB", 8, 8, 8, 1, 1, 0x11, 0)),
        (0xC4, b"\0" + bytes([1, *[0] * 15]) + b"\0"),
        (0xC4, b"\x10" + bytes([1, *[0] * 15]) + b"\0"),
        (0xDA, b"\1\1\0\0\x3f\0"),
    ]
    body = b"".join(struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data for kind, data in segments)
    return b"\xff\xd8" + body + b"\x3f\xff\xd9"


PICTURE, PHOTO, ARCHIVE, IN_GAP = png(b"deleted " + _MARK), jpeg(), zipped(inside=b"inside " + _MARK), png(b"in the gap " + _MARK)
_FIRST, _LAST = 64 * 512, 5 * _MIB  # the volume's first byte, and the first behind it


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MBR disk: a gap with a picture, an ext4 volume from which three files were deleted, and bytes behind it with a picture."""
    folder = tmp_path_factory.mktemp("space")
    files, volume = folder / "files", folder / "volume"
    files.mkdir()
    for name, content in (("picture.png", PICTURE), ("photo.jpg", PHOTO), ("archive.zip", ARCHIVE), ("kept.txt", b"kept " + _MARK)):
        (files / name).write_bytes(content)
    volume.write_bytes(bytes(_LAST - _FIRST))
    environment = os.environ | {"PATH": _PATH, "DEBUGFS_PAGER": "__none__"}
    options = ("-q", "-F", "-t", "ext4", "-O", "^has_journal", "-b", "1024", "-N", "64")
    subprocess.run(["mke2fs", *options, "-d", files, volume], check=True, env=environment, capture_output=True)
    for name in ("picture.png", "photo.jpg", "archive.zip"):
        subprocess.run(["debugfs", "-w", "-R", f"rm {name}", volume], check=True, env=environment, capture_output=True)
    media = bytearray(6 * _MIB)
    # MBR: 16-byte entries from 446 (status, CHS, type at 4, CHS, first sector at 8, sectors at 12), 55 AA at 510.
    media[446:462] = struct.pack("<B3xB3xII", 0, 0x83, _FIRST // 512, (_LAST - _FIRST) // 512)
    media[510:512] = b"\x55\xaa"
    media[8 * 512 : 8 * 512 + len(IN_GAP)] = IN_GAP
    media[_FIRST:_LAST] = volume.read_bytes()
    media[_LAST + 3 * 512 : _LAST + 3 * 512 + len(IN_GAP)] = IN_GAP
    path = folder / "disk.dd"
    path.write_bytes(media)
    return path


@pytest.fixture(scope="module")
def result(image: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("case")
    (folder / "own.yar").write_text(f'rule marked {{ strings: $a = "{_MARK.decode()}" condition: $a }}')
    return run(image, folder / "case", rules=(folder / "own.yar",))


def starts(result: RunResult) -> dict[str, int]:
    """By volume, its first byte in the image."""
    return {row["volume"]: row["start_byte"] for row in rows_of(tables_of(result), "volumes")}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@_needs_tools
def test_deleted_files_and_those_in_gaps_are_carved_once_and_lie_where_it_is_said(image: Path, result: RunResult) -> None:
    media, first = image.read_bytes(), starts(result)
    carved = rows_of(tables_of(result), "carved")
    found = sorted((row["kind"], row["length"], row["sha256"]) for row in carved)
    truth = [("jpeg", PHOTO), ("png", PICTURE), ("png", IN_GAP), ("png", IN_GAP), ("zip", ARCHIVE)]
    assert found == sorted((kind, len(content), digest(content)) for kind, content in truth)
    for row in carved:
        start = first[row["volume"]] + row["start_byte"]
        assert digest(media[start : start + row["length"]]) == row["sha256"]
        assert row["validated"]
        assert not row["fragmented"]
    assert len({row["volume"] for row in carved}) == 3, "the volume and the two gaps"


@_needs_tools
def test_each_carved_file_is_an_entry_with_the_same_path_and_digest(result: RunResult) -> None:
    entries = {(row["volume"], row["path"]): row for row in rows_of(tables_of(result), "entries") if row["recovery"] == "carved"}
    carved = {(row["volume"], row["path"]): row for row in rows_of(tables_of(result), "carved")}
    assert entries.keys() == carved.keys()
    for key, row in carved.items():
        assert {name: entries[key][name] for name in ("sha256", "start_byte", "metadata_address")} == {
            name: row[name] for name in ("sha256", "start_byte", "metadata_address")
        }
        assert (entries[key]["size"], entries[key]["bytes_read"], entries[key]["scan"]) == (row["length"], row["length"], "complete")


@_needs_tools
def test_what_is_inside_a_carved_archive_is_an_entry_too(result: RunResult) -> None:
    """The deleted archive's inode is there still, so its member is found through it too."""
    members = [row for row in rows_of(tables_of(result), "entries") if row["recovery"] == "archive member"]
    carved, named = sorted(members, key=lambda row: row["path"])
    assert (carved["path"].startswith("$Carved/"), carved["path"].endswith(".zip//inside")) == (True, True)
    assert named["path"] == "archive.zip//inside"
    assert [row["sha256"] for row in members] == [digest(b"inside " + _MARK)] * 2


@_needs_tools
def test_a_hit_in_free_space_or_in_what_was_carved_says_where_it_lies_in_the_volume(image: Path, result: RunResult) -> None:
    media, first = image.read_bytes(), starts(result)
    recovery = {(row["volume"], row["path"], row["metadata_address"]): row["recovery"] for row in rows_of(tables_of(result), "entries")}
    placed: dict[str, set[int]] = {}
    for row in rows_of(tables_of(result), "hits"):
        how = recovery[row["volume"], row["path"], row["metadata_address"]]
        if row["volume_offset"] is None:
            assert how not in ("carved", "unallocated", "slack")
            continue
        at = first[row["volume"]] + row["volume_offset"]
        assert media[at : at + len(_MARK)] == _MARK
        placed.setdefault(how, set()).add(at)
    everywhere = {at for at in range(len(media)) if media.startswith(_MARK, at)}
    kept = media.index(b"kept " + _MARK) + 5
    assert placed["unallocated"] == everywhere - {kept}
    assert placed["carved"] == everywhere - {kept}


@_needs_tools
def test_free_space_is_items_whose_bytes_are_those_of_the_image(image: Path, result: RunResult) -> None:
    """A gap is one item; all free space of the volume has the digest of its blocks that belong to no file."""
    media, first = image.read_bytes(), starts(result)
    gaps = [row for row in rows_of(tables_of(result), "volumes") if row["kind"] == "gap"]
    rows = rows_of(tables_of(result), "entries")
    for gap in gaps:
        if gap["status"] != "raw":
            continue
        (item,) = (row for row in rows if row["volume"] == gap["volume"] and row["recovery"] == "unallocated")
        start = first[gap["volume"]]
        assert item["sha256"] == digest(media[start : start + gap["size_bytes"]])
    assert sum(gap["status"] == "raw" for gap in gaps) >= 2


_RUNS: st.SearchStrategy[tuple[tuple[int, int], ...]] = st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 50)), max_size=8).map(
    tuple
)


def places(runs: tuple[tuple[int, int], ...]) -> list[int]:
    """By hand: where each byte of the content lies."""
    return [start + number for start, size in runs for number in range(size)]


@given(_RUNS)
def test_each_byte_of_a_content_has_its_place_and_none_beyond(runs: tuple[tuple[int, int], ...]) -> None:
    """A content is the bytes of its runs, one run after the other."""
    pieces, truth = Pieces(runs), places(runs)
    assert [pieces.volume_offset(offset) for offset in range(len(truth))] == truth
    assert pieces.volume_offset(len(truth)) is None
    assert pieces.volume_offset(-1) is None


@given(_RUNS, st.integers(0, 100), st.integers(0, 100))
def test_a_part_has_the_places_of_its_bytes(runs: tuple[tuple[int, int], ...], offset: int, length: int) -> None:
    part, truth = Pieces(runs).part(offset, length), places(runs)[offset : offset + length]
    assert [part.volume_offset(number) for number in range(len(truth))] == truth
    assert part.volume_offset(len(truth)) is None


@given(_RUNS, st.data())
def test_a_range_is_broken_where_its_bytes_do_not_follow_each_other(runs: tuple[tuple[int, int], ...], data: Any) -> None:
    truth = places(runs)
    if not truth:
        return
    offset = data.draw(st.integers(0, len(truth) - 1))
    length = data.draw(st.integers(1, len(truth) - offset))
    inside = truth[offset : offset + length]
    assert Pieces(runs).is_broken(offset, length) is (inside != list(range(inside[0], inside[0] + length)))


def test_a_content_without_a_stated_place_is_nowhere() -> None:
    assert NOWHERE.volume_offset(0) is None
    assert NOWHERE.is_broken(0, 1)
    assert NOWHERE.part(0, 10).runs == ()


def test_a_range_whose_ends_fit_by_chance_is_broken() -> None:
    assert Pieces(((0, 1), (5, 1), (2, 1))).is_broken(0, 3)
