"""UFS 1 and 2 through dissect.ffs: what it lists, to be held against TSK, or where TSK refuses one.

Address of a stream: the inode number, 0, 0. What is deleted is not listed.

References: FreeBSD, sys/ufs/ffs/fs.h, sys/ufs/ufs/dir.h, dinode.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dissect.ffs import FFS

from forensics.errors import StreamReadError
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.bounded_stream import BoundedContent, BoundedStream, counted
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name, kind_of_mode
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource
    from forensics.timestamps import OutOfRange

_ROOT = 2
_MOST_BLOCKS = 1 << 22
_LONGEST_LINK = 65_536
_SECOND = 1_000_000_000


class UfsDissectTree:
    """The inodes of a UFS filesystem."""

    filesystem = "ufs"

    def __init__(self, source: ByteSource) -> None:
        """Opens the filesystem; raises anything where it is damaged."""
        self._disk = BoundedStream(source)
        self._fs = FFS(self._disk)
        self.root = InodeAddress(_ROOT)
        self.label = str(self._fs.volume_name)
        self.block_size = int(self._fs.fragment_size)
        superblock = self._fs.sb
        self.size = self.block_size * int(superblock.fs_size if self._fs.version > 1 else superblock.fs_old_size)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode says."""
        node = self._node(inode.number)
        stored = node.inode
        kind = kind_of_mode(int(stored.di_mode))
        size = int(node.size)
        target = None
        if kind is Kind.LINK and 0 < size <= _LONGEST_LINK:
            target = bytes(node.open().read(size))
        return Inode(
            kind=kind,
            size=size if kind in (Kind.FILE, Kind.DIRECTORY, Kind.LINK) else None,
            times=Times(
                created=_time(node.btime_ns),
                modified=_time(node.mtime_ns),
                accessed=_time(node.atime_ns),
                metadata_changed=_time(node.ctime_ns),
            ),
            owner=int(stored.di_uid),
            group=int(stored.di_gid),
            mode=int(stored.di_mode),
            links=int(stored.di_nlink),
            link_target=target,
            streams=(InodeStream(name="", address=StreamAddress(inode.number, 0, 0), size=size),) if kind is Kind.FILE else (),
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name]:
        """The names in a directory; one whose inode is 0 is what is left of a name that was removed (dir.h)."""
        for child in counted(self._node_with_blocks(directory.number).iterdir()):
            if child.inum:
                yield Name(child.name.encode("utf-8", "surrogateescape"), InodeAddress(int(child.inum)))
            self._disk.renew()

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress]:
        """None: inodes are found through names only."""
        del named
        return iter(())

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""
        node = self._node_with_blocks(address.metadata_address)
        if kind_of_mode(int(node.inode.di_mode)) is not Kind.FILE:
            message = f"inode {address.metadata_address} is no file"
            raise StreamReadError(message)
        return BoundedContent(self._disk, node.open(), int(node.size))

    def _node(self, number: int) -> Any:
        self._disk.renew()
        return self._fs.inode(number)

    def _node_with_blocks(self, number: int) -> Any:
        """The inode, if the blocks that dissect lays out before it reads one of them are not too many."""
        node = self._node(number)
        if int(node.size) > _MOST_BLOCKS * int(self._fs.block_size):
            message = f"it states {node.size} bytes; dissect reads {_MOST_BLOCKS} blocks of a file at most"
            raise StreamReadError(message)
        return node


def _time(nanoseconds: int | None) -> int | OutOfRange | None:
    return None if nanoseconds is None else from_unix(*divmod(nanoseconds, _SECOND))
