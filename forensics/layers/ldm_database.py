"""The database that Windows keeps on each of its dynamic disks (LDM): which volumes there are, and where their parts lie.

All of its numbers are big-endian, and most are of any length, with their length before them.

References:
    Linux-NTFS project, "LDM Documentation" (PRIVHEAD, TOCBLOCK, VMDB, VBLK); Linux 6.1, block/partitions/ldm.h (offsets).
    UEFI specification 2.10, 5.3 (GPT); Microsoft, "PARTITION_INFORMATION_GPT" (the type of an LDM metadata partition).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from forensics.errors import VolumeError
from forensics.layers.unit_source import read_exactly

if TYPE_CHECKING:
    from forensics.source import ByteSource

SECTOR_BYTES = 512
_HEAD_SECTOR = 6
_HEAD_MAGIC = b"PRIVHEAD"
_METADATA_TYPE = UUID("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3").bytes_le
_ENTRY_BYTES = 128
_DATABASE_SECTOR = 17
_MAX_DATABASE_SECTORS = 2048
_RECORD_HEAD = 16
_RECORD_SIZES = (128, 256, 512)
_MOST_FRAGMENTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskHead:
    """What a disk says of itself: its identifier and its group's, and where in the disk data and database start, in sectors."""

    disk: str
    group: str
    group_name: str
    data_start: int
    database_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LdmPart:
    """A part of a component: `size` sectors from `start` of the disk's data; its place in the component, and where in it it starts."""

    parent: int
    disk: int
    start: int
    size: int
    offset: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LdmComponent:
    """Parts that are "striped", "spanned" or "raid5"; a mirrored volume has several components. `chunk` in sectors."""

    parent: int
    kind: str
    chunk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LdmVolume:
    """A volume: its name, its drive letter ("" if it has none), identifier, and size in sectors."""

    name: str
    hint: str
    identifier: str
    size: int


@dataclass(slots=True)
class LdmDatabase:
    """The records by their numbers. `disks` are the identifiers of the disks; `sequence` counts the changes."""

    sequence: int
    volumes: dict[int, LdmVolume] = field(default_factory=dict)
    components: dict[int, LdmComponent] = field(default_factory=dict)
    parts: dict[int, LdmPart] = field(default_factory=dict)
    disks: dict[int, tuple[str, str]] = field(default_factory=dict)


def is_dynamic(head: bytes) -> bool:
    """Whether the first bytes of a whole disk are those of a dynamic one."""
    return head[_HEAD_SECTOR * SECTOR_BYTES :][:8] == _HEAD_MAGIC or _metadata_partition(head) is not None


def _metadata_partition(head: bytes) -> tuple[int, int] | None:
    """First and last sector of the partition that holds the database on a GPT disk."""
    if head[SECTOR_BYTES : SECTOR_BYTES + 8] != b"EFI PART":
        return None
    for at in range(2 * SECTOR_BYTES, 34 * SECTOR_BYTES, _ENTRY_BYTES):
        if head[at : at + 16] == _METADATA_TYPE:
            return int.from_bytes(head[at + 32 : at + 40], "little"), int.from_bytes(head[at + 40 : at + 48], "little")
    return None


def read_head(source: ByteSource) -> DiskHead:
    """The disk's own head: in sector 6, or in the last sector of the metadata partition of a GPT disk.

    Raises:
        VolumeError: it is not there, or makes no sense.
        ImageReadError: it cannot be read.
    """
    partition = _metadata_partition(read_exactly(source, 0, 34 * SECTOR_BYTES))
    sector = _HEAD_SECTOR if partition is None else partition[1]
    block = read_exactly(source, sector * SECTOR_BYTES, SECTOR_BYTES)
    if block[:8] != _HEAD_MAGIC:
        message = "its head of dynamic disks is not where it should be"
        raise VolumeError(message)
    return DiskHead(
        disk=_identifier(block[0x30:0x70]),
        group=_identifier(block[0xB0:0xF0]),
        group_name=_text(block[0xF0:0x10F]),
        data_start=int.from_bytes(block[0x11B:0x123], "big"),
        database_start=int.from_bytes(block[0x12B:0x133], "big"),
    )


def read_database(source: ByteSource, head: DiskHead) -> LdmDatabase:
    """The disk's copy of the database.

    Raises:
        VolumeError: it is damaged.
        ImageReadError: it cannot be read.
    """
    start = (head.database_start + _DATABASE_SECTOR) * SECTOR_BYTES
    top = read_exactly(source, start, SECTOR_BYTES)
    last, size, offset = (int.from_bytes(top[at : at + 4], "big") for at in (4, 8, 12))
    length = last * size
    if top[:4] != b"VMDB" or size not in _RECORD_SIZES or not SECTOR_BYTES <= offset <= length <= _MAX_DATABASE_SECTORS * SECTOR_BYTES:
        message = "the head of its database of dynamic disks is damaged"
        raise VolumeError(message)
    database = LdmDatabase(sequence=int.from_bytes(top[0x75:0x7D], "big"))
    for record in _records(source, start, size, range(offset, length, size)):
        _Record(record).put_into(database)
    return database


def _records(source: ByteSource, start: int, size: int, places: range) -> list[bytes]:
    """The records, each put together of its pieces, without the heads of these."""
    groups: dict[int, tuple[int, dict[int, bytes]]] = {}
    # The database may have been cut short by what it states; the sectors are read one by one, so that one bad one is said as such.
    for at in places:
        piece = read_exactly(source, start + at, size)
        if piece[:4] != b"VBLK":
            message = f"record {at // size} of its database of dynamic disks is damaged"
            raise VolumeError(message)
        group, number, count = (int.from_bytes(piece[a:b], "big") for a, b in ((8, 12), (12, 14), (14, 16)))
        if count:
            groups.setdefault(group, (count, {}))[1][number] = piece[_RECORD_HEAD:]
    records = []
    for count, pieces in groups.values():
        if count > _MOST_FRAGMENTS or sorted(pieces) != list(range(count)):
            message = "a record of its database of dynamic disks is not whole"
            raise VolumeError(message)
        records.append(b"".join(pieces[number] for number in range(count)))
    return records


class _Record:
    """A record, read field by field."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 8  # behind status, flags, kind and length
        self._flags, self._kind = data[2], data[3] & 0x0F
        self._revision = data[3] >> 4

    def put_into(self, database: LdmDatabase) -> None:
        """Reads the record, and adds it.

        Raises:
            VolumeError: it ends in the middle.
        """
        readers = {1: self._volume, 2: self._component, 3: self._part, 4: self._disk}
        reader = readers.get(self._kind)
        if reader is not None:
            number, name = self._number(), _text(self._field())
            reader(database, number, name)

    def _volume(self, database: LdmDatabase, number: int, name: str) -> None:
        self._field()  # "gen" or "raid5": what the components say, too
        self._field()
        self._fixed(21)
        self._number()
        self._fixed(16)
        size = self._number()
        self._fixed(5)
        identifier = str(UUID(bytes=self._fixed(16)))
        for flag in (0x08, 0x20, 0x80):
            if self._flags & flag:
                self._field()
        hint = _text(self._field()) if self._flags & 0x02 else ""
        database.volumes[number] = LdmVolume(name=name, hint=hint, identifier=identifier, size=size)

    def _component(self, database: LdmDatabase, number: int, name: str) -> None:  # noqa: ARG002 - read like the others
        self._field()
        kind = {1: "striped", 2: "spanned", 3: "raid5"}.get(self._fixed(1)[0], "")
        self._fixed(4)
        self._number()
        self._fixed(16)
        parent = self._number()
        self._fixed(1)
        chunk = self._number() if self._flags & 0x10 else 0
        database.components[number] = LdmComponent(parent=parent, kind=kind, chunk=chunk)

    def _part(self, database: LdmDatabase, number: int, name: str) -> None:  # noqa: ARG002 - read like the others
        self._fixed(12)
        start, offset = (int.from_bytes(self._fixed(8), "big") for _ in range(2))
        size, parent, disk = self._number(), self._number(), self._number()
        column = self._number() if self._flags & 0x08 else 0
        database.parts[number] = LdmPart(parent=parent, disk=disk, start=start, size=size, offset=offset, column=column)

    def _disk(self, database: LdmDatabase, number: int, name: str) -> None:
        with_text = 3
        identifier = _identifier(self._field()) if self._revision == with_text else str(UUID(bytes=self._fixed(16)))
        database.disks[number] = (identifier, name)

    def _number(self) -> int:
        return int.from_bytes(self._field(), "big")

    def _field(self) -> bytes:
        return self._fixed(self._fixed(1)[0])

    def _fixed(self, length: int) -> bytes:
        found = self._data[self._at : self._at + length]
        self._at += length
        if len(found) != length:
            message = "a record of its database of dynamic disks ends in the middle"
            raise VolumeError(message)
        return found


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("latin-1")


def _identifier(data: bytes) -> str:
    try:
        return str(UUID(_text(data)))
    except ValueError:
        message = "an identifier in its metadata of dynamic disks is none"
        raise VolumeError(message) from None
