"""Whether deleted files were overwritten: made volumes on which it is known, and NIST's rule that the examiner can tell."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_volumes import exfat, ext, fat, listed, needs, pattern, run, source_file
from running import unpack

from forensics.filesystems.base import ListingLimits, Recovery
from forensics.filesystems.deleted_blocks import DeletedBlocks

if TYPE_CHECKING:
    from pathlib import Path


@needs("mkfs.fat", "mcopy", "mdel")
@pytest.mark.parametrize("bits", [12, 16, 32])
def test_fat(tmp_path: Path, bits: int) -> None:
    """The second file takes the cluster of the first one deleted; nothing takes that of the other."""
    volume = fat(tmp_path / "fat.dd", bits)
    sizes = {"reused": 300, "kept": 400, "last": 500}
    for name, size in sizes.items():
        run("mcopy", "-i", volume, source_file(tmp_path / "src", size, size), f"::/{name}.bin")
    run("mdel", "-i", volume, "::/reused.bin", "::/kept.bin")
    before = volume.read_bytes()
    with listed(volume) as found:
        assert [e.overwritten for e in found.entries if e.recovery is Recovery.DELETED] == [False, False]
        assert found.content(found.named(b"_ept.bin").address) == pattern(400, 400)
    content = pattern(300, 300)
    # An allocated entry in the table for the cluster of "reused", as another file would have made it: clusters 2, 3 and 4 in turn.
    data = bytearray(before)
    reserved = int.from_bytes(data[14:16], "little") * 512
    if bits == 12:
        data[reserved + 3 : reserved + 5] = (0xFFF | (int.from_bytes(data[reserved + 3 : reserved + 5], "little") & 0xF000)).to_bytes(
            2, "little"
        )
    else:
        first = {16: 2, 32: 3}[bits]  # the root directory of FAT32 is cluster 2
        width = bits // 8
        data[reserved + first * width : reserved + (first + 1) * width] = (0x0FFFFFFF if bits == 32 else 0xFFFF).to_bytes(width, "little")
    volume.write_bytes(data)
    with listed(volume) as found:
        deleted = {e.path: e.overwritten for e in found.entries if e.recovery is Recovery.DELETED}
        assert deleted == {b"_eused.bin": True, b"_ept.bin": False}
        assert found.content(found.named(b"_eused.bin").address) == content


@needs("mkfs.fat", "mcopy", "mdel")
def test_a_fat_file_of_which_only_the_first_cluster_is_known_is_never_said_to_be_whole(tmp_path: Path) -> None:
    """Deleting clears the chain. A file in pieces would be guessed as the free clusters that follow."""
    volume = fat(tmp_path / "fat.dd", 16)
    for name, size in (("a", 512), ("b", 512), ("c", 512)):
        run("mcopy", "-i", volume, source_file(tmp_path / "src", size, ord(name)), f"::/{name}.bin")
    run("mdel", "-i", volume, "::/a.bin", "::/c.bin")
    run("mcopy", "-i", volume, source_file(tmp_path / "src", 1200, 9), "::/pieces.bin")
    run("mdel", "-i", volume, "::/pieces.bin")
    with listed(volume) as found:
        verdicts = {e.path: e.overwritten for e in found.entries if e.recovery is Recovery.DELETED}
        pieces = found.named(b"_ieces.bin")
    assert pieces.overwritten is not False or found.content(pieces.address) == pattern(1200, 9)
    assert all(one is not False for path, one in verdicts.items() if path != b"_ieces.bin"), "their clusters are claimed twice"


@needs("mkfs.ext4", "debugfs")
@pytest.mark.parametrize("kind", ["ext2", "ext4"])
def test_ext(tmp_path: Path, kind: str) -> None:
    """`debugfs rm` keeps the numbers of the blocks; `setb` allocates one of them again, as a new file would."""
    volume = ext(tmp_path / "ext.dd", kind=kind)
    for name in ("reused", "kept", "last"):
        run("debugfs", "-w", "-R", f"write {source_file(tmp_path / 'src', 5000, ord(name[0]))} {name}", volume)
    blocks = [int(number) for number in run("debugfs", "-R", "blocks reused", volume).split()]
    for name in ("reused", "kept"):
        run("debugfs", "-w", "-R", f"rm {name}", volume)
    limits = ListingLimits(orphans=10**6, orphan_bytes=1 << 40, overwritten=True)
    with listed(volume, limits=limits) as found:
        before = {e.path: e.overwritten for e in found.entries if e.recovery in (Recovery.DELETED, Recovery.ORPHAN)}
        assert set(before.values()) == {False}
        assert len(before) == 2
    run("debugfs", "-w", "-R", f"setb {blocks[3]}", volume)
    with listed(volume, limits=limits) as found:
        after = [e for e in found.entries if e.recovery in (Recovery.DELETED, Recovery.ORPHAN)]
        assert sorted(str(e.overwritten) for e in after) == ["False", "True"]
        kept = next(e for e in after if e.overwritten is False)
        assert found.content(kept.address) == pattern(5000, ord("k"))


def test_ntfs(tmp_path: Path) -> None:
    """sample_images/ntfs_mbr.py: one deleted file whose clusters a filler took, others deleted behind that, resident ones without any."""
    path = unpack("ntfs-mbr", tmp_path / "ntfs.dd")
    with listed(path, 65536) as found:
        verdicts = {e.path.rpartition(b"/")[2]: e.overwritten for e in found.entries if e.recovery is Recovery.DELETED and not e.stream}
    assert verdicts[b"overwritten.txt"] is True
    assert verdicts[b"letter.txt"] is False
    assert verdicts[b"in a deleted folder.txt"] is False
    assert verdicts[b"resident secret.txt"] is None, "it has no blocks that could be reused"


def test_exfat_that_kept_its_clusters(tmp_path: Path) -> None:
    path = unpack("exfat", tmp_path / "exfat.dd")
    with listed(path) as found:
        assert [(e.path, e.overwritten) for e in found.entries if e.recovery is Recovery.DELETED] == [(b"deleted.txt", False)]
        deleted = found.named(b"deleted.txt").address
    with listed(path) as found:
        content = found.content(deleted)
    data = bytearray(path.read_bytes())
    cluster = data.index(content[:512]) // 4096
    heap = int.from_bytes(data[88:92], "little") * 512 // 4096
    bitmap = heap * 4096  # mkfs.exfat puts the bitmap first
    number = cluster - heap
    assert not data[bitmap + number // 8] >> number % 8 & 1
    data[bitmap + number // 8] |= 1 << number % 8
    path.write_bytes(data)
    with listed(path) as found:
        assert found.named(b"deleted.txt").overwritten is True


@needs("mkfs.exfat")
def test_nothing_is_said_of_files_that_are_there(tmp_path: Path) -> None:
    with listed(exfat(tmp_path / "exfat.dd")) as found:
        assert {e.overwritten for e in found.entries} == {None}


def test_more_deleted_files_than_are_held_are_not_known_and_a_problem(tmp_path: Path) -> None:
    path = unpack("ntfs-mbr", tmp_path / "ntfs.dd")
    with listed(path, 65536, limits=ListingLimits(orphans=10**6, orphan_bytes=1 << 40)) as found:
        allocation = found.reader._allocation().allocation
        assert allocation is not None
        judged = DeletedBlocks(found.reader._opened, allocation, most_held=1)
        deleted = [
            e for e in found.entries if e.path.endswith((b"letter.txt", b"in a deleted folder.txt")) and e.recovery is Recovery.DELETED
        ]
        out = []
        for entry in deleted:
            assert entry.address is not None
            out += list(judged.take(entry, found.reader._attribute(entry.address)[1]))
        settled = list(judged.settle())
    assert [e.overwritten for e in out] == [None]
    assert [getattr(one, "overwritten", None) for one in settled] == [None, None]
    assert [getattr(one, "code", None) for one in settled] == [None, "overwritten-not-known"]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 40), st.integers(1, 12)), max_size=25))
def test_a_claim_is_contested_where_it_meets_one_of_another_file(claims: list[tuple[int, int, int]]) -> None:
    """Held against every pair of claims, which takes too long for a whole disk. A file's own claims may meet."""
    judged = object.__new__(DeletedBlocks)
    judged._starts, judged._ends, judged._owners, judged._not_compared = array("q"), array("q"), array("q"), 0
    for owner, start, size in claims:
        judged._claim(owner, ((start, size),))
    assert judged._contested() == {
        (mine, start)
        for mine, start, size in claims
        for other, begin, length in claims
        if mine != other and start < begin + length and begin < start + size
    }
