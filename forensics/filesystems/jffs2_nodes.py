"""The nodes of a JFFS2 log: names and pieces of inodes, wherever on the flash they stand, each with its checksum verified.

References: Linux, include/uapi/linux/jffs2.h; "JFFS2: The Journalling Flash File System" (Woodhouse, 2001), section 4.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.source import ByteSource

_NAME_NODE, _INODE_NODE = 0xE001, 0xE002
_WINDOW = 1 << 20
_LARGEST_NODE = 1 << 18
_HEADER = 12


@dataclass(frozen=True, slots=True)
class NameNode:
    """A name that was given to an inode in a directory, or taken away where the inode is 0."""

    parent: int
    version: int
    inode: int
    name: bytes


@dataclass(frozen=True, slots=True)
class InodeNode:
    """An inode as of a version, and a piece of its data: `stored` bytes at `place` that unpack to `size` bytes from `offset` on."""

    inode: int
    version: int
    mode: int
    owner: int
    group: int
    file_size: int
    accessed: int
    modified: int
    changed: int
    offset: int
    stored: int
    size: int
    compression: int
    data_checksum: int
    place: int


def byte_order(head: bytes) -> str | None:
    """Say "<" or ">" of a volume that begins as a JFFS2 log does, None of others. An erased block may come first on real flash."""
    for order, magic in (("<", b"\x85\x19"), (">", b"\x19\x85")):
        if head[:2] == magic and len(head) >= _HEADER and _holds(head[: _HEADER - 4], head[_HEADER - 4 : _HEADER], order):
            return order
    return None


def iter_nodes(source: ByteSource, order: str) -> Iterator[NameNode | InodeNode | str]:
    """The valid nodes in the order in which they stand; a text for each node whose own checksum fails."""
    magic = struct.pack(order + "H", 0x1985)
    place = 0
    while place + _HEADER <= source.size:
        window = source.read_at(place, _WINDOW + _LARGEST_NODE)
        at = 0
        while at < min(_WINDOW, len(window)):
            at = window.find(magic, at)
            if at < 0 or at >= _WINDOW:
                break
            if (place + at) % 4 or not _holds(window[at : at + 8], window[at + 8 : at + _HEADER], order):
                at += 1
                continue
            kind, length = struct.unpack_from(order + "HI", window, at + 2)
            if not _HEADER <= length <= _LARGEST_NODE or at + length > len(window):
                yield f"the node at byte {place + at} states a length of {length} bytes, more than there are"
                at += 4
                continue
            node = _parse(window[at : at + length], kind, order, place + at)
            if node is not None:
                yield node
            at += (length + 3) & ~3
        place += at if at >= _WINDOW else min(_WINDOW, len(window))


def _parse(raw: bytes, kind: int, order: str, place: int) -> NameNode | InodeNode | str | None:
    if kind == _NAME_NODE and len(raw) >= 40:  # noqa: PLR2004 - size of jffs2_raw_dirent without its name
        parent, version, inode, _, length, _, _ = struct.unpack_from(order + "4IBBH", raw, 12)
        if not _holds(raw[:32], raw[32:36], order) or not _holds(raw[40 : 40 + length], raw[36:40], order):
            return f"the name at byte {place} is damaged: its checksum is not that of its bytes"
        return NameNode(parent, version, inode, raw[40 : 40 + length])
    if kind == _INODE_NODE and len(raw) >= 68:  # noqa: PLR2004 - size of jffs2_raw_inode
        if not _holds(raw[:60], raw[64:68], order):
            return f"the inode node at byte {place} is damaged: its checksum is not that of its bytes"
        inode, version, mode, owner, group, file_size = struct.unpack_from(order + "IIIHHI", raw, 12)
        accessed, modified, changed, offset, stored, size, compression = struct.unpack_from(order + "6IB", raw, 32)
        checksum = struct.unpack_from(order + "I", raw, 60)[0]
        if 68 + stored > len(raw):
            return f"the inode node at byte {place} states more data than it holds"
        return InodeNode(
            inode,
            version,
            mode,
            owner,
            group,
            file_size,
            accessed,
            modified,
            changed,
            offset,
            stored,
            size,
            compression,
            checksum,
            place + 68,
        )
    return None


def checksum(data: bytes) -> int:
    """JFFS2's CRC-32: the usual polynomial, without the usual inversions."""
    return zlib.crc32(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def _holds(data: bytes, stored: bytes, order: str) -> bool:
    return len(stored) == 4 and struct.unpack(order + "I", stored)[0] == checksum(data)  # noqa: PLR2004 - a CRC-32
