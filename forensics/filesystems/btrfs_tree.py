"""Btrfs: read here, not through dissect.btrfs, which trusts what the trees say of themselves.

The listing starts at the top-level subvolume, whatever subvolume is set to be mounted by default, so that every subvolume and snapshot
stands under its path once; one that no path leads to is an orphan. The log tree, which the kernel replays after a crash, is not read.

Address of a stream: the inode; the identifier is that of the subvolume, modulo 2**31; type 0 is the file's data, a higher one an extended
attribute, numbered from 1 in the order of the inode's items.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from forensics.errors import FilesystemError, Problem, Stage, StreamReadError
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.btrfs_chunks import SUPERBLOCK_PLACE, ChunkMap, parse_superblock
from forensics.filesystems.btrfs_extents import BtrfsStream
from forensics.filesystems.btrfs_nodes import TreeItems
from forensics.filesystems.runs import BytesStream
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name, kind_of_mode
from forensics.names import escape_text
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource
    from forensics.timestamps import OutOfRange

TOP_LEVEL = 5
_INODE_ITEM, _XATTR, _DIR_INDEX, _EXTENT_DATA, _ROOT_ITEM, _ROOT_REF, _CHUNK_ITEM = 1, 24, 96, 108, 132, 156, 228
_FIRST_SUBVOLUME, _LAST_SUBVOLUME = 256, (1 << 64) - 256
_FIRST_INODE = 256
_CHUNK_TREE_OBJECT = 256
_MAXIMUM = (1 << 64) - 1
_DIRECTORY_ITEM = struct.Struct("<QBQQHHB")
_PLACEHOLDER = 2  # the number that Linux gives the empty directory in the place of a subvolume that a snapshot does not hold
_SHORTEST_ROOT_ITEM = 239
_IDENTIFIER_BITS = (1 << 31) - 1
_NOT_LISTED = "security.selinux"  # the system's label, on every file of many systems
_LONGEST_LINK = 4096


class BtrfsTree:
    """The inodes of all subvolumes of one Btrfs filesystem."""

    filesystem = "btrfs"

    def __init__(self, source: ByteSource) -> None:
        """Reads superblock, chunk tree and root tree.

        Raises:
            FilesystemError: they are damaged, or lie on a device that is not here.
        """
        self.superblock = parse_superblock(source.read_at(SUPERBLOCK_PLACE, 4096))
        self._chunks = ChunkMap(source, self.superblock)
        self._trees = TreeItems(self._chunks, self.superblock)
        self._damage: list[str] = []
        first, last = (_CHUNK_TREE_OBJECT, _CHUNK_ITEM, 0), (_CHUNK_TREE_OBJECT, _CHUNK_ITEM, _MAXIMUM)
        for found in self._trees.iter_items(self.superblock.chunk_root, first, last):
            if isinstance(found, str):
                self._damage.append(found)
            else:
                self._chunks.add(found[0][2], found[1])
        self._subvolumes = self._read_subvolumes()
        if TOP_LEVEL not in self._subvolumes:
            why = "; ".join(self._damage[:3]) or "its root tree does not name it"
            message = f"the top-level subvolume cannot be found: {why}"
            raise FilesystemError(message)
        self._by_identifier = {number & _IDENTIFIER_BITS: number for number in sorted(self._subvolumes, reverse=True)}
        self.root = InodeAddress(_FIRST_INODE, TOP_LEVEL)
        self._item = lru_cache(1024)(self._find_inode)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode says."""
        if inode.number == _PLACEHOLDER:
            return Inode(kind=Kind.DIRECTORY, size=0)
        raw = self._item(inode)
        size = struct.unpack_from("<Q", raw, 16)[0]
        links, owner, group, mode = struct.unpack_from("<4I", raw, 40)
        kind = kind_of_mode(mode)
        problems: list[str] = []
        streams = []
        identifier = inode.space & _IDENTIFIER_BITS
        if kind is Kind.FILE:
            streams.append(InodeStream(name="", address=StreamAddress(inode.number, 0, identifier), size=size))
        for number, (name, value) in enumerate(self._attributes(inode, problems), start=1):
            if name != _NOT_LISTED:
                address = StreamAddress(inode.number, number, identifier)
                streams.append(InodeStream(name=name, address=address, size=len(value), is_attribute=True))
        target = None
        if kind is Kind.LINK and size <= _LONGEST_LINK:
            try:
                target = self._data(inode, size).read_at(0, size)
            except StreamReadError as error:
                problems.append(f"where the link points: {error}")
        return Inode(
            kind=kind,
            size=size,
            times=Times(created=_time(raw, 148), modified=_time(raw, 136), accessed=_time(raw, 112), metadata_changed=_time(raw, 124)),
            owner=owner,
            group=group,
            mode=mode,
            links=links,
            link_target=target,
            streams=tuple(streams),
            problems=tuple(problems),
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name | str]:
        """The names in a directory, also those of subvolumes; a text for each node that is damaged."""
        if directory.number == _PLACEHOLDER:
            return
        for found in self._items(directory, _DIR_INDEX):
            if isinstance(found, str):
                yield found
                continue
            item = found[1]
            number, kind, _, _, data, length, _ = _DIRECTORY_ITEM.unpack_from(item)
            name = item[_DIRECTORY_ITEM.size : _DIRECTORY_ITEM.size + length]
            if kind == _ROOT_ITEM:
                yield Name(name, self._subvolume(directory.space, number))
            elif kind == _INODE_ITEM and not data:
                yield Name(name, InodeAddress(number, directory.space))
            else:
                yield f"an item of the directory leads to something of type {kind}"

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress | Problem]:
        """Roots of subvolumes that no path leads to, and inodes that no name leads to."""
        yield from self._shortcomings()
        for subvolume in sorted(self._subvolumes):
            root = InodeAddress(_FIRST_INODE, subvolume)
            if root not in named:
                yield root
        for subvolume in sorted(self._subvolumes):
            for found in self._trees.iter_items(self._subvolumes[subvolume], (_FIRST_INODE, 0, 0)):
                if isinstance(found, str):
                    yield _problem("tree-unreadable", "part of a subvolume's tree cannot be read; files may be missing", found)
                elif found[0][1] == _INODE_ITEM and found[0][0] < _LAST_SUBVOLUME:
                    address = InodeAddress(found[0][0], subvolume)
                    if address not in named:
                        yield address

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address.

        Raises:
            StreamReadError: there is none.
        """
        subvolume = self._by_identifier.get(address.attribute_id)
        if subvolume is None:
            message = f"there is no subvolume {address.attribute_id}"
            raise StreamReadError(message)
        inode = InodeAddress(address.metadata_address, subvolume)
        if not address.attribute_type:
            return self._data(inode, struct.unpack_from("<Q", self._item(inode), 16)[0])
        for number, (_, value) in enumerate(self._attributes(inode, []), start=1):
            if number == address.attribute_type:
                return BytesStream(value)
        message = f"inode {inode.number} has no extended attribute {address.attribute_type}"
        raise StreamReadError(message)

    def _shortcomings(self) -> Iterator[Problem]:
        """What of the filesystem as a whole is not listed."""
        for damage in self._damage:
            yield _problem("tree-unreadable", "part of the filesystem's trees cannot be read; files may be missing", damage)
        if self.superblock.devices > 1:
            why = f"it spans {self.superblock.devices} devices, and this is one of them; what lies on the others cannot be read"
            yield _problem("device-missing", "the filesystem is not whole", why)
        if self.superblock.has_log:
            why = "it was not unmounted in order, and its log tree holds changes that were not yet in the files' own trees"
            yield _problem("journal-not-replayed", "the latest changes of some files may not be listed", why)

    def _data(self, inode: InodeAddress, size: int) -> BtrfsStream:
        items = []
        for found in self._items(inode, _EXTENT_DATA):
            if isinstance(found, str):
                raise StreamReadError(found)
            items.append((found[0][2], found[1]))
        return BtrfsStream(self._chunks, items, size, self.superblock.sector_size)

    def _attributes(self, inode: InodeAddress, problems: list[str]) -> Iterator[tuple[str, bytes]]:
        for found in self._items(inode, _XATTR):
            if isinstance(found, str):
                problems.append(found)
                continue
            item, offset = found[1], 0
            while offset + _DIRECTORY_ITEM.size <= len(item):  # names with one hash share an item
                _, _, _, _, data, length, _ = _DIRECTORY_ITEM.unpack_from(item, offset)
                offset += _DIRECTORY_ITEM.size
                name = item[offset : offset + length].decode("utf-8", "backslashreplace")
                yield escape_text(name), item[offset + length : offset + length + data]
                offset += length + data

    def _items(self, inode: InodeAddress, kind: int) -> Iterator[tuple[tuple[int, int, int], bytes] | str]:
        root = self._subvolumes[inode.space]
        return self._trees.iter_items(root, (inode.number, kind, 0), (inode.number, kind, _MAXIMUM))

    def _find_inode(self, inode: InodeAddress) -> bytes:
        raw = self._trees.find(self._subvolumes[inode.space], (inode.number, _INODE_ITEM, 0))
        if raw is None or len(raw) < 160:  # noqa: PLR2004 - size of btrfs_inode_item
            message = f"there is no inode {inode.number} in subvolume {inode.space}"
            raise StreamReadError(message)
        return raw

    def _subvolume(self, holder: int, subvolume: int) -> InodeAddress:
        """Root of a subvolume that a directory names; a placeholder where it is not the holder's own, or is gone."""
        known = subvolume in self._subvolumes and self._trees.find(self.superblock.root, (holder, _ROOT_REF, subvolume)) is not None
        return InodeAddress(_FIRST_INODE, subvolume) if known else InodeAddress(_PLACEHOLDER, -(holder << 64 | subvolume))

    def _read_subvolumes(self) -> dict[int, tuple[int, int]]:
        """Logical address and level of the root node of each subvolume's tree."""
        found: dict[int, tuple[int, int]] = {}
        for item in self._trees.iter_items(self.superblock.root, (TOP_LEVEL, _ROOT_ITEM, 0), (_LAST_SUBVOLUME, _ROOT_ITEM, _MAXIMUM)):
            if isinstance(item, str):
                self._damage.append(item)
                continue
            (number, kind, _), raw = item
            is_subvolume = number == TOP_LEVEL or _FIRST_SUBVOLUME <= number <= _LAST_SUBVOLUME
            if kind == _ROOT_ITEM and is_subvolume and len(raw) >= _SHORTEST_ROOT_ITEM:
                found[number] = (struct.unpack_from("<Q", raw, 176)[0], raw[238])
        return found


def _time(raw: bytes, offset: int) -> int | OutOfRange | None:
    return from_unix(*struct.unpack_from("<qI", raw, offset))


def _problem(code: str, what: str, why: str) -> Problem:
    return Problem(stage=Stage.FILESYSTEM, code=code, what=what, why=why)
