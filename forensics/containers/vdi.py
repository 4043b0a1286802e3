"""VDI: what is checked before the disk is opened.

References: VirtualBox src/VBox/Storage/VDICore.h, VDIPREHEADER and VDIHEADER1PLUS.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from uuid import UUID

from forensics.containers.disk import DiskReader, open_vdi
from forensics.errors import ImageError, UnsupportedImageError
from forensics.exhibit import Container, shown
from forensics.media import Media

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

# u32Version at 68; cbHeader, type, flags; comment of 256; offsets of blocks and data; geometry; size and blocks; identifiers.
_HEADER = struct.Struct("<68xIIII256xII16x4xQIIII16s16s16s16s")
_VERSION_1 = 1
_NORMAL, _FIXED = 1, 2
_MAX_BLOCK_BYTES = 64 * 1024 * 1024
_ENTRY_BYTES = 4


def open_disk(file: SourceFile) -> Media:
    """The media of a VDI file that stands alone.

    Raises:
        UnsupportedImageError: it needs a parent, which is named and never opened, or is of a version or kind that is not read.
        ImageError: its header states what cannot be.
    """
    raw = file.read_at(0, _HEADER.size)
    if len(raw) < _HEADER.size:
        message = f"{shown(file.path)}: the VDI header is cut off"
        raise ImageError(message)
    version, _, kind, _, map_offset, _, size, block_size, extra, blocks, _, _, _, parent, _ = _HEADER.unpack(raw)
    if version >> 16 != _VERSION_1 or extra:
        message = f"{shown(file.path)}: is a VDI of a version that is not read; convert it to raw with qemu-img"
        raise UnsupportedImageError(message)
    if kind not in (_NORMAL, _FIXED) or any(parent):
        message = f"{shown(file.path)}: is a differencing VDI over {UUID(bytes_le=parent)}, which is not opened; give a merged image"
        raise UnsupportedImageError(message)
    if not (0 < block_size <= _MAX_BLOCK_BYTES and 0 < size <= blocks * block_size):
        message = f"{shown(file.path)}: {blocks} blocks of {block_size} bytes cannot hold the {size} bytes that its VDI header states"
        raise ImageError(message)
    if map_offset + blocks * _ENTRY_BYTES > file.size:
        message = f"{shown(file.path)}: is cut off inside its block map"
        raise ImageError(message)
    # The library reads a whole block in any case.
    return Media(container=Container.VDI, size=size, files=(file,), reader=DiskReader(open_vdi(file), size=size, unit=block_size))
