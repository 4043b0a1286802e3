"""VHDX: what is checked before the disk is opened.

References: [MS-VHDX] 2.2.2 "Headers", 2.2.3 "Region Table", 2.6 "Metadata Region", 2.6.2.6 "Parent Locator".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from uuid import UUID

from forensics.containers.disk import DiskReader, open_vhdx, unit_of
from forensics.errors import ImageError, UnsupportedImageError
from forensics.exhibit import Container, shown
from forensics.media import Media
from forensics.names import escape_text

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

_KIB = 1024
_HEADERS = (64 * _KIB, 128 * _KIB)
_REGION_TABLES = (192 * _KIB, 256 * _KIB)
_HEADER = struct.Struct("<4sIQ16s16s16s")
_REGION_HEADER = struct.Struct("<4sIII")
_REGION = struct.Struct("<16sQII")
_METADATA_HEADER = struct.Struct("<8sHH20x")
_METADATA = struct.Struct("<16sIIII")
_MAX_ENTRIES = 2047  # [MS-VHDX] 2.2.3.1 and 2.6.1.1
_METADATA_REGION = UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
_FILE_PARAMETERS = UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
_DISK_SIZE = UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
_SECTOR_SIZE = UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
_PARENT_LOCATOR = UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
_HAS_PARENT = 2
_LOCATOR_HEADER_BYTES = 20
_LOCATOR_ENTRY = struct.Struct("<IIHH")
_MIN_BLOCK_BYTES, _MAX_BLOCK_BYTES = _KIB * _KIB, 256 * _KIB * _KIB
_MAX_DISK_BYTES = 64 << 40
_SECTOR_SIZES = (512, 4096)


def open_disk(file: SourceFile) -> Media:
    """The media of a VHDX file that stands alone and was closed cleanly.

    Raises:
        UnsupportedImageError: it is a differencing disk, whose parent is named and never opened, or its log was not replayed.
        ImageError: its tables are damaged or state what cannot be.
    """
    _check_log(file)
    items = _metadata(file)
    block_size, flags = struct.unpack("<II", _item(file, items, _FILE_PARAMETERS, 8))
    if flags & _HAS_PARENT:
        message = f"{shown(file.path)}: is a differencing VHDX over '{_parent(file, items)}', which is not opened; give a merged image"
        raise UnsupportedImageError(message)
    size = int.from_bytes(_item(file, items, _DISK_SIZE, 8), "little")
    sector_size = int.from_bytes(_item(file, items, _SECTOR_SIZE, 4), "little")
    if not _MIN_BLOCK_BYTES <= block_size <= _MAX_BLOCK_BYTES or sector_size not in _SECTOR_SIZES or not 0 < size <= _MAX_DISK_BYTES:
        message = f"{shown(file.path)}: states {size} bytes in blocks of {block_size} and sectors of {sector_size}, which cannot be"
        raise ImageError(message)
    return Media(
        container=Container.VHDX,
        size=size,
        sector_size=sector_size,
        files=(file,),
        reader=DiskReader(open_vhdx(file, sector_size), size=size, unit=unit_of(block_size)),
    )


def _check_log(file: SourceFile) -> None:
    """2.2.2: the header with the higher sequence number is current; a log identifier other than zero means entries to replay."""
    current, log = -1, b""
    for offset in _HEADERS:
        raw = file.read_at(offset, _HEADER.size)
        if len(raw) == _HEADER.size and raw.startswith(b"head"):
            _, _, sequence, _, _, identifier = _HEADER.unpack(raw)
            if sequence > current:
                current, log = sequence, identifier
    if current < 0:
        message = f"{shown(file.path)}: has no intact VHDX header"
        raise ImageError(message)
    if any(log):
        message = (
            f"{shown(file.path)}: was not closed cleanly: its log holds changes that are not in the disk yet and are not replayed here; "
            "let Hyper-V or qemu-img replay them in a copy"
        )
        raise UnsupportedImageError(message)


def _metadata(file: SourceFile) -> dict[UUID, int]:
    """Where in the file each metadata item lies, bytes."""
    region = _regions(file).get(_METADATA_REGION)
    raw = file.read_at(region, _METADATA_HEADER.size) if region is not None else b""
    if region is None or len(raw) < _METADATA_HEADER.size or not raw.startswith(b"metadata"):
        message = f"{shown(file.path)}: its VHDX metadata is damaged or cut off"
        raise ImageError(message)
    count = min(_METADATA_HEADER.unpack(raw)[2], _MAX_ENTRIES)
    table = file.read_at(region + _METADATA_HEADER.size, count * _METADATA.size)
    entries = _METADATA.iter_unpack(table[: len(table) // _METADATA.size * _METADATA.size])
    return {UUID(bytes_le=identifier): region + offset for identifier, offset, _, _, _ in entries}


def _regions(file: SourceFile) -> dict[UUID, int]:
    """The library takes the first region table, so this one must be intact."""
    raw = file.read_at(_REGION_TABLES[0], _REGION_HEADER.size)
    if len(raw) < _REGION_HEADER.size or not raw.startswith(b"regi"):
        message = f"{shown(file.path)}: its VHDX region table is damaged or cut off"
        raise ImageError(message)
    count = min(_REGION_HEADER.unpack(raw)[2], _MAX_ENTRIES)
    table = file.read_at(_REGION_TABLES[0] + _REGION_HEADER.size, count * _REGION.size)
    return {UUID(bytes_le=one): offset for one, offset, _, _ in _REGION.iter_unpack(table[: len(table) // _REGION.size * _REGION.size])}


def _item(file: SourceFile, items: dict[UUID, int], identifier: UUID, length: int) -> bytes:
    raw = file.read_at(items[identifier], length) if identifier in items else b""
    if len(raw) < length:
        message = f"{shown(file.path)}: its VHDX metadata lacks the item {identifier}"
        raise ImageError(message)
    return raw


def _parent(file: SourceFile, items: dict[UUID, int]) -> str:
    """The parent as the locator names it: the first of its paths; a fixed text where it names none."""
    at = items.get(_PARENT_LOCATOR)
    if at is None:
        return "a parent without a name"
    count = min(int.from_bytes(file.read_at(at + 18, 2), "little"), 64)
    table = file.read_at(at + _LOCATOR_HEADER_BYTES, count * _LOCATOR_ENTRY.size)
    found = {}
    whole = len(table) // _LOCATOR_ENTRY.size * _LOCATOR_ENTRY.size
    for key, value, key_length, value_length in _LOCATOR_ENTRY.iter_unpack(table[:whole]):
        name = file.read_at(at + key, key_length).decode("utf-16-le", "replace")
        found[name] = file.read_at(at + value, value_length).decode("utf-16-le", "replace")
    paths = [found[name] for name in ("relative_path", "absolute_win32_path", "volume_path") if name in found]
    return escape_text(paths[0]) if paths else "a parent without a name"
