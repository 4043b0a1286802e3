"""A volume group that LVM made of five disks: one volume of each kind, compared with what the kernel shows of it."""

from __future__ import annotations

import re
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_members import SECTOR, Bytes, FileBytes, disk, kernel_made, members, opened, recognised, sha256

from forensics.errors import ImageReadError, VolumeError
from forensics.layers.lvm import Lvm
from forensics.layers.lvm_metadata import parse_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forensics.layers.base import Member

_GROUP: dict[str, Any] = kernel_made("lvm_group")
# Without disk pv0 to pv4: the volumes that still read whole, because they have nothing there, or copies or parities elsewhere.
_WHOLE_WITHOUT = (
    {"mir", "r1", "r4", "r5", "r6", "r10", "orig", "cach"},
    {"gap", "mir", "r1", "r4", "r5", "r6", "r10", "orig", "cach", "thin1", "thin2", "tsnap", "snap1", "snap2"},
    {"lin", "gap", "mir", "r1", "r0", "r4", "r5", "r6", "r10", "thin1", "thin2", "tsnap"},
    {"lin", "gap", "mir", "r1", "r0", "r4", "r5", "r6", "r10", "orig", "cach", "thin1", "thin2", "tsnap", "snap1", "snap2"},
    {"lin", "gap", "mir", "r1", "r0", "r4", "r5", "r6", "r10", "orig", "cach", "snap1", "snap2"},
)


@cache
def _disks() -> tuple[bytes, ...]:
    return tuple(disk(stored) for stored in _GROUP["disks"])


def _sums(found: list[Member]) -> dict[str, str]:
    """SHA-256 of each logical volume, "" where it cannot be read."""
    sums = {}
    for derived in Lvm().unfold(found, ()).derived:
        if derived.is_gap:
            continue
        try:
            sums[derived.name.removeprefix("vg/")] = sha256(opened(Lvm(), derived, found))
        except ImageReadError:
            assert derived.incomplete
            sums[derived.name.removeprefix("vg/")] = ""
    return sums


def test_every_logical_volume_is_what_the_kernel_shows() -> None:
    found = recognised(Lvm(), members(*map(Bytes, _disks())))
    assert _sums(found) == _GROUP["sha256"]
    unfolded = Lvm().unfold(found, ())
    assert (unfolded.locked, unfolded.problems) == ((), ())
    assert {one.name for one in unfolded.derived if one.created is not None} == {"vg/tsnap", "vg/snap1", "vg/snap2"}
    assert not any(one.incomplete for one in unfolded.derived)


def _unused(found: list[Member]) -> list[Any]:
    return [one for one in Lvm().unfold(found, ()).derived if one.key.startswith("unused:")]


def test_what_no_volume_has_is_as_much_as_the_group_counts_as_free() -> None:
    """As LVM counts: pe_count of each disk less the extents of the segments on it, by the text of the group alone; and what is not read."""
    found = recognised(Lvm(), members(*map(Bytes, _disks())))
    texts = re.findall(rb"vg \{\n[^\0]*", _disks()[0])
    text = max(texts, key=lambda one: int(one.partition(b"seqno = ")[2].split()[0])).decode()
    extent = int(re.search(r"extent_size = (\d+)", text)[1]) * 512  # type: ignore[index]
    used: dict[str, set[int]] = {}
    parts = re.split(r"\n(\w+) \{\nid = ", text.partition("logical_volumes {")[2])
    for name, volume in zip(parts[1::2], parts[2::2], strict=True):
        if name == "lvol0_pmspare" or "cpool" in name or name.endswith(("_cdata", "_cmeta", "_cvol")):
            continue  # the spare metadata of pools, and a cache, which no volume is read from
        for count, stripes, listed in re.findall(
            r'extent_count = (\d+)[^{}]*?type = "striped"\s+stripe_count = (\d+)[^{}]*?stripes = \[([^\]]*)\]', volume
        ):
            for disk_name, first in re.findall(r'"(\w+)", (\d+)', listed):
                used.setdefault(disk_name, set()).update(range(int(first), int(first) + int(count) // int(stripes)))
    for number, (name, stated) in enumerate(re.findall(r"(pv\d) \{([^}]*)\}", text)):
        start, count = (int(re.search(rf"{key} = (\d+)", stated)[1]) for key in ("pe_start", "pe_count"))  # type: ignore[index]
        runs = [tuple(map(int, one.key.split(":")[1:])) for one in _unused(found) if one.parents == (found[number].volume,)]
        free = {at for first, size in runs for at in range(first, first + size, 512)}
        extents = {at for at in range(count) if start * 512 + at * extent in free}
        assert extents == set(range(count)) - used.get(name, set())
        assert 0 in free, "the label"


def test_bytes_that_no_volume_has_are_read_and_are_in_none() -> None:
    disks = list(_disks())
    found = recognised(Lvm(), members(*map(Bytes, disks)))
    marked = 0
    for one in _unused(found):
        number = [member.volume for member in found].index(one.parents[0])
        start, size = map(int, one.key.split(":")[1:])
        if start == 0:
            continue  # the description of the group
        at = start + size // 2
        disks[number] = disks[number][:at] + b"nobody should find this" + disks[number][at + 23 :]
        marked += 1
    assert marked
    changed = recognised(Lvm(), members(*map(Bytes, disks)))
    assert _sums(changed) == _GROUP["sha256"]
    holding = 0
    for one in _unused(changed):
        parent = [member for member in changed if member.volume == one.parents[0]]
        source = Lvm().open_derived(one, parent, ())
        holding += b"nobody should find this" in source.read_at(0, source.size)
    assert holding == marked


_POOL_BLOCK = 65536  # the text of the group: chunk_size = 128 sectors


@pytest.mark.parametrize(
    ("gone", "blocks"),
    [
        # By thin_dump 0.9.0 of the pool's metadata: device 1 maps data blocks 0, 1, 5 to 15 and 27 to 29; 2 maps 16 to 26; 3 maps 0 to 15.
        ((), (30, 31)),
        (("thin2",), (*range(16, 27), 30, 31)),
        (("thin1", "tsnap"), (*range(16), *range(27, 32))),
    ],
)
def test_blocks_of_a_thin_pool_that_no_volume_maps_are_a_volume(gone: tuple[str, ...], blocks: tuple[int, ...]) -> None:
    """A volume that the group's text has lost is as one that was removed; its blocks keep what was in them."""

    def without(text: str) -> str:
        text = re.sub(r"seqno = \d+", "seqno = 99999", text)
        for name in gone:
            text = re.sub(rf"\n{name} {{\n.*?\n}}\n}}\n", "\n", text, flags=re.DOTALL)
        return text

    found = members(Bytes(_described(_disks()[0], without)), *map(Bytes, _disks()[1:]))
    unfolded = Lvm().unfold(found, ())
    assert {one.name for one in unfolded.derived if not one.is_gap} == {f"vg/{name}" for name in _GROUP["sha256"] if name not in gone}
    (free,) = (one for one in unfolded.derived if one.key.startswith("unmapped:"))
    assert (free.name, free.is_gap, free.size) == ("vg/pool", True, len(blocks) * _POOL_BLOCK)
    texts = re.findall(rb"vg \{\n[^\0]*", _disks()[0])
    text = max(texts, key=lambda one: int(one.partition(b"seqno = ")[2].split()[0])).decode()
    extent = int(re.search(r"extent_size = (\d+)", text)[1]) * SECTOR  # type: ignore[index]
    data = re.search(r"pool_tdata \{.*?stripes = \[\s*\"pv(\d)\", (\d+)", text, re.DOTALL)
    assert data is not None
    number, first = map(int, data.groups())
    start = int(re.findall(r"pe_start = (\d+)", text)[number]) * SECTOR + first * extent
    pool = _disks()[number][start:]
    assert opened(Lvm(), free, found).read_at(0, free.size) == b"".join(pool[at * _POOL_BLOCK :][:_POOL_BLOCK] for at in blocks)


# The keys of a cached volume are those of LVM2's lib/cache_segtype/cache.c and lib/writecache/writecache.c.
@pytest.mark.parametrize(
    ("segment", "unread"),
    [
        ('type = "cache"\ncache_pool = "lin"\norigin = "orig"\ncache_mode = "writethrough"', ""),
        ('type = "cache"\ncache_pool = "lin"\norigin = "orig"\ncache_mode = "passthrough"', ""),
        ('type = "cache"\ncache_pool = "lin"\norigin = "orig"\ncache_mode = "writeback"', "lin"),
        ('type = "cache"\ncache_pool = "lin"\norigin = "orig"', "lin"),
        ('type = "writecache"\nwritecache = "lin"\norigin = "orig"', "lin"),
    ],
)
def test_a_cached_volume_is_read_from_its_origin_and_a_cache_with_more_in_it_is_said(segment: str, unread: str) -> None:
    def cached(text: str) -> str:
        text = re.sub(r"seqno = \d+", "seqno = 99999", text)
        plain = r'(\ncach \{\n.*?extent_count = \d+\s+)type = "striped"\s+stripe_count = 1\s+stripes = \[[^]]*\]'
        text, count = re.subn(plain, lambda found: found[1] + segment, text, flags=re.DOTALL)
        assert count == 1
        return text

    found = members(Bytes(_described(_disks()[0], cached)), *map(Bytes, _disks()[1:]))
    unfolded = Lvm().unfold(found, ())
    (volume,) = (one for one in unfolded.derived if one.name == "vg/cach")
    origin = next(one for one in unfolded.derived if one.name == "vg/orig")
    shared = min(volume.size, origin.size)
    read = opened(Lvm(), volume, found).read_at(0, shared)
    assert read == opened(Lvm(), origin, found).read_at(0, shared)
    assert shared > 0
    told = [(one.code, "vg/cach" in one.what, f"its cache {unread} may hold" in one.why) for one in unfolded.problems]
    assert told == ([("volume-cache-not-read", True, True)] if unread else [])


def test_the_order_of_the_disks_does_not_matter() -> None:
    assert _sums(members(*map(Bytes, reversed(_disks())))) == _GROUP["sha256"]


@pytest.mark.parametrize("gone", range(5))
def test_without_one_disk_the_other_volumes_are_read(gone: int) -> None:
    there = members(*(Bytes(data) for number, data in enumerate(_disks()) if number != gone))
    sums = _sums(there)
    assert {name for name, found in sums.items() if found == _GROUP["sha256"][name]} == _WHOLE_WITHOUT[gone]
    assert all(not found for name, found in sums.items() if name not in _WHOLE_WITHOUT[gone])
    problems = Lvm().unfold(there, ()).problems
    assert problems[0].what == "4 of 5 disks of the volume group vg are there"
    assert f"pv{gone}" in problems[0].why
    assert {one.code for one in problems} == {"volume-incomplete"}
    unread = {name for name in _GROUP["sha256"] if any(f"vg/{name} " in one.what for one in problems)}
    assert unread == set(_GROUP["sha256"]) - set(sums)


def test_a_disk_without_a_description_and_without_its_group_is_locked() -> None:
    unfolded = Lvm().unfold(members(Bytes(_disks()[3])), ())  # made with --metadatacopies 0
    assert unfolded.derived == ()
    assert [(one.code, one.encrypted) for one in unfolded.locked] == [("volume-incomplete", False)]


def test_a_disk_with_an_older_description_does_not_change_the_group() -> None:
    old = _described(_disks()[1], lambda text: re.sub(r"seqno = \d+", "seqno = 3", text).replace('"mir_mimage_1", 0', '"gap", 0'))
    found = members(Bytes(old), Bytes(_disks()[0]), *map(Bytes, _disks()[2:]))
    assert _sums(found) == _GROUP["sha256"]


def test_a_damaged_description_is_taken_from_another_disk() -> None:
    broken = _put(_disks()[0], 4096, b"\1")
    unfolded = Lvm().unfold(members(Bytes(broken), *map(Bytes, _disks()[1:])), ())
    assert [(one.code, one.volume) for one in unfolded.problems] == [("volume-metadata-damaged", "v01")]
    assert sum(not one.is_gap for one in unfolded.derived) == len(_GROUP["sha256"])


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('"pool_tdata"', '"thin1"', "itself"),
        ('"r5_rimage_0"', '"r5"', "itself"),
        ('type = "raid6"', 'type = "raid7"', "not read by this version"),
        ("stripe_size = 32", "stripe_size = 0", "stripes of 0 sectors"),
        ("extent_count = 15", "extent_count = 0", "0 extents"),
    ],
)
def test_a_volume_that_cannot_be_is_a_problem_and_the_others_are_read(old: str, new: str, word: str) -> None:
    changed = _described(_disks()[0], lambda text: re.sub(r"seqno = \d+", "seqno = 99999", text).replace(old, new))
    unfolded = Lvm().unfold(members(Bytes(changed), *map(Bytes, _disks()[1:])), ())
    assert any(word in one.why for one in unfolded.problems)
    assert sum(not one.is_gap for one in unfolded.derived) >= 13


@pytest.mark.corpus
def test_public_volume_groups_open(corpus_image: Callable[[str], Path]) -> None:
    """The SHA-256 is that of the bytes from the first extent on (pe_start 2048 sectors): the volume is linear."""
    source = FileBytes(corpus_image("lvm-dissect"))
    found = recognised(Lvm(), members(source))
    derived, *rest = Lvm().unfold(found, ()).derived
    assert all(one.is_gap for one in rest)
    assert (derived.name, derived.key) == ("vg_test/lv_test", "TnYdWo-zRE9-wf2T-5nt0-M1aD-vtoP-fASCxK")
    assert opened(Lvm(), derived, found).read_at(0, derived.size) == source.read_at(1 << 20, derived.size)
    source.close()
    empty = FileBytes(corpus_image("ul-images-fs-lvm2"))  # a physical volume that belongs to no group
    assert [one.code for one in Lvm().unfold(recognised(Lvm(), members(empty)), ()).locked] == ["volume-incomplete"]
    empty.close()


@settings(max_examples=60)
@given(place=st.integers(0, 40_000), value=st.integers(0, 255), puts_right=st.booleans())
def test_a_changed_byte_gives_volumes_or_says_why_not(place: int, value: int, puts_right: bool) -> None:
    data = _disks()[0]
    if puts_right:
        changed = _described(data, lambda text: text[: place % len(text)] + chr(value % 128) + text[place % len(text) + 1 :])
    else:
        changed = _put(data, place, bytes([value]))
    unfolded = Lvm().unfold(members(Bytes(changed)), ())
    assert unfolded.derived or unfolded.locked
    for derived in unfolded.derived[:3]:
        try:
            opened(Lvm(), derived, members(Bytes(changed))).read_at(0, 1000)
        except (ImageReadError, VolumeError):
            continue


@given(text=st.text(alphabet='ab={}[]",# \n\\1.', max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse_text(text)
    except VolumeError:
        return


def _put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _described(data: bytes, change: Callable[[str], str]) -> bytes:
    """The disk with another description, and checksums put right (LVM2, lib/misc/crc.c: CRC-32 that starts with 0xf597a6cf)."""

    def checksum(part: bytes) -> bytes:
        return (zlib.crc32(part, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF).to_bytes(4, "little")

    head, size = data[4096:4608], int.from_bytes(data[4096 + 32 : 4096 + 40], "little")
    offset, length = (int.from_bytes(head[at : at + 8], "little") for at in (40, 48))
    area = data[4096 : 4096 + size]
    text = (area[offset:] + area[512:])[:length].rstrip(b"\0").decode()
    new = change(text).encode() + b"\0"
    head = _put(head, 40, (512).to_bytes(8, "little") + len(new).to_bytes(8, "little") + checksum(new))
    return _put(_put(data, 4096 + 512, new), 4096, checksum(head[4:]) + head[4:])
