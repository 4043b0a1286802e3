"""What a filesystem reader gives: entries, each with its streams, and the bytes of a stream by its address."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.timestamps import OutOfRange


class Kind(StrEnum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    FIFO = "fifo"
    SOCKET = "socket"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    VIRTUAL = "virtual"
    UNKNOWN = "unknown"


class Recovery(StrEnum):
    """How an entry came to light."""

    ALLOCATED = "allocated"
    DELETED = "deleted metadata"
    DELETED_NAME = "deleted name"
    ORPHAN = "orphan"
    SLACK = "slack"
    UNALLOCATED = "unallocated"
    UNOWNED = "in no file"
    CARVED = "carved"
    MEMBER = "archive member"
    SHADOW_COPY = "shadow copy"


WALL_CLOCK = ("fat12", "fat16", "fat32", "exfat", "iso9660", "zip")
"""Filesystems whose times are the wall clock of the machine that wrote them, without a zone."""


class Content(StrEnum):
    """Whether a stream has content to read."""

    READ = "read"
    NONE = "none"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, order=True)
class StreamAddress:
    """Where a stream stands in a volume: metadata address (inode, MFT entry) and TSK's attribute type and identifier.

    Readers other than TSK's number the latter two as they need; `slack` means what lies behind the attribute's end in its last block.
    """

    metadata_address: int
    attribute_type: int
    attribute_id: int
    slack: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Times of an entry, each in nanoseconds since 1970 UTC, or why there is none."""

    created: int | OutOfRange | None = None
    modified: int | OutOfRange | None = None
    accessed: int | OutOfRange | None = None
    metadata_changed: int | OutOfRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stream of one filesystem entry, as listed; nothing of its content has been read.

    Attributes:
        path: path inside the volume as the filesystem stores it, "/" between names, no leading "/".
        stream: name of the stream; empty for the default data.
        address: where the stream stands; None for a name that leads to no metadata.
        size: size in bytes as the filesystem states it; None where it states none.
        times: NTFS: $STANDARD_INFORMATION.
        name_times: NTFS $FILE_NAME; None elsewhere.
        overwritten: of a deleted or orphan stream, whether some of its blocks are allocated to others by now, so that its content is not
            what it was; None where that is not known or does not apply.
        start_byte: first byte of a stream that lies in one piece, counted from the start of its volume: of slack, of unallocated
            space and of what is in no file; None for others.
        original_path: of a file in a recycle bin, and of what lies in a folder there: where it was deleted from, as the bin states it.
    """

    path: bytes
    stream: str
    address: StreamAddress | None
    metadata_address: int | None
    kind: Kind
    link_target: str | None
    name_allocated: bool | None
    metadata_allocated: bool | None
    recovery: Recovery
    content: Content
    size: int | None
    times: Times
    name_times: Times | None
    owner: int | None
    group: int | None
    mode: int | None
    links: int | None
    sequence: int | None
    overwritten: bool | None = None
    start_byte: int | None = None
    original_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingLimits:
    """What is listed besides entries and their data, and bounds on what damaged metadata may claim.

    Attributes:
        orphans: how many orphan entries are listed.
        orphan_bytes: how many bytes of orphan contents are read.
        slack: whether file slack is listed that is not all zero.
        unallocated: whether unallocated space is listed, what lies behind the filesystem in its volume, and what is in no file.
        overwritten: whether it is found out of deleted streams if their blocks belong to others by now.
        attributes: whether extended attributes are listed as streams.
    """

    orphans: int
    orphan_bytes: int
    slack: bool = False
    unallocated: bool = False
    overwritten: bool = False
    attributes: bool = False


class Stream(Protocol):
    """The bytes of one stream."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: they cannot be read.
        """


class FilesystemReader(Protocol):
    """Lists one filesystem and reads its streams.

    Attributes:
        filesystem: its name: "ntfs", "xfs", "apfs", "tar", …
    """

    filesystem: str

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every entry's every stream, each once; a Problem for each that could not be listed whole."""

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address.

        Raises:
            StreamReadError: there is none.
        """


class SpaceReader(FilesystemReader, Protocol):
    """A reader that lists unallocated space, or raw space, as items."""

    def runs_of(self, address: StreamAddress) -> tuple[tuple[int, int], ...]:
        """Where an item of unallocated space lies in its volume: (first byte, length), in the item's order."""
