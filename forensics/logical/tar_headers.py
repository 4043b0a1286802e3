"""Header blocks of tar: old tar, POSIX ustar and pax, GNU.

References: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format" and "Storing
Sparse Files".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.timestamps import OutOfRange, from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512
_MAGIC = slice(257, 265)
_POSIX, _GNU = b"ustar\x00", b"ustar  \x00"
_CHECKSUM = slice(148, 156)
_BASE256 = (0x80, 0xFF)
_TIME = re.compile(r"(-?)(\d{1,20})(?:\.(\d{1,40}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header block as it stands.

    Attributes:
        name: name with its prefix.
        mode, owner, group: None where the field is empty or no number.
        size: bytes of content stored behind it; None where the field is no number.
        modified: seconds since 1970.
        type: the type flag.
        link: name of the link's target.
        is_ustar: whether it carries the signature of POSIX or GNU.
        block: all its bytes.
    """

    name: bytes
    mode: int | None
    owner: int | None
    group: int | None
    size: int | None
    modified: int | None
    type: bytes
    link: bytes
    is_ustar: bool
    block: bytes

    @property
    def gnu_times(self) -> tuple[int | None, int | None]:
        """Times of access and of the inode's change in seconds, as GNU tar stores them in place of the prefix."""
        if self.block[_MAGIC] != _GNU:
            return None, None
        return number(self.block[345:357]), number(self.block[357:369])


def parse_header(block: bytes) -> Header | None:
    """The header; None if the block is none: too short, or its checksum does not fit."""
    if len(block) < BLOCK or not _checksum_fits(block):
        return None
    magic = block[_MAGIC]
    name = _text(block[0:100])
    prefix = _text(block[345:500]) if magic.startswith(_POSIX) else b""
    return Header(
        name=prefix + b"/" + name if prefix else name,
        mode=number(block[100:108]),
        owner=number(block[108:116]),
        group=number(block[116:124]),
        size=number(block[124:136]),
        modified=number(block[136:148]),
        type=block[156:157],
        link=_text(block[157:257]),
        is_ustar=magic.startswith(b"ustar"),
        block=block,
    )


def _checksum_fits(block: bytes) -> bool:
    stated = number(block[_CHECKSUM])
    if stated is None:
        return False
    rest = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(rest)
    # Some old programs added the bytes as signed numbers.
    return stated in (unsigned, unsigned - 256 * sum(byte > 127 for byte in rest))  # noqa: PLR2004 - the largest signed byte


def number(field: bytes) -> int | None:
    """A number in octal digits, or in base 256 where the first bit is set (GNU tar, "Basic Tar Format"); None if it is neither."""
    if field[:1] and field[0] in _BASE256:
        value = int.from_bytes(field[1:], "big")
        return value - (1 << 8 * (len(field) - 1)) if field[0] == 0xFF else value  # noqa: PLR2004 - negative
    digits = field.split(b"\0", 1)[0].strip()
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def iter_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each record (length, space, key, "=", value, newline) of a pax extended header.

    Raises:
        ValueError: a record is damaged; those before it were given.
    """
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 20)
        if space < 0 or not data[at:space].isdigit():
            message = f"the record at byte {at} has no length"
            raise ValueError(message)
        end = at + int(data[at:space])
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or end <= space + 1 or data[end - 1 : end] != b"\n":
            message = f"the record at byte {at} does not end where it says"
            raise ValueError(message)
        yield key, value
        at = end


def pax_time(value: bytes) -> int | OutOfRange | None:
    """Nanoseconds since 1970 of a decimal number of seconds; what is none is out of range, so that its text is kept."""
    text = value.decode("ascii", "backslashreplace")
    found = _TIME.fullmatch(text)
    if found is None:
        return OutOfRange(f"pax time {text[:60]}")
    sign, seconds, fraction = found.groups()
    nanoseconds = int((fraction or "0").ljust(9, "0")[:9])
    if not sign:
        return from_unix(int(seconds), nanoseconds)
    return from_unix(-int(seconds) - bool(nanoseconds), 1_000_000_000 - nanoseconds if nanoseconds else 0)
