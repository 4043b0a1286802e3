"""The chunks of a DMG: how each is stored, and its bytes.

References: libmodi's documentation, "Mac OS disk image types", UDIF block table entries; hdiutil(1), image formats UDRO, UDCO, UDZO,
UDBZ, ULFO, ULMO.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from dataclasses import dataclass

from forensics.containers.dmg_lzfse import unpack_lzfse

SECTOR_BYTES = 512
ZERO, RAW, IGNORE, COMMENT, END = 0, 1, 2, 0x7FFFFFFE, 0xFFFFFFFF
ADC, ZLIB, BZIP2, LZFSE, LZMA = 0x80000004, 0x80000005, 0x80000006, 0x80000007, 0x80000008
COMPRESSED = (ADC, ZLIB, BZIP2, LZFSE, LZMA)
NOT_LISTED = -1
"""What a table should list and does not."""
_LARGEST_BYTES = {LZFSE: 8 << 20}  # hdiutil writes 1 MiB at the most; LZFSE is decoded by slow code
_LARGEST_OTHER_BYTES = 64 << 20
_STORED_MARGIN = 64 << 10
_LZMA_MEMORY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """`media[start : start + size]`, kept in `file[at : at + length]`."""

    start: int
    size: int
    type: int
    at: int
    length: int

    @property
    def end(self) -> int:
        """Where it ends in the media."""
        return self.start + self.size


def why_not_read(chunk: Chunk) -> str:
    """Why the chunk cannot be what it states to be; "" if it can."""
    if chunk.type in (ZERO, IGNORE):
        return ""
    if chunk.type == RAW:
        return "" if chunk.length >= chunk.size else f"is stored raw in {chunk.length} bytes"
    if chunk.type not in COMPRESSED:
        return f"is of type {chunk.type:#x}"
    if chunk.size > _LARGEST_BYTES.get(chunk.type, _LARGEST_OTHER_BYTES):
        return "is larger than a compressed chunk is"
    return "" if chunk.length <= 2 * chunk.size + _STORED_MARGIN else f"is compressed to {chunk.length} bytes"


def unpack_chunk(type_: int, stored: bytes, size: int) -> bytes:
    """The content of a compressed chunk of `size` bytes; never much more than that.

    Raises:
        ValueError: it is damaged, or longer or shorter; the decoders may raise more.
    """
    if type_ == LZFSE:
        data = unpack_lzfse(stored, size)
    elif type_ == ADC:
        data = _unpack_adc(stored, size)
    else:
        data = _unpack_checked(type_, stored, size)
    if len(data) != size:
        message = f"it unpacks to {len(data)} bytes where {size} should be"
        raise ValueError(message)
    return data


def _unpack_checked(type_: int, stored: bytes, size: int) -> bytes:
    """Of the kinds that end in a checksum of their own, which is looked at only when the decoder gets to the end."""
    if type_ == ZLIB:
        inflater = zlib.decompressobj()
        data, is_end = inflater.decompress(stored, size + 1), False
        if not inflater.eof:
            data += inflater.decompress(inflater.unconsumed_tail, 1)
        is_end = inflater.eof
    else:
        decoder = bz2.BZ2Decompressor() if type_ == BZIP2 else lzma.LZMADecompressor(memlimit=_LZMA_MEMORY_BYTES)
        data = decoder.decompress(stored, size + 1)
        if not decoder.eof:
            data += decoder.decompress(b"", 1)
        is_end = decoder.eof
    if not is_end:
        message = f"it does not end after {size} bytes"
        raise ValueError(message)
    return data


def _unpack_adc(stored: bytes, size: int) -> bytes:
    """Apple Data Compression: literals, and copies of 3 to 67 bytes from what came before."""
    data, at = bytearray(), 0
    while at < len(stored) and len(data) <= size:
        code = stored[at]
        if code & 0x80:
            count = (code & 0x7F) + 1
            data += stored[at + 1 : at + 1 + count]
            at += 1 + count
            continue
        if code & 0x40:
            count, distance, step = (code & 0x3F) + 4, stored[at + 1] << 8 | stored[at + 2], 3
        else:
            count, distance, step = ((code >> 2) & 0xF) + 3, (code & 3) << 8 | stored[at + 1], 2
        start = len(data) - distance - 1
        if start < 0:
            message = "a copy from before the start"
            raise ValueError(message)
        for index in range(count):  # it may copy what it has just written
            data.append(data[start + index])
        at += step
    return bytes(data)
