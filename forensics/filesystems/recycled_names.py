"""The original paths of what lies in a folder of a recycle bin, found by reading the bin's own records."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from forensics.errors import StreamReadError
from forensics.filesystems.recycle_bin import (
    LONGEST_I_FILE,
    LONGEST_INFO2,
    parse_i_file,
    parse_info2,
    partner_of_i_file,
    stem_of_d_file,
)
from forensics.filesystems.tsk_names import NAME_ALLOCATED
from forensics.filesystems.tsk_stream import TskStream, attributes_of
from forensics.names import display_path, escape_text
from forensics.sleuthkit import TSK_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forensics.filesystems.recycle_bin import Recycled
    from forensics.filesystems.tsk_names import NameResolver

# The bin of a volume: a folder for each owner on NTFS, none on FAT.
_BIN = re.compile(rb"(\$recycle\.bin|recycler|recycled)(/[^/]+)?", re.IGNORECASE)
_INFO2 = b"info2"


def is_bin(path: bytes) -> bool:
    """Whether a folder of that path is one in which a recycle bin keeps files and its records of them."""
    return _BIN.fullmatch(path) is not None


class RecycledNames:
    """What a folder of a recycle bin says of the names in it."""

    def __init__(self, files: Iterable[Any], resolver: NameResolver) -> None:
        """`files` are TSK's; a record of an allocated name goes before that of a deleted one."""
        self._by_name: dict[bytes, Recycled] = {}
        self._by_stem: dict[bytes, Recycled] = {}
        for file in sorted(files, key=lambda one: int(one.info.name.flags) & NAME_ALLOCATED):
            name = bytes(file.info.name.name)
            if name.lower() == _INFO2:
                self._by_stem.update(parse_info2(_read(file, resolver, LONGEST_INFO2)))
            elif (partner := partner_of_i_file(name)) is not None:
                recycled = parse_i_file(_read(file, resolver, LONGEST_I_FILE))
                if recycled is not None:
                    self._by_name[partner] = recycled

    def original_path(self, name: bytes) -> str | None:
        """Where the file of that name in the bin was deleted from; None where no record says."""
        found = self._by_name.get(name.lower()) or self._by_stem.get(stem_of_d_file(name))
        return None if found is None else escape_text(found.original_path)


def below(original_path: str, name: bytes) -> str:
    """The original path of what lies in a deleted folder."""
    return f"{original_path}\\{display_path(name)[0]}"


def _read(file: Any, resolver: NameResolver, longest: int) -> bytes:
    """The content of the file; empty where it is not there, is another's by now, or is longer than such a record can be."""
    named, _ = resolver.resolve(file, b"")
    if named.meta is None:
        return b""
    try:
        data = next((one for one in attributes_of(named.file) if one.is_plain_data), None)
        if data is None or not 0 < data.size <= longest:
            return b""
        return TskStream(named.file, data).read_at(0, data.size)
    except (*TSK_ERRORS, StreamReadError):
        return b""
