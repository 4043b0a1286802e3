"""A filesystem as inodes: what a reader that is none of TSK's has to give, so that one walk lists them all alike.

An inode is named by its number and, where numbers repeat in one volume, by the space that it belongs to: a Btrfs subvolume. In the
address of a stream the number is the metadata address; what attribute type and identifier mean, each tree says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from forensics.filesystems.base import Kind, Times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.filesystems.base import Stream, StreamAddress


@dataclass(frozen=True, slots=True)
class InodeAddress:
    """An inode: its number, and what else it takes to find it."""

    number: int
    space: int = 0


@dataclass(frozen=True, slots=True)
class Name:
    """A name in a directory, as stored, and the inode that it leads to."""

    name: bytes
    inode: InodeAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class InodeStream:
    """A stream of an inode: its name ("" for the default data), its address, its size in bytes if stated, and what kind it is."""

    name: str
    address: StreamAddress
    size: int | None
    is_attribute: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inode:
    """What an inode says of its file.

    Attributes:
        streams: its streams; that of its default data first, if it has content.
        link_target: where a symbolic link points, as stored.
        problems: what of the inode could not be read, or is not as it should be.
    """

    kind: Kind
    size: int | None = None
    times: Times = field(default_factory=Times)
    owner: int | None = None
    group: int | None = None
    mode: int | None = None
    links: int | None = None
    sequence: int | None = None
    link_target: bytes | None = None
    streams: tuple[InodeStream, ...] = ()
    problems: tuple[str, ...] = ()


class InodeTree(Protocol):
    """A filesystem that can be walked. Its methods may raise anything: the walk makes problems of it.

    Attributes:
        filesystem: its name.
        root: its root directory.
    """

    filesystem: str
    root: InodeAddress

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode says."""

    def iter_names(self, directory: InodeAddress) -> Iterator[Name | str]:
        """The names in a directory, "." and ".." too or not; a text for what could not be read, the rest going on."""

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress | Problem]:
        """Allocated inodes that none of the names led to; and what stands in the way of saying so."""

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""


_KIND_OF_MODE = {
    0o010000: Kind.FIFO,
    0o020000: Kind.CHARACTER_DEVICE,
    0o040000: Kind.DIRECTORY,
    0o060000: Kind.BLOCK_DEVICE,
    0o100000: Kind.FILE,
    0o120000: Kind.LINK,
    0o140000: Kind.SOCKET,
}
_TYPE_BITS = 0o170000


def kind_of_mode(mode: int) -> Kind:
    """What an inode is, by the type bits of its mode (POSIX, sys/stat.h)."""
    return _KIND_OF_MODE.get(mode & _TYPE_BITS, Kind.UNKNOWN)
