"""The backup of a GUID partition table, in the media's last sectors: what is left when the first one is damaged.

It is believed only where both of its checksums are right, whatever the sector size.

References:
    UEFI specification 2.10, sections 5.3.2 (GPT header) and 5.3.3 (GPT partition entry array).
"""

from __future__ import annotations

import struct
import uuid
import zlib
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError
from forensics.names import escape_text
from forensics.sleuthkit import Partition

if TYPE_CHECKING:
    from forensics.image import Image

_HEADER = struct.Struct("<8sIIII4Q16sQIII")  # signature, revision, size, CRC, …, entries: first sector, number, size, CRC
_ENTRY = struct.Struct("<16s16sQQQ72s")  # type, identity, first sector, last sector, attributes, name
_SIGNATURE = b"EFI PART"
_SECTORS = (512, 4096)
_CRC = slice(16, 20)
_MOST_TABLE_BYTES = 1 << 20  # 128 entries of 128 bytes are usual


def read_backup(image: Image) -> tuple[Partition, ...]:
    """The partitions that the backup table states; empty where there is none that is whole."""
    for sector in _SECTORS:
        try:
            found = _read(image, sector)
        except ImageReadError:
            continue
        if found:
            return found
    return ()


def _read(image: Image, sector: int) -> tuple[Partition, ...]:
    # The header stands in the media's last sector; a media whose size is no multiple has some bytes behind it.
    place = (image.size // sector - 1) * sector
    if place < sector:
        return ()
    block = image.read_at(place, sector)
    signature, _, size, crc, _, here, _, _, _, _, first, number, entry_size, table_crc = _HEADER.unpack_from(block)
    if signature != _SIGNATURE or not _HEADER.size <= size <= sector or here * sector != place:
        return ()
    header = bytearray(block[:size])
    header[_CRC] = bytes(4)
    if zlib.crc32(header) != crc or entry_size < _ENTRY.size or not 0 < number * entry_size <= _MOST_TABLE_BYTES:
        return ()
    table = image.read_at(first * sector, number * entry_size) if first * sector < image.size else b""
    if len(table) < number * entry_size or zlib.crc32(table) != table_crc:
        return ()
    entries = (_ENTRY.unpack_from(table, slot * entry_size) for slot in range(number))
    return tuple(_partition(slot, entry, sector) for slot, entry in enumerate(entries) if any(entry[0]) and entry[2] <= entry[3])


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
