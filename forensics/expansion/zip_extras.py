"""The extra field of a ZIP entry: sizes beyond 32 bit, times, AES encryption, the name in Unicode.

References: APPNOTE.TXT 6.3.10, 4.5; Info-ZIP's extrafld.txt for 0x5455 and 0x5855; WinZip's AES encryption information.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.timestamps import from_filetime, from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.timestamps import OutOfRange

_ZIP64, _NTFS, _UNIX_OLD, _EXTENDED_TIME, _UNICODE_PATH, _AES = 0x0001, 0x000A, 0x5855, 0x5455, 0x7075, 0x9901
_NTFS_LENGTH, _AES_LENGTH = 32, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Aes:
    """How an entry is encrypted with AES.

    Attributes:
        version: 1 (AE-1, with CRC-32) or 2 (AE-2, without).
        key_bytes: length of the key.
        method: the compression method beneath.
    """

    version: int
    key_bytes: int
    method: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What the extra field states; None where it does not."""

    size: int | None = None
    packed: int | None = None
    offset: int | None = None
    created: int | OutOfRange | None = None
    modified: int | OutOfRange | None = None
    accessed: int | OutOfRange | None = None
    aes: Aes | None = None
    unicode_name: tuple[int, bytes] | None = None

    def name_of(self, stored: bytes) -> bytes:
        """The name in UTF-8 if the field has one for this stored name (its CRC-32 says so), else the stored name."""
        if self.unicode_name is not None and self.unicode_name[0] == zlib.crc32(stored):
            return self.unicode_name[1]
        return stored


def parse_extras(data: bytes, in_zip64: tuple[bool, bool, bool]) -> Extras:
    """What the extra field states; fields that are cut off or too short are passed over.

    Args:
        data: the field.
        in_zip64: whether unpacked size, packed size and offset stand in the ZIP64 field, which has only those.
    """
    found: dict[str, object] = {}
    for identifier, body in _fields(data):
        if identifier == _ZIP64:
            values = list(struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8]))
            for name, is_there in zip(("size", "packed", "offset"), in_zip64, strict=True):
                if is_there and values:
                    found[name] = values.pop(0)
        elif identifier == _EXTENDED_TIME and body:
            found.update(_extended_times(body))
        elif identifier == _NTFS and len(body) >= _NTFS_LENGTH:
            times = struct.unpack_from("<3Q", body, 8)
            found.update(zip(("modified", "accessed", "created"), map(from_filetime, times), strict=True))
        elif identifier == _UNIX_OLD and len(body) >= 8:  # noqa: PLR2004 - two times
            accessed, modified = struct.unpack_from("<2i", body)
            found.setdefault("accessed", from_unix(accessed, 0))
            found.setdefault("modified", from_unix(modified, 0))
        elif identifier == _UNICODE_PATH and len(body) > 5 and body[0] == 1:  # noqa: PLR2004 - version and CRC-32 (4.6.9)
            found["unicode_name"] = int.from_bytes(body[1:5], "little"), body[5:]
        elif identifier == _AES and len(body) >= _AES_LENGTH and body[4] in (1, 2, 3):
            version, _, strength, method = struct.unpack_from("<H2sBH", body)
            found["aes"] = Aes(version=version, key_bytes=8 + 8 * strength, method=method)
    return Extras(**found)  # type: ignore[arg-type]


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        identifier, length = struct.unpack_from("<2H", data, at)
        if at + 4 + length > len(data):
            return
        yield identifier, data[at + 4 : at + 4 + length]
        at += 4 + length


def _extended_times(body: bytes) -> Iterator[tuple[str, int | OutOfRange | None]]:
    """The times that the flags announce and that are there: in the central directory only the first is."""
    at = 1
    for bit, name in ((1, "modified"), (2, "accessed"), (4, "created")):
        if body[0] & bit and at + 4 <= len(body):
            yield name, from_unix(struct.unpack_from("<i", body, at)[0], 0)
            at += 4
