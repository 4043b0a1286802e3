"""Windows recycle bins: the records that say where a file in a bin was deleted from.

Since Vista, beside each file `$R….ext` stands a file `$I….ext` about it. Before, one file INFO2 names all files of its folder, which
are called `D`, drive letter, number, extension.

References:
    J. Metz, Windows Recycle Bin file formats (libyal, documentation of dtformats): "$I file", versions 1 and 2; "INFO2 file".
    S. Willassen, Recycle Bin forensics; Microsoft, "How the Recycle Bin Stores Files" (KB 136517): the names D….
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from forensics.timestamps import OutOfRange

LONGEST_I_FILE = 28 + 2 * 32767  # header of version 2, and the longest path of Windows
LONGEST_INFO2 = 64 << 20

_I_HEADER = struct.Struct("<QQQ")  # version, size, FILETIME
_I_PATH_BYTES = 520  # of version 1: 260 characters of 16 bits
_INFO2_HEADER = struct.Struct("<5I")
_INFO2_ANSI_RECORD, _INFO2_UNICODE_RECORD = 280, 800
_INFO2_FIELDS = struct.Struct("<IIQI")  # number, drive, FILETIME, size
_INFO2_ANSI_BYTES = 260
_LETTERS = 26


@dataclass(frozen=True, slots=True)
class Recycled:
    """One file in a bin: where it was, when it was deleted (nanoseconds since 1970 UTC), its size in bytes."""

    original_path: str
    deleted: int | OutOfRange | None
    size: int


def parse_i_file(data: bytes) -> Recycled | None:
    """What a `$I` file says; None if it is none of version 1 or 2, or is cut off."""
    if len(data) < _I_HEADER.size:
        return None
    version, size, deleted = _I_HEADER.unpack_from(data)
    if version == 1:
        path = data[_I_HEADER.size : _I_HEADER.size + _I_PATH_BYTES]
    elif version == 2 and len(data) >= _I_HEADER.size + 4:  # noqa: PLR2004 - the version's own number
        (characters,) = struct.unpack_from("<I", data, _I_HEADER.size)
        path = data[_I_HEADER.size + 4 : _I_HEADER.size + 4 + 2 * characters]
        if len(path) < 2 * characters:
            return None
    else:
        return None
    text = _utf16(path)
    return Recycled(text, from_filetime(deleted), size) if text else None


def partner_of_i_file(name: bytes) -> bytes | None:
    """The name of the file that a `$I` file is about, in lower case; None for another name."""
    return b"$r" + name[2:].lower() if name[:2].upper() == b"$I" else None


def parse_info2(data: bytes) -> dict[bytes, Recycled]:
    """The files that an INFO2 names, by their names in the bin, in lower case and without extension: `dc1`, `dd12`.

    A record whose path was struck out is that of a file which was restored, or deleted for good; it is kept as far as it can be read.
    """
    if len(data) < _INFO2_HEADER.size:
        return {}
    record_size = _INFO2_HEADER.unpack_from(data)[3]
    if record_size not in (_INFO2_ANSI_RECORD, _INFO2_UNICODE_RECORD):
        return {}
    found = {}
    for at in range(_INFO2_HEADER.size, len(data) - record_size + 1, record_size):
        record = data[at : at + record_size]
        number, drive, deleted, size = _INFO2_FIELDS.unpack_from(record, _INFO2_ANSI_BYTES)
        # The first byte is overwritten with 0 when the file leaves the bin; the drive is known from its number.
        ansi = record[:_INFO2_ANSI_BYTES]
        letter = chr(ord("a") + drive) if drive < _LETTERS else ""
        path = _utf16(record[_INFO2_ANSI_BYTES + _INFO2_FIELDS.size :]) if record_size == _INFO2_UNICODE_RECORD else _ansi(ansi, letter)
        if letter and path:
            found[b"d%s%d" % (letter.encode(), number)] = Recycled(path, from_filetime(deleted), size)
    return found


def stem_of_d_file(name: bytes) -> bytes:
    """The part of a name in a bin that INFO2 knows it by."""
    return name.split(b".", 1)[0].lower()


def _utf16(data: bytes) -> str:
    text = data[: len(data) // 2 * 2].decode("utf-16-le", "backslashreplace")
    return text.split("\0", 1)[0]


def _ansi(data: bytes, letter: str) -> str:
    """A path in the code page of its Windows, which nothing names: what is not ASCII is shown by its bytes."""
    text = data[1:].split(b"\0", 1)[0].decode("ascii", "backslashreplace")
    first = chr(data[0]) if data[0] else letter.upper()
    return first + text if text else ""
