"""A VMDK descriptor: which extents make up the disk, and which disk it is a snapshot of.

References: VMware Virtual Disk Format 1.1, "The descriptor"; VirtualBox VMDK.cpp for the identifiers in its disk database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import ImageError
from forensics.exhibit import shown

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

SECTOR_BYTES = 512
_START = b"# Disk Descriptor"
MAX_DESCRIPTOR_BYTES = 1024 * 1024
_MAX_EXTENTS = 1024
_MAX_DISK_BYTES = 1 << 60
_NO_PARENT = 0xFFFF_FFFF
_NO_IDENTIFIER = "00000000-0000-0000-0000-000000000000"
_EXTENT_LINE = re.compile(r"(?:RW|RDONLY|NOACCESS)\s")
_EXTENT = re.compile(r'(?:RW|RDONLY|NOACCESS)\s+(\d{1,16})\s+([A-Z]+)(?:\s+"([^"]*)")?(?:\s+(\d{1,16})\b)?')
_SETTING = re.compile(r'([A-Za-z.]+)\s*=\s*"?([^"]*)"?')
_ENCODING = re.compile(rb'^\s*encoding\s*=\s*"?([A-Za-z0-9_-]{1,32})', re.MULTILINE)
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """One part of the disk: kind, size in bytes, file name, and where it starts in a flat file."""

    kind: str
    size: int
    name: str
    start_byte: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a descriptor states.

    Attributes:
        content: changes when the disk is written to for the first time after it was opened (CID); None where it is not stated.
        parent_content: the parent's `content` when the snapshot was made; None for a disk without parent.
        parent_name: the parent's path as stated; empty where it is not.
        identifier: VirtualBox's identifier of the disk; empty where there is none.
        parent_identifier: VirtualBox's identifier of the parent; empty where there is none.
    """

    content: int | None
    parent_content: int | None
    parent_name: str
    identifier: str
    parent_identifier: str
    extents: tuple[Extent, ...]


def read_descriptor(file: SourceFile, at: int, length: int) -> Descriptor:
    """The descriptor in `file[at : at + length]`, which ends at the first NUL.

    Raises:
        ImageError: a line that states an extent cannot be read, or there are too many.
    """
    raw = file.read_at(at, min(length, MAX_DESCRIPTOR_BYTES)).split(b"\0", 1)[0]
    lines = [line.strip() for line in _decoded(raw).splitlines()]
    settings = {found[1]: found[2].strip() for line in lines if (found := _SETTING.fullmatch(line))}
    parent = _hexadecimal(settings.get("parentCID", ""))
    return Descriptor(
        content=_hexadecimal(settings.get("CID", "")),
        parent_content=None if parent == _NO_PARENT else parent,
        parent_name=settings.get("parentFileNameHint", ""),
        identifier=_identifier(settings.get("ddb.uuid.image", "")),
        parent_identifier=_identifier(settings.get("ddb.uuid.parent", "")),
        extents=_extents(file, lines),
    )


def names_in_descriptor(raw: bytes) -> frozenset[str]:
    """The names of the extents that a descriptor file with these bytes lists; none if it is no descriptor file."""
    if not raw.startswith(_START):
        return frozenset()
    lines = [line.strip() for line in _decoded(raw.split(b"\0", 1)[0]).splitlines()]
    return frozenset(found[3] for line in lines if (found := _EXTENT.match(line)) and found[3])


def _decoded(raw: bytes) -> str:
    """UTF-8, or what the descriptor says it is written in: Workstation on Windows writes names in the code page of the system."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        stated = _ENCODING.search(raw)
        if stated:
            try:
                return raw.decode(stated[1].decode("ascii"), "surrogateescape")
            except (LookupError, UnicodeError):
                pass
        return raw.decode("utf-8", "surrogateescape")


def _hexadecimal(text: str) -> int | None:
    return int(text, 16) if _HEXADECIMAL.fullmatch(text) else None


def _identifier(text: str) -> str:
    return "" if text == _NO_IDENTIFIER else text.lower()


def _extents(file: SourceFile, lines: list[str]) -> tuple[Extent, ...]:
    stated = [line for line in lines if _EXTENT_LINE.match(line)]
    if len(stated) > _MAX_EXTENTS:
        message = f"{shown(file.path)}: the VMDK descriptor lists {len(stated)} extents, more than {_MAX_EXTENTS}"
        raise ImageError(message)
    found = [one for line in stated if (one := _EXTENT.match(line))]
    extents = tuple(
        Extent(kind=one[2], size=int(one[1]) * SECTOR_BYTES, name=one[3] or "", start_byte=int(one[4] or 0) * SECTOR_BYTES) for one in found
    )
    # An extent left out would move all that follow it.
    if len(found) != len(stated) or sum(one.size for one in extents) > _MAX_DISK_BYTES or any(one.size == 0 for one in extents):
        message = f"{shown(file.path)}: the VMDK descriptor states an extent that cannot be"
        raise ImageError(message)
    return extents
