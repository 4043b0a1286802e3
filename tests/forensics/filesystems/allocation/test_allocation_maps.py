"""Which blocks are allocated, against dumpe2fs (the maker's own), and by maps built here; runs at windows, ends and holes."""

from __future__ import annotations

import re
import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_volumes import exfat, ext, fat, needs, ntfs, run

from forensics.errors import StreamReadError
from forensics.filesystems.allocation.block_map import Geometry
from forensics.filesystems.allocation.exfat_bitmap import ExfatBitmap
from forensics.filesystems.allocation.ext_groups import ExtGroups
from forensics.filesystems.allocation.fat_table import FatTable
from forensics.filesystems.allocation.open_allocation import open_allocation
from forensics.filesystems.allocation.stream_bitmap import StreamBitmap
from forensics.filesystems.allocation.ufs_groups import UfsGroups
from forensics.filesystems.allocation.unallocated_runs import Allocation
from forensics.filesystems.ext_layout import ExtLayout
from forensics.filesystems.runs import BytesStream
from forensics.filesystems.unallocated import UnallocatedSpace
from forensics.image import open_image
from forensics.sleuthkit import open_filesystem, open_media

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from forensics.filesystems.allocation.block_map import BlockMap
    from forensics.source import ByteSource


@needs("mkfs.ext4", "dumpe2fs")
@pytest.mark.parametrize(
    "options",
    [
        ("-O", "^has_journal"),
        ("-g", "256", "-O", "^has_journal,^resize_inode"),
        ("-g", "256", "-O", "^has_journal,^resize_inode,meta_bg"),
        ("-g", "256", "-O", "^has_journal,^resize_inode,sparse_super2"),
        ("-g", "256", "-O", "^has_journal,^resize_inode,^flex_bg,^sparse_super"),
        ("-g", "256", "-O", "^has_journal,^resize_inode,^64bit,^metadata_csum,uninit_bg"),
        ("-O", "^has_journal,bigalloc", "-C", "4096"),
    ],
    ids=["plain", "groups", "meta_bg", "sparse_super2", "every group has a superblock", "uninit_bg", "bigalloc"],
)
def test_free_blocks_of_ext4_are_those_that_dumpe2fs_gives(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Over a pattern: a bitmap that was never written holds some. TSK 4.11.1 reads it all the same, and opens no bigalloc."""
    image = ext(tmp_path / "ext4.dd", *options)
    told = run("dumpe2fs", image).decode()
    cluster = 4 if "bigalloc" in options[1] else 1
    free: set[int] = set()
    for line in re.findall(r"^  Free blocks: (.+)$", told, re.MULTILINE):
        for part in filter(None, line.split(", ")):
            first, _, last = part.partition("-")
            free |= set(range(int(first), int(last or first) + cluster))  # of a cluster, its first block is printed
    assert len(free) > 1000
    with open_image(image) as source:
        runs = list(Allocation(ExtGroups(source)).iter_unallocated(1 << 30))
    found = [block for start, size in runs for block in range(start // 1024, (start + size) // 1024)]
    assert len(found) == len(set(found))
    assert set(found) == free


class _Map:
    """A map given as flags; some groups of 8 units cannot be read."""

    def __init__(self, flags: list[bool], geometry: Geometry, unreadable: frozenset[int] = frozenset()) -> None:
        self.geometry, self._flags, self._unreadable = geometry, flags, unreadable

    def allocated(self, first: int, count: int) -> NDArray[np.bool_]:
        if first // 8 in self._unreadable:
            message = "damaged here"
            raise StreamReadError(message)
        return np.array(self._flags[first : first + count], dtype=np.bool_)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 8 units and three of them kept, so that small maps have many."""
    monkeypatch.setattr("forensics.filesystems.allocation.unallocated_runs.WINDOW_UNITS", 8)
    monkeypatch.setattr("forensics.filesystems.allocation.unallocated_runs._KEPT_WINDOWS", 3)


_FLAGS = st.lists(st.booleans(), min_size=1, max_size=70)


@pytest.mark.usefixtures("small_windows")
def test_runs_are_the_free_units_in_order_whatever_windows_and_the_end_cut() -> None:
    @given(
        flags=_FLAGS,
        first=st.integers(0, 40),
        unit=st.sampled_from([1, 3, 16]),
        cut=st.integers(0, 1200),
        longest=st.integers(1, 100),
        damaged=st.frozensets(st.integers(0, 8)),
    )
    def check(*, flags: list[bool], first: int, unit: int, cut: int, longest: int, damaged: frozenset[int]) -> None:
        """Every byte of the filesystem that no unit allocates, and no other, once; less where the map cannot be read."""
        geometry = Geometry(first_byte=first, unit_bytes=unit, units=len(flags), end_byte=cut)
        allocation = Allocation(_Map(flags, geometry, damaged))
        runs = list(allocation.iter_unallocated(longest))
        wanted = [
            first + number * unit + byte
            for number, is_allocated in enumerate(flags)
            if not is_allocated and number // 8 not in damaged
            for byte in range(unit)
            if first + number * unit + byte < cut
        ] + list(range(first + len(flags) * unit, cut))
        assert [byte for start, size in runs for byte in range(start, start + size)] == wanted
        assert all(size > 0 for _, size in runs)
        assert all(size <= max(longest, unit) or start >= first + len(flags) * unit for start, size in runs)
        for start, _ in runs:
            assert next(allocation.iter_unallocated(longest, start))[0] == start
        unread = [start for start, _, _ in allocation.unreadable()]
        assert unread == [first + 8 * unit * number for number in sorted(damaged) if 8 * number < len(flags)]

    check()


@pytest.mark.usefixtures("small_windows")
def test_a_piece_that_the_volume_s_end_cuts_inside_a_unit_is_the_last() -> None:
    """Three free units of 16 bytes in a volume that has 40 bytes: asked from the end of what was given on, nothing comes again."""
    allocation = Allocation(_Map([False] * 3, Geometry(first_byte=0, unit_bytes=16, units=3, end_byte=40)))
    assert list(allocation.iter_unallocated(16)) == [(0, 16), (16, 16), (32, 8)]
    assert list(allocation.iter_unallocated(16, 40)) == []
    assert list(allocation.iter_unallocated(16, 35)) == []


def test_bytes_are_allocated_where_any_unit_of_them_is_and_unknown_where_the_map_ends_or_is_damaged() -> None:
    flags = [False] * 8 + [True] + [False] * 7
    allocation = Allocation(_Map(flags, Geometry(first_byte=100, unit_bytes=10, units=16, end_byte=260)))
    assert allocation.is_allocated(100, 80) is False
    assert allocation.is_allocated(179, 1) is False
    assert allocation.is_allocated(179, 2) is True
    assert allocation.is_allocated(189, 1) is True
    assert allocation.is_allocated(190, 70) is False
    assert allocation.is_allocated(99, 10) is None
    assert allocation.is_allocated(250, 11) is None
    assert allocation.is_allocated(100, 0) is None
    damaged = Allocation(_Map(flags, Geometry(first_byte=100, unit_bytes=10, units=16, end_byte=260), frozenset({0})))
    assert damaged.is_allocated(100, 80) is None


@needs("mkfs.ext4", "mkfs.fat", "mkntfs")
@pytest.mark.parametrize("kind", ["fat12", "fat16", "ext4", "ntfs"])
@pytest.mark.parametrize("cut", [1 << 20, (1 << 20) + 100, 700_001])
def test_a_volume_that_is_cut_off_ends_with_its_bytes(tmp_path: Path, kind: str, cut: int) -> None:
    """What is listed as unallocated lies in what is there, comes once, and can be read; the walk ends."""
    path = tmp_path / "volume.dd"
    made = {
        "fat12": lambda: fat(path, 12),
        "fat16": lambda: fat(path, 16),
        "ext4": lambda: ext(path, "-O", "^has_journal"),
        "ntfs": lambda: ntfs(path),
    }
    with made[kind]().open("r+b") as file:
        file.truncate(cut)
    with open_image(path) as image:
        opened = open_filesystem(open_media(image), 0, image.size)
        allocation = open_allocation(opened)
        space = UnallocatedSpace(opened, allocation, 1 << 16, 1 << 17)
        end = 0
        for entry in space.iter_entries():
            assert entry.address is not None
            for start, size in space.runs_of(entry.address):
                assert end <= start < start + size
                end = start + size
            stream = space.open_stream(entry.address)
            assert len(stream.read_at(0, stream.size)) == entry.size
        assert cut // 2 < end <= cut


def test_entries_of_fat12_are_those_of_its_specification() -> None:
    """Microsoft's specification, "FAT Data Structure": entry n begins at bit 12 n, the lower nibble first."""
    entries = [0xFF8, 0xFFF, 0x000, 0x001, 0xF00, 0x000, 0xFF7, 0x000, 0x010, 0xFFF, 0x000]
    table = sum(entry << 12 * number for number, entry in enumerate(entries)).to_bytes(512, "little")
    boot = bytearray(512)
    struct.pack_into("<HBHBHHBH", boot, 11, 512, 1, 1, 1, 16, 3 + len(entries) - 2, 0xF8, 1)
    volume = BytesStream(bytes(boot) + table + bytes(512) + bytes(512 * len(entries[2:])))
    found = FatTable(volume, "fat12")
    assert (found.geometry.first_byte, found.geometry.units) == (3 * 512, 9)
    assert found.allocated(0, 9).tolist() == [entry != 0 for entry in entries[2:]]
    assert found.allocated(8, 1).tolist() == [False]


@pytest.mark.parametrize("most_significant_first", [False, True])
def test_a_bitmap_that_ends_before_the_last_block_is_an_error_of_what_it_does_not_cover(*, most_significant_first: bool) -> None:
    geometry = Geometry(first_byte=0, unit_bytes=1, units=24, end_byte=24)
    found = StreamBitmap(BytesStream(b"\x01\x80"), geometry, most_significant_first=most_significant_first)
    first = [True] + [False] * 7
    assert found.allocated(0, 16).tolist() == ([*first[::-1], *first] if most_significant_first else [*first, *first[::-1]])
    with pytest.raises(StreamReadError, match="ends at unit 16 of 24"):
        found.allocated(8, 16)


class _Patched:
    """A volume in which some fields are others."""

    def __init__(self, data: bytes, fields: list[tuple[int, int, int]]) -> None:
        whole = bytearray(data)
        for offset, size, value in fields:
            whole[offset : offset + size] = value.to_bytes(size, "little")
        self._data = bytes(whole)
        self.size = len(whole)

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        return self._data[offset : offset + length]


_VALUES = st.one_of(st.sampled_from([0, 1, 2, 255, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 60) - 1]), st.integers(0))


@st.composite
def _fields(draw: st.DrawFn, start: int, end: int) -> list[tuple[int, int, int]]:
    """Up to three fields between the two bytes: offset, size, value."""
    fields = []
    for _ in range(draw(st.integers(0, 3))):
        size = draw(st.sampled_from([1, 2, 4, 8]))
        fields.append((draw(st.integers(start, end - size)), size, draw(_VALUES) % (1 << 8 * size)))
    return fields


def _assert_bounded(open_map: Callable[[ByteSource], BlockMap], volume: _Patched) -> bool:
    """No map, or one in whose runs no byte lies outside the volume and none comes twice; whether there is one."""
    try:
        allocation = Allocation(open_map(volume))
    except StreamReadError:
        return False
    taken = list(allocation.iter_unallocated(1 << 30))
    assert all(0 <= start < start + size <= volume.size for start, size in taken)
    assert all(start + size <= following for (start, size), (following, _) in pairwise(taken))
    return True


_MADE: dict[str, tuple[Callable[[Path], Path], Callable[[ByteSource], BlockMap], int, int]] = {
    "fat12": (lambda path: fat(path, 12), lambda source: FatTable(source, "fat12"), 11, 48),
    "fat16": (lambda path: fat(path, 16), lambda source: FatTable(source, "fat16"), 11, 48),
    "exfat": (exfat, ExfatBitmap, 64, 112),
    "ext4": (lambda path: ext(path, "-g", "512", "-O", "^has_journal,^resize_inode", size=1 << 20), ExtGroups, 1024, 1024 + 0x110),
    "descriptors of ext4": (lambda path: ext(path, "-g", "512", "-O", "^has_journal,^resize_inode", size=1 << 20), ExtGroups, 2048, 2200),
}


@needs("mkfs.ext4", "mkfs.fat", "mkfs.exfat")
@pytest.mark.parametrize("kind", _MADE)
def test_whatever_a_boot_sector_states_the_walk_is_bounded_by_the_volume(tmp_path: Path, kind: str) -> None:
    make, open_map, start, end = _MADE[kind]
    data = make(tmp_path / "volume.dd").read_bytes()
    assert _assert_bounded(open_map, _Patched(data, []))

    @given(_fields(start, end), st.integers(0, len(data)))
    def check(fields: list[tuple[int, int, int]], cut: int) -> None:
        _assert_bounded(open_map, _Patched(data, fields))
        _assert_bounded(open_map, _Patched(data[: max(cut, end + 8)], fields))

    check()


@needs("mkfs.ext4")
def test_descriptors_larger_than_a_block_make_no_sense(tmp_path: Path) -> None:
    """fs/ext4/super.c refuses descriptors (s_desc_size at 0xFE, with the feature 64bit) of more than EXT4_MAX_DESC_SIZE, 1,024 bytes."""
    data = ext(tmp_path / "volume.dd", "-O", "64bit").read_bytes()
    for size in (2048, 0xFF40):
        with pytest.raises(StreamReadError, match="makes no sense"):
            ExtGroups(_Patched(data, [(1024 + 0xFE, 2, size)]))


@needs("mkfs.ext4")
def test_an_inode_that_lies_behind_the_end_is_an_error_that_says_so(tmp_path: Path) -> None:
    data = ext(tmp_path / "volume.dd", "-g", "512", "-O", "^has_journal,^resize_inode").read_bytes()
    layout = ExtLayout(_Patched(data, []))
    inodes = int.from_bytes(data[1024 + 0x28 : 1024 + 0x2C], "little")  # of a group
    end = layout.group(0).inode_table * 1024 + layout.inode_size * inodes
    cut = ExtLayout(_Patched(data[: end - 100], []))
    assert len(cut.read_inode(inodes - 1)) == cut.inode_size
    with pytest.raises(StreamReadError, match=f"inode {inodes} lies behind the end"):
        cut.read_inode(inodes)
    with pytest.raises(StreamReadError, match="there is no inode 0"):
        cut.read_inode(0)


@pytest.mark.corpus
def test_whatever_a_superblock_of_ufs_states_the_walk_is_bounded_by_the_volume(corpus_image: Callable[[str], Path]) -> None:
    data = corpus_image("dissect-ffs").read_bytes()
    assert _assert_bounded(UfsGroups, _Patched(data, []))
    before = Allocation(UfsGroups(_Patched(data, [(65536 + 12, 4, 0xFF000010)])))  # fs_cblkno, a signed number
    assert list(before.iter_unallocated(1 << 30)) == []
    assert {why for _, _, why in before.unreadable()} == {"cylinder group 0 has no valid header"}

    @given(_fields(65536, 65536 + 1300))
    def check(fields: list[tuple[int, int, int]]) -> None:
        _assert_bounded(UfsGroups, _Patched(data, fields))

    check()


def test_2_to_the_60_clusters_cost_nothing() -> None:
    """Boot sectors that state all that their fields can: what is not there is not counted."""
    exfat = bytearray(512)
    struct.pack_into("<Q5I", exfat, 72, 1 << 60, 1, 0xFFFFFFFF, 2, 0xFFFFFFFF, 2)
    exfat[108:110] = bytes((9, 0))
    entry = bytearray(32)
    entry[0] = 0x81
    struct.pack_into("<IQ", entry, 20, 3, 1 << 63)
    found = ExfatBitmap(
        BytesStream(bytes(exfat) + struct.pack("<4I", 0, 0, 0xFFFFFFFF, 0xFFFFFFFF).ljust(512, b"\0") + bytes(entry) + bytes(5000))
    )
    assert found.geometry.units <= 10
    fat = bytearray(512)
    struct.pack_into("<HBHBHHxH8xII", fat, 11, 512, 255, 1, 2, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFF)
    assert list(Allocation(FatTable(BytesStream(bytes(fat) + bytes(5000)), "fat32")).iter_unallocated(1 << 30)) == []
