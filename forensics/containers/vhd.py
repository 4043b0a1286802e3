"""VHD, fixed or dynamic: what is checked before the disk is opened.

References: Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format", "Dynamic Disk Header Format".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.containers.disk import MAX_UNIT_BYTES, DiskReader, open_vhd, unit_of
from forensics.errors import ImageError, Problem, Stage, UnsupportedImageError
from forensics.exhibit import Container, shown
from forensics.media import Media
from forensics.names import escape_text

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

_COOKIE = b"conectix"
_FOOTER = struct.Struct(">8sIIQIIIIQQIII")
_FOOTER_SIZES = (512, 511)  # before Virtual PC 2004 it was a byte shorter
_CHECKSUM = slice(64, 68)
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_DYNAMIC_HEADER = struct.Struct(">8sQQIII")
_PARENT_NAME = slice(64, 576)
_DYNAMIC_HEADER_BYTES = 1024
_ENTRY_BYTES = 4
_SECTOR_BYTES = 512


def open_disk(file: SourceFile) -> Media:
    """The media of a VHD file that stands alone.

    Raises:
        UnsupportedImageError: it is a differencing disk; its parent is named and never opened.
        ImageError: its footer is missing, or header and footer state what cannot be.
    """
    footer = _read_footer(file)
    _, _, _, data_offset, _, _, _, _, _, size, _, kind, _ = _FOOTER.unpack_from(footer)
    if kind == _DIFFERENCING:
        message = f"{shown(file.path)}: is a differencing VHD over '{_parent(file, data_offset)}', which is not opened; give a merged image"
        raise UnsupportedImageError(message)
    if kind not in (_FIXED, _DYNAMIC) or size == 0 or (kind == _FIXED) != (data_offset == 2**64 - 1):
        message = f"{shown(file.path)}: its VHD footer states type {kind} and {size} bytes, which cannot be"
        raise ImageError(message)
    unit = MAX_UNIT_BYTES
    if kind == _FIXED:
        if size > file.size - len(footer):
            message = f"{shown(file.path)}: is cut off: its VHD footer states {size} bytes of media, {file.size - len(footer)} are there"
            raise ImageError(message)
    else:
        unit = unit_of(_block_size(file, data_offset, size))
    return Media(
        container=Container.VHD,
        size=size,
        files=(file,),
        reader=DiskReader(open_vhd(file), size=size, unit=unit),
        problems=_footer_problems(file, footer),
    )


def _read_footer(file: SourceFile) -> bytes:
    for length in _FOOTER_SIZES:
        footer = file.read_at(max(0, file.size - length), length)
        if footer.startswith(_COOKIE):
            return footer
    # The copy at the start says that it is a dynamic disk; without the footer the file has lost its end.
    message = f"{shown(file.path)}: is cut off: a VHD ends in a footer of 512 bytes, and there is only the copy at the start"
    raise ImageError(message)


def _block_size(file: SourceFile, offset: int, size: int) -> int:
    raw = file.read_at(offset, _DYNAMIC_HEADER.size)
    if len(raw) < _DYNAMIC_HEADER.size or not raw.startswith(b"cxsparse"):
        message = f"{shown(file.path)}: there is no dynamic disk header at byte {offset}, where the VHD footer places it"
        raise ImageError(message)
    _, _, table, _, entries, block_size = _DYNAMIC_HEADER.unpack(raw)
    if block_size < _SECTOR_BYTES or block_size % _SECTOR_BYTES or entries * block_size < size:
        message = f"{shown(file.path)}: {entries} blocks of {block_size} bytes cannot hold the {size} bytes that the VHD footer states"
        raise ImageError(message)
    if table + -(-size // block_size) * _ENTRY_BYTES > file.size:
        message = f"{shown(file.path)}: is cut off inside its block allocation table"
        raise ImageError(message)
    return int(block_size)


def _parent(file: SourceFile, offset: int) -> str:
    name = file.read_at(offset, _DYNAMIC_HEADER_BYTES)[_PARENT_NAME]
    return escape_text(name.decode("utf-16-be", "replace").split("\0", 1)[0]) or "a parent without a name"


def _footer_problems(file: SourceFile, footer: bytes) -> tuple[Problem, ...]:
    # "Checksum": one's complement of the sum of all bytes of the footer without this field.
    computed = ~(sum(footer) - sum(footer[_CHECKSUM])) & 0xFFFF_FFFF
    if computed == int.from_bytes(footer[_CHECKSUM], "big"):
        return ()
    return (
        Problem(
            stage=Stage.IMAGE,
            code="vhd-footer-checksum",
            what="The footer of the VHD fails its checksum; the size of the media that it states may be wrong.",
            why=f"it stores {footer[_CHECKSUM].hex()}, its bytes give {computed:08x}",
            advice="Compare the size of the media with the acquisition notes.",
            path=file.name,
        ),
    )
