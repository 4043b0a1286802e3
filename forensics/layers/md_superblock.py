"""The metadata that Linux software RAID (md) keeps on each disk, in all of its formats.

References:
    Linux 6.1, include/uapi/linux/raid/md_p.h (mdp_super_t, mdp_superblock_1); drivers/md/md.c (super_90_load, super_1_load,
    calc_sb_csum, calc_sb_1_csum).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from forensics.errors import ImageReadError, VolumeError
from forensics.layers.unit_source import read_exactly

if TYPE_CHECKING:
    from forensics.source import ByteSource

SECTOR_BYTES = 512
_MAGIC = 0xA92B4EFC
_BYTES = 4096
_MOST_ROLES = 1920  # what fits into the metadata
_MAX_CHUNK_BYTES = 1 << 30
_ONE = struct.Struct("<4I16s32sQIIQII8xQ16xQQQQI4x16sBBHIQQQII32x")
_ROLES_AT = 256
_CHECKSUM_AT = 216
_BITMAP_OFFSET, _RECOVERY, _RESHAPE, _BAD_BLOCKS, _REPLACEMENT = 1, 2, 4, 8, 16
_HAS_JOURNAL, _RAID0_LAYOUT = 512, 4096
_SPARE_ROLES = 0xFFFD  # journal, faulty and spare, from here on
_ZERO_WORDS = 1024
_ZERO_RESHAPES = 91
_IN_SYNC, _FAULTY = 4, 1
_NONE = 2**64 - 1
_SECONDS = 2**40 - 1  # of a time; the upper 24 bits are microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class MdSuperblock:
    """One disk's metadata. Sizes and places in bytes.

    Attributes:
        format: "0.90", "1.0", "1.1" or "1.2".
        set_uuid: the array's identifier, as mdadm writes it.
        role: the disk's place in the array; None for a spare, a journal, and a disk that was thrown out.
        events: how often the array's state was written; a disk with less than the others was away.
        updated: when it was last written, by the clock of the machine, in seconds since 1970 UTC.
        data_start: where the array's bytes start on the disk.
        data_size: how many there are.
        component_size: how many of them an array with redundancy uses.
        valid_size: how many of them are up to date; less than all while a disk is being filled.
        bad: (first, end) of what is known to be bad, counted from the start of the data.
        unread: why the array is not read, "" if it is.
        is_clean: whether copies and parities are known to agree.
    """

    format: str
    set_uuid: str
    name: str
    level: int
    layout: int
    disks: int
    chunk: int
    role: int | None
    events: int
    updated: int
    data_start: int
    data_size: int
    component_size: int
    valid_size: int
    bad: tuple[tuple[int, int], ...] = ()
    unread: str = ""
    has_journal: bool = False
    is_clean: bool = True


def places(size: int) -> tuple[tuple[str, int], ...]:
    """Format and offset in bytes of the places where the metadata of a disk of that size may stand."""
    sectors = size // SECTOR_BYTES
    found = (("1.2", 8), ("1.1", 0), ("1.0", (sectors - 16) & ~7), ("0.90", (sectors & ~127) - 128))
    return tuple((name, sector * SECTOR_BYTES) for name, sector in found if 0 <= sector * SECTOR_BYTES <= size - _BYTES)


def has_superblock(source: ByteSource) -> bool:
    """Whether the metadata is in one of its places, and its checksum right. Never raises."""
    try:
        return any(_is_whole(source.read_at(offset, _BYTES), name) for name, offset in places(source.size))
    except ImageReadError:
        return False


def read_superblock(source: ByteSource) -> MdSuperblock:
    """The metadata.

    Raises:
        VolumeError: there is none, or it makes no sense.
        ImageReadError: it cannot be read.
    """
    for name, offset in places(source.size):
        block = source.read_at(offset, _BYTES)
        if _is_whole(block, name):
            return _zero(block, offset) if name == "0.90" else _one(block, name, offset, source)
    message = "it has no metadata of md whose checksum is right"
    raise VolumeError(message)


def _is_whole(block: bytes, name: str) -> bool:
    if len(block) != _BYTES:
        return False
    if name == "0.90":
        words = struct.unpack(f"{_order(block)}{_ZERO_WORDS}I", block)
        return words[:2] == (_MAGIC, 0) and _folded(sum(words) - words[38]) == words[38]
    magic, major = struct.unpack_from("<2I", block)
    roles = int.from_bytes(block[220:224], "little")
    if (magic, major) != (_MAGIC, 1) or roles > _MOST_ROLES:
        return False
    return _sum_of_one(block, roles) == int.from_bytes(block[_CHECKSUM_AT : _CHECKSUM_AT + 4], "little")


def _order(block: bytes) -> str:
    """Metadata 0.90 is in the byte order of the machine that wrote it."""
    return ">" if int.from_bytes(block[:4], "big") == _MAGIC else "<"


def _sum_of_one(block: bytes, roles: int) -> int:
    size = _ROLES_AT + 2 * roles
    data = block[:_CHECKSUM_AT] + bytes(4) + block[_CHECKSUM_AT + 4 : size]
    total = sum(struct.unpack_from(f"<{size // 4}I", data))
    return _folded(total + (int.from_bytes(data[-2:], "little") if size % 4 else 0))


def _folded(total: int) -> int:
    return ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF


def _one(block: bytes, name: str, offset: int, source: ByteSource) -> MdSuperblock:
    fields = _ONE.unpack_from(block)
    _, _, features, _, uuid, title, _, level, layout, size, chunk, disks, reshape, start, data, at, recovery, number = fields[:18]
    _, _, _, bad_sectors, bad_at, updated, events, resync, _, roles = fields[18:]
    level = level - 2**32 if level >= 2**31 else level
    if at * SECTOR_BYTES != offset:
        message = f"its metadata states that it stands at sector {at}, and stands at {offset // SECTOR_BYTES}"
        raise VolumeError(message)
    role = int.from_bytes(block[_ROLES_AT + 2 * number :][:2], "little") if number < roles else _SPARE_ROLES
    is_filling = bool(features & _RECOVERY)
    bad: tuple[tuple[int, int], ...] = ()
    if features & _BAD_BLOCKS and bad_sectors:
        signed = bad_at - 2**32 if bad_at >= 2**31 else bad_at
        bad = _bad_blocks(source, offset + signed * SECTOR_BYTES, bad_sectors * SECTOR_BYTES, start)
    return _checked(
        MdSuperblock(
            format=name,
            set_uuid=str(UUID(bytes=uuid)),
            name=title.split(b"\0", 1)[0].decode("utf-8", "surrogateescape"),
            level=level,
            layout=layout if level or features & _RAID0_LAYOUT else 0,
            disks=disks,
            chunk=chunk * SECTOR_BYTES,
            role=role if role < _SPARE_ROLES and not features & _REPLACEMENT else None,
            events=events,
            updated=updated & _SECONDS,
            data_start=start * SECTOR_BYTES,
            data_size=data * SECTOR_BYTES,
            component_size=size * SECTOR_BYTES,
            valid_size=(min(recovery, data) if is_filling else data) * SECTOR_BYTES,
            bad=bad,
            unread=f"it was being given another shape when it was stopped (at sector {reshape})" if features & _RESHAPE else "",
            has_journal=bool(features & _HAS_JOURNAL),
            is_clean=resync == _NONE,
        )
    )


def _bad_blocks(source: ByteSource, offset: int, length: int, data_start: int) -> tuple[tuple[int, int], ...]:
    """The list of bad blocks (md_p.h, bblog): each eight bytes, sector in the upper 54 bits and count in the lower 10."""
    found = []
    for (entry,) in struct.iter_unpack("<Q", read_exactly(source, max(0, offset), length)):
        if entry == _NONE:
            break
        first = (entry >> 10) - data_start
        found.append((first * SECTOR_BYTES, (first + (entry & 0x3FF)) * SECTOR_BYTES))
    return tuple(found)


def _zero(block: bytes, offset: int) -> MdSuperblock:
    order = _order(block)
    words = struct.unpack(f"{order}{_ZERO_WORDS}I", block)
    place, state = words[995:997]  # of the last descriptor, that of this disk
    high, low = (words[39], words[40]) if order == ">" else (words[40], words[39])
    level = words[7] - 2**32 if words[7] >= 2**31 else words[7]
    disks = words[10]
    is_in_place = bool(state & _IN_SYNC) and not state & _FAULTY and place < disks
    return _checked(
        MdSuperblock(
            format="0.90",
            set_uuid=str(UUID(bytes=struct.pack(">4I", words[5], *words[13:16]))),
            name="",
            level=level,
            layout=words[64],
            disks=disks,
            chunk=words[65],
            role=place if is_in_place else None,
            events=high << 32 | low,
            updated=words[32],
            data_start=0,
            data_size=offset,
            component_size=words[8] * 1024,
            valid_size=offset,
            unread="it was being given another shape when it was stopped" if words[2] == _ZERO_RESHAPES else "",
            is_clean=bool(words[33] & 1),
        )
    )


def _checked(found: MdSuperblock) -> MdSuperblock:
    """The metadata, if what it states can be.

    Raises:
        VolumeError: it cannot.
    """
    striped = found.level in (0, 4, 5, 6, 10)
    if not 0 < found.disks <= _MOST_ROLES or found.chunk > _MAX_CHUNK_BYTES or found.chunk % SECTOR_BYTES or (striped and not found.chunk):
        message = f"its metadata states {found.disks} disks and chunks of {found.chunk} bytes, which cannot be"
        raise VolumeError(message)
    return found
