"""VHDX, fixed, dynamic or differencing: where its blocks lie, and its parent.

The blocks are looked up here because dissect.hypervisor opens a parent by the path that the disk states, takes no stream for it, and
counts wrong in a sector bitmap when a read starts inside a byte of it. A parent is taken from the exhibit's folder under any of the
names that the child states, if its contents are those over which the child was made: [MS-VHDX] 2.6.2.6.3 asks that its DataWriteGuid
be the one that the child states, and Hyper-V refuses it otherwise.

References: [MS-VHDX] 2.4 "Blocks", 2.5 "BAT", 2.6.2.6.3 "VHDX Parent Locator".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from forensics.containers.beside import Reference
from forensics.containers.disk import MAX_UNIT_BYTES, DiskReader, by_block
from forensics.containers.lineage import Underlay, size_problems
from forensics.containers.sector_bitmap import SectorBitmap
from forensics.containers.vhdx_tables import read_tables
from forensics.errors import ImageError, ImageReadError
from forensics.exhibit import Container, shown
from forensics.media import Media

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forensics.containers.disk import ReadDisk
    from forensics.containers.lineage import Lineage
    from forensics.containers.vhdx_tables import VhdxTables
    from forensics.errors import Problem
    from forensics.exhibit import SourceFile

_MAGIC = b"vhdxfile"
_PATHS = ("relative_path", "volume_path", "absolute_win32_path")
_LINKS = ("parent_linkage", "parent_linkage2")
_ENTRY_BYTES = 8
# 2.5.1.1 and 2.5.1.2: the state in the lowest 3 bits, the place in the file from bit 20, so that the value without the state is bytes.
_STATE, _PLACE = 0b111, ~((1 << 20) - 1)
_NOT_PRESENT, _FULLY_PRESENT, _PARTIALLY_PRESENT = 0, 6, 7
_ZEROS = (1, 2, 3)  # undefined, zero, unmapped: the parent is not asked
_BITMAP_PRESENT = 6
_CHUNK_SECTORS = 1 << 23  # 2.4: sectors that one sector bitmap block describes


def open_disk(file: SourceFile, lineage: Lineage) -> Media:
    """The media of a VHDX file that was closed cleanly.

    Raises:
        SegmentMissingError: it is a differencing disk whose parent does not lie beside it; the message names it.
        UnsupportedImageError: its log was not replayed.
        ImageError: its tables are damaged or state what cannot be, or what lies beside it is not its parent.
    """
    tables = read_tables(file)
    files: tuple[SourceFile, ...] = (file,)
    problems: tuple[Problem, ...] = ()
    underlay = None
    if tables.locator is not None:
        parent = _open_parent(file, tables.locator, lineage)
        underlay = Underlay(parent, tables.size)
        files += parent.files
        problems = (*size_problems(file, tables.size, parent), *parent.problems)
    return Media(
        container=Container.VHDX,
        size=tables.size,
        sector_size=tables.sector_size,
        files=files,
        reader=DiskReader(_blocks(file, tables, underlay), size=tables.size, unit=MAX_UNIT_BYTES // 2, cache_bytes=lineage.cache_bytes),
        problems=problems,
    )


def _blocks(file: SourceFile, tables: VhdxTables, parent: Underlay | None) -> ReadDisk:
    ratio = _CHUNK_SECTORS * tables.sector_size // tables.block_size

    def entry(number: int) -> tuple[int, int]:
        place = number * _ENTRY_BYTES
        raw = file.read_at(tables.bat[0] + place, _ENTRY_BYTES)
        if len(raw) < _ENTRY_BYTES or place + _ENTRY_BYTES > tables.bat[1]:
            message = f"the block allocation table ends before its entry {number}"
            raise ImageReadError(message)
        value = int.from_bytes(raw, "little")
        return value & _STATE, value & _PLACE

    def read(index: int, skip: int, length: int) -> bytes:
        # 2.5: after the entries of each chunk's payload blocks stands that of its sector bitmap block.
        state, place = entry(index + index // ratio)
        if state in _ZEROS:
            return bytes(length)
        if state == _FULLY_PRESENT:
            return file.read_at(place + skip, length)
        if state == _NOT_PRESENT:
            return parent.read_at(index * tables.block_size + skip, length) if parent else bytes(length)
        if state != _PARTIALLY_PRESENT or parent is None:
            message = f"block {index} is in the state {state}, which cannot be"
            raise ImageReadError(message)
        bitmap_state, bitmap_place = entry((index // ratio + 1) * ratio + index // ratio)
        if bitmap_state != _BITMAP_PRESENT:
            message = f"block {index} is partially present and has no sector bitmap"
            raise ImageReadError(message)
        bitmap = SectorBitmap(
            lambda offset, count: file.read_at(bitmap_place + offset, count),
            first_bit=index % ratio * (tables.block_size // tables.sector_size),
            sector_size=tables.sector_size,
            highest_first=False,
        )
        return bitmap.merge(
            skip,
            length,
            own=lambda offset, count: file.read_at(place + offset, count),
            parent=lambda offset, count: parent.read_at(index * tables.block_size + offset, count),
        )

    return by_block(read, tables.block_size)


def _open_parent(file: SourceFile, locator: Mapping[str, str], lineage: Lineage) -> Media:
    names = tuple(locator[key] for key in _PATHS if locator.get(key))
    links = {link for key in _LINKS if (link := _uuid(locator.get(key, ""))) is not None}
    if not names or not links:
        message = f"{shown(file.path)}: is a differencing VHDX and does not state name and identity of its parent; give a merged image"
        raise ImageError(message)

    def mismatch(other: SourceFile) -> str:
        if other.read_at(0, len(_MAGIC)) != _MAGIC:
            return "it is no VHDX"
        found = read_tables(other).data_write
        stated = " or ".join(sorted(map(str, links)))
        return "" if found in links else f"its contents are in the state {found}, the one stated is {stated}"

    return lineage.open(Container.VHDX, lineage.beside.open_known(Reference(by=file, role="parent", names=names), mismatch))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
