"""Dynamic disks built here, byte by byte, after the LDM documentation of the Linux-NTFS project."""

from __future__ import annotations

import hashlib
import struct
from itertools import starmap
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_members import SECTOR, Bytes, members, opened, recognised

from forensics.disks import open_disks
from forensics.errors import ImageReadError, VolumeError
from forensics.layers.dynamic_disk import DynamicDisk
from forensics.survey import survey
from forensics.volume_tree import VolumeTree

if TYPE_CHECKING:
    from pathlib import Path

_DATA, _PART, _CHUNK = 63, 96, 16  # sectors: where data start, what each disk gives to a volume, and of a chunk
_GROUP = UUID(int=0xABC)


def _field(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _number(value: int) -> bytes:
    return _field(value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _record(sequence: int, kind: int, flags: int, body: bytes) -> bytes:
    """One record in as many pieces of 128 bytes as it takes."""
    data = struct.pack(">HBBI", 0, flags, kind, len(body)) + body
    pieces = [data[at : at + 112].ljust(112, b"\0") for at in range(0, len(data), 112)]
    heads = (struct.pack(">4sIIHH", b"VBLK", 4, sequence, number, len(pieces)) for number in range(len(pieces)))
    return b"".join(head + piece for head, piece in zip(heads, pieces, strict=True))


def _volume(number: int, name: str, size: int) -> bytes:
    body = _number(number) + _field(name.encode()) + _field(b"gen") + _field(b"") + bytes(21) + _number(1) + bytes(16)
    body += _number(size) + bytes(4) + b"\7" + UUID(int=number).bytes + _field(b"E:")
    return _record(number, 0x51, 0x02, body)


def _component(number: int, parent: int, kind: int, columns: int) -> bytes:
    body = _number(number) + _field(b"Volume-01") + _field(b"ACTIVE".ljust(90, b"\0")) + bytes([kind]) + bytes(4) + _number(columns)
    body += bytes(16) + _number(parent) + b"\0"
    striped = kind in (1, 3)
    return _record(number, 0x32, 0x10 if striped else 0, body + (_number(_CHUNK) + _number(columns) if striped else b""))


def _part(number: int, parent: int, disk: int, start: int, offset: int, column: int) -> bytes:  # noqa: PLR0917
    body = _number(number) + _field(b"Disk-01") + bytes(12) + struct.pack(">QQ", start, offset)
    return _record(number, 0x33, 0x08, body + _number(_PART) + _number(parent) + _number(disk) + _number(column))


def _disk_record(number: int) -> bytes:
    return _record(number, 0x44, 0, _number(number) + _field(f"Disk{number}".encode()) + UUID(int=number).bytes + bytes(8))


def _random(label: str, sectors: int = _PART) -> bytes:
    return hashlib.shake_256(label.encode()).digest(sectors * SECTOR)


def _xor(first: bytes, second: bytes) -> bytes:
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).to_bytes(len(first), "big")


def _chunks(data: bytes) -> list[bytes]:
    return [data[at : at + _CHUNK * SECTOR] for at in range(0, len(data), _CHUNK * SECTOR)]


def _group() -> tuple[list[bytes], dict[str, bytes]]:
    """Three disks and the plain bytes of their volumes: Spanned, Striped, Mirror on the first two, Raid on all."""
    spanned, striped, mirror, raid = _random("spanned", 2 * _PART), _random("striped", 2 * _PART), _random("m"), _random("raid", 2 * _PART)
    rows = list(zip(_chunks(raid)[::2], _chunks(raid)[1::2], strict=True))
    columns: list[list[bytes]] = [[], [], []]
    for row, (first, second) in enumerate(rows):  # left symmetric: parity goes from the last disk to the first, data follow it
        parity = 2 - row % 3
        for index, chunk in enumerate((_xor(first, second), first, second)):
            columns[(parity + index) % 3].append(chunk)
    pieces = {
        1: [spanned[: _PART * SECTOR], b"".join(_chunks(striped)[::2]), mirror, b"".join(columns[0])],
        2: [spanned[_PART * SECTOR :], b"".join(_chunks(striped)[1::2]), mirror, b"".join(columns[1])],
        3: [b"".join(columns[2])],
    }
    records = b"".join((
        *map(_disk_record, (1, 2, 3)),
        *starmap(_volume, ((11, "Spanned", 2 * _PART), (12, "Striped", 2 * _PART), (13, "Mirror", _PART), (14, "Raid", 2 * _PART))),
        *starmap(_component, ((21, 11, 2, 2), (22, 12, 1, 2), (23, 13, 2, 1), (24, 13, 2, 1), (25, 14, 3, 3))),
        *starmap(_part, ((31, 21, 1, 0, 0, 0), (32, 21, 2, 0, _PART, 0))),
        *starmap(_part, ((33, 22, 1, _PART, 0, 0), (34, 22, 2, _PART, 0, 1))),
        *starmap(_part, ((35, 23, 1, 2 * _PART, 0, 0), (36, 24, 2, 2 * _PART, 0, 0))),
        *starmap(_part, ((37, 25, 1, 3 * _PART, 0, 0), (38, 25, 2, 3 * _PART, 0, 1), (39, 25, 3, 0, 0, 2))),
    ))  # fmt: skip
    plain = {"Spanned": spanned, "Striped": striped, "Mirror": mirror, "Raid": raid}
    return [_disk(number, pieces[number], records) for number in pieces], plain


def _disk(number: int, pieces: list[bytes], records: bytes, sequence: int = 7) -> bytes:
    data = b"".join(pieces).ljust(4 * _PART * SECTOR, b"\0")
    start = _DATA + 4 * _PART
    head = bytearray(SECTOR)
    head[:8] = b"PRIVHEAD"
    head[0x30:0x54] = str(UUID(int=number)).encode()
    head[0xB0:0xD4] = str(_GROUP).encode()
    head[0xF0:0xF5] = b"Group"
    head[0x11B:0x13B] = struct.pack(">4Q", _DATA, 4 * _PART, start, 2048)
    top = struct.pack(">4sIII", b"VMDB", 4 + len(records) // 128, 128, SECTOR).ljust(0x75, b"\0") + struct.pack(">Q", sequence)
    front = bytes(6 * SECTOR) + bytes(head)
    return front.ljust(_DATA * SECTOR, b"\0") + data + bytes(17 * SECTOR) + top.ljust(SECTOR, b"\0") + records + bytes(4096)


def test_every_kind_of_volume_is_put_together() -> None:
    disks, plain = _group()
    found = recognised(DynamicDisk(), members(*map(Bytes, disks)))
    unfolded = DynamicDisk().unfold(found, ())
    assert (len(found), unfolded.locked, unfolded.problems) == (3, (), ())
    assert [one.what.partition("(")[2] for one in unfolded.derived] == ["spanned)", "striped)", "mirrored)", "RAID-5)"]
    for derived in unfolded.derived:
        expected = plain[derived.name.partition(" ")[0]]
        assert derived.name.endswith(" E:")
        assert (derived.size, derived.incomplete) == (len(expected), "")
        source = opened(DynamicDisk(), derived, found)
        assert source.read_at(0, source.size) == expected
        assert source.read_at(40_000, 30_000) == expected[40_000:70_000]


@pytest.mark.parametrize("gone", range(3))
def test_without_a_disk_what_has_copies_or_parity_is_read(gone: int) -> None:
    disks, plain = _group()
    there = [one for number, one in enumerate(members(*map(Bytes, disks))) if number != gone]
    for derived in DynamicDisk().unfold(there, ()).derived:
        name = derived.name.partition(" ")[0]
        source = opened(DynamicDisk(), derived, there)
        lacks = gone < 2 or name == "Raid"
        assert bool(derived.incomplete) == lacks
        if name in ("Raid", "Mirror") or not lacks:
            assert source.read_at(0, source.size) == plain[name]
        else:
            with pytest.raises(ImageReadError, match=f"Disk{gone + 1} is missing"):
                source.read_at(0, source.size)


def test_the_newest_database_counts() -> None:
    disks, plain = _group()
    first = _disk(1, [], _volume(11, "Old", _PART), sequence=3)
    old = first[: 18 * SECTOR] + disks[0][18 * SECTOR : (_DATA + 4 * _PART) * SECTOR] + first[(_DATA + 4 * _PART) * SECTOR :]
    found = members(Bytes(old), *map(Bytes, disks[1:]))
    derived = DynamicDisk().unfold(found, ()).derived[0]
    assert opened(DynamicDisk(), derived, found).read_at(0, derived.size) == plain["Spanned"]


def test_a_head_in_the_metadata_partition_of_a_gpt_disk_is_found() -> None:
    """Partition type 5808c8aa-7e8f-42e0-85d2-e1e90434cfb3; the head is its last sector."""
    disks, _ = _group()
    data = bytearray(disks[0])
    head = data[6 * SECTOR : 7 * SECTOR]
    data[6 * SECTOR : 7 * SECTOR] = bytes(SECTOR)
    data[SECTOR : SECTOR + 8] = b"EFI PART"
    data[3 * 128 + 1024 : 3 * 128 + 1024 + 48] = (
        UUID("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3").bytes_le + bytes(16) + struct.pack("<QQ", 40, 50)
    )
    data[50 * SECTOR : 51 * SECTOR] = head
    found = recognised(DynamicDisk(), members(Bytes(bytes(data)), *map(Bytes, disks[1:])))
    assert len(found) == 3
    assert len(DynamicDisk().unfold(found, ()).derived) == 4


def test_other_disks_are_not_dynamic() -> None:
    assert recognised(DynamicDisk(), members(Bytes(b""), Bytes(bytes(4096)), Bytes(b"\xff" * 20_000))) == []


@settings(max_examples=150)
@given(place=st.integers(0, 6000), value=st.integers(0, 255), size=st.integers(0, 400_000))
def test_metadata_that_lie_or_are_cut_off_are_said(place: int, value: int, size: int) -> None:
    disks, _ = _group()
    data = bytearray(disks[0])
    at = 6 * SECTOR + place if place < SECTOR else (_DATA + 4 * _PART + 17) * SECTOR + place - SECTOR
    data[at] = value
    cut = bytes(data) if size > len(data) else bytes(data[:size])
    found = members(Bytes(cut))
    unfolded = DynamicDisk().unfold(found, ())
    for derived in unfolded.derived:
        try:
            opened(DynamicDisk(), derived, found).read_at(0, 1000)
        except (ImageReadError, VolumeError):
            continue


def test_a_survey_finds_the_volumes_of_whole_disks_and_another_process_opens_them(tmp_path: Path) -> None:
    """Each disk has one partition of type 0x42, which a survey knows; the database lies behind it."""
    disks, plain = _group()
    paths = []
    for number, data in enumerate(disks):
        table = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x42, b"\xff\xff\xff", _DATA, 4 * _PART)
        paths.append(tmp_path / f"disk{number}.dd")
        paths[-1].write_bytes((bytes(446) + table).ljust(510, b"\0") + b"\x55\xaa" + data[SECTOR:])
    with open_disks(paths) as exhibit:
        found = survey(exhibit, spool=tmp_path)
        assert not [one for one in found.problems if one.code != "volume-not-read"]
        tree = VolumeTree(exhibit, (), tmp_path, found.nodes)
        derived = {node.derived.name.partition(" ")[0]: tree.source(node.volume) for node in found.nodes if node.derived}
        assert {name: source.read_at(0, source.size) for name, source in derived.items()} == plain
    holds = [one for one in found.volumes if one.holds]
    assert [one.status for one in holds] == ["unfolded"] * 3
    assert "dynamic disk" in holds[0].reason
