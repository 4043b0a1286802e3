"""Extended attributes of a SquashFS inode.

security.selinux is left out: every file of many systems has one, and it is the system's label, not a content.

References: Linux, Documentation/filesystems/squashfs.rst, section 3.8 (Xattr table); fs/squashfs/squashfs_fs.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.source import ByteSource

    Metadata = Callable[[int, int, int], tuple[int, int, bytes]]
    """Reads bytes of metadata: block, byte in it and length -> where the next ones stand, and the bytes."""

NONE = 0xFFFFFFFF
"""What an inode without extended attributes states as its index."""
_SPACES = {0: "user.", 1: "trusted.", 2: "security."}
_ELSEWHERE = 0x100
_ID = struct.Struct("<QII")
_METADATA_BYTES = 8192
_NO_TABLE = (1 << 64) - 1
_LARGEST_VALUE = 1 << 16  # XATTR_SIZE_MAX
_MOST = 1 << 14
_NOT_LISTED = "security.selinux"


class SquashFsAttributes:
    """The table of extended attributes of one image."""

    def __init__(self, source: ByteSource, table: int, read: Metadata) -> None:
        """`table`: where the superblock says that the table of indices stands; `read` reads metadata."""
        self._source, self._read, self._table = source, read, table

    def of(self, index: int) -> list[tuple[str, bytes]]:
        """Names and values at an index of the table, in the order stored.

        Raises:
            StreamReadError: the table is damaged.
        """
        if index == NONE or self._table == _NO_TABLE:
            return []
        start, ids = struct.unpack("<QI", self._raw(self._table, 12))
        if index >= ids:
            message = f"the inode names extended attributes {index}, and the image has {ids}"
            raise StreamReadError(message)
        block, offset = divmod(index * _ID.size, _METADATA_BYTES)
        place = struct.unpack("<Q", self._raw(self._table + 16 + 8 * block, 8))[0]
        where, count, _ = _ID.unpack(self._read(place, offset, _ID.size)[2])
        if count > _MOST:
            message = f"the inode states {count} extended attributes"
            raise StreamReadError(message)
        return [(name, value) for name, value in self._listed(start, where, count) if name != _NOT_LISTED]

    def _listed(self, start: int, where: int, count: int) -> Iterator[tuple[str, bytes]]:
        block, offset = start + (where >> 16), where & 0xFFFF
        for _ in range(count):
            block, offset, raw = self._read(block, offset, 4)
            kind, length = struct.unpack("<HH", raw)
            block, offset, name = self._read(block, offset, length)
            block, offset, raw = self._read(block, offset, 4)
            block, offset, value = self._read(block, offset, _bounded(raw))
            if kind & _ELSEWHERE:
                there = struct.unpack("<Q", value)[0]
                at, within, raw = self._read(start + (there >> 16), there & 0xFFFF, 4)
                value = self._read(at, within, _bounded(raw))[2]
            yield escape_text(_SPACES.get(kind & 0xFF, "unknown.") + name.decode("utf-8", "backslashreplace")), value

    def _raw(self, place: int, length: int) -> bytes:
        raw = self._source.read_at(place, length) if place < self._source.size else b""
        if len(raw) < length:
            message = "the table of extended attributes lies beyond the end of the image"
            raise StreamReadError(message)
        return raw


def _bounded(raw: bytes) -> int:
    length: int = struct.unpack("<I", raw)[0]
    if length > _LARGEST_VALUE:
        message = f"an extended attribute states a value of {length} bytes"
        raise StreamReadError(message)
    return length
