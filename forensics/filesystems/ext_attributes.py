"""Extended attributes of ext2, ext3 and ext4: behind the fields of the inode, and in a block of their own.

References: The Linux kernel, Documentation/filesystems/ext4/attributes.rst: "Extended Attributes"; fs/ext4/xattr.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.names import escape_text

if TYPE_CHECKING:
    from forensics.filesystems.ext_layout import ExtLayout

_MAGIC = 0xEA020000
_BLOCK_HEADER = struct.Struct("<3I")  # magic, reference count, blocks
_BLOCK_HEADER_BYTES = 32
_ENTRY = struct.Struct("<BBHIII")  # length of name, index, offset of value, inode of value, size of value, hash
_OLD_INODE_BYTES = 128
_PREFIXES = {
    0: "",
    1: "user.",
    2: "system.posix_acl_access",
    3: "system.posix_acl_default",
    4: "trusted.",
    6: "security.",
    7: "system.",
    8: "system.richacl",
    9: "encryption.",
}


@dataclass(frozen=True, slots=True)
class ExtAttribute:
    """One extended attribute: its name, its size in bytes, and its value, or the inode whose content is the value."""

    name: str
    size: int
    value: bytes
    value_inode: int


@dataclass(frozen=True, slots=True)
class ExtAttributes:
    """The attributes of an inode in the order in which they stand, and what is damaged in them; "" if nothing is."""

    attributes: tuple[ExtAttribute, ...]
    damage: str = ""


def read_ext_attributes(layout: ExtLayout, inode_number: int) -> ExtAttributes:
    """The extended attributes of an inode.

    Raises:
        StreamReadError: there is no such inode, or it lies behind the end.
        ImageReadError: it cannot be read.
    """
    inode = layout.read_inode(inode_number)
    inside = parse_inode(inode)
    block = _attribute_block(layout, inode)
    if not block:
        return inside
    outside = parse_block(layout.read_block(block)) if block < layout.blocks else ExtAttributes((), f"block {block} does not exist")
    return ExtAttributes(inside.attributes + outside.attributes, inside.damage or outside.damage)


def parse_inode(inode: bytes) -> ExtAttributes:
    """The attributes that stand in the inode itself, behind its fields."""
    if len(inode) < _OLD_INODE_BYTES + 4:
        return ExtAttributes(())
    (extra,) = struct.unpack_from("<H", inode, _OLD_INODE_BYTES)
    start = _OLD_INODE_BYTES + extra
    if not extra or start + 4 > len(inode) or struct.unpack_from("<I", inode, start) != (_MAGIC,):
        return ExtAttributes(())
    return _parse(inode[start + 4 :], 0)


def parse_block(block: bytes) -> ExtAttributes:
    """The attributes that stand in a block of their own."""
    if len(block) < _BLOCK_HEADER_BYTES or _BLOCK_HEADER.unpack_from(block)[0] != _MAGIC:
        return ExtAttributes((), "the block of extended attributes does not begin as one")
    return _parse(block, _BLOCK_HEADER_BYTES)


def _attribute_block(layout: ExtLayout, inode: bytes) -> int:
    (low,) = struct.unpack_from("<I", inode, 0x68)
    (high,) = struct.unpack_from("<H", inode, 0x76)
    return int(low | (high << 32 if layout.is_64bit else 0))


def _parse(area: bytes, start: int) -> ExtAttributes:
    """The entries from `start` on; offsets of values count from the start of the area."""
    found: list[ExtAttribute] = []
    at, inside = start, 0
    while at + 4 <= len(area) and area[at : at + 4] != b"\0\0\0\0":
        if at + _ENTRY.size > len(area):
            return ExtAttributes(tuple(found), "the last entry is cut off")
        name_length, index, offset, inode, size, _ = _ENTRY.unpack_from(area, at)
        name = area[at + _ENTRY.size : at + _ENTRY.size + name_length]
        at += (_ENTRY.size + name_length + 3) // 4 * 4
        inside += 0 if inode else size
        # Values that overlap would make much of little.
        if len(name) < name_length or at > len(area) or inside > len(area) or (not inode and offset + size > len(area)):
            return ExtAttributes(tuple(found), "an entry reaches beyond its area")
        text = _PREFIXES.get(index, f"{index}.") + name.decode("utf-8", "backslashreplace")
        found.append(ExtAttribute(escape_text(text), size, b"" if inode else area[offset : offset + size], inode))
    return ExtAttributes(tuple(found))
