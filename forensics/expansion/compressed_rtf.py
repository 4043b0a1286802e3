"""Decompression of the RTF body of Outlook messages (MS-OXRTFCP)."""

from __future__ import annotations

import struct

from forensics.errors import ArchiveError

_HEADER = struct.Struct("<4I")  # 2.1.3.1.1
_COMPRESSED, _UNCOMPRESSED = 0x75465A4C, 0x414C454D  # "LZFu" and "MELA", 2.1.3.1.1
_RING_BYTES = 4096
# 2.1.3.1.2: what the dictionary holds at the start, 207 bytes.
_INITIAL = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbolArial"
    rb"Times New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


def decompressed_rtf(stored: bytes) -> bytes:
    """The RTF text.

    Raises:
        ArchiveError: it has no header that is known, or is cut off.
    """
    if len(stored) < _HEADER.size:
        message = "the compressed RTF is cut off"
        raise ArchiveError(message)
    _, size, kind, _ = _HEADER.unpack_from(stored)
    body = stored[_HEADER.size :]
    if kind == _UNCOMPRESSED:
        return body[:size]
    if kind != _COMPRESSED:
        message = f"the compressed RTF is of an unknown form {kind:#010x}"
        raise ArchiveError(message)
    return _expanded(body, size)


def _expanded(body: bytes, size: int) -> bytes:
    """2.2.2.2: runs of eight tokens, each a literal byte or a reference of 12 bits of offset and 4 of length."""
    ring = bytearray(_INITIAL.ljust(_RING_BYTES, b" "))
    write, at = len(_INITIAL), 0
    out = bytearray()
    while at < len(body):
        control = body[at]
        at += 1
        for bit in range(8):
            if control >> bit & 1:
                if at + 2 > len(body):
                    return _checked(out, size)
                offset, length = body[at] << 4 | body[at + 1] >> 4, (body[at + 1] & 0xF) + 2
                at += 2
                if offset == write:  # the mark of the end
                    return _checked(out, size)
                piece = [ring[(offset + step) % _RING_BYTES] for step in range(length)] if length + offset <= write else None
            elif at < len(body):
                offset, length, piece = 0, 1, [body[at]]
                at += 1
            else:
                return _checked(out, size)
            for step in range(length):  # a reference may reach into what it writes itself
                value = piece[step] if piece is not None else ring[(offset + step) % _RING_BYTES]
                ring[write] = value
                write = (write + 1) % _RING_BYTES
                out.append(value)
    return _checked(out, size)


def _checked(out: bytearray, size: int) -> bytes:
    if len(out) < size:
        message = f"the compressed RTF ends after {len(out)} of {size} bytes"
        raise ArchiveError(message)
    return bytes(out[:size])
