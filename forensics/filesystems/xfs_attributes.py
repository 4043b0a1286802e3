"""Extended attributes of an XFS inode: in the inode itself, or in the leaf blocks of its attribute fork.

security.selinux is left out: every file of many systems has one, and it is the system's label, not a content.

References: XFS Algorithms & Data Structures, chapter 20 (Extended attributes); Linux, fs/xfs/libxfs/xfs_da_format.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.runs import RunStream
from forensics.filesystems.xfs_extents import LOCAL
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.xfs_extents import ExtentMap
    from forensics.filesystems.xfs_layout import Geometry, XfsInode
    from forensics.source import ByteSource

_LOCAL_VALUE, _ROOT, _SECURE, _PARENT, _INCOMPLETE = 1, 2, 4, 8, 0x80
_LEAF, _LEAF_CHECKED = 0xFBEE, 0x3BEE
_LEAF_HEADER, _LEAF_HEADER_CHECKED = 32, 80
_REMOTE_HEADER = 56  # xfs_attr3_rmt_hdr, in each block of a value on a filesystem with checksums
_LARGEST_VALUE = 1 << 16  # XFS_XATTR_SIZE_MAX
_MOST_BLOCKS = 4096
_NOT_LISTED = "security.selinux"

Attributes = list[tuple[str, bytes]]


def read_attributes(inode: XfsInode, extent_map: ExtentMap, source: ByteSource, geometry: Geometry) -> tuple[Attributes, str]:
    """Names and values in the order stored, and what could not be read; "" if all was."""
    fork = inode.attribute_fork
    if not fork:
        return [], ""
    found: Attributes = []
    try:
        if inode.attribute_format == LOCAL:
            found.extend(_short_form(fork))
        elif inode.attribute_extents:
            runs = extent_map.runs(extent_map.extents(inode.attribute_format, fork, inode.attribute_extents))
            stream = RunStream(source, runs, max((run.start + run.length for run in runs), default=0))
            found.extend(_leaves(stream, geometry))
    except (StreamReadError, struct.error, IndexError) as error:
        return found, f"its extended attributes are damaged: {error}"
    return found, ""


def _short_form(fork: bytes) -> Iterator[tuple[str, bytes]]:
    offset = 4
    for _ in range(fork[2]):
        name_length, value_length, flags = fork[offset : offset + 3]
        start, offset = offset + 3, offset + 3 + name_length + value_length
        yield from _listed(fork[start : start + name_length], flags, fork[start + name_length : offset])


def _leaves(stream: RunStream, geometry: Geometry) -> Iterator[tuple[str, bytes]]:
    size = geometry.block_size
    header = _LEAF_HEADER_CHECKED if geometry.has_checksums else _LEAF_HEADER
    magic = _LEAF_CHECKED if geometry.has_checksums else _LEAF
    for start in range(0, min(stream.size, _MOST_BLOCKS * size), size):
        raw = stream.read_at(start, size)
        if struct.unpack_from(">H", raw, 8)[0] != magic:
            continue  # an index node, or a block of a value
        count = struct.unpack_from(">H", raw, header - 24 if geometry.has_checksums else 12)[0]
        for number in range(min(count, (size - header) // 8)):
            place, flags = struct.unpack_from(">HB", raw, header + 8 * number + 4)
            yield from _leaf_entry(raw, place, flags, stream, geometry)


def _leaf_entry(raw: bytes, place: int, flags: int, stream: RunStream, geometry: Geometry) -> Iterator[tuple[str, bytes]]:
    if flags & _INCOMPLETE:
        return
    if flags & _LOCAL_VALUE:
        length, name_length = struct.unpack_from(">HB", raw, place)
        start = place + 3
        yield from _listed(raw[start : start + name_length], flags, raw[start + name_length : start + name_length + length])
        return
    block, length, name_length = struct.unpack_from(">IIB", raw, place)
    name = raw[place + 9 : place + 9 + name_length]
    if length > _LARGEST_VALUE:
        message = f"an attribute states a value of {length} bytes"
        raise StreamReadError(message)
    size, value = geometry.block_size, b""
    header = _REMOTE_HEADER if geometry.has_checksums else 0
    while len(value) < length:
        value += stream.read_at(block * size, size)[header:]
        block += 1
        if block * size > stream.size and len(value) < length:
            message = "the value of an attribute is cut off"
            raise StreamReadError(message)
    yield from _listed(name, flags, value[:length])


def _listed(name: bytes, flags: int, value: bytes) -> Iterator[tuple[str, bytes]]:
    if flags & (_PARENT | _INCOMPLETE):
        return
    space = "trusted." if flags & _ROOT else "security." if flags & _SECURE else "user."
    full = escape_text(space + name.decode("utf-8", "backslashreplace"))
    if full != _NOT_LISTED:
        yield full, value
