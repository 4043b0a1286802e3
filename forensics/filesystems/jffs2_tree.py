"""JFFS2: read here, not through dissect.jffs.

dissect.jffs 1.6 verifies no checksum, never ends on a node of length 0, and puts the pieces of a file one after the other instead of where
they belong, so that a file written over comes out wrong. Inodes of which the log still holds nodes and that no name
leads to any more are orphans. Extended attributes are not listed.
Address of a stream: the inode; type and identifier are 0.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING

from dissect.util.compression import lzo

from forensics.errors import FilesystemError, Problem, Stage, StreamReadError
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.jffs2_nodes import InodeNode, NameNode, byte_order, checksum, iter_nodes
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name, kind_of_mode
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource

_ROOT = 1
_NONE, _ZERO, _RTIME, _ZLIB, _LZO = 0, 1, 2, 6, 7
_LARGEST_PIECE = 1 << 20
_LONGEST_LINK = 4096
_DAMAGE_TOLD = 100


class Jffs2Tree:
    """The inodes that the log describes."""

    filesystem = "jffs2"

    def __init__(self, source: ByteSource) -> None:
        """Reads the whole log once.

        Raises:
            FilesystemError: no JFFS2 log begins there.
        """
        self._source = source
        order = byte_order(source.read_at(0, 16))
        if order is None:
            message = "the first node of the log is damaged"
            raise FilesystemError(message)
        self._inodes: dict[int, list[InodeNode]] = {}
        self._names: dict[int, dict[bytes, NameNode]] = {}
        self._damage: list[str] = []
        for node in iter_nodes(source, order):
            if isinstance(node, str):
                self._damage.append(node)
            elif isinstance(node, InodeNode):
                self._inodes.setdefault(node.inode, []).append(node)
            else:
                names = self._names.setdefault(node.parent, {})
                if node.name not in names or names[node.name].version < node.version:
                    names[node.name] = node
        for nodes in self._inodes.values():
            nodes.sort(key=lambda node: node.version)
        self._links: dict[int, int] = {}
        for names in self._names.values():
            for name in names.values():
                self._links[name.inode] = self._links.get(name.inode, 0) + 1
        if not self._names and not self._inodes:
            message = "the log holds no node that can be read"
            raise FilesystemError(message)
        self.root = InodeAddress(_ROOT)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode's last version says."""
        node = self._last(inode.number)
        kind = kind_of_mode(node.mode)
        size = node.file_size if kind in (Kind.FILE, Kind.LINK) else None
        streams: tuple[InodeStream, ...] = ()
        if kind is Kind.FILE:
            streams = (InodeStream(name="", address=StreamAddress(inode.number, 0, 0), size=size),)
        target = None
        problems: list[str] = []
        if kind is Kind.LINK and node.file_size <= _LONGEST_LINK:
            data = self._data(inode.number)
            held = data.held
            target = data.read_at(0, min(held, node.file_size))
            if held < node.file_size:
                problems.append(f"where the link points: {node.file_size} bytes are stated, and the log holds {held}")
        return Inode(
            kind=kind,
            size=size,
            times=Times(
                modified=from_unix(node.modified, 0), accessed=from_unix(node.accessed, 0), metadata_changed=from_unix(node.changed, 0)
            ),
            owner=node.owner,
            group=node.group,
            mode=node.mode,
            links=self._links.get(inode.number) if kind is not Kind.DIRECTORY else None,
            link_target=target,
            streams=streams,
            problems=tuple(problems),
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name]:
        """The names in a directory, as of the last version of each."""
        for name in self._names.get(directory.number, {}).values():
            if name.inode:
                yield Name(name.name, InodeAddress(name.inode))

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress | Problem]:
        """Inodes that the log still has and no name leads to: deleted files, as a rule."""
        for why in self._damage[:_DAMAGE_TOLD]:
            yield Problem(stage=Stage.FILESYSTEM, code="node-damaged", what="a node of the log is not used", why=why)
        if len(self._damage) > _DAMAGE_TOLD:
            why = f"{len(self._damage)} nodes are damaged; the first {_DAMAGE_TOLD} are named"
            yield Problem(stage=Stage.FILESYSTEM, code="node-damaged", what="many nodes of the log are not used", why=why)
        for number in sorted(self._inodes):
            if InodeAddress(number) not in named and number != _ROOT:
                yield InodeAddress(number)

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address.

        Raises:
            StreamReadError: there is no such inode.
        """
        return self._data(address.metadata_address)

    def _last(self, number: int) -> InodeNode:
        nodes = self._inodes.get(number)
        if not nodes:
            message = f"the log holds no node of inode {number}"
            raise StreamReadError(message)
        return nodes[-1]

    def _data(self, number: int) -> _LogStream:
        size = self._last(number).file_size
        return _LogStream(self._source, self._inodes[number], size)


class _LogStream:
    """A file as its log leaves it: each piece written over what was there, cut off where the file was."""

    def __init__(self, source: ByteSource, nodes: list[InodeNode], size: int) -> None:
        self._source = source
        self.size = size
        pieces: list[tuple[int, int, InodeNode]] = []  # first byte, end, node; in order, none over another
        for node in nodes:
            if pieces and pieces[-1][1] > node.file_size:
                _write_over(pieces, node.file_size, pieces[-1][1], None)
            if node.size:
                _write_over(pieces, node.offset, node.offset + node.size, node)
        self._pieces = pieces
        self.held = pieces[-1][1] if pieces else 0  # where the last piece ends; what lies behind it reads as zeros, like a hole
        self._unpacked = lru_cache(4)(self._unpack)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: a piece is damaged, or packed in a way that is not known.
        """
        end = min(offset + length, self.size)
        parts = []
        number = bisect_left(self._pieces, offset + 1, key=lambda piece: piece[1])
        while offset < end:
            first, stop, node = self._pieces[number] if number < len(self._pieces) else (end, end, None)
            if node is None or offset < first:
                parts.append(bytes(min(end, first) - offset))
            else:
                start, wanted = offset - node.offset, min(end, stop) - offset
                parts.append(self._unpacked(node)[start : start + wanted])
                number += 1
                if len(parts[-1]) < wanted:
                    message = f"the piece of the log for byte {offset} unpacks to less than it states"
                    raise StreamReadError(message)
            offset += len(parts[-1])
        return b"".join(parts)

    def _unpack(self, node: InodeNode) -> bytes:
        stored = self._source.read_at(node.place, node.stored)
        if checksum(stored) != node.data_checksum:
            message = f"the data at byte {node.place} of the log is damaged: its checksum is not that of its bytes"
            raise StreamReadError(message)
        if node.size > _LARGEST_PIECE:
            message = f"a piece of the log states {node.size} bytes"
            raise StreamReadError(message)
        if node.compression == _NONE:
            return stored
        if node.compression == _ZERO:
            return bytes(node.size)
        if node.compression == _RTIME:
            return _unpack_rtime(stored, node.size)
        if node.compression == _ZLIB:
            return zlib.decompressobj().decompress(stored, node.size)
        if node.compression == _LZO:
            return bytes(lzo.decompress(stored, False, node.size))  # noqa: FBT003 - the library's own order
        message = f"a piece of the log is packed by method {node.compression}, which is not known here"
        raise StreamReadError(message)


def _write_over(pieces: list[tuple[int, int, InodeNode]], first: int, end: int, node: InodeNode | None) -> None:
    """Puts the node's piece where it belongs and cuts what it covers; without a node, only cuts."""
    low = bisect_left(pieces, first + 1, key=lambda piece: piece[1])
    high = bisect_left(pieces, end, key=lambda piece: piece[0])
    between = [] if node is None else [(first, end, node)]
    if low < high and pieces[low][0] < first:
        between.insert(0, (pieces[low][0], first, pieces[low][2]))
    if low < high and pieces[high - 1][1] > end:
        between.append((end, pieces[high - 1][1], pieces[high - 1][2]))
    pieces[low:high] = between


def _unpack_rtime(stored: bytes, size: int) -> bytes:
    """JFFS2's own run-length code: each byte, and how many of those follow that followed it last time (Linux, compr_rtime.c)."""
    out = bytearray()
    after = [0] * 256
    for place in range(0, len(stored) - 1, 2):
        value, repeat = stored[place], stored[place + 1]
        out.append(value)
        start, after[value] = after[value], len(out)
        for number in range(repeat):
            out.append(out[start + number])
        if len(out) >= size:
            break
    return bytes(out[:size])
