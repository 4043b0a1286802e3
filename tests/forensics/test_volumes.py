"""Partition tables, written byte by byte from their specifications, and the law that volumes and gaps tile the image."""

from __future__ import annotations

import struct
import uuid
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.image import open_image
from forensics.sleuthkit import Partition
from forensics.volumes import Layout, read_layout, tile

if TYPE_CHECKING:
    from pathlib import Path

_LINUX = uuid.UUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4")  # Linux filesystem data (UAPI Discoverable Partitions Specification)


@st.composite
def _partitions(draw: st.DrawFn) -> list[Partition]:
    return [
        Partition(scheme="dos", slot=f"{n:03d}", start_byte=draw(st.integers(0, 2000)), size_bytes=draw(st.integers(0, 2000)), type="x")
        for n in range(draw(st.integers(0, 8)))
    ]


@given(_partitions(), st.integers(0, 2500))
def test_volumes_and_gaps_tile_the_image(partitions: list[Partition], size: int) -> None:
    """Law 2: the ranges are disjoint, in order, without a hole, and add up to the size of the media."""
    position = 0
    for extent in tile(partitions, size).extents:
        assert extent.start_byte == position
        assert extent.size_bytes >= 0
        position += extent.size_bytes
    assert position == size


@given(_partitions(), st.integers(0, 2500))
def test_every_partition_is_a_volume_and_every_identifier_is_unique(partitions: list[Partition], size: int) -> None:
    extents = tile(partitions, size).extents
    assert sum(not e.is_gap for e in extents) == max(len(partitions), 1)
    assert len({e.volume for e in extents}) == len(extents)
    assert sorted(e.origin_byte for e in extents if not e.is_gap) == sorted(p.start_byte for p in partitions) or not partitions


@given(_partitions(), st.integers(0, 2500))
def test_what_does_not_fit_is_a_problem_and_what_fits_is_none(partitions: list[Partition], size: int) -> None:
    layout = tile(partitions, size)
    kept = {e.origin_byte: e for e in layout.volumes}
    past = sum(p.start_byte + p.size_bytes > size for p in partitions)
    assert sum(p.code == "partition-past-end" for p in layout.problems) == past
    if not layout.problems:
        assert all(kept[p.start_byte].size_bytes >= 0 for p in partitions)
        assert sum(e.size_bytes for e in layout.volumes) == sum(p.size_bytes for p in partitions) or not partitions
    for problem in layout.problems:
        assert problem.size_bytes is not None
        assert problem.size_bytes >= 0


@given(_partitions(), st.integers(0, 2500))
def test_the_order_of_the_table_changes_nothing(partitions: list[Partition], size: int) -> None:
    assert tile(partitions, size) == tile(partitions[::-1], size)


def test_an_overlapping_partition_keeps_its_own_bytes_and_its_start() -> None:
    parts = [
        Partition(scheme="dos", slot="000", start_byte=100, size_bytes=200, type="a"),
        Partition(scheme="dos", slot="001", start_byte=200, size_bytes=200, type="b"),
    ]
    layout = tile(parts, 1000)
    assert [(e.volume, e.start_byte, e.size_bytes, e.origin_byte) for e in layout.extents] == [
        ("g01", 0, 100, 0),
        ("v01", 100, 200, 100),
        ("v02", 300, 100, 200),
        ("g02", 400, 600, 400),
    ]
    assert [(p.code, p.start_byte, p.size_bytes) for p in layout.problems] == [("partition-overlap", 200, 100)]


def _read(path: Path, media: bytes) -> Layout:
    path.write_bytes(media)
    with open_image(path) as image:
        return read_layout(image)


def _volumes(layout: Layout) -> list[tuple[str, str, int, int]]:
    return [(e.scheme, e.slot, e.start_byte, e.size_bytes) for e in layout.volumes]


def _mbr_entry(kind: int, start: int, sectors: int) -> bytes:
    """One partition entry: status, CHS, type, CHS, first sector, sectors (UEFI specification, table 5.2)."""
    return struct.pack("<B3sB3sII", 0, b"\0\2\0", kind, b"\xff\xff\xff", start, sectors)


def _mbr(*entries: bytes) -> bytes:
    return (bytes(446) + b"".join(entries)).ljust(510, b"\0") + b"\x55\xaa"


def test_no_table_is_one_volume_over_all(tmp_path: Path) -> None:
    layout = _read(tmp_path / "a.dd", bytes(1 << 20))
    assert [(e.scheme, e.is_gap, e.start_byte, e.size_bytes) for e in layout.extents] == [("none", False, 0, 1 << 20)]


def test_an_mbr_with_logical_partitions(tmp_path: Path) -> None:
    """Each extended boot record holds one logical partition, relative to itself, and the next record, relative to the first."""
    media = bytearray(4 << 20)
    media[:512] = _mbr(_mbr_entry(0x83, 128, 1024), _mbr_entry(0x05, 2048, 6000))
    media[2048 * 512 : 2049 * 512] = _mbr(_mbr_entry(0x07, 64, 1000), _mbr_entry(0x05, 2000, 3000))
    media[4048 * 512 : 4049 * 512] = _mbr(_mbr_entry(0x0B, 64, 1500))
    layout = _read(tmp_path / "a.dd", bytes(media))
    assert [(scheme, start // 512, size // 512) for scheme, _, start, size in _volumes(layout)] == [
        ("dos", 128, 1024),
        ("dos", 2048 + 64, 1000),
        ("dos", 4048 + 64, 1500),
    ]
    assert len({slot for _, slot, _, _ in _volumes(layout)}) == 3
    assert not layout.problems


def test_a_loop_of_extended_boot_records_ends(tmp_path: Path) -> None:
    media = bytearray(4 << 20)
    media[:512] = _mbr(_mbr_entry(0x05, 2048, 6000))
    media[2048 * 512 : 2049 * 512] = _mbr(_mbr_entry(0x07, 64, 100), _mbr_entry(0x05, 1000, 3000))
    media[3048 * 512 : 3049 * 512] = _mbr(_mbr_entry(0x07, 64, 100), _mbr_entry(0x05, 0, 3000))
    layout = _read(tmp_path / "a.dd", bytes(media))
    assert sum(e.size_bytes for e in layout.extents) == len(media)


def test_a_partition_past_the_end_keeps_what_is_there(tmp_path: Path) -> None:
    media = bytearray(1 << 20)
    media[:512] = _mbr(_mbr_entry(0x83, 64, 512), _mbr_entry(0x83, 1024, 4096))
    layout = _read(tmp_path / "a.dd", bytes(media))
    assert [(start // 512, size // 512) for _, _, start, size in _volumes(layout)] == [(64, 512), (1024, 1024)]
    assert [(p.code, p.start_byte, p.size_bytes) for p in layout.problems] == [("partition-past-end", 1024 * 512, 3072 * 512)]


def _gpt(sectors: int, sector: int, partitions: list[tuple[int, int]]) -> bytearray:
    """A disk with a GPT, first and last sector of each partition (UEFI specification, 5.3.2 and 5.3.3)."""
    media = bytearray(sectors * sector)
    media[:512] = _mbr(_mbr_entry(0xEE, 1, sectors - 1))
    entries = b"".join(
        struct.pack("<16s16sQQQ72s", _LINUX.bytes_le, uuid.UUID(int=n + 1).bytes_le, first, last, 0, f"part {n}".encode("utf-16-le"))
        for n, (first, last) in enumerate(partitions)
    ).ljust(128 * 128, b"\0")
    table = -(-len(entries) // sector)
    for here, other, start in ((1, sectors - 1, 2), (sectors - 1, 1, sectors - 1 - table)):
        fields = [
            b"EFI PART",
            0x10000,
            92,
            0,
            0,
            here,
            other,
            2 + table,
            sectors - 2 - table,
            bytes(16),
            start,
            128,
            128,
            zlib.crc32(entries),
        ]
        form = "<8sIIIIQQQQ16sQIII"
        fields[3] = zlib.crc32(struct.pack(form, *fields))
        header = struct.pack(form, *fields)
        media[here * sector : here * sector + len(header)] = header
        media[start * sector : start * sector + len(entries)] = entries
    return media


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_gpt_has_partitions_up_to_and_with_their_last_sector(tmp_path: Path, sector: int) -> None:
    media = _gpt(2048, sector, [(64, 127), (256, 1023)])
    layout = _read(tmp_path / "a.dd", bytes(media))
    assert [(scheme, start // sector, size // sector) for scheme, _, start, size in _volumes(layout)] == [
        ("gpt", 64, 64),
        ("gpt", 256, 768),
    ]


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_damaged_primary_header_leaves_the_backup(tmp_path: Path, sector: int) -> None:
    media = _gpt(2048, sector, [(64, 127), (256, 1023)])
    media[sector : sector + 92] = b"\xff" * 92
    layout = _read(tmp_path / "a.dd", bytes(media))
    assert [(scheme, start // sector, size // sector) for scheme, _, start, size in _volumes(layout)] == [
        ("gpt", 64, 64),
        ("gpt", 256, 768),
    ]


def test_a_damaged_primary_header_is_a_problem(tmp_path: Path) -> None:
    media = _gpt(2048, 512, [(64, 127)])
    assert not _read(tmp_path / "whole.dd", bytes(media)).problems
    media[512:520] = bytes(8)
    assert [p.code for p in _read(tmp_path / "damaged.dd", bytes(media)).problems] == ["partition-table-damaged"]


def test_a_gpt_without_its_first_sectors_is_read_from_its_backup(tmp_path: Path) -> None:
    media = _gpt(2048, 512, [(64, 127)])
    media[: 34 * 512] = bytes(34 * 512)
    assert [(start // 512, size // 512) for _, _, start, size in _volumes(_read(tmp_path / "a.dd", bytes(media)))] == [(64, 64)]


@pytest.mark.parametrize("place", [-512 + 20, -512 * 33 + 40])
def test_a_backup_with_a_wrong_checksum_is_not_believed(tmp_path: Path, place: int) -> None:
    media = _gpt(2048, 512, [(64, 127)])
    media[512 : 512 + 92] = bytes(92)
    media[place] ^= 1
    assert [e.scheme for e in _read(tmp_path / "a.dd", bytes(media)).volumes] == ["dos"]


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("kept", [2047, 900])
def test_a_gpt_whose_end_is_cut_off_is_read_from_its_first_table(tmp_path: Path, sector: int, kept: int) -> None:
    """The first header names the sector of the backup (UEFI specification, 5.3.2: AlternateLBA); partitions keep what is there."""
    media = _gpt(2048, sector, [(64, 127), (256, 1023)])
    layout = _read(tmp_path / "a.dd", bytes(media[: kept * sector]))
    assert [(start // sector, size // sector) for _, _, start, size in _volumes(layout)] == [(64, 64), (256, min(768, kept - 256))]
    codes = {p.code for p in layout.problems}
    assert ("partition-past-end" in codes) == (kept == 900)
    assert any(f"it belongs at byte {2047 * sector}" in p.why for p in layout.problems)


def test_a_label_of_bsd_has_no_partition_over_the_whole_disk(tmp_path: Path) -> None:
    """Partition "c" of a label names the whole disk (FreeBSD, disklabel(5), sys/disklabel.h: struct disklabel)."""
    sectors, parts = 2048, [(16, 1008), (1024, 1024), (0, 2048)]
    label = bytearray(struct.pack("<IHH16s16s10I", 0x82564557, 3, 0, b"", b"", 512, 64, 16, 2, 1024, sectors, 0, 0, 0, 0).ljust(132, b"\0"))
    label += struct.pack("<IHHII", 0x82564557, 0, len(parts), 8192, 8192)
    label += b"".join(struct.pack("<IIIBBH", size, start, 2048, 7, 8, 0) for start, size in parts)
    words = struct.unpack(f"<{len(label) // 2}H", label)
    total = 0
    for word in words:
        total ^= word
    struct.pack_into("<H", label, 136, total)
    media = bytes(512) + bytes(label)
    layout = _read(tmp_path / "a.dd", media.ljust(sectors * 512, b"\0"))
    assert [(scheme, start // 512, size // 512) for scheme, _, start, size in _volumes(layout)] == [("bsd", 16, 1008), ("bsd", 1024, 1024)]
    assert layout.problems == ()


def test_an_apple_partition_map(tmp_path: Path) -> None:
    """Block 0 is the driver descriptor record, then one block an entry (Inside Macintosh: Devices, chapter 3)."""
    media = bytearray(1 << 20)
    media[:8] = struct.pack(">2sHI", b"ER", 512, 2048)
    rows = [(1, 3, b"Apple", b"Apple_partition_map"), (64, 512, b"disk image", b"Apple_HFS"), (576, 256, b"more", b"Apple_HFS")]
    for number, (start, count, name, kind) in enumerate(rows, start=1):
        media[number * 512 : number * 512 + 80] = struct.pack(">2sHIII32s32s", b"PM", 0, len(rows), start, count, name, kind)
        media[number * 512 + 80 : number * 512 + 92] = struct.pack(">III", 0, count, 0x33)
    layout = _read(tmp_path / "a.dd", bytes(media))
    found = [(scheme, start // 512, size // 512) for scheme, _, start, size in _volumes(layout)]
    assert ("apm", 64, 512) in found
    assert ("apm", 576, 256) in found
    assert sum(e.size_bytes for e in layout.extents) == len(media)
