"""What a survey says of volumes: filesystem, label, encryption, and why one is not read."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING

from running import unpack

from forensics.image import open_image
from forensics.survey import Survey, survey

if TYPE_CHECKING:
    from pathlib import Path


def _survey(path: Path, media: bytes | None = None) -> Survey:
    if media is not None:
        path.write_bytes(media)
    with open_image(path) as image:
        return survey(image)


def test_filesystems_and_labels_are_those_that_mkfs_was_told(tmp_path: Path) -> None:
    """sample_images/ntfs_mbr.py and gpt_fat32_ext4.py give the labels to mkntfs, mkfs.fat and mke2fs."""
    ntfs = _survey(unpack("ntfs-mbr", tmp_path / "a.dd"))
    gpt = _survey(unpack("gpt-fat32-ext4", tmp_path / "b.dd"))
    found = [(v.filesystem, v.label, v.reader) for v in (*ntfs.volumes, *gpt.volumes) if not v.extent.is_gap]
    assert found == [("ntfs", "EVIDEX", "tsk"), ("fat32", "EVIDEX", "tsk"), ("ext4", "evidex", "tsk")]
    assert ntfs.problems == gpt.problems == ()


def test_a_locked_volume_is_not_opened_whatever_coat_it_wears(tmp_path: Path) -> None:
    """BitLocker To Go begins like FAT32; its identifier stands at 424 (libbde documentation)."""
    media = bytearray(unpack("gpt-fat32-ext4", tmp_path / "a.dd").read_bytes()[65536 : 65536 + 35651584])
    assert [v.filesystem for v in _survey(tmp_path / "fat.dd", bytes(media)).volumes] == ["fat32"]
    media[424:440] = uuid.UUID("4967D63B-2E29-4AD8-8399-F6A339E3D001").bytes_le
    found = _survey(tmp_path / "locked.dd", bytes(media))
    assert [(v.filesystem, v.encrypted, v.is_read) for v in found.volumes] == [("BitLocker To Go", True, False)]
    assert [p.code for p in found.problems] == ["volume-encrypted"]


def test_a_filesystem_larger_than_its_image_is_said_to_be_cut_off(tmp_path: Path) -> None:
    media = unpack("ntfs-mbr", tmp_path / "a.dd").read_bytes()[65536 : 65536 + (4 << 20)]
    found = _survey(tmp_path / "cut.dd", media)
    assert found.volumes[0].filesystem == "ntfs"
    assert "filesystem-cut-off" in {p.code for p in found.problems}


def test_what_holds_nothing_known_is_a_problem_and_not_read(tmp_path: Path) -> None:
    for name, media in (("zero.dd", bytes(1 << 20)), ("random.dd", random.Random(3).randbytes(1 << 20)), ("tiny.dd", b"x")):
        found = _survey(tmp_path / name, media)
        assert [v.is_read for v in found.volumes] == [False]
        assert [p.code for p in found.problems] == ["volume-not-read"]
        assert found.volumes[0].reason
        assert sum(v.extent.size_bytes for v in found.volumes) == len(media)


def test_a_known_filesystem_that_is_not_read_is_named(tmp_path: Path) -> None:
    found = _survey(tmp_path / "xfs.dd", b"XFSB" + bytes(1 << 20))
    assert [(v.filesystem, v.is_read, v.encrypted) for v in found.volumes] == [("XFS", False, False)]
    assert "XFS" in found.problems[0].what
