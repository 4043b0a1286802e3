"""XFS: read here, not through dissect.xfs.

dissect.xfs 3.13 loses the names of directories whose blocks are larger than the filesystem's, and gives stale bytes for unwritten
extents. Names are also checked from the other side: every allocated inode that no name leads to is an orphan. The journal is not replayed.
Address of a stream: the inode; type 0 is its data, type 1 an extended attribute, whose identifier is its number in the inode's list.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from forensics.errors import Problem, Stage, StreamReadError
from forensics.filesystems.base import Kind, StreamAddress
from forensics.filesystems.runs import BytesStream, RunStream
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, kind_of_mode
from forensics.filesystems.xfs_attributes import read_attributes
from forensics.filesystems.xfs_directory import NAMES_END, block_names, short_form_names
from forensics.filesystems.xfs_extents import LOCAL, ExtentMap
from forensics.filesystems.xfs_inodes import iter_allocated
from forensics.filesystems.xfs_layout import XfsInode, parse_inode, parse_superblock
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.filesystems.tree import Name
    from forensics.filesystems.xfs_extents import Extent
    from forensics.source import ByteSource

DATA, ATTRIBUTE = 0, 1
_HEAD_BYTES = 512
_LONGEST_LINK = 1024  # XFS_SYMLINK_MAXLEN
_LINK_MAGIC = b"XSLM"
_LINK_HEADER = 56  # xfs_dsymlink_hdr, which each extent of a target has on a filesystem with checksums
_INODES_KEPT = 4096


class XfsTree:
    """The inodes of one XFS filesystem."""

    filesystem = "xfs"

    def __init__(self, source: ByteSource) -> None:
        """Reads the superblock.

        Raises:
            FilesystemError: there is none, or it is damaged.
        """
        self._source = source
        self.geometry = parse_superblock(source.read_at(0, _HEAD_BYTES))
        self._map = ExtentMap(source, self.geometry)
        self.root = InodeAddress(self.geometry.root)
        self._inode = lru_cache(_INODES_KEPT)(self._load)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode says."""
        found = self._inode(inode.number)
        kind = kind_of_mode(found.mode)
        problems = ["the checksum of its inode is not that of its bytes"] if found.checksum_fails else []
        streams = []
        if kind is Kind.FILE:
            streams.append(InodeStream(name="", address=StreamAddress(inode.number, DATA, 0), size=found.size))
        attributes, failure = read_attributes(found, self._map, self._source, self.geometry)
        problems.extend([failure] if failure else [])
        streams += [
            InodeStream(name=name, address=StreamAddress(inode.number, ATTRIBUTE, number), size=len(value), is_attribute=True)
            for number, (name, value) in enumerate(attributes)
        ]
        target = None
        if kind is Kind.LINK:
            try:
                target = self._link(found)
            except StreamReadError as error:
                problems.append(f"where the link points: {error}")
        return Inode(
            kind=kind,
            size=found.size,
            times=found.times,
            owner=found.owner,
            group=found.group,
            mode=found.mode,
            links=found.links,
            link_target=target,
            streams=tuple(streams),
            problems=tuple(map(escape_text, problems)),
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name | str]:
        """The names in a directory; a text for each block that is damaged."""
        found = self._inode(directory.number)
        if kind_of_mode(found.mode) is not Kind.DIRECTORY:
            message = f"inode {directory.number} is no directory"
            raise StreamReadError(message)
        if found.data_format == LOCAL:
            yield from short_form_names(found.data_fork[: found.size], has_types=self.geometry.has_types)
            return
        block = self.geometry.directory_block_size
        stream = RunStream(self._source, self._map.runs(self._extents(found)), NAMES_END)
        for start in self._directory_blocks(found):
            try:
                raw = stream.read_at(start, block)
            except StreamReadError as error:
                yield str(error)
                continue
            yield from block_names(raw, start, self.geometry)

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress | Problem]:
        """Inodes that the inode B+trees state as allocated and that no name led to."""
        for number in iter_allocated(self._source, self.geometry):
            if isinstance(number, str):
                yield Problem(
                    stage=Stage.FILESYSTEM,
                    code="inode-tree-unreadable",
                    what="not all allocated inodes are known, so files that no directory names may be missing",
                    why=number,
                )
                continue
            address = InodeAddress(number)
            if address in named or number in self.geometry.internal:
                continue
            found = self._load(number)
            if found.is_metadata or not found.mode:
                continue
            if found.links:
                yield Problem(
                    stage=Stage.FILESYSTEM,
                    code="name-lost",
                    what="an allocated file stands in no directory that could be read; it is listed as an orphan",
                    why=f"its inode counts {found.links} links",
                    metadata_address=number,
                )
            yield address

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address.

        Raises:
            StreamReadError: there is none.
        """
        found = self._inode(address.metadata_address)
        if address.attribute_type == ATTRIBUTE:
            attributes, failure = read_attributes(found, self._map, self._source, self.geometry)
            if address.attribute_id < len(attributes):
                return BytesStream(attributes[address.attribute_id][1])
            raise StreamReadError(failure or f"inode {found.number} has no attribute {address.attribute_id}")
        if found.is_realtime and found.size:
            message = "its content lies on the filesystem's realtime device, which is another volume"
            raise StreamReadError(message)
        if found.data_format == LOCAL:
            return BytesStream(found.data_fork[: found.size])
        return RunStream(self._source, self._map.runs(self._extents(found)), found.size)

    def _extents(self, found: XfsInode) -> list[Extent]:
        return self._map.extents(found.data_format, found.data_fork, found.extents)

    def _directory_blocks(self, found: XfsInode) -> Iterator[int]:
        """Where, in a directory, blocks with names start: only where extents are, so that no stated size makes work without end."""
        block = self.geometry.directory_block_size
        last = -1
        for run in sorted(self._map.runs(self._extents(found))):
            first = max(run.start // block, last + 1)
            end = min(run.start + run.length, NAMES_END, self._source.size + run.start)
            for number in range(first, (end + block - 1) // block):
                yield number * block
                last = number

    def _link(self, found: XfsInode) -> bytes:
        if found.size > _LONGEST_LINK:
            message = f"it states a length of {found.size} bytes, and {_LONGEST_LINK} is the longest there can be"
            raise StreamReadError(message)
        if found.data_format == LOCAL:
            return found.data_fork[: found.size]
        runs = sorted(self._map.runs(self._extents(found)))
        stream = RunStream(self._source, runs, sum(run.length for run in runs))
        if not self.geometry.has_checksums:
            return stream.read_at(0, found.size)
        target = b""
        for run in runs:  # one header an extent, whatever its length in blocks
            raw = stream.read_at(run.start, min(run.length, _LINK_HEADER + _LONGEST_LINK))
            if raw[:4] != _LINK_MAGIC:  # also what mkfs.xfs 6.1 makes of a long link in a protofile; the kernel refuses it, too
                message = f"its block begins with {raw[:4]!r}, not as one with a target does"
                raise StreamReadError(message)
            target += raw[_LINK_HEADER : _LINK_HEADER + struct.unpack_from(">I", raw, 8)[0]]
        return target[: found.size]

    def _load(self, number: int) -> XfsInode:
        place = self.geometry.byte_of_inode(number)
        raw = b"" if place is None else self._source.read_at(place, self.geometry.inode_size)
        if len(raw) < self.geometry.inode_size:
            message = f"there is no inode {number} in this filesystem"
            raise StreamReadError(message)
        found = parse_inode(number, raw, self.geometry)
        if found is None:
            message = f"inode {number} begins with {raw[:2]!r}, not as an inode does"
            raise StreamReadError(message)
        return found
