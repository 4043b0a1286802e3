"""Unallocated space: byte for byte what blkls and dumpe2fs say it is, each block once, and found again by its address."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_volumes import EVERYTHING, MEBIBYTE, exfat, ext, fat, listed, needs, ntfs, run, source_file
from running import unpack

from forensics.errors import StreamReadError
from forensics.filesystems.allocation.block_map import Geometry
from forensics.filesystems.allocation.unallocated_runs import Allocation
from forensics.filesystems.base import Recovery, StreamAddress
from forensics.filesystems.tsk import TskReader
from forensics.filesystems.unallocated import UNALLOCATED_TYPE, VOLUME_SLACK, VOLUME_SLACK_TYPE, UnallocatedSpace, gather
from forensics.image import open_image
from forensics.sleuthkit import open_filesystem, open_media

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from made_volumes import Listed
    from numpy.typing import NDArray

_SECTOR = 512


def _items(found: Listed) -> list[tuple[int, int]]:
    """The runs of all items, in the order of the listing."""
    addresses = [e.address for e in found.entries if e.recovery is Recovery.UNALLOCATED]
    return [one for address in addresses if address is not None for one in found.reader.runs_of(address)]


def _assert_is_what_blkls_gives(path: Path, start_byte: int = 0) -> None:
    where = ("-o", str(start_byte // _SECTOR), path)
    with listed(path, start_byte) as found:
        addresses = [e.address for e in found.entries if e.recovery is Recovery.UNALLOCATED]
        digest, size = hashlib.sha256(), 0
        for address in addresses:
            content = found.content(address)
            digest.update(content)
            size += len(content)
        expected = run("blkls", "-A", *where)
        assert size == len(expected) > 0
        assert digest.hexdigest() == hashlib.sha256(expected).hexdigest()
        _assert_is_accounted_for(found, run("blkls", "-a", "-l", *where).decode())
        assert [p for p in found.problems if p.code.startswith("allocation")] == []


def _assert_is_accounted_for(found: Listed, told: str) -> None:
    """No block of an item is one that blkls lists as allocated, none is in two items, and both together are all blocks."""
    filesystem = found.reader._opened
    allocated = {int(number) for number in re.findall(r"^(\d+)\|a", told, re.MULTILINE)}
    unallocated: set[int] = set()
    end = 0
    for start, size in _items(found):
        assert start >= end, "runs are in order and do not overlap"
        end = start + size
        first = (start - filesystem.first_block_byte) // filesystem.block_size
        unallocated |= set(range(first, first + size // filesystem.block_size))
    assert not allocated & unallocated
    assert len(allocated) + len(unallocated) == filesystem.block_count - int(filesystem.handle.info.first_block)
    assert end <= filesystem.first_block_byte + filesystem.block_count * filesystem.block_size


@needs("blkls", "mkfs.fat", "mcopy", "mdel")
@pytest.mark.parametrize("bits", [12, 16, 32])
def test_fat(tmp_path: Path, bits: int) -> None:
    volume = fat(tmp_path / "fat.dd", bits)
    for number in range(5):
        run("mcopy", "-i", volume, source_file(tmp_path / "src", 5000 + number * 3000, number), f"::/{number}.bin")
    run("mdel", "-i", volume, "::/1.bin", "::/3.bin")
    _assert_is_what_blkls_gives(volume)


@needs("blkls", "mkfs.exfat")
def test_exfat(tmp_path: Path) -> None:
    _assert_is_what_blkls_gives(exfat(tmp_path / "exfat.dd"))


@needs("blkls", "mkntfs", "ntfscp")
@pytest.mark.parametrize("cluster", [512, 4096])
def test_ntfs(tmp_path: Path, cluster: int) -> None:
    volume = ntfs(tmp_path / "ntfs.dd", cluster=cluster)
    for number in range(3):
        run("ntfscp", "-f", volume, source_file(tmp_path / "src", 9000 * number + 100, number), f"/{number}.bin")
    _assert_is_what_blkls_gives(volume)


@needs("blkls", "mkfs.ext4", "debugfs", "dumpe2fs")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ext2", ()),
        ("ext3", ("-J", "size=1")),
        ("ext4", ()),
        ("ext4", ("-O", "^64bit,^metadata_csum")),
        ("ext2", ("-g", "1024", "-O", "^sparse_super,^resize_inode")),
        ("ext4", ("-g", "512", "-O", "meta_bg,^resize_inode")),
    ],
    ids=["ext2", "ext3", "ext4", "ext4 of old", "many groups", "meta block groups"],
)
def test_ext(tmp_path: Path, kind: str, options: tuple[str, ...]) -> None:
    volume = ext(tmp_path / "ext.dd", *options, kind=kind)
    for number in range(4):
        run("debugfs", "-w", "-R", f"write {source_file(tmp_path / 'src', 3000 + 9000 * number, number)} {number}", volume)
    run("debugfs", "-w", "-R", "rm 2", volume)
    _assert_is_what_dumpe2fs_says(volume)
    if "-O" not in options or "meta_bg" not in options[-1]:
        _assert_unallocated_is_that_of_blkls(volume)


def _assert_unallocated_is_that_of_blkls(volume: Path) -> None:
    with listed(volume) as found:
        content = b"".join(found.content(e.address) for e in found.entries if e.recovery is Recovery.UNALLOCATED)
    assert content == run("blkls", "-A", volume)


def _assert_is_what_dumpe2fs_says(volume: Path, start_byte: int = 0) -> None:
    """The lists of free blocks that dumpe2fs prints a group, which are libext2fs's reading of the bitmaps."""
    told = run("dumpe2fs", volume).decode()
    free: set[int] = set()
    for ranges in re.findall(r"^  Free blocks: (.*)$", told, re.MULTILINE):
        for one in filter(None, ranges.split(", ")):
            first, _, last = one.strip().partition("-")
            free |= set(range(int(first), int(last or first) + 1))
    with listed(volume, start_byte) as found:
        block = found.reader._opened.block_size
        runs = _items(found)
        assert free == {start // block + at for start, size in runs for at in range(size // block)}
        assert sum(size for _, size in runs) == len(free) * block > 0


@pytest.mark.corpus
@needs("blkls")
@pytest.mark.parametrize(
    ("identifier", "start_byte"),
    [
        ("ntfs-colinfinck", 0),
        ("ntfs-grr", 32256),
        ("raw-be-fat32", 512),
        ("dfir-exfat-win", 0),
        ("exfat-dsoprea", 0),
        ("exfat-4n6", 0),
        ("dissect-ext4-sparse", 0),
        ("ext4-dsoprea-hierarchy64", 0),
        ("hfsplus-dfvfs", 0),
        ("dissect-ffs", 0),
        ("raw-tsk-image", 0),
    ],
)
def test_public_images(corpus_image: Callable[[str], Path], identifier: str, start_byte: int) -> None:
    _assert_is_what_blkls_gives(corpus_image(identifier), start_byte)


@needs("blkls")
@pytest.mark.parametrize(("sample", "start_byte"), [("ntfs-mbr", 65536), ("exfat", 0), ("gpt-fat32-ext4", 35749888), ("windows", 1048576)])
def test_the_samples(tmp_path: Path, sample: str, start_byte: int) -> None:
    _assert_is_what_blkls_gives(unpack(sample, tmp_path / "sample.dd"), start_byte)


@pytest.mark.corpus
@needs("dumpe2fs")
def test_a_group_whose_bitmap_was_never_written_keeps_its_copies_of_the_superblock(
    corpus_image: Callable[[str], Path], tmp_path: Path
) -> None:
    """Blkls counts the copies in such groups as unallocated; libext2fs, which made them, does not."""
    partition = tmp_path / "partition.dd"
    with open_image(corpus_image("linux-open")) as image, partition.open("wb") as file:
        for offset in range(MEBIBYTE, image.size, MEBIBYTE):
            block = image.read_at(offset, MEBIBYTE)
            file.seek(offset - MEBIBYTE)
            file.write(block if any(block) else b"")
        file.truncate(98304 * _SECTOR)
    assert b"BLOCK_UNINIT" in run("dumpe2fs", partition)
    _assert_is_what_dumpe2fs_says(partition)


@needs("mkntfs", "mkfs.fat", "mkfs.ext4")
@pytest.mark.parametrize("kind", ["ntfs", "fat", "ext"])
def test_what_lies_behind_the_filesystem_is_listed_where_the_size_of_the_volume_is_known(tmp_path: Path, kind: str) -> None:
    volume = tmp_path / "volume.dd"
    {"ntfs": lambda: ntfs(volume), "fat": lambda: fat(volume, 12), "ext": lambda: ext(volume)}[kind]()
    hidden = b"hidden behind the filesystem" * 100
    end = volume.stat().st_size
    with volume.open("ab") as file:
        file.write(hidden)
    with listed(volume, 0, end + len(hidden)) as found:
        pieces = [e for e in found.entries if e.path.startswith(VOLUME_SLACK)]
        content = b"".join(found.content(one.address) for one in pieces)
        assert content.endswith(hidden)
        assert [(one.recovery, one.start_byte) for one in pieces] == [(Recovery.SLACK, end + len(hidden) - len(content))]
        last = max(sum(one) for one in _items(found))
        assert last <= (pieces[0].start_byte or 0), "what lies behind is in no item as well"
        # mkntfs leaves the last sector, where the copy of the boot sector stands, outside the clusters.
        assert len(content) - len(hidden) < 4096
    with listed(volume, 0, None) as found:
        assert [e for e in found.entries if e.path.startswith(VOLUME_SLACK)] == []


def test_an_item_is_found_again_by_its_address_alone(tmp_path: Path) -> None:
    """Another process has the address and no listing; small items, so that there are many."""
    path = unpack("exfat", tmp_path / "exfat.dd")
    with open_image(path) as image:
        filesystem = open_filesystem(open_media(image), 0)
        allocation = TskReader(filesystem)._allocation().allocation
        assert allocation is not None
        space = UnallocatedSpace(filesystem, allocation, item_bytes=20_000, longest_run=50_000)
        entries = list(space.iter_entries())
        runs = [space.runs_of(e.address) for e in entries if e.address]
        assert len(entries) > 10
        assert [one for item in runs for one in item] == [one for item in runs for one in sorted(item)]
        again = UnallocatedSpace(filesystem, allocation, item_bytes=20_000, longest_run=50_000)
        assert [again.runs_of(e.address) for e in reversed(entries) if e.address] == runs[::-1]
        assert sum(e.size or 0 for e in entries) == sum(size for _, size in allocation.iter_unallocated(1 << 40))


@pytest.mark.parametrize(
    "address",
    [
        StreamAddress(0, UNALLOCATED_TYPE, 1),  # the boot sector
        StreamAddress(-1, UNALLOCATED_TYPE, 1),
        StreamAddress(10**12, UNALLOCATED_TYPE, 1),
        StreamAddress(8192, VOLUME_SLACK_TYPE, 1, slack=True),
        StreamAddress(8192, VOLUME_SLACK_TYPE, 10**12, slack=True),
    ],
)
def test_an_address_that_begins_no_item_is_an_error(tmp_path: Path, address: StreamAddress) -> None:
    path = unpack("exfat", tmp_path / "exfat.dd")
    with listed(path, limits=EVERYTHING) as found, pytest.raises(StreamReadError, match="no unallocated space"):
        found.reader.open_stream(address)


class _Bits:
    """A map of blocks given bit by bit."""

    def __init__(self, flags: list[bool], unit: int) -> None:
        self._flags = flags
        self.geometry = Geometry(first_byte=unit * 3, unit_bytes=unit, units=len(flags), end_byte=unit * (3 + len(flags)))

    def allocated(self, first: int, count: int) -> NDArray[np.bool_]:
        return np.array(self._flags[first : first + count], dtype=np.bool_)


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(1, 20), st.integers(1, 20))
def test_items_are_the_unallocated_blocks_each_once_and_begin_where_their_address_says(flags: list[bool], item: int, longest: int) -> None:
    """The items together are the unallocated blocks in order; each is at most the longest run, and begins anew from its own start."""
    unit = 512
    allocation = Allocation(_Bits(flags, unit))
    items, start = [], 0
    while runs := gather(allocation, start, item * unit, max(item, longest) * unit):
        items.append(runs)
        start = sum(runs[-1])
    blocks = [(at // unit) + number - 3 for runs in items for at, size in runs for number in range(size // unit)]
    assert blocks == [number for number, is_allocated in enumerate(flags) if not is_allocated]
    for runs in items:
        assert sum(size for _, size in runs) <= max(item, longest) * unit
        assert gather(allocation, runs[0][0], item * unit, max(item, longest) * unit) == runs
