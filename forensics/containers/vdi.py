"""VDI: what is checked before the disk is opened, and its parent, which is known by its identifier alone.

A differencing VDI states no name. Its parent is the VDI in the same folder that carries the identifier it states; if that was
written to since, so that the child no longer fits it, its second identifier has changed, and a problem says so.

References: VirtualBox src/VBox/Storage/VDICore.h, VDIPREHEADER and VDIHEADER1PLUS.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from uuid import UUID

from forensics.containers.beside import Reference
from forensics.containers.disk import DiskReader, open_vdi
from forensics.containers.lineage import Underlay, size_problems
from forensics.errors import ImageError, Problem, Stage, UnsupportedImageError
from forensics.exhibit import Container, shown
from forensics.media import Media

if TYPE_CHECKING:
    from forensics.containers.lineage import Lineage
    from forensics.exhibit import SourceFile

# u32Version at 68; cbHeader, type, flags; comment of 256; offsets of blocks and data; geometry; size and blocks; identifiers.
_HEADER = struct.Struct("<68xIIII256xII16x4xQIIII16s16s16s16s")
_SIGNATURE, _IDENTIFIER, _CHANGE = slice(64, 68), slice(392, 408), slice(408, 424)
_MAGIC = b"\x7f\x10\xda\xbe"
_VERSION_1 = 1
_NORMAL, _FIXED, _UNDO, _DIFFERENCING = 1, 2, 3, 4
_MAX_BLOCK_BYTES = 64 * 1024 * 1024
_ENTRY_BYTES = 4


def open_disk(file: SourceFile, lineage: Lineage) -> Media:
    """The media of a VDI file.

    Raises:
        SegmentMissingError: it is a differencing disk, and no disk beside it has the identifier of its parent.
        UnsupportedImageError: it is of a version or kind that is not read.
        ImageError: its header states what cannot be.
    """
    raw = file.read_at(0, _HEADER.size)
    if len(raw) < _HEADER.size:
        message = f"{shown(file.path)}: the VDI header is cut off"
        raise ImageError(message)
    version, _, kind, _, map_offset, _, size, block_size, extra, blocks, _, _, _, link, link_changed = _HEADER.unpack(raw)
    if version >> 16 != _VERSION_1 or extra or kind not in (_NORMAL, _FIXED, _UNDO, _DIFFERENCING):
        message = f"{shown(file.path)}: is a VDI of a version or kind that is not read; convert it to raw with qemu-img"
        raise UnsupportedImageError(message)
    if not (0 < block_size <= _MAX_BLOCK_BYTES and 0 < size <= blocks * block_size):
        message = f"{shown(file.path)}: {blocks} blocks of {block_size} bytes cannot hold the {size} bytes that its VDI header states"
        raise ImageError(message)
    if map_offset + blocks * _ENTRY_BYTES > file.size:
        message = f"{shown(file.path)}: is cut off inside its block map"
        raise ImageError(message)
    files: tuple[SourceFile, ...] = (file,)
    problems: tuple[Problem, ...] = ()
    underlay = None
    if kind in (_UNDO, _DIFFERENCING) or any(link):
        parent = _open_parent(file, link, lineage)
        underlay = Underlay(parent, blocks * block_size)
        files += parent.files
        problems = (*_changed(file, parent.files[0], link_changed), *size_problems(file, size, parent), *parent.problems)
    return Media(
        container=Container.VDI,
        size=size,
        files=files,
        reader=DiskReader(open_vdi(file, underlay), size=size, unit=block_size, cache_bytes=lineage.cache_bytes),
        problems=problems,
    )


def _open_parent(file: SourceFile, link: bytes, lineage: Lineage) -> Media:
    reference = Reference(by=file, role="parent with the identifier", names=(str(UUID(bytes_le=link)),))

    def matches(other: SourceFile) -> bool:
        raw = other.read_at(0, _HEADER.size)
        return len(raw) == _HEADER.size and raw[_SIGNATURE] == _MAGIC and raw[_IDENTIFIER] == link

    return lineage.open(Container.VDI, lineage.beside.find(reference, matches))


def _changed(file: SourceFile, parent: SourceFile, stated: bytes) -> tuple[Problem, ...]:
    found = parent.read_at(0, _HEADER.size)[_CHANGE]
    if found == stated or not any(stated):
        return ()
    return (
        Problem(
            stage=Stage.IMAGE,
            code="parent-changed",
            what=f"The parent {parent.name} was written to after {file.name} was made over it; the disk may be inconsistent.",
            why=f"the child states the modification identifier {UUID(bytes_le=stated)}, the parent has {UUID(bytes_le=found)}",
            advice="Look for the state of the parent that belongs to the child.",
            path=file.name,
        ),
    )
