"""What the samples are made of: texts without their `^`, and the skeletons of file formats, byte by byte."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

from forensics.rule_externals import Externals

OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The two contents of one rule; `externals` and `near_externals` for the rules that ask for a name."""

    rule: str
    hit: bytes
    near_miss: bytes
    externals: Externals = field(default_factory=Externals)
    near_externals: Externals = field(default_factory=Externals)


def text(stored: str) -> bytes:
    return stored.replace("^", "").encode()


def wide(stored: str) -> bytes:
    return stored.replace("^", "").encode("utf-16-le")


def noise(size: int) -> bytes:
    return random.Random(20260101).randbytes(size)


def pe(*sections: tuple[str, int, bytes], tail: bytes = b"") -> bytes:
    """The headers of a Windows program that cannot start, its sections as (name, characteristics, content), and a tail.

    References:
        Microsoft, "PE Format": MS-DOS stub, COFF file header, section table.
    """
    optional_header = struct.pack("<H", 0x10B) + bytes(0xDE)
    coff = struct.pack("<HHIIIHH", 0x14C, len(sections), 0, 0, 0, len(optional_header), 0x102)
    headers = b"MZ" + bytes(58) + struct.pack("<I", 0x80) + bytes(0x40) + b"PE\0\0" + coff + optional_header
    offset = 1024
    table, contents = b"", b""
    for name, characteristics, content in sections:
        table += struct.pack("<8sIIIIIIHHI", name.encode(), 0x1000, 0x1000, len(content), offset, 0, 0, 0, 0, characteristics)
        contents += content
        offset += len(content)
    return (headers + table).ljust(1024, b"\0") + contents + tail


def elf(tail: bytes) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(57) + tail
