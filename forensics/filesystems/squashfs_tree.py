"""SquashFS 4 through dissect.squashfs: zlib, LZMA, XZ, LZO, LZ4 and Zstandard.

Address of a stream: the inode number; type and identifier are the place of the inode in the inode table: block, and byte in it, which has
the number of the extended attribute before it, from 1, or 0 for the data. SquashFS holds one time a file, that of its last change.

References: Linux, Documentation/filesystems/squashfs.rst, sections 3.1 to 3.7.
"""

from __future__ import annotations

import lzma
import zlib
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from dissect.squashfs import SquashFS

from forensics.boundary import attempt
from forensics.errors import FilesystemError, StreamReadError
from forensics.expansion.zstandard import zstd_decoder
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.runs import BytesStream
from forensics.filesystems.squashfs_attributes import NONE, SquashFsAttributes
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name, kind_of_mode
from forensics.names import escape_text
from forensics.source import SourceStream
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource

_LARGEST_BLOCK = 1 << 20
_METADATA_BYTES = 8192
_MOST_BLOCKS = 1 << 26
_BLOCKS_KEPT = 32
_STORED_BITS = 0xFFFFFF  # of a block's stated size; the bit above says that it is not compressed
_MOST_NAME_BYTES = 1 << 30
_ENTRY_BYTES = 8
_INVALID_BITS = (1 << 31) - 1
_ZLIB, _LZMA, _XZ, _ZSTD = 1, 2, 4, 6
_LONGEST_LINK = 65_536  # the kernel allows a page


class SquashFsTree:
    """The inodes of a SquashFS image."""

    filesystem = "squashfs"

    def __init__(self, source: ByteSource) -> None:
        """Opens the image; raises anything where it is damaged, or of a version before 4."""
        self._fs = _open(source)
        root = self._fs.root
        self.root = InodeAddress(int(root.inode_number), root.block << 16 | root.offset)
        self.block_size = int(self._fs.block_size)
        self.size = int(self._fs.size)
        self._attributes = SquashFsAttributes(source, int(self._fs.sb.xattr_id_table_start) % (1 << 64), self._fs._read_metadata)  # noqa: SLF001

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode says."""
        found = self._inode(inode.space)
        header = found.header
        kind = kind_of_mode(int(found.type))
        size = int(found.size) if kind in (Kind.FILE, Kind.DIRECTORY, Kind.LINK) else None
        block, offset = inode.space >> 16, inode.space & 0xFFFF
        if block > _INVALID_BITS:
            message = "its inode lies further into the inode table than the table of streams can say"
            raise StreamReadError(message)
        streams = [InodeStream(name="", address=StreamAddress(inode.number, block, offset), size=size)] if kind is Kind.FILE else []
        attributes: list[tuple[str, bytes]] = []
        failure = attempt(lambda: attributes.extend(self._attributes.of(int(getattr(header, "xattr", NONE)))))
        problems = [] if failure is None else [f"its extended attributes are damaged: {escape_text(str(failure))[:500]}"]
        for number, (name, value) in enumerate(attributes, start=1):
            address = StreamAddress(inode.number, block, number << 16 | offset)
            streams.append(InodeStream(name=name, address=address, size=len(value), is_attribute=True))
        target = None
        if kind is Kind.LINK and size is not None and size <= _LONGEST_LINK:
            target = found.link.encode("utf-8", "surrogateescape")
        return Inode(
            kind=kind,
            size=size,
            times=Times(modified=from_unix(int(header.mtime), 0)),
            owner=int(found.uid),
            group=int(found.gid),
            mode=int(header.mode),
            links=int(getattr(header, "nlink", 1)),
            link_target=target,
            streams=tuple(streams),
            problems=tuple(problems),
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name]:
        """The names in a directory."""
        found = self._inode(directory.space)
        left = int(found.size)
        if left > _MOST_NAME_BYTES:
            message = f"the directory states {left} bytes of names"
            raise StreamReadError(message)
        for child in found.iterdir():
            name = child.name.encode("utf-8", "surrogateescape")
            left -= _ENTRY_BYTES + len(name)
            if left < 0:
                message = "the directory holds more names than its size allows"
                raise StreamReadError(message)
            yield Name(name, InodeAddress(int(child.inode_number), child.block << 16 | child.offset))

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress]:
        """None: the image is written once, and its inodes are found through names only."""
        del named
        return iter(())

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""
        attribute, offset = divmod(address.attribute_id, 1 << 16)
        found = self._inode(address.attribute_type << 16 | offset)
        if int(found.inode_number) != address.metadata_address:
            message = f"there is no inode {address.metadata_address} at that place of the inode table"
            raise StreamReadError(message)
        if attribute:
            attributes = self._attributes.of(int(getattr(found.header, "xattr", NONE)))
            if attribute > len(attributes):
                message = f"inode {address.metadata_address} has no extended attribute {attribute}"
                raise StreamReadError(message)
            return BytesStream(attributes[attribute - 1][1])
        if int(found.size) // self.block_size > _MOST_BLOCKS:
            message = f"it states a size of {int(found.size)} bytes"
            raise StreamReadError(message)
        return _FileStream(self._fs, found)

    def _inode(self, place: int) -> Any:
        return self._fs.inode(place >> 16, place & 0xFFFF)


def _open(source: ByteSource) -> Any:
    """The library's filesystem, with what it trusts checked."""
    head = source.read_at(0, 96)
    block_size, compression = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:22], "little")
    if block_size & (block_size - 1) or not 0 < block_size <= _LARGEST_BLOCK:
        message = f"its superblock states blocks of {block_size} bytes"
        raise FilesystemError(message)
    filesystem: Any = SquashFS(SourceStream(source))
    filesystem._compression = _Decompressor(compression, filesystem._compression)  # noqa: SLF001
    # The library keeps 1,024 blocks of up to 1 MiB each.
    read_block = lru_cache(_BLOCKS_KEPT)(filesystem._read_block.__wrapped__)  # noqa: SLF001
    filesystem._read_block = _checked(read_block, block_size)  # noqa: SLF001
    return filesystem


class _FileStream:
    """A file's blocks and the fragment that holds its end.

    The library's own stream reads a fragment anew for each of its lengths that fits into a block: a file of one byte 131,072 times.
    """

    def __init__(self, filesystem: Any, inode: Any) -> None:
        self._fs, self._header = filesystem, inode.header
        self.size = int(inode.size)
        self._block = int(filesystem.block_size)
        self._stored = [None if size is None else int(size) for size, _ in inode.block_list]
        sizes = (size & _STORED_BITS for size in self._stored if size is not None)
        self._places = list(accumulate(sizes, initial=int(self._header.start_block)))

    def places(self) -> tuple[tuple[int, int], ...]:
        """See Placed: the whole filesystem, for a compressed part of it has no bytes of one file."""
        return ((0, int(self._fs.size)),)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end."""
        end = min(offset + length, self.size)
        parts = []
        while offset < end:
            number, within = divmod(offset, self._block)
            wanted = min(end - offset, self._block - within)
            stored = self._stored[number]
            if stored is None:
                data = self._fs._read_fragment(self._header.fragment, self._header.offset, within + wanted)  # noqa: SLF001
            elif stored == 0:
                data = bytes(within + wanted)  # a hole
            else:
                data = self._fs._read_block(self._places[number], stored)[1]  # noqa: SLF001
            parts.append(data[within : within + wanted])
            if len(parts[-1]) < wanted:
                message = f"its block {number} holds {len(data)} bytes, fewer than there should be"
                raise StreamReadError(message)
            offset += wanted
        return b"".join(parts)


class _Decompressor:
    """Unpacks a block, and no more of it than a block may hold; where the library's own decoder has no bound, without it."""

    def __init__(self, compression: int, library: Any) -> None:
        self._compression, self._library = compression, library

    def decompress(self, data: bytes, expected: int) -> bytes:
        """At most `expected` bytes, or as many as a block of metadata holds: the library states a block of data for those, too."""
        expected = max(expected, _METADATA_BYTES)
        if self._compression == _ZLIB:
            return zlib.decompressobj().decompress(data, expected)
        if self._compression == _ZSTD:
            return bytes(zstd_decoder().decompress(data, expected))
        if self._compression in (_LZMA, _XZ):
            return lzma.LZMADecompressor(memlimit=1 << 28).decompress(data, expected)
        return bytes(self._library.decompress(data, expected))


def _checked(read_block: Any, block_size: int) -> Any:
    """The library's reading of a block, with errors for blocks that cannot be: an empty one would be read for ever."""

    def read(block: int, length: int | None = None) -> Any:
        if length is not None and length & _STORED_BITS > block_size:
            message = f"a block of {length & _STORED_BITS} bytes is stated where {block_size} is the most"
            raise StreamReadError(message)
        found, data = read_block(block, length)
        if length is None and not 0 < len(data) <= _METADATA_BYTES:
            message = f"the metadata block at byte {block} holds {len(data)} bytes"
            raise StreamReadError(message)
        return found, data

    return read
