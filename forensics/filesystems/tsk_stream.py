"""The streams of a file as The Sleuth Kit has them: its attributes, the bytes of one, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytsk3

from forensics.errors import StreamReadError
from forensics.names import escape_text
from forensics.sleuthkit import TSK_ERRORS, tsk_reason

_LINK = int(pytsk3.TSK_FS_META_TYPE_LNK)
_RESIDENT = int(pytsk3.TSK_FS_ATTR_RES)
_COMPRESSED = int(pytsk3.TSK_FS_ATTR_COMP)
# Runs that have no blocks: holes, and what TSK puts where it does not know the run.
_WITHOUT_BLOCKS = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE) | int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER)
_DEFAULT, _HFS_DATA = int(pytsk3.TSK_FS_ATTR_TYPE_DEFAULT), int(pytsk3.TSK_FS_ATTR_TYPE_HFS_DATA)
_PLAIN_DATA = frozenset((_DEFAULT, int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_DATA), _HFS_DATA))
# What TSK calls the content of a file that ext keeps in the inode (feature inline_data) or that HFS+ compressed. Other files have no
# name for theirs, and none of these has a second one.
_MADE_UP_NAMES = frozenset(((_DEFAULT, "DATA"), (_HFS_DATA, "DATA"), (_HFS_DATA, "DECOMP")))


@dataclass(frozen=True, slots=True)
class BlockRun:
    """A run of blocks of an attribute: `blocks` of them from `first`; None for a hole."""

    first: int | None
    blocks: int


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: TSK's type and identifier, its name as text ("" for none), its size in bytes, TSK's flags and object."""

    type: int
    id: int
    name: str
    size: int
    flags: int = 0
    handle: Any = field(default=None, compare=False, repr=False)
    _found: list[list[BlockRun]] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def is_plain_data(self) -> bool:
        """Whether it is the default content of its file."""
        return self.type in _PLAIN_DATA and not self.name

    @property
    def is_resident(self) -> bool:
        """Whether its bytes stand in the metadata, and in no block of their own."""
        return bool(self.flags & _RESIDENT)

    @property
    def is_compressed(self) -> bool:
        """Whether its blocks hold something else than its bytes."""
        return bool(self.flags & _COMPRESSED)

    def runs(self) -> list[BlockRun]:
        """Where its bytes lie, in their order; asked of TSK once.

        Raises:
            StreamReadError: TSK cannot say.
        """
        if self.handle is None or self.is_resident:
            return []
        if not self._found:
            try:
                found = [BlockRun(None if int(run.flags) & _WITHOUT_BLOCKS else int(run.addr), int(run.len)) for run in self.handle]
            except TSK_ERRORS as error:
                raise StreamReadError(tsk_reason(error)) from error
            self._found.append(found)
        return self._found[0]


class TskStream:
    """One attribute of one file, read through TSK.

    The content of a symbolic link is its target. ext and UFS keep a short one in the inode, in place of the numbers of blocks (the
    Linux kernel, Documentation/filesystems/ext4, "Symbolic Links"); TSK knows it, and gives zeros for the content all the same.
    """

    def __init__(self, file: Any, attribute: Attribute) -> None:
        self._file = file
        self._attribute = attribute
        self._target = _target_in_inode(file, attribute)
        self.size = attribute.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: TSK cannot read them.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        if self._target is not None:
            if len(self._target) != self.size:
                message = f"the link states a target of {self.size} bytes, and TSK finds {len(self._target)} of it in the inode"
                raise StreamReadError(message)
            return self._target[offset : offset + length]
        try:
            data: bytes = self._file.read_random(offset, length, self._attribute.type, self._attribute.id)
        except TSK_ERRORS as error:
            raise StreamReadError(tsk_reason(error)) from error
        if len(data) < length and not data:
            message = f"TSK gives nothing at byte {offset} of {self.size}"
            raise StreamReadError(message)
        return data


def _target_in_inode(file: Any, attribute: Attribute) -> bytes | None:
    """The target of a symbolic link whose content lies in no block; None for everything else."""
    meta = file.info.meta
    if meta is None or int(meta.type) != _LINK or not meta.link or not attribute.is_plain_data or attribute.is_resident:
        return None
    return bytes(meta.link) if all(run.first is None for run in attribute.runs()) else None


def attributes_of(file: Any) -> list[Attribute]:
    """The file's attributes, in TSK's order."""
    return [
        Attribute(
            int(attribute.info.type),
            int(attribute.info.id),
            _name_of(attribute),
            int(attribute.info.size),
            int(attribute.info.flags),
            attribute,
        )
        for attribute in file
    ]


def _name_of(attribute: Any) -> str:
    """The name that the filesystem stores; "" for none."""
    raw = attribute.info.name
    name = escape_text(bytes(raw).decode("utf-8", "backslashreplace")) if raw else ""
    return "" if (int(attribute.info.type), name) in _MADE_UP_NAMES else name
