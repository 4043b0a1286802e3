"""How much of an NTFS stream was ever written: its initialised size, behind which it reads as zeros whatever its clusters hold.

TSK knows it and does not say, so it is read from the MFT entry that describes the stream's first cluster.

References:
    Linux-NTFS project, NTFS Documentation, "FILE Record", "Fixup", "Attribute Header" (non-resident: initialized size at 0x38),
    "$ATTRIBUTE_LIST (0x20)".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.tsk_stream import TskStream, attributes_of
from forensics.names import escape_text
from forensics.sleuthkit import TSK_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.tsk_stream import Attribute
    from forensics.sleuthkit import OpenFilesystem

_SIGNATURE = b"FILE"
_SECTOR = 512
_ATTRIBUTE_LIST = 0x20
_LONGEST_LIST = 1 << 18  # NTFS allows an attribute list of 256 KiB
_NOT_RESIDENT_BYTES = 0x40  # of a header with an initialised size
_LIST_ENTRY = struct.Struct("<IHBBQQ")  # type, length, characters of the name, offset of the name, first cluster, reference


class InitialisedSizes:
    """The initialised sizes of the streams of one NTFS filesystem."""

    def __init__(self, filesystem: OpenFilesystem) -> None:
        self._handle = filesystem.handle
        self._mft: tuple[TskStream, int] | None = None

    def size_of(self, metadata_address: int, attribute: Attribute) -> int:
        """Bytes of the stream that were written; all of it where the MFT entry cannot be read or does not say."""
        try:
            for entry in self._entries_of(metadata_address, attribute):
                found = _find(self._read_entry(entry), attribute)
                if found is not None:
                    return min(found, attribute.size)
        except (*TSK_ERRORS, StreamReadError, struct.error):
            return attribute.size
        return attribute.size

    def _entries_of(self, metadata_address: int, attribute: Attribute) -> Iterator[int]:
        """The file's own MFT entry, then the one that its attribute list names for the beginning of the attribute."""
        yield metadata_address
        file = self._handle.open_meta(inode=metadata_address)
        listing = next((one for one in attributes_of(file) if one.type == _ATTRIBUTE_LIST and 0 < one.size <= _LONGEST_LIST), None)
        if listing is None:
            return
        data = TskStream(file, listing).read_at(0, listing.size)
        at = 0
        while at + _LIST_ENTRY.size <= len(data):
            kind, length, characters, name_offset, first_cluster, reference = _LIST_ENTRY.unpack_from(data, at)
            if kind == attribute.type and not first_cluster and _name(data, at + name_offset, characters) == attribute.name:
                yield reference & 0xFFFFFFFFFFFF
                return
            at += max(length, _LIST_ENTRY.size)

    def _read_entry(self, number: int) -> bytes:
        if self._mft is None:
            file = self._handle.open_meta(inode=0)
            data = next(one for one in attributes_of(file) if one.is_plain_data)
            self._mft = TskStream(file, data), data.size // max(1, int(self._handle.info.last_inum))
        stream, size = self._mft
        return _without_fixups(stream.read_at(number * size, size))


def _without_fixups(entry: bytes) -> bytes:
    """The entry with the bytes that its update sequence array keeps for the end of each sector; empty where it is none."""
    if entry[:4] != _SIGNATURE:
        return b""
    whole = bytearray(entry)
    start, count = struct.unpack_from("<2H", entry, 4)
    for number in range(1, count):
        end = number * _SECTOR
        kept = entry[start + 2 * number : start + 2 * number + 2]
        if end <= len(whole) and len(kept) == 2:  # noqa: PLR2004 - two bytes a sector
            whole[end - 2 : end] = kept
    return bytes(whole)


def _find(entry: bytes, attribute: Attribute) -> int | None:
    """The initialised size that the entry states for the attribute; None where it does not hold the beginning of it."""
    if not entry:
        return None
    (at,) = struct.unpack_from("<H", entry, 0x14)
    while at + _NOT_RESIDENT_BYTES <= len(entry):
        kind, length, is_elsewhere, characters, name_offset = struct.unpack_from("<IIBBH", entry, at)
        if kind == attribute.type and is_elsewhere and _name(entry, at + name_offset, characters) == attribute.name:
            (first_cluster,) = struct.unpack_from("<Q", entry, at + 0x10)
            if not first_cluster:
                return int(struct.unpack_from("<Q", entry, at + 0x38)[0])
        if length < _LIST_ENTRY.size:  # shorter than any attribute: the end, or damage
            break
        at += length
    return None


def _name(data: bytes, offset: int, characters: int) -> str:
    return escape_text(data[offset : offset + 2 * characters].decode("utf-16-le", "backslashreplace"))
