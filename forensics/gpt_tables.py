"""A GUID partition table by its own checksums: the first one, or its backup in the media's last sectors.

It is asked for where The Sleuth Kit finds no table: where the first one is damaged, and where the end of the disk is not there. A
table is believed only where both of its checksums are right, whatever the sector size.

References:
    UEFI specification 2.10, sections 5.3.2 (GPT header) and 5.3.3 (GPT partition entry array).
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError
from forensics.names import escape_text
from forensics.sleuthkit import Partition

if TYPE_CHECKING:
    from forensics.source import ByteSource

_HEADER = struct.Struct("<8sIIII4Q16sQIII")  # signature, revision, size, CRC, …, entries: first sector, number, size, CRC
_ENTRY = struct.Struct("<16s16sQQQ72s")  # type, identity, first sector, last sector, attributes, name
_SIGNATURE = b"EFI PART"
_SECTORS = (512, 4096)
_CRC = slice(16, 20)
_MOST_TABLE_BYTES = 1 << 20  # 128 entries of 128 bytes are usual


@dataclass(frozen=True, slots=True, kw_only=True)
class GptTable:
    """A table that is whole.

    Attributes:
        partitions: in the order of their slots.
        is_backup: whether it is the one at the end of the media.
        other_byte: where the other of the two belongs, by this one's header.
    """

    partitions: tuple[Partition, ...]
    is_backup: bool
    other_byte: int


def read_table(source: ByteSource) -> GptTable | None:
    """The first table that is whole and states partitions, else its backup; None where neither is."""
    for is_backup in (False, True):
        for sector in _SECTORS:
            # The backup's header stands in the media's last sector; a media whose size is no multiple has some bytes behind it.
            place = (source.size // sector - 1) * sector if is_backup else sector
            try:
                found = _read(source, place, sector, is_backup=is_backup)
            except ImageReadError:
                continue
            if found is not None and found.partitions:
                return found
    return None


def _read(source: ByteSource, place: int, sector: int, *, is_backup: bool) -> GptTable | None:
    if not sector <= place <= source.size - sector:
        return None
    block = source.read_at(place, sector)
    signature, _, size, crc, _, here, other, _, _, _, first, number, entry_size, table_crc = _HEADER.unpack_from(block)
    if signature != _SIGNATURE or not _HEADER.size <= size <= sector or here * sector != place:
        return None
    header = bytearray(block[:size])
    header[_CRC] = bytes(4)
    if zlib.crc32(header) != crc or entry_size < _ENTRY.size or not 0 < number * entry_size <= _MOST_TABLE_BYTES:
        return None
    table = source.read_at(first * sector, number * entry_size) if first * sector < source.size else b""
    if len(table) < number * entry_size or zlib.crc32(table) != table_crc:
        return None
    entries = (_ENTRY.unpack_from(table, slot * entry_size) for slot in range(number))
    partitions = tuple(_partition(slot, entry, sector) for slot, entry in enumerate(entries) if any(entry[0]) and entry[2] <= entry[3])
    return GptTable(partitions=partitions, is_backup=is_backup, other_byte=other * sector)


def _partition(slot: int, entry: tuple[bytes, bytes, int, int, int, bytes], sector: int) -> Partition:
    kind, _, first, last, _, name = entry
    text = escape_text(name.decode("utf-16-le", "replace").partition("\0")[0])
    return Partition(
        scheme="gpt",
        slot=f"{slot:03d}",
        start_byte=first * sector,
        size_bytes=(last - first + 1) * sector,
        type=text or str(uuid.UUID(bytes_le=kind)),
    )
