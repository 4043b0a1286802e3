"""Arrays that the Linux kernel wrote, in every layout, whole and with disks missing; and metadata that lies."""

from __future__ import annotations

import struct
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_members import SECTOR, Bytes, FileBytes, disk, kernel_made, members, opened, recognised, sha256

from forensics.errors import ImageReadError, VolumeError
from forensics.layers.md import Md

if TYPE_CHECKING:
    from forensics.layers.base import Derived, Unfolded

_ARRAYS: dict[str, Any] = kernel_made("md_arrays")
_SPARE = {"raid4": 1, "raid5": 1, "raid6": 2}
_HEAD = 4096  # offset of metadata 1.2


@cache
def _disks(name: str) -> tuple[bytes, ...]:
    return tuple(disk(stored) for stored in _ARRAYS[name]["disks"])


@pytest.mark.parametrize("name", sorted(_ARRAYS))
def test_an_array_is_what_the_kernel_shows(name: str) -> None:
    found = recognised(Md(), members(*map(Bytes, _disks(name))))
    unfolded = Md().unfold(found, ())
    assert len(found) == len(_ARRAYS[name]["disks"])
    assert unfolded.locked == ()
    derived = _array(unfolded)
    assert derived.size == _ARRAYS[name]["size"]
    assert sha256(opened(Md(), derived, found)) == _ARRAYS[name]["sha256"]


@pytest.mark.parametrize("name", [name for name in sorted(_ARRAYS) if name[:5] in _SPARE and name != "raid5-stale"])
def test_what_was_on_missing_disks_is_computed(name: str) -> None:
    every = members(*map(Bytes, _disks(name)))
    spare = _SPARE[name[:5]]
    for gone in combinations(every, spare):
        there = [one for one in every if one not in gone]
        derived = _array(Md().unfold(there, ()))
        assert f"{spare} of {len(every)} disks are missing" in derived.incomplete
        assert sha256(opened(Md(), derived, there)) == _ARRAYS[name]["sha256"]
    there = every[spare + 1 :]
    unfolded = Md().unfold(there, ())
    assert unfolded.derived == ()
    assert {one.code for one in unfolded.locked} == {"volume-incomplete"}
    assert all(f"{len(there)} of {len(every)} disks are there" in one.why for one in unfolded.locked)


@pytest.mark.parametrize("name", [name for name in sorted(_ARRAYS) if name.startswith("raid1")])
def test_copies_stand_for_one_another(name: str) -> None:
    every = members(*map(Bytes, _disks(name)))
    for gone in every:
        there = [one for one in every if one is not gone]
        derived = _array(Md().unfold(there, ()))
        assert sha256(opened(Md(), derived, there)) == _ARRAYS[name]["sha256"]


def test_bytes_of_which_no_copy_is_there_are_an_error() -> None:
    there = members(*map(Bytes, _disks("raid10-n2")[2:]))
    derived = _array(Md().unfold(there, ()))
    assert "2 of 4 disks are missing" in derived.incomplete
    with pytest.raises(ImageReadError, match="missing"):
        opened(Md(), derived, there).read_at(0, 100)


def test_what_is_damaged_on_one_disk_is_computed_from_the_others() -> None:
    first, *others = _disks("raid6-ls")
    found = members(Bytes(first, [(1 << 18, 1 << 19)]), *map(Bytes, others))
    derived = _array(Md().unfold(found, ()))
    assert derived.incomplete == ""
    assert sha256(opened(Md(), derived, found)) == _ARRAYS["raid6-ls"]["sha256"]


def test_an_array_that_needs_all_its_disks_and_lacks_one_is_locked() -> None:
    unfolded = Md().unfold(members(*map(Bytes, _disks("raid0")[1:])), ())
    assert [(one.code, one.encrypted) for one in unfolded.locked] == [("volume-incomplete", False)] * 2
    assert "2 of 3 disks are there" in unfolded.locked[0].why


def test_a_disk_that_was_away_is_used_only_where_there_is_no_other() -> None:
    every = members(*map(Bytes, _disks("raid5-stale")))  # the second disk was failed, and the array written to after that
    whole = Md().unfold(every, ())
    assert whole.derived[0].parents == ("v01", "v03")
    assert [(one.code, one.volume) for one in whole.problems] == [("array-disk-unused", "v02")]
    derived = _array(Md().unfold(every[:2], ()))
    assert "may be out of date" in derived.incomplete


def test_a_disk_that_is_there_twice_is_used_once() -> None:
    first, second = _disks("raid1")
    unfolded = Md().unfold(members(Bytes(first), Bytes(second), Bytes(first)), ())
    assert unfolded.derived[0].parents == ("v01", "v02")
    assert [one.volume for one in unfolded.problems] == ["v03"]


def _of_all_disks(name: str, count: int) -> float:
    """How many bytes an array takes of all its disks, for each byte that it holds: by the definition of its level."""
    if name.startswith("raid10"):
        return int(name[-1])  # copies
    if name.startswith("raid1"):
        return count
    return count / (count - _SPARE.get(name[:5], 0))


@pytest.mark.parametrize("name", [name for name in sorted(_ARRAYS) if name != "raid5-stale"])
def test_what_an_array_does_not_take_of_its_disks_is_read_beside_it(name: str) -> None:
    """The array's size is the kernel's; what is written where no array is does not change a byte of it."""
    disks = list(_disks(name))
    found = members(*map(Bytes, disks))
    _, *parts = Md().unfold(found, ()).derived
    beside = sum(one.size for one in parts)
    assert sum(map(len, disks)) - beside == _ARRAYS[name]["size"] * _of_all_disks(name, len(disks))
    marked = 0
    for part in parts:
        number = int(part.parents[0].removeprefix("v")) - 1
        content = opened(Md(), part, found).read_at(0, part.size)
        start, size = map(int, part.key.split(":")[1:])
        assert content == disks[number][start : start + size]
        tail = start + size - 100  # metadata, bad blocks and the bitmap stand elsewhere
        if not any(disks[number][tail : tail + 100]):
            disks[number] = _put(disks[number], tail, b"nobody should find this")
            marked += 1
    assert marked
    changed = members(*map(Bytes, disks))
    assert sha256(opened(Md(), _array(Md().unfold(changed, ())), changed)) == _ARRAYS[name]["sha256"]


def test_the_disk_of_a_mirror_that_was_away_is_listed_by_itself() -> None:
    """As after `mdadm --fail`, --remove and writing on: fewer events on the disk, and what the array has since lost."""
    first, second = _disks("raid1")
    head = first.rindex(b"\xfc\x4e\x2b\xa9")
    # md_p.h, struct mdp_superblock_1: data_offset in sectors at 128, utime at 192, events at 200.
    start, events = (
        int.from_bytes(first[head + 128 : head + 136], "little") * SECTOR,
        int.from_bytes(first[head + 200 : head + 208], "little"),
    )
    ahead = _with(first, {200: (events + 5).to_bytes(8, "little"), 192: (1_700_000_000).to_bytes(8, "little")}, at=head)
    away = _with(_put(second, start, b"deleted since"), {192: (1_600_000_000).to_bytes(8, "little")}, at=head)
    found = members(Bytes(away), Bytes(ahead))
    unfolded = Md().unfold(found, ())
    array, alone = (one for one in unfolded.derived if not one.is_gap)
    assert (array.parents, alone.parents, array.is_copy, alone.is_copy) == (("v02",), ("v01",), False, True)
    assert sha256(opened(Md(), array, found)) == _ARRAYS["raid1"]["sha256"]
    assert opened(Md(), alone, found).read_at(0, alone.size) == away[start:][: alone.size]
    assert alone.size == array.size
    (problem,) = unfolded.problems
    assert problem.volume == "v01"
    assert f"written {events} times, the array {events + 5}" in problem.why
    assert "2020-09-13 12:26:40 UTC" in problem.why
    assert "listed by itself" in problem.what


def test_a_disk_that_a_striped_array_does_without_is_raw_space_as_a_whole() -> None:
    every = members(*map(Bytes, _disks("raid5-stale")))
    unfolded = Md().unfold(every, ())
    (part,) = (one for one in unfolded.derived if one.parents == ("v02",))
    assert (part.is_gap, part.size) == (True, every[1].source.size)
    assert opened(Md(), part, every).read_at(0, part.size) == _disks("raid5-stale")[1]
    assert "its bytes were read as raw space" in unfolded.problems[0].what


def test_a_copy_of_a_disk_is_not_said_to_be_older() -> None:
    first, second = _disks("raid1")
    (problem,) = Md().unfold(members(Bytes(first), Bytes(second), Bytes(first)), ()).problems
    assert "taken by volume v01, which was written as often" in problem.why


def test_a_reshape_that_was_stopped_is_not_read() -> None:
    changed = [_with(data, {8: (4).to_bytes(4, "little")}) for data in _disks("raid5-stale")]
    unfolded = Md().unfold(members(*map(Bytes, changed)), ())
    assert {one.code for one in unfolded.locked} == {"volume-not-read"}
    assert "another shape" in unfolded.locked[0].why
    assert {one.name for one in unfolded.locked} == {"disk of a RAID 5 array"}
    assert not any("give all disks" in one.advice for one in unfolded.locked)


def test_blocks_recorded_as_bad_are_an_error() -> None:
    """Linux, md_p.h: one entry is the sector, counted on the device, in the upper 54 bits and the count in the lower 10."""
    first = _disks("raid1-090")[0]
    assert Md().unfold(members(Bytes(first)), ()).derived
    data = _disks("raid5-ls")  # metadata 1.1, at the start
    start = int.from_bytes(data[0][128:136], "little")
    bad = struct.pack("<2Q", (start + 16) << 10 | 2, 2**64 - 1)
    fields = {8: (8).to_bytes(4, "little"), 185: b"\0" + (1).to_bytes(2, "little") + (16).to_bytes(4, "little")}
    damaged = [_with(_put(one, 16 * SECTOR, bad), fields, at=0) for one in data]
    found = members(*map(Bytes, damaged))
    derived = _array(Md().unfold(found, ()))
    source = opened(Md(), derived, found)
    assert source.read_at(0, 512) == bytes(512)
    with pytest.raises(ImageReadError):
        source.read_at(3 * 16 * SECTOR, 512)  # the second row of chunks of 8 KiB, on all disks


@pytest.mark.corpus
def test_a_public_mirror_opens_from_either_disk(corpus_image: Any) -> None:
    path = corpus_image("md-raid1-dissect")
    sources = [FileBytes(path), FileBytes(path.with_name("md-raid1-2.bin"))]
    seen = set()
    for found in (members(*sources), members(sources[0]), members(sources[1])):
        derived = _array(Md().unfold(recognised(Md(), found), ()))
        assert derived.what == "RAID 1 array"
        seen.add(sha256(opened(Md(), derived, found)))
    assert len(seen) == 1
    for source in sources:
        source.close()


@pytest.mark.parametrize("name", ["raid6-ls", "raid0-uneven", "raid10-o3", "linear"])
def test_reads_at_random_places_are_slices(name: str) -> None:
    found = members(*map(Bytes, _disks(name)))
    derived = _array(Md().unfold(found, ()))
    source = opened(Md(), derived, found)
    media = source.read_at(0, source.size)

    @given(offset=st.integers(0, len(media) + 10), length=st.integers(0, 200_000))
    def check(offset: int, length: int) -> None:
        """`read_at(o, n)` is `array[o : o + n]`."""
        assert source.read_at(offset, length) == media[offset : offset + length]

    check()


@given(place=st.integers(0, 400), value=st.integers(0, 255))
def test_metadata_that_states_anything_gives_a_volume_or_says_why_not(place: int, value: int) -> None:
    first, *others = _disks("raid6-ls")
    changed = _with(first, {place: bytes([value])})
    found = recognised(Md(), members(Bytes(changed), *map(Bytes, others)))
    unfolded = Md().unfold(found, ())
    assert unfolded.derived or unfolded.locked
    for derived in unfolded.derived:
        try:
            opened(Md(), derived, found).read_at(0, 1000)
        except (ImageReadError, VolumeError):
            continue


@pytest.mark.parametrize("size", [0, 100, 4096, 8191, 8192, 100_000])
def test_a_disk_that_is_cut_off_gives_a_volume_or_says_why_not(size: int) -> None:
    first, *others = _disks("raid5-bitmap")
    found = recognised(Md(), members(Bytes(first[:size]), *map(Bytes, others)))
    derived = _array(Md().unfold(found, ()))
    assert sha256(opened(Md(), derived, found)) == _ARRAYS["raid5-bitmap"]["sha256"]


def _array(unfolded: Unfolded) -> Derived:
    """The one array of what was found; beside it there are only parts of disks."""
    derived, *rest = unfolded.derived
    assert all(one.is_gap for one in rest)
    return derived


def _put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _with(data: bytes, fields: dict[int, bytes], *, at: int = _HEAD) -> bytes:
    """The disk with fields of its metadata 1.x changed, and the checksum put right (md.c, calc_sb_1_csum)."""
    for place, new in fields.items():
        data = _put(data, at + place, new)
    roles = int.from_bytes(data[at + 220 : at + 224], "little")
    block = _put(data[at : at + 256 + 2 * roles], 216, bytes(4))
    whole = len(block) // 4 * 4
    total = sum(struct.unpack(f"<{whole // 4}I", block[:whole])) + int.from_bytes(block[whole:], "little")
    return _put(data, at + 216, ((total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF).to_bytes(4, "little"))
