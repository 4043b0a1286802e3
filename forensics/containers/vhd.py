"""VHD, fixed, dynamic or differencing: what is checked, where its blocks lie, and its parent.

The blocks are looked up here because dissect.hypervisor knows no sector bitmap and no parent, and gives zeros for what lies there.
A parent is taken from the exhibit's folder under any name that the child states for it, if it carries the identifier that the child
states; by that it is recognised wherever it was moved.

References: Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format", "Dynamic Disk Header Format", "Block
Allocation Table and Data Blocks", "Implementing a Differencing Hard Disk".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from forensics.containers.beside import Reference
from forensics.containers.disk import MAX_UNIT_BYTES, DiskReader, by_block
from forensics.containers.lineage import Underlay, size_problems
from forensics.containers.sector_bitmap import SectorBitmap
from forensics.errors import ImageError, ImageReadError, Problem, Stage
from forensics.exhibit import Container, shown
from forensics.media import Media

if TYPE_CHECKING:
    from forensics.containers.disk import ReadDisk
    from forensics.containers.lineage import Lineage
    from forensics.exhibit import SourceFile

_COOKIE = b"conectix"
_FOOTER = struct.Struct(">8sIIQIIIIQQIII16s")
_FOOTER_SIZES = (512, 511)  # before Virtual PC 2004 it was a byte shorter
_CHECKSUM = slice(64, 68)
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_NOT_DYNAMIC = 2**64 - 1
_DYNAMIC_HEADER = struct.Struct(">8sQQIIII16sII512s")
_LOCATOR = struct.Struct(">4sIIIQ")
_LOCATORS = 8
_LOCATOR_CODES = (b"W2ru", b"W2ku")  # the path relative to the child, and the absolute one; UTF-16, little-endian
_MAX_NAME_BYTES = 64 * 1024
_ENTRY_BYTES = 4
_NO_BLOCK = 0xFFFF_FFFF
_SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dynamic:
    """What a dynamic disk header states; offsets and sizes in bytes."""

    table: int
    block_size: int
    parent_identifier: bytes
    parent_names: tuple[str, ...]


def open_disk(file: SourceFile, lineage: Lineage) -> Media:
    """The media of a VHD file.

    Raises:
        SegmentMissingError: it is a differencing disk whose parent does not lie beside it; the message names it.
        ImageError: its footer is missing, header and footer state what cannot be, or what lies beside it is not its parent.
    """
    footer = _read_footer(file)
    _, _, _, data_offset, _, _, _, _, _, size, _, kind, _, _ = _FOOTER.unpack_from(footer)
    if kind not in (_FIXED, _DYNAMIC, _DIFFERENCING) or size == 0 or (kind == _FIXED) != (data_offset == _NOT_DYNAMIC):
        message = f"{shown(file.path)}: its VHD footer states type {kind} and {size} bytes, which cannot be"
        raise ImageError(message)
    files: tuple[SourceFile, ...] = (file,)
    read: ReadDisk = file.read_at
    unit = MAX_UNIT_BYTES
    problems = _footer_problems(file, footer)
    if kind == _FIXED:
        if size > file.size - len(footer):
            message = f"{shown(file.path)}: is cut off: its VHD footer states {size} bytes of media, {file.size - len(footer)} are there"
            raise ImageError(message)
    else:
        header = _dynamic(file, data_offset, size)
        underlay = None
        if kind == _DIFFERENCING:
            parent = _open_parent(file, header, lineage)
            underlay = Underlay(parent, size)
            files += parent.files
            problems += (*size_problems(file, size, parent), *parent.problems)
        read, unit = _blocks(file, header, underlay), min(header.block_size, MAX_UNIT_BYTES)
    return Media(
        container=Container.VHD,
        size=size,
        files=files,
        reader=DiskReader(read, size=size, unit=unit, cache_bytes=lineage.cache_bytes),
        problems=problems,
    )


def _blocks(file: SourceFile, header: _Dynamic, parent: Underlay | None) -> ReadDisk:
    # A sector bitmap stands before each block, in whole sectors. In a dynamic disk it says nothing that the data does not.
    bitmap_bytes = -(-header.block_size // _SECTOR_BYTES // 8 // _SECTOR_BYTES) * _SECTOR_BYTES

    def read(index: int, skip: int, length: int) -> bytes:
        entry = file.read_at(header.table + index * _ENTRY_BYTES, _ENTRY_BYTES)
        if len(entry) < _ENTRY_BYTES:
            message = f"the block allocation table is cut off before block {index}"
            raise ImageReadError(message)
        sector = int.from_bytes(entry, "big")
        if sector == _NO_BLOCK:
            return parent.read_at(index * header.block_size + skip, length) if parent else bytes(length)
        at = sector * _SECTOR_BYTES
        if parent is None:
            return file.read_at(at + bitmap_bytes + skip, length)
        bitmap = SectorBitmap(
            lambda offset, count: file.read_at(at + offset, count), first_bit=0, sector_size=_SECTOR_BYTES, highest_first=True
        )
        return bitmap.merge(
            skip,
            length,
            own=lambda offset, count: file.read_at(at + bitmap_bytes + offset, count),
            parent=lambda offset, count: parent.read_at(index * header.block_size + offset, count),
        )

    return by_block(read, header.block_size)


def _read_footer(file: SourceFile) -> bytes:
    for length in _FOOTER_SIZES:
        footer = file.read_at(max(0, file.size - length), length)
        if footer.startswith(_COOKIE):
            return footer
    # The copy at the start says that it is a dynamic disk; without the footer the file has lost its end.
    message = f"{shown(file.path)}: is cut off: a VHD ends in a footer of 512 bytes, and there is only the copy at the start"
    raise ImageError(message)


def _dynamic(file: SourceFile, offset: int, size: int) -> _Dynamic:
    raw = file.read_at(offset, _DYNAMIC_HEADER.size + _LOCATORS * _LOCATOR.size)
    if len(raw) < _DYNAMIC_HEADER.size or not raw.startswith(b"cxsparse"):
        message = f"{shown(file.path)}: there is no dynamic disk header at byte {offset}, where the VHD footer places it"
        raise ImageError(message)
    _, _, table, _, entries, block_size, _, identifier, _, _, name = _DYNAMIC_HEADER.unpack_from(raw)
    if block_size < _SECTOR_BYTES or block_size % _SECTOR_BYTES or entries * block_size < size:
        message = f"{shown(file.path)}: {entries} blocks of {block_size} bytes cannot hold the {size} bytes that the VHD footer states"
        raise ImageError(message)
    if table + -(-size // block_size) * _ENTRY_BYTES > file.size:
        message = f"{shown(file.path)}: is cut off inside its block allocation table"
        raise ImageError(message)
    names = (_text(name, "utf-16-be"), *_located(file, raw[_DYNAMIC_HEADER.size :]))
    return _Dynamic(table=table, block_size=block_size, parent_identifier=identifier, parent_names=tuple(name for name in names if name))


def _located(file: SourceFile, raw: bytes) -> tuple[str, ...]:
    """The parent's paths from the locators, the relative one first."""
    found = {}
    for code, _, length, _, offset in _LOCATOR.iter_unpack(raw[: len(raw) // _LOCATOR.size * _LOCATOR.size]):
        if code in _LOCATOR_CODES:
            found[code] = _text(file.read_at(offset, min(length, _MAX_NAME_BYTES)), "utf-16-le")
    return tuple(found[code] for code in _LOCATOR_CODES if code in found)


def _text(raw: bytes, encoding: str) -> str:
    return raw.decode(encoding, "replace").split("\0", 1)[0]


def _open_parent(file: SourceFile, header: _Dynamic, lineage: Lineage) -> Media:
    if not header.parent_names:
        message = f"{shown(file.path)}: is a differencing VHD and states no name of its parent; give a merged image"
        raise ImageError(message)
    reference = Reference(by=file, role="parent", names=header.parent_names)

    def mismatch(other: SourceFile) -> str:
        footer = next((raw for size in _FOOTER_SIZES if (raw := other.read_at(max(0, other.size - size), size)).startswith(_COOKIE)), b"")
        if len(footer) < _FOOTER.size:
            return "it is no VHD"
        identifier = _FOOTER.unpack_from(footer)[-1]
        if identifier != header.parent_identifier:
            return f"its identifier is {UUID(bytes=identifier)}, the one stated is {UUID(bytes=header.parent_identifier)}"
        return ""

    return lineage.open(Container.VHD, lineage.beside.open_known(reference, mismatch))


def _footer_problems(file: SourceFile, footer: bytes) -> tuple[Problem, ...]:
    # "Checksum": one's complement of the sum of all bytes of the footer without this field.
    computed = ~(sum(footer) - sum(footer[_CHECKSUM])) & 0xFFFF_FFFF
    if computed == int.from_bytes(footer[_CHECKSUM], "big"):
        return ()
    return (
        Problem(
            stage=Stage.IMAGE,
            code="vhd-footer-checksum",
            what=f"The footer of the VHD {file.name} fails its checksum; the size of the media that it states may be wrong.",
            why=f"it stores {footer[_CHECKSUM].hex()}, its bytes give {computed:08x}",
            advice="Compare the size of the media with the acquisition notes.",
            path=file.name,
        ),
    )
