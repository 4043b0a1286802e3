"""The names in an XFS directory: short form in the inode, and directory blocks, which may be larger than the filesystem's.

References: XFS Algorithms & Data Structures, chapter 19 (Directories): short form, block, leaf and node directories; Linux,
fs/xfs/libxfs/xfs_da_format.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.filesystems.tree import InodeAddress, Name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.xfs_layout import Geometry

NAMES_END = 32 << 30  # XFS_DIR2_LEAF_OFFSET: what follows in a directory is its index, not names
_HEADERS = {b"XD2B": 16, b"XD2D": 16, b"XDB3": 64, b"XDD3": 64}
_SINGLE = (b"XD2B", b"XDB3")
_FREE = 0xFFFF
_SMALLEST_ENTRY = 8


def short_form_names(fork: bytes, *, has_types: bool) -> Iterator[Name | str]:
    """The names in the inode itself; a text where they end too soon."""
    if len(fork) < 6:  # noqa: PLR2004 - the header with a parent of 4 bytes
        yield "the short-form directory is cut off"
        return
    count, wide = fork[0], fork[1]
    number = struct.Struct(">Q" if wide else ">I")
    offset = 2 + number.size
    for _ in range(count):
        end = offset + 3 + (fork[offset] if offset < len(fork) else 0) + has_types + number.size
        if end > len(fork):
            yield f"the short-form directory states {count} names and is cut off"
            return
        name = fork[offset + 3 : offset + 3 + fork[offset]]
        yield Name(name, InodeAddress(number.unpack_from(fork, end - number.size)[0]))
        offset = end


def block_names(raw: bytes, start: int, geometry: Geometry) -> Iterator[Name | str]:
    """The names in one directory block that starts at byte `start` of its directory; a text where it is damaged."""
    where = f"the directory block at byte {start}"
    header = _HEADERS.get(raw[:4])
    if header is None:
        yield f"{where} begins with {raw[:4]!r}, not as a directory block does; its names are not listed"
        return
    end = len(raw)
    if raw[:4] in _SINGLE:
        end -= 8 + 8 * struct.unpack_from(">I", raw, len(raw) - 8)[0]
        if end < header:
            yield f"{where} states more hashes than it has room for; its names are not listed"
            return
    offset = header
    while offset + _SMALLEST_ENTRY < end:
        tag, length = struct.unpack_from(">HH", raw, offset)
        if tag == _FREE:
            if length < _SMALLEST_ENTRY or length % 8:
                yield f"{where} is damaged at byte {offset}; names behind it are not listed"
                return
            offset += length
            continue
        name_length = raw[offset + 8]
        length = (8 + 1 + name_length + geometry.has_types + 2 + 7) & ~7
        if offset + length > end or not name_length or struct.unpack_from(">H", raw, offset + length - 2)[0] != offset:
            yield f"{where} is damaged at byte {offset}; names behind it are not listed"
            return
        yield Name(raw[offset + 9 : offset + 9 + name_length], InodeAddress(struct.unpack_from(">Q", raw, offset)[0]))
        offset += length
