"""Disks inside volumes: their partition tables are read, however deep they lie, and a hostile one comes to an end.

What stands in the inner disks is what the tools that made the sample images were told (sample_images/*.py), and tables written from the
layout of the master boot record (UEFI specification, 5.2.1).
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from running import unpack
from truecrypt_volume import truecrypt_volume

from forensics.credentials import passphrase_credential
from forensics.disks import open_disks
from forensics.filesystems.base import ListingLimits
from forensics.survey import survey
from forensics.volume_tree import VolumeTree

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.found_volume import Survey

_SECTOR = 512
_LIMITS = ListingLimits(orphans=0, orphan_bytes=0, attributes=False)
_CREDENTIALS = (passphrase_credential("open sesame"),)


def _mbr(*partitions: tuple[int, int], kind: int = 0x83) -> bytes:
    """A master boot record with partitions of (first sector, sectors)."""
    entries = b"".join(struct.pack("<B3sB3sII", 0, bytes(3), kind, bytes(3), start, count) for start, count in partitions)
    return bytes(446) + entries.ljust(64, b"\0") + b"\x55\xaa"


def _survey(path: Path, media: bytes) -> Survey:
    path.write_bytes(media)
    with open_disks([path]) as disks:
        return survey(disks, spool=path.parent, credentials=_CREDENTIALS)


def _listed(path: Path, found: Survey) -> dict[str, set[bytes]]:
    """The paths in each volume that is read, opened anew from its address as a worker does."""
    with open_disks([path]) as disks:
        tree = VolumeTree(disks, _CREDENTIALS, path.parent, found.nodes)
        return {
            one.volume: {entry.path for entry in tree.reader(one.volume).iter_entries(_LIMITS) if hasattr(entry, "stream")}
            for one in found.volumes
            if one.status == "read"
        }


def test_the_partitions_of_an_unlocked_disk_are_volumes_with_the_files_that_the_plain_disk_has(tmp_path: Path) -> None:
    plain = unpack("gpt-fat32-ext4", tmp_path / "plain.dd")
    outside = _survey(tmp_path / "plain.dd", plain.read_bytes())
    inside = _survey(tmp_path / "locked.dd", truecrypt_volume(plain.read_bytes(), b"open sesame"))
    assert [(one.volume, one.filesystem) for one in inside.volumes if one.status == "read"] == [("v01.1.1", "fat32"), ("v01.1.2", "ext4")]
    assert list(_listed(tmp_path / "locked.dd", inside).values()) == list(_listed(plain, outside).values())
    assert inside.problems == ()
    by_name = {one.volume: one for one in inside.volumes}
    assert by_name["v01.1"].status == "unfolded"
    assert by_name["v01.1"].holds == tuple(name for name in by_name if name.startswith("v01.1."))
    gaps = [one for one in inside.volumes if one.is_gap]
    assert {one.status for one in gaps} == {"raw"}
    # The law of tiles holds in a volume, too.
    assert sum(one.node.size_bytes for one in inside.volumes if one.volume.startswith("v01.1.")) == by_name["v01.1"].node.size_bytes


def test_a_partition_that_was_given_to_a_machine_as_its_disk_has_partitions_of_its_own(tmp_path: Path) -> None:
    disk = unpack("ntfs-mbr", tmp_path / "inner.dd").read_bytes()
    sectors = -(-len(disk) // _SECTOR)
    media = _mbr((2048, sectors)).ljust(2048 * _SECTOR, b"\0") + disk.ljust(sectors * _SECTOR, b"\0")
    found = _survey(tmp_path / "outer.dd", media)
    assert [(one.volume, one.filesystem) for one in found.volumes if one.status == "read"] == [("v01.1", "ntfs")]


def test_a_boot_record_that_a_loader_left_in_a_filesystem_divides_nothing(tmp_path: Path) -> None:
    """A loader in a partition's boot sector keeps a copy of the disk's table there, which points past the partition's end."""
    begin, size = (128 + (34 << 11) + 64) * _SECTOR, 8 << 20  # sample_images/gpt_fat32_ext4.py
    ext4 = bytearray(unpack("gpt-fat32-ext4", tmp_path / "a.dd").read_bytes()[begin : begin + size])
    ext4[:_SECTOR] = _mbr((2048, 1 << 20))
    media = _mbr((64, size // _SECTOR)).ljust(64 * _SECTOR, b"\0") + bytes(ext4)
    found = _survey(tmp_path / "outer.dd", media)
    assert [(one.volume, one.filesystem, one.status) for one in found.volumes if not one.is_gap] == [("v01", "ext4", "read")]
    assert found.problems == ()


def test_tables_that_lie_in_one_another_come_to_an_end(tmp_path: Path) -> None:
    """Each sector begins a table of four partitions that begin one sector further on: 4 to the 8th power of them, if all were followed."""
    sectors = 4096
    table = _mbr(*((1 + number, sectors // 2) for number in range(4)))
    begin = time.monotonic()
    found = _survey(tmp_path / "hostile.dd", table * sectors)
    assert time.monotonic() - begin < 60
    assert len(found.volumes) < 10_000
    assert any("more than" in problem.why for problem in found.problems)
    assert all(one.is_read or one.holds or one.node.size_bytes == 0 for one in found.volumes)


def test_a_table_whose_one_partition_is_the_whole_volume_is_not_read_in_itself(tmp_path: Path) -> None:
    sectors = 4096
    inner = _mbr((0, sectors)).ljust(sectors * _SECTOR, b"\0")
    found = _survey(tmp_path / "a.dd", _mbr((64, sectors)).ljust(64 * _SECTOR, b"\0") + inner)
    assert [one.volume for one in found.volumes if not one.is_gap] == ["v01"]


def test_a_filesystem_that_a_new_table_was_written_over_is_listed_beside_its_partitions(tmp_path: Path) -> None:
    """mke2fs leaves the first 1,024 bytes alone, and fdisk writes no more than the first sector."""
    begin, size = (128 + (34 << 11) + 64) * _SECTOR, 8 << 20  # sample_images/gpt_fat32_ext4.py
    ext4 = unpack("gpt-fat32-ext4", tmp_path / "a.dd").read_bytes()[begin : begin + size]
    media = _mbr((8192, 4096)) + ext4[_SECTOR:]
    found = _survey(tmp_path / "rewritten.dd", media)
    (older,) = (one for one in found.volumes if one.status == "read")
    assert (older.volume, older.filesystem, older.node.size_bytes) == ("g01.1", "ext4", size)
    (problem,) = (one for one in found.problems if one.code == "filesystem-under-table")
    assert problem.volume == "g01.1"
    plain = _survey(tmp_path / "plain.dd", ext4)
    assert _listed(tmp_path / "rewritten.dd", found)["g01.1"] == _listed(tmp_path / "plain.dd", plain)["v01"]
    locked = _survey(tmp_path / "locked.dd", truecrypt_volume(media, b"open sesame"))
    assert [one.filesystem for one in locked.volumes if one.status == "read"] == ["ext4"]


def test_a_damaged_filesystem_in_an_unlocked_volume_is_read_as_raw_space(tmp_path: Path) -> None:
    """Without the first MFT record and its mirror an NTFS cannot be opened; its boot sector says where both lie (at 48 and 56)."""
    disk = unpack("ntfs-mbr", tmp_path / "a.dd").read_bytes()
    start = struct.unpack_from("<I", disk, 446 + 8)[0] * _SECTOR
    ntfs = bytearray(disk[start:])
    cluster = struct.unpack_from("<H", ntfs, 11)[0] * ntfs[13]
    for place in struct.unpack_from("<QQ", ntfs, 48):
        ntfs[place * cluster : place * cluster + (16 << 10)] = bytes(16 << 10)
    found = _survey(tmp_path / "locked.dd", truecrypt_volume(bytes(ntfs), b"open sesame"))
    assert [(one.volume, one.status) for one in found.volumes] == [("v01", "unfolded"), ("v01.1", "raw")]
    assert "raw space" in found.volumes[1].reason
