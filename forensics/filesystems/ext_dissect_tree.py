"""ext2, ext3 and ext4 through dissect.extfs: what it lists, to be held against TSK, or where TSK refuses one.

Address of a stream: the inode number, 0, 0. Listed are names and default data; extended attributes and deleted inodes are not.
Known of dissect, and left as it is: it skips the last inode, takes block 0 for an indirect block that is a hole, and cuts inline data off
at 60 bytes.

References: Linux, Documentation/filesystems/ext4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dissect.extfs import ExtFS

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
_EXTENTS = 0x80000  # EXT4_EXTENTS_FL
_MOST_BLOCKS = 1 << 22
_LONGEST_LINK = 65_536
_SECOND = 1_000_000_000


class ExtDissectTree:
    """The inodes of an ext filesystem."""

    filesystem = "ext"

    def __init__(self, source: ByteSource) -> None:
        """Opens the filesystem; raises anything where it is damaged."""
        self._disk = BoundedStream(source)
        self._fs = ExtFS(self._disk)
        self.root = InodeAddress(_ROOT)
        self.label = str(self._fs.volume_name)
        self.block_size = int(self._fs.block_size)
        self.size = self.block_size * int(self._fs.block_count)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode says."""
        self._disk.renew()
        node = self._fs.get_inode(inode.number)
        stored = node.inode
        kind = kind_of_mode(int(stored.i_mode))
        size = int(node.size)
        target = None
        if kind is Kind.LINK and 0 < size <= _LONGEST_LINK:
            target = bytes(node.open().read(size))
        streams = (InodeStream(name="", address=StreamAddress(inode.number, 0, 0), size=size),) if kind is Kind.FILE else ()
        return Inode(
            kind=kind,
            size=size if kind in (Kind.FILE, Kind.DIRECTORY, Kind.LINK) else None,
            times=Times(
                created=_time(node.crtime_ns),
                modified=_time(node.mtime_ns),
                accessed=_time(node.atime_ns),
                metadata_changed=_time(node.ctime_ns),
            ),
            owner=int(stored.i_uid_high) << 16 | int(stored.i_uid),
            group=int(stored.i_gid_high) << 16 | int(stored.i_gid),
            mode=int(stored.i_mode),
            links=int(stored.i_links_count),
            link_target=target,
            streams=streams,
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name]:
        """The names in a directory."""
        for child in counted(self._node_with_blocks(directory.number).iterdir()):
            yield Name(child.filename.encode("utf-8", "surrogateescape"), InodeAddress(int(child.inum)))
            self._disk.renew()

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress]:
        """None: dissect finds inodes through names only."""
        del named
        return iter(())

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""
        node = self._node_with_blocks(address.metadata_address)
        if kind_of_mode(int(node.inode.i_mode)) is not Kind.FILE:
            message = f"inode {address.metadata_address} is no file"
            raise StreamReadError(message)
        return BoundedContent(self._disk, node.open(), int(node.size))

    def _node_with_blocks(self, number: int) -> Any:
        """The inode, if the blocks that dissect lays out before it reads one of them are not too many."""
        self._disk.renew()
        node = self._fs.get_inode(number)
        if not int(node.inode.i_flags) & _EXTENTS and int(node.size) > _MOST_BLOCKS * self.block_size:
            message = f"it states {node.size} bytes in blocks without extents; dissect reads {_MOST_BLOCKS} blocks of a file at most"
            raise StreamReadError(message)
        return node


def _time(nanoseconds: int | None) -> int | OutOfRange | None:
    return None if nanoseconds is None else from_unix(*divmod(nanoseconds, _SECOND))
