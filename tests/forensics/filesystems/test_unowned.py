"""What is in no file: with what is listed and what is free it makes up the volume, and it holds what hides there."""

from __future__ import annotations

import os
import random
import re
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laid_tree import FileBytes
from made_volumes import EVERYTHING, MEBIBYTE, Listed, listed, needs, patterned, run

from forensics.errors import StreamReadError
from forensics.filesystems.base import Entry, Recovery, StreamAddress
from forensics.filesystems.single_kinds import ALSO_OF_TSK, OWN, find_single, open_single
from forensics.filesystems.unowned import UNOWNED_TYPE, OwnedBlocks, open_unowned
from forensics.signatures import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MARKER = b"nobody should find this"


def _unowned(entries: Iterable[Entry]) -> list[tuple[int, int]]:
    """(first byte, bytes) of each item, in order."""
    return [(one.start_byte or 0, one.size or 0) for one in entries if one.recovery is Recovery.UNOWNED]


def _bytes_of(runs: Iterable[tuple[int, int]]) -> Iterator[int]:
    for start, size in runs:
        yield from range(start, start + size)


@given(
    st.integers(1, 5), st.integers(0, 300), st.integers(0, 20), st.lists(st.tuples(st.integers(-9, 330), st.integers(0, 90)), max_size=8)
)
def test_a_block_is_unowned_if_no_byte_of_it_was_added(unit: int, size: int, first: int, added: list[tuple[int, int]]) -> None:
    owned = OwnedBlocks(unit, size, first)
    for start, length in added:
        owned.add(start, length)
    taken = {byte for byte in _bytes_of(added) if 0 <= byte < size}
    first = min(first, size)
    expected = [byte for byte in range(first) if byte not in taken]
    for start in range(first, size, unit):
        block = range(start, min(start + unit, size))
        expected += [] if taken & set(block) else block
    assert list(_bytes_of(owned.iter_unowned())) == expected


def test_runs_over_many_windows_are_joined_and_cut() -> None:
    owned = OwnedBlocks(1, 5 << 20)
    owned.add(0, 10)
    owned.add(1 << 20, 1 << 20)
    owned.add(5 << 20, 1 << 60)
    assert list(owned.iter_unowned()) == [(10, (1 << 20) - 10), (2 << 20, 3 << 20)]
    assert list(owned.iter_unowned(None, 2 << 20)) == [(10, (1 << 20) - 10), (2 << 20, 2 << 20), (4 << 20, 1 << 20)]


def _debugfs(image: Path, request: str) -> str:
    return run("debugfs", "-R", request, image).decode()


@needs("mkfs.ext4", "debugfs", "dumpe2fs")
@pytest.mark.parametrize("kind", ["ext2", "ext4"])
def test_what_is_listed_free_and_in_no_file_makes_up_an_ext_volume(tmp_path: Path, kind: str) -> None:
    """The blocks of each inode are debugfs's, those that are free dumpe2fs's."""
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    for number in range(40):
        patterned(source / "folder" / f"{number}", 1000 * number)
    image = patterned(tmp_path / "a.img", 8 * MEBIBYTE)
    run(f"mkfs.{kind}", "-q", "-F", "-b", 1024, "-d", source, image)
    with listed(image) as found:
        items = _unowned(found.entries)
        inodes = sorted({2} | {one.metadata_address or 0 for one in found.entries if one.recovery is Recovery.ALLOCATED})
        owned = {int(block) for number in inodes if number < 2000 for block in _debugfs(image, f"blocks <{number}>").split()}
    free: set[int] = set()
    for line in re.findall(r"^  Free blocks: (.+)$", run("dumpe2fs", image).decode(), re.MULTILINE):
        for part in line.split(", "):
            first, _, last = part.partition("-")
            free |= set(range(int(first), int(last or first) + 1))
    assert {byte // 1024 for start, size in items for byte in range(start, start + size, 1024)} == set(range(8192)) - owned - free
    assert all(start % 1024 == size % 1024 == 0 for start, size in items)


@needs("mkfs.ext2", "e2fsck", "debugfs")
def test_bytes_in_blocks_marked_bad_are_in_no_file(tmp_path: Path) -> None:
    """E2fsck puts the blocks into the inode of bad blocks, which no name leads to."""
    image = patterned(tmp_path / "a.img", 8 * MEBIBYTE)
    run("mkfs.ext2", "-q", "-F", "-b", 1024, image)
    bad = tmp_path / "bad"
    bad.write_text("3000\n3001\n")
    run("e2fsck", "-y", "-l", bad, image)
    assert _debugfs(image, "blocks <1>").split() == ["3000", "3001"]
    _write(image, 3000 * 1024, _MARKER)
    with listed(image) as found:
        assert _hidden(found) == [(3000 * 1024, 2048)]


@needs("mkfs.fat", "fsck.fat", "mcopy")
@pytest.mark.parametrize("bits", [12, 16, 32])
def test_clusters_that_no_chain_leads_to_and_bad_ones_are_in_no_file(tmp_path: Path, bits: int) -> None:
    """The table is changed as Microsoft's specification has it; fsck.fat reports the clusters that no chain leads to."""
    image = patterned(tmp_path / "a.img", {12: 4096, 16: 16384, 32: 80000}[bits] * 512)
    run("mkfs.fat", "-F", bits, "-s", 1, "-f", 1, image)
    run("mcopy", "-i", image, patterned(tmp_path / "kept", 5000), "::/kept")
    boot = image.read_bytes()[:64]
    reserved, root_entries, table_16 = (struct.unpack_from("<H", boot, place)[0] for place in (14, 17, 22))
    table = reserved * 512
    first = table + (table_16 or struct.unpack_from("<I", boot, 36)[0]) * 512 + root_entries * 32
    end = {12: 0xFFF, 16: 0xFFFF, 32: 0x0FFFFFFF}[bits]
    # The last of a chain, and a bad cluster; both numbers are even, as is needed for two entries of 12 bits in three bytes.
    for cluster, entries in ((2000, (2001, end)), (2100, (end - 8, 0))):
        value = sum(entry << bits * number for number, entry in enumerate(entries))
        _write(image, table + cluster * bits // 8, value.to_bytes(bits // 4, "little"))
    lost, bad = (first + (cluster - 2) * 512 for cluster in (2000, 2100))
    _write(image, lost, _MARKER)
    _write(image, bad, _MARKER)
    assert "2 unused clusters (1024 bytes)" in _printed("fsck.fat", "-n", "-v", image)
    with listed(image) as found:
        assert _hidden(found) == [(lost, 1024), (bad, 512)]


@needs("mkfs.ext4", "debugfs")
def test_files_of_a_folder_that_cannot_be_read_are_in_no_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    (source / "folder" / "deep").write_bytes(_MARKER * 100)
    image = patterned(tmp_path / "a.img", 8 * MEBIBYTE)
    run("mkfs.ext4", "-q", "-F", "-b", 1024, "-d", source, image)
    (block,) = {int(one) for one in _debugfs(image, "blocks /folder").split()}
    with image.open("r+b") as file:
        file.seek(block * 1024)
        file.write(bytes(1024))
    with listed(image) as found:
        assert b"folder/deep" not in {one.path for one in found.entries}
        assert len(_hidden(found)) == 1


@needs("genisoimage")
def test_the_system_area_of_a_disc_is_in_no_file(tmp_path: Path) -> None:
    """ECMA-119, 6.2.1: 16 sectors before the first volume descriptor."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "A.TXT").write_bytes(b"a" * 3000)
    image = tmp_path / "a.iso"
    run("genisoimage", "-quiet", "-o", image, source)
    _write(image, 5 * 2048, _MARKER)
    with listed(image) as found:
        ((start, size),) = _hidden(found)
        assert start <= 5 * 2048 < start + size
        file = found.named(b"A.TXT")
        assert file.size == 3000
    body = image.read_bytes().index(b"a" * 3000)
    assert not any(start <= body < start + size for start, size in _unowned(found.entries))


@needs("mkfs.xfs", "mkfs.btrfs", "mksquashfs", "genisoimage")
@pytest.mark.parametrize("kind", ["xfs", "btrfs", "squashfs", "udf"])
def test_trees_of_our_own_leave_nothing_out(tmp_path: Path, kind: str) -> None:
    """What mkfs put in lies where its bytes do, once; the marker lies behind it, in space that is free."""
    source = tmp_path / "source"
    source.mkdir()
    content = random.Random(3).randbytes(200_000)
    (source / "content").write_bytes(content)
    image = tmp_path / "a.img"
    if kind == "xfs":
        image.write_bytes(b"")
        proto = tmp_path / "proto"
        proto.write_text(f"/boot\n0 0\nd--755 0 0\ncontent ---644 0 0 {source / 'content'}\n$\n")
        run("mkfs.xfs", "-q", "-d", f"file,name={image},size=300m", "-p", proto)
    elif kind == "btrfs":
        with image.open("wb") as file:
            file.truncate(120 * MEBIBYTE)
        run("mkfs.btrfs", "-q", "--rootdir", source, image)
    elif kind == "squashfs":
        run("mksquashfs", source, image, "-quiet", "-noI", "-noD", "-noF")
    else:
        run("genisoimage", "-quiet", "-udf", "-o", image, source)
    place = image.stat().st_size
    with image.open("ab") as file:
        file.truncate(place + 64 * 1024)
    _write(image, place, _MARKER)
    volume = FileBytes(image)
    (found,) = find_single(volume, volume.read_at(0, HEAD_BYTES), (*OWN, *ALSO_OF_TSK))
    reader = open_single(volume, found)
    entries = [one for one in reader.iter_entries(EVERYTHING) if isinstance(one, Entry)]
    items = _unowned(entries)
    body = image.read_bytes().index(content)
    assert not any(start <= byte < start + size for start, size in items for byte in (body, body + len(content) - 1))
    last = next(one for one in entries if one.recovery is Recovery.UNOWNED and (one.start_byte or 0) + (one.size or 0) == volume.size)
    assert last.address is not None
    stream = reader.open_stream(last.address)
    assert stream.read_at(place - (last.start_byte or 0), len(_MARKER)) == _MARKER


def test_an_address_that_is_none_is_an_error(tmp_path: Path) -> None:
    volume = FileBytes(patterned(tmp_path / "a", 4096))
    for start, size in ((0, 0), (-1, 4), (4000, 97), (0, -5)):
        with pytest.raises(StreamReadError, match="the volume has no"):
            open_unowned(volume, StreamAddress(start, UNOWNED_TYPE, size))


def _printed(*command: str | int | Path) -> str:
    """What the command prints, whatever its exit code: that of fsck says that there are errors."""
    environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
    return subprocess.run([str(part) for part in command], capture_output=True, check=False, env=environment, text=True).stdout


def _write(image: Path, place: int, data: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(place)
        file.write(data)


def _hidden(found: Listed) -> list[tuple[int, int]]:
    """The items that begin with, or hold, the marker; where a file or free space holds it, the test has failed."""
    holding = [one for one in found.entries if one.size and one.address is not None and _MARKER in found.content(one.address)]
    assert {one.recovery for one in holding} == {Recovery.UNOWNED}
    return _unowned(holding)
