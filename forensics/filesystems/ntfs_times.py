"""The four times of NTFS's $STANDARD_INFORMATION and $FILE_NAME attributes, with their 100 ns.

Layouts: MS-FSCC and the Linux-NTFS documentation; both attributes hold four FILETIMEs: created, modified, MFT changed, accessed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.filesystems.base import Times
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOUR = struct.Struct("<4Q")
_PARENT_REFERENCE_BYTES = 8  # $FILE_NAME begins with the reference of its directory
_NAME_LENGTH_OFFSET = 64
_NAMESPACE_OFFSET = 65
_NAME_OFFSET = 66
_DOS_NAMESPACE = 2


def standard_information_times(attribute: bytes) -> Times:
    """Times of a $STANDARD_INFORMATION attribute; none where it is too short."""
    return _times(attribute, 0)


def file_name_times(attributes: Sequence[bytes], name: bytes) -> Times | None:
    """Times of the $FILE_NAME attribute that carries `name` (UTF-8), else of the first that is no 8.3 alias."""
    usable = [a for a in attributes if len(a) >= _NAME_OFFSET]
    if not usable:
        return None
    chosen = next((a for a in usable if _name(a) == name), None)
    chosen = chosen or next((a for a in usable if a[_NAMESPACE_OFFSET] != _DOS_NAMESPACE), usable[0])
    return _times(chosen, _PARENT_REFERENCE_BYTES)


def _name(attribute: bytes) -> bytes:
    end = _NAME_OFFSET + 2 * attribute[_NAME_LENGTH_OFFSET]
    return attribute[_NAME_OFFSET:end].decode("utf-16-le", "replace").encode("utf-8", "replace")


def _times(attribute: bytes, offset: int) -> Times:
    if len(attribute) < offset + _FOUR.size:
        return Times()
    created, modified, metadata_changed, accessed = (from_filetime(value) for value in _FOUR.unpack_from(attribute, offset))
    return Times(created=created, modified=modified, accessed=accessed, metadata_changed=metadata_changed)
