"""Where a reparse point of Windows leads. Pure.

References: [MS-FSCC] 2.1.2.4, "Symbolic Link Reparse Data Buffer", and 2.1.2.5, "Mount Point Reparse Data Buffer".
"""

from __future__ import annotations

import struct

_HEADER = struct.Struct("<IHH")
_NAMES = struct.Struct("<4H")
_FLAGS_BYTES = 4
_MOUNT_POINT, _SYMBOLIC_LINK = 0xA0000003, 0xA000000C
# Where the names stand that the structure places.
_NAMES_AT = {_MOUNT_POINT: _NAMES.size, _SYMBOLIC_LINK: _NAMES.size + _FLAGS_BYTES}


def parse_reparse_buffer(data: bytes) -> bytes | None:
    """The target, as UTF-8, that a whole buffer states; None where it is of another kind or damaged."""
    if len(data) < _HEADER.size:
        return None
    return parse_reparse_data(_HEADER.unpack_from(data)[0], data[_HEADER.size :])


def parse_reparse_data(tag: int, data: bytes) -> bytes | None:
    """The same of a buffer without its header (tag, length, reserved), as a WIM stores it."""
    names_at = _NAMES_AT.get(tag)
    if names_at is None or len(data) < names_at:
        return None
    offset, length, _, _ = _NAMES.unpack_from(data)
    name = data[names_at + offset : names_at + offset + length]
    if len(name) < length or length % 2:
        return None
    return name.decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass") or None
