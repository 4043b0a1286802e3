"""QNX4: read here, not through dissect.qnxfs, which follows "." and ".." without end and never leaves a file's chain of extents.

An inode's number is its place in units of 64 bytes. Address of a stream: the inode; type and identifier are 0.

References: Linux, include/uapi/linux/qnx4_fs.h and fs/qnx4/. Little-endian; blocks are 512 bytes and counted from 1.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.errors import FilesystemError, StreamReadError
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.runs import Run, RunStream
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name, kind_of_mode
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource

_BLOCK = 512
_ENTRY = 64
_ROOT = _BLOCK // _ENTRY  # the first entry of the second block
_INODE = struct.Struct("<16sIIIIIIIIHHHHH4xBB")
_LINK = struct.Struct("<48sIBI6xB")
_USED, _IS_LINK = 1, 8
_SHORT_NAME = 16
_CHAIN_BLOCK = struct.Struct("<IIB3xI480s8s")
_CHAIN_SIGNATURE = b"IamXblk"
_LONGEST_LINK = 4096
_LONG_NAME = slice(6, 511)  # qnx4_longfilename_entry


def is_qnx4(head: bytes) -> bool:
    """Whether the root directory's name, "/" alone, begins the second block."""
    return head[_BLOCK : _BLOCK + _SHORT_NAME] == b"/".ljust(_SHORT_NAME, b"\0")


class Qnx4Tree:
    """The inodes of a QNX4 filesystem."""

    filesystem = "qnx4"

    def __init__(self, source: ByteSource) -> None:
        """Reads the root directory's inode.

        Raises:
            FilesystemError: it is no directory.
        """
        self._source = source
        self.root = InodeAddress(_ROOT)
        if kind_of_mode(self._inode(_ROOT)[10]) is not Kind.DIRECTORY:
            message = "the root inode is no directory"
            raise FilesystemError(message)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode says."""
        (_, size, _, _, _, created, modified, accessed, changed, _, mode, owner, group, links, _, _) = self._inode(inode.number)
        kind = kind_of_mode(mode)
        streams: tuple[InodeStream, ...] = ()
        if kind is Kind.FILE:
            streams = (InodeStream(name="", address=StreamAddress(inode.number, 0, 0), size=size),)
        target = None
        if kind is Kind.LINK and size <= _LONGEST_LINK:
            target = self._data(inode.number).read_at(0, size)
        return Inode(
            kind=kind,
            size=size,
            times=Times(
                created=from_unix(created, 0),
                modified=from_unix(modified, 0),
                accessed=from_unix(accessed, 0),
                metadata_changed=from_unix(changed, 0),
            ),
            owner=owner,
            group=group,
            mode=mode,
            links=links,
            link_target=target,
            streams=streams,
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name | str]:
        """The names in a directory; a text for an entry whose long name cannot be read."""
        for run in sorted(self._runs(directory.number)):
            for place in range(run.place or 0, min((run.place or 0) + run.length, self._source.size), _ENTRY):
                raw = self._source.read_at(place, _ENTRY)
                if len(raw) < _ENTRY or not raw[0] or not raw[-1] & (_USED | _IS_LINK):
                    continue
                if not raw[-1] & _IS_LINK:
                    yield Name(raw[:_SHORT_NAME].partition(b"\0")[0], InodeAddress(place // _ENTRY))
                    continue
                name, block, number, long_name, _ = _LINK.unpack(raw)
                if long_name:
                    name = self._source.read_at((long_name - 1) * _BLOCK, _BLOCK + _ENTRY)[_LONG_NAME]
                if not block:
                    yield f"the entry at byte {place} leads to no inode"
                else:
                    yield Name(name.partition(b"\0")[0], InodeAddress((block - 1) * _ROOT + number))

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress]:
        """None: inodes stand in directories, so what has no name cannot be told from other data."""
        del named
        return iter(())

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""
        return self._data(address.metadata_address)

    def _data(self, number: int) -> RunStream:
        runs, size = self._runs(number), self._inode(number)[1]
        held = sum(run.length for run in runs)
        if held < size:  # QNX4 has no holes
            message = f"its extents hold {held} bytes, and {size} are stated"
            raise StreamReadError(message)
        return RunStream(self._source, runs, size)

    def _inode(self, number: int) -> tuple:  # type: ignore[type-arg]
        raw = self._source.read_at(number * _ENTRY, _ENTRY) if number >= 0 else b""
        if len(raw) < _ENTRY:
            message = f"there is no inode {number}"
            raise StreamReadError(message)
        return _INODE.unpack(raw)

    def _runs(self, number: int) -> list[Run]:
        """The pieces of a file, the first from its inode, the others from a chain of blocks."""
        inode = self._inode(number)
        extents, left = [(inode[2], inode[3])] if inode[9] else [], inode[9] - 1
        block, visited = inode[4], set()
        while left > 0:
            raw = self._source.read_at((block - 1) * _BLOCK, _BLOCK) if block else b""
            if len(raw) < _BLOCK or block in visited:
                message = f"the chain of its extents ends at block {block}, {left} extents too soon"
                raise StreamReadError(message)
            visited.add(block)
            following, _, count, _, listed, signature = _CHAIN_BLOCK.unpack_from(raw)
            if not signature.startswith(_CHAIN_SIGNATURE) or not 0 < count <= len(listed) // 8:
                message = f"block {block} of the chain of its extents is damaged"
                raise StreamReadError(message)
            extents.extend(struct.iter_unpack("<II", listed[: 8 * count]))
            block, left = following, left - count
        runs, start = [], 0
        for first, length in extents:
            runs.append(Run(start, length * _BLOCK, (first - 1) * _BLOCK if first else None))
            start += length * _BLOCK
        return runs
