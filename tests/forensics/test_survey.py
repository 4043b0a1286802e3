"""What a survey says of volumes: filesystem, label, encryption, and why one is not read."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING

from running import unpack
from truecrypt_volume import truecrypt_volume

from forensics.credentials import passphrase_credential
from forensics.disks import open_disks
from forensics.survey import survey

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.found_volume import Survey


_EXT4 = ((128 + (34 << 11) + 64) * 512, 8 << 20)  # sample_images/gpt_fat32_ext4.py: where it begins, and its size, bytes


def _survey(path: Path, media: bytes | None = None, passphrase: str = "") -> Survey:
    if media is not None:
        path.write_bytes(media)
    with open_disks([path]) as disks:
        return survey(disks, spool=path.parent, credentials=(passphrase_credential(passphrase),) if passphrase else ())


def test_filesystems_and_labels_are_those_that_mkfs_was_told(tmp_path: Path) -> None:
    """sample_images/ntfs_mbr.py and gpt_fat32_ext4.py give the labels to mkntfs, mkfs.fat and mke2fs."""
    ntfs = _survey(unpack("ntfs-mbr", tmp_path / "a.dd"))
    gpt = _survey(unpack("gpt-fat32-ext4", tmp_path / "b.dd"))
    found = [(v.filesystem, v.node.found.label, v.reader) for v in (*ntfs.volumes, *gpt.volumes) if v.node.found and not v.is_gap]
    assert found == [("ntfs", "EVIDEX", "tsk"), ("fat32", "EVIDEX", "tsk"), ("ext4", "evidex", "tsk")]
    assert ntfs.problems == gpt.problems == ()


def test_a_locked_volume_is_not_opened_whatever_coat_it_wears(tmp_path: Path) -> None:
    """BitLocker To Go begins like FAT32; its identifier stands at 424 (libbde documentation)."""
    media = bytearray(unpack("gpt-fat32-ext4", tmp_path / "a.dd").read_bytes()[65536 : 65536 + 35651584])
    assert [v.filesystem for v in _survey(tmp_path / "fat.dd", bytes(media)).volumes] == ["fat32"]
    media[424:440] = uuid.UUID("4967D63B-2E29-4AD8-8399-F6A339E3D001").bytes_le
    found = _survey(tmp_path / "locked.dd", bytes(media))
    assert [(v.filesystem, v.encrypted, v.is_read) for v in found.volumes] == [("BitLocker To Go", True, False)]
    # Its boot sector alone says what it is; the metadata that hold its keys are not there.
    assert [p.code for p in found.problems] == ["volume-not-read"]
    assert "BitLocker To Go" in found.problems[0].what


def test_a_filesystem_larger_than_its_image_is_said_to_be_cut_off(tmp_path: Path) -> None:
    media = unpack("ntfs-mbr", tmp_path / "a.dd").read_bytes()[65536 : 65536 + (4 << 20)]
    found = _survey(tmp_path / "cut.dd", media)
    assert found.volumes[0].filesystem == "ntfs"
    assert "filesystem-cut-off" in {p.code for p in found.problems}


def test_what_holds_nothing_known_is_a_problem_and_read_as_raw_space(tmp_path: Path) -> None:
    for name, media in (("zero.dd", bytes(1 << 20)), ("random.dd", random.Random(3).randbytes(1 << 20)), ("tiny.dd", b"x")):
        found = _survey(tmp_path / name, media)
        assert [(v.reader, v.status) for v in found.volumes] == [("raw", "raw")]
        assert [p.code for p in found.problems] == ["volume-not-read"]
        assert found.volumes[0].reason
        assert sum(v.tile.size_bytes for v in found.volumes if v.tile) == len(media)


def test_a_known_filesystem_that_cannot_be_opened_is_named_and_its_bytes_are_read(tmp_path: Path) -> None:
    found = _survey(tmp_path / "xfs.dd", b"XFSB" + bytes(1 << 20))
    assert [(v.filesystem, v.reader, v.encrypted) for v in found.volumes] == [("xfs", "raw", False)]
    assert [p.code for p in found.problems] == ["volume-not-read"]
    assert "XFS" in found.problems[0].why


def test_what_looks_random_is_said_to_be_perhaps_encrypted_and_not_to_be_so(tmp_path: Path) -> None:
    """Nothing tells a VeraCrypt volume from noise without its passphrase (VeraCrypt documentation, plausible deniability)."""
    found = _survey(tmp_path / "random.dd", random.Random(3).randbytes(1 << 20))
    assert not found.volumes[0].encrypted
    assert "may be encrypted" in found.volumes[0].reason
    assert "--credentials" in found.problems[0].advice


def test_what_looks_random_and_was_tried_in_vain_is_told_what_was_tried_and_what_was_not(tmp_path: Path) -> None:
    """A volume with a PIM or of a hash that is not tried looks like one with another passphrase, or like no volume at all."""
    found = _survey(tmp_path / "random.dd", random.Random(3).randbytes(1 << 20), "my secret")
    assert [(v.reader, v.encrypted) for v in found.volumes] == [("raw", False)]
    (problem,) = found.problems
    assert "tried: 1 passphrase" in problem.why
    for untried in ("PIM", "Whirlpool", "Streebog", "Kuznyechik", "system encryption", "header copies"):
        assert untried in problem.why
    assert "check the passphrase" in problem.advice
    assert "my secret" not in repr(found)
    without = _survey(tmp_path / "random.dd")
    assert "no passphrase or key file was given" in without.problems[0].why
    assert problem.why != without.problems[0].why


def test_a_veracrypt_volume_that_opened_is_not_said_to_hold_nothing(tmp_path: Path) -> None:
    """The volume is built after TrueCrypt's published format, with an ext4 of mke2fs in it."""
    ext4 = unpack("gpt-fat32-ext4", tmp_path / "a.dd").read_bytes()[_EXT4[0] : sum(_EXT4)]
    found = _survey(tmp_path / "container.hc", truecrypt_volume(ext4, b"open sesame"), "open sesame")
    assert [(v.volume, v.filesystem, v.status) for v in found.volumes] == [("v01", "VeraCrypt", "unfolded"), ("v01.1", "ext4", "read")]
    assert found.problems == ()
