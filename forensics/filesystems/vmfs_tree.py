"""VMFS 5 and 6 through dissect.vmfs, inside one device of VMware's own volume manager; of several devices it says that they are missing.

Address of a stream: the address of the file descriptor, 0, 0. Mappings of raw disks have no content here. What is deleted is not listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dissect.vmfs import LVM, VMFS

from forensics.errors import FilesystemError, StreamReadError
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.bounded_stream import BoundedContent, BoundedStream, counted
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name, kind_of_mode
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource

_LONGEST_LINK = 65_536


class VmfsTree:
    """The file descriptors of a VMFS."""

    filesystem = "vmfs"

    def __init__(self, source: ByteSource) -> None:
        """Opens the filesystem in the first volume of the device; raises anything where it is damaged."""
        self._disk = BoundedStream(source)
        volumes = LVM(self._disk).volumes
        if not volumes:
            message = "VMware's volume manager has no volume on this device"
            raise FilesystemError(message)
        if not volumes[0].is_valid():
            message = "the volume of VMware's volume manager spans devices that are not here; only one on a single device is read"
            raise FilesystemError(message)
        self._fs = VMFS(volumes[0].open())
        self.root = InodeAddress(int(self._fs.root.address))
        self.label = str(self._fs.label)
        self.block_size = int(self._fs.file_block_size)
        self.size = int(volumes[0].size)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the file descriptor says."""
        node = self._node(inode.number)
        stored = node.metadata
        kind = Kind.UNKNOWN if node.is_rdm() else kind_of_mode(int(node.mode))
        size = int(node.size)
        target = None
        if kind is Kind.LINK and 0 < size <= _LONGEST_LINK:
            target = bytes(node.open().read(size))
        return Inode(
            kind=kind,
            size=size,
            times=Times(
                modified=from_unix(int(stored.mtime), 0), accessed=from_unix(int(stored.atime), 0), created=from_unix(int(stored.ctime), 0)
            ),
            owner=int(stored.uid),
            group=int(stored.gid),
            mode=int(stored.mode),
            links=int(stored.linkCount),
            link_target=target,
            streams=(InodeStream(name="", address=StreamAddress(inode.number, 0, 0), size=size),) if kind is Kind.FILE else (),
            problems=("it stands for a raw disk, which is not here",) if node.is_rdm() else (),
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name]:
        """The names in a directory."""
        for child in counted(self._node(directory.number).iterdir()):
            yield Name(child.name.encode("utf-8", "surrogateescape"), InodeAddress(int(child.address)))
            self._disk.renew()

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress]:
        """None: descriptors are found through names only."""
        del named
        return iter(())

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""
        node = self._node(address.metadata_address)
        if not node.is_file():
            message = f"the file descriptor {address.metadata_address} is no file's"
            raise StreamReadError(message)
        return BoundedContent(self._disk, node.open(), int(node.size))

    def _node(self, address: int) -> Any:
        self._disk.renew()
        return self._fs.file_descriptor(address)
