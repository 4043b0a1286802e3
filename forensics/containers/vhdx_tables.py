"""A VHDX file's headers, regions and metadata: what the disk is, and where its tables lie.

References: [MS-VHDX] 2.2.2 "Headers", 2.2.3 "Region Table", 2.6 "Metadata Region", 2.6.2.6 "Parent Locator".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from forensics.errors import ImageError, UnsupportedImageError
from forensics.exhibit import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forensics.exhibit import SourceFile

_KIB = 1024
_HEADERS = (64 * _KIB, 128 * _KIB)
_REGION_TABLE = 192 * _KIB
_HEADER = struct.Struct("<4sIQ16s16s16s")
_REGION_HEADER = struct.Struct("<4sIII")
_REGION = struct.Struct("<16sQII")
_METADATA_HEADER = struct.Struct("<8sHH20x")
_METADATA = struct.Struct("<16sIIII")
_MAX_ENTRIES = 2047  # [MS-VHDX] 2.2.3.1 and 2.6.1.1
_BAT_REGION = UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
_METADATA_REGION = UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
_FILE_PARAMETERS = UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
_DISK_SIZE = UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
_SECTOR_SIZE = UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
_PARENT_LOCATOR = UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
_HAS_PARENT = 2
_LOCATOR_HEADER_BYTES = 20
_LOCATOR_ENTRY = struct.Struct("<IIHH")
_MAX_LOCATOR_ENTRIES = 64
_MIN_BLOCK_BYTES, _MAX_BLOCK_BYTES = _KIB * _KIB, 256 * _KIB * _KIB
_MAX_DISK_BYTES = 64 << 40
_SECTOR_SIZES = (512, 4096)


@dataclass(frozen=True, slots=True, kw_only=True)
class VhdxTables:
    """What the tables state; offsets and sizes in bytes.

    Attributes:
        data_write: changes whenever the disk's contents do; by it a child recognises its parent.
        locator: the parent locator's entries by their keys; None for a disk without parent.
        bat: where the block allocation table lies, and its size.
    """

    size: int
    sector_size: int
    block_size: int
    data_write: UUID
    locator: Mapping[str, str] | None
    bat: tuple[int, int]


def read_tables(file: SourceFile) -> VhdxTables:
    """The tables of a VHDX file that was closed cleanly.

    Raises:
        UnsupportedImageError: its log was not replayed.
        ImageError: its tables are damaged or state what cannot be.
    """
    data_write = _data_write(file)
    regions = _regions(file)
    items = _metadata(file, regions)
    block_size, flags = struct.unpack("<II", _item(file, items, _FILE_PARAMETERS, 8))
    size = int.from_bytes(_item(file, items, _DISK_SIZE, 8), "little")
    sector_size = int.from_bytes(_item(file, items, _SECTOR_SIZE, 4), "little")
    # 2.6.2.1: the block size is a power of two.
    fits = _MIN_BLOCK_BYTES <= block_size <= _MAX_BLOCK_BYTES and not block_size & (block_size - 1)
    if not fits or sector_size not in _SECTOR_SIZES or not 0 < size <= _MAX_DISK_BYTES:
        message = f"{shown(file.path)}: states {size} bytes in blocks of {block_size} and sectors of {sector_size}, which cannot be"
        raise ImageError(message)
    if _BAT_REGION not in regions:
        message = f"{shown(file.path)}: its VHDX region table names no block allocation table"
        raise ImageError(message)
    return VhdxTables(
        size=size,
        sector_size=sector_size,
        block_size=block_size,
        data_write=data_write,
        locator=_locator(file, items) if flags & _HAS_PARENT else None,
        bat=regions[_BAT_REGION],
    )


def _data_write(file: SourceFile) -> UUID:
    """2.2.2: the header with the higher sequence number is current; a log identifier other than zero means entries to replay."""
    current, data_write, log = -1, b"", b""
    for offset in _HEADERS:
        raw = file.read_at(offset, _HEADER.size)
        if len(raw) == _HEADER.size and raw.startswith(b"head"):
            _, _, sequence, _, written, identifier = _HEADER.unpack(raw)
            if sequence > current:
                current, data_write, log = sequence, written, identifier
    if current < 0:
        message = f"{shown(file.path)}: has no intact VHDX header"
        raise ImageError(message)
    if any(log):
        message = (
            f"{shown(file.path)}: was not closed cleanly: its log holds changes that are not in the disk yet and are not replayed here; "
            "let Hyper-V or qemu-img replay them in a copy"
        )
        raise UnsupportedImageError(message)
    return UUID(bytes_le=data_write)


def _metadata(file: SourceFile, regions: Mapping[UUID, tuple[int, int]]) -> dict[UUID, int]:
    """Where in the file each metadata item lies, bytes."""
    region = regions.get(_METADATA_REGION, (0, 0))[0]
    raw = file.read_at(region, _METADATA_HEADER.size) if region else b""
    if len(raw) < _METADATA_HEADER.size or not raw.startswith(b"metadata"):
        message = f"{shown(file.path)}: its VHDX metadata is damaged or cut off"
        raise ImageError(message)
    count = min(_METADATA_HEADER.unpack(raw)[2], _MAX_ENTRIES)
    table = file.read_at(region + _METADATA_HEADER.size, count * _METADATA.size)
    entries = _METADATA.iter_unpack(table[: len(table) // _METADATA.size * _METADATA.size])
    return {UUID(bytes_le=identifier): region + offset for identifier, offset, _, _, _ in entries}


def _regions(file: SourceFile) -> dict[UUID, tuple[int, int]]:
    """Where each region lies and its size; from the first of two equal tables, which must be intact."""
    raw = file.read_at(_REGION_TABLE, _REGION_HEADER.size)
    if len(raw) < _REGION_HEADER.size or not raw.startswith(b"regi"):
        message = f"{shown(file.path)}: its VHDX region table is damaged or cut off"
        raise ImageError(message)
    count = min(_REGION_HEADER.unpack(raw)[2], _MAX_ENTRIES)
    table = file.read_at(_REGION_TABLE + _REGION_HEADER.size, count * _REGION.size)
    entries = _REGION.iter_unpack(table[: len(table) // _REGION.size * _REGION.size])
    return {UUID(bytes_le=one): (offset, length) for one, offset, length, _ in entries}


def _item(file: SourceFile, items: Mapping[UUID, int], identifier: UUID, length: int) -> bytes:
    raw = file.read_at(items[identifier], length) if identifier in items else b""
    if len(raw) < length:
        message = f"{shown(file.path)}: its VHDX metadata lacks the item {identifier}"
        raise ImageError(message)
    return raw


def _locator(file: SourceFile, items: Mapping[UUID, int]) -> dict[str, str]:
    at = items.get(_PARENT_LOCATOR)
    if at is None:
        return {}
    count = min(int.from_bytes(file.read_at(at + 18, 2), "little"), _MAX_LOCATOR_ENTRIES)
    table = file.read_at(at + _LOCATOR_HEADER_BYTES, count * _LOCATOR_ENTRY.size)
    found = {}
    whole = len(table) // _LOCATOR_ENTRY.size * _LOCATOR_ENTRY.size
    for key, value, key_length, value_length in _LOCATOR_ENTRY.iter_unpack(table[:whole]):
        name = file.read_at(at + key, key_length).decode("utf-16-le", "replace")
        found[name] = file.read_at(at + value, value_length).decode("utf-16-le", "replace")
    return found
