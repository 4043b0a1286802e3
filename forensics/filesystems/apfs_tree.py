"""The files of one APFS volume or snapshot.

Address of a stream: the inode; type 0 is its data, decompressed where macOS compressed it; a higher one is an extended attribute, numbered
from 1 in the order of the inode's records; the identifier is 0. The attributes in which APFS itself keeps link targets and
compressed contents are not listed as streams.

References: Apple File System Reference (2020-06-22), j_inode_val_t, j_drec_hashed_key_t, j_xattr_val_t, "Extended Fields".
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from forensics.errors import Problem, Stage, StreamReadError
from forensics.filesystems.apfs_container import open_compressed
from forensics.filesystems.apfs_records import ATTRIBUTE, DIRECTORY_RECORD, INODE, extent_tree, file_tree, object_and_type
from forensics.filesystems.apfs_stream import open_extents
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.library_stream import LibraryStream
from forensics.filesystems.runs import BytesStream
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name, kind_of_mode
from forensics.names import escape_text
from forensics.source import SourceStream
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.apfs_container import ApfsVolume
    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource
    from forensics.timestamps import OutOfRange

_ROOT_INODE, _PRIVATE_INODE = 2, 3
_FIXED_BYTES = 92  # j_inode_val_t before its extended fields
_DATA_STREAM_FIELD = 8
_COMPRESSED = 0x20  # UF_COMPRESSED, bsd_flags
_LINK, _COMPRESSION, _FORK = "com.apple.fs.symlink", "com.apple.decmpfs", "com.apple.ResourceFork"
_IN_STREAM = 1
_LENGTH_BITS = 0x3FF
_HIGHEST = (1 << 60) - 1


class ApfsTree:
    """The inodes of a volume."""

    filesystem = "apfs"

    def __init__(self, source: ByteSource, volume: ApfsVolume) -> None:
        """`source` holds the whole container."""
        self._source, self._volume = source, volume
        self._files = file_tree(volume)
        self._extents = extent_tree(volume) if volume.is_sealed else None
        self.root = InodeAddress(_ROOT_INODE)
        self._raw = lru_cache(1024)(self._find)
        self._raw(_ROOT_INODE)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the inode says."""
        raw = self._raw(inode.number)
        created, modified, changed, accessed = (_time(raw, offset) for offset in (16, 24, 32, 40))
        links = struct.unpack_from("<i", raw, 56)[0]
        owner, group, mode = struct.unpack_from("<IIH", raw, 72)
        kind = kind_of_mode(mode)
        problems: list[str] = []
        attributes = self._attributes(inode.number, problems)
        compressed = _is_compressed(raw)
        size = _data_stream(raw)[1]
        if compressed and _COMPRESSION in attributes:
            size = struct.unpack_from("<Q", _read_all(self._attribute(attributes[_COMPRESSION])), 8)[0]
        streams = []
        if kind is Kind.FILE:
            streams.append(InodeStream(name="", address=StreamAddress(inode.number, 0, 0), size=size))
        for number, (name, value) in enumerate(attributes.items(), start=1):
            if name not in (_LINK, _COMPRESSION) and not (compressed and name == _FORK):
                address = StreamAddress(inode.number, number, 0)
                stream = InodeStream(name=escape_text(name), address=address, size=_attribute_size(value), is_attribute=name != _FORK)
                streams.append(stream)
        target = None
        if kind is Kind.LINK and _LINK in attributes:
            target = _read_all(self._attribute(attributes[_LINK])).rstrip(b"\0")
        return Inode(
            kind=kind,
            size=size,
            times=Times(created=created, modified=modified, accessed=accessed, metadata_changed=changed),
            owner=owner,
            group=group,
            mode=mode,
            links=links if kind is not Kind.DIRECTORY else None,  # of a directory the field counts what is in it
            link_target=target,
            streams=tuple(streams),
            problems=tuple(problems),
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name | str]:
        """The names in a directory; a text for each node that is damaged."""
        for record in self._records(directory.number, DIRECTORY_RECORD):
            if isinstance(record, str):
                yield record
                continue
            key, value = record
            if self._volume.has_hashed_names:
                length, start = struct.unpack_from("<I", key, 8)[0] & _LENGTH_BITS, 12
            else:
                length, start = struct.unpack_from("<H", key, 8)[0], 10
            yield Name(key[start : start + length].rstrip(b"\0"), InodeAddress(struct.unpack_from("<Q", value)[0]))

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress | Problem]:
        """Inodes that no name under the root leads to: deleted while open, as a rule."""
        for record in self._files.iter_records((0, 0), (_HIGHEST, 15)):
            if isinstance(record, str):
                what = "part of the volume's tree cannot be read; files may be missing"
                yield Problem(stage=Stage.FILESYSTEM, code="tree-unreadable", what=what, why=record)
                continue
            number, kind = object_and_type(record[0])
            if kind == INODE and number > _PRIVATE_INODE and InodeAddress(number) not in named:
                yield InodeAddress(number)

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address.

        Raises:
            StreamReadError: there is none.
        """
        number = address.metadata_address
        raw = self._raw(number)
        problems: list[str] = []
        attributes = self._attributes(number, problems)
        if address.attribute_type:
            if 0 < address.attribute_type <= len(attributes):
                return self._attribute([*attributes.values()][address.attribute_type - 1])
            message = problems[0] if problems else f"inode {number} has no extended attribute {address.attribute_type}"
            raise StreamReadError(message)
        if _is_compressed(raw):
            held = {name: self._opener(value) for name, value in attributes.items() if name in (_COMPRESSION, _FORK)}
            return LibraryStream(open_compressed(held))
        stream, size = _data_stream(raw)
        return open_extents(self._source, self._volume, (self._files, self._extents), stream, size)

    def _records(self, number: int, kind: int) -> Iterator[tuple[bytes, bytes] | str]:
        return self._files.iter_records((number, kind), (number, kind))

    def _find(self, number: int) -> bytes:
        for record in self._records(number, INODE):
            if isinstance(record, str):
                raise StreamReadError(record)
            if len(record[1]) >= _FIXED_BYTES:
                return record[1]
        message = f"there is no inode {number} in the volume"
        raise StreamReadError(message)

    def _attributes(self, number: int, problems: list[str]) -> dict[str, bytes]:
        """Records of the inode's extended attributes, by name."""
        found = {}
        for record in self._records(number, ATTRIBUTE):
            if isinstance(record, str):
                problems.append(record)
                continue
            length = struct.unpack_from("<H", record[0], 8)[0]
            found[record[0][10 : 10 + length].rstrip(b"\0").decode("utf-8", "backslashreplace")] = record[1]
        return found

    def _attribute(self, value: bytes) -> Stream:
        flags, length = struct.unpack_from("<HH", value)
        if not flags & _IN_STREAM:
            return BytesStream(value[4 : 4 + length])
        stream, size = struct.unpack_from("<QQ", value, 4)
        return open_extents(self._source, self._volume, (self._files, self._extents), stream, size)

    def _opener(self, value: bytes) -> Any:
        return lambda: SourceStream(self._attribute(value))


def _is_compressed(raw: bytes) -> bool:
    return bool(struct.unpack_from("<I", raw, 68)[0] & _COMPRESSED)


def _attribute_size(value: bytes) -> int:
    flags, length = struct.unpack_from("<HH", value)
    return int(struct.unpack_from("<Q", value, 12)[0]) if flags & _IN_STREAM else int(length)


def _data_stream(raw: bytes) -> tuple[int, int]:
    """Identifier and size of an inode's data stream; size 0 where it has none."""
    stream = struct.unpack_from("<Q", raw, 8)[0]
    if len(raw) < _FIXED_BYTES + 4:
        return stream, 0
    count = struct.unpack_from("<H", raw, _FIXED_BYTES)[0]
    place = _FIXED_BYTES + 4 + 4 * count
    for number in range(count):
        kind, _, size = struct.unpack_from("<BBH", raw, _FIXED_BYTES + 4 + 4 * number)
        if kind == _DATA_STREAM_FIELD:
            return stream, struct.unpack_from("<Q", raw, place)[0]
        place += (size + 7) & ~7
    return stream, 0


def _read_all(stream: Stream) -> bytes:
    return stream.read_at(0, min(stream.size, 1 << 16))


def _time(raw: bytes, offset: int) -> int | OutOfRange | None:
    return from_unix(*divmod(struct.unpack_from("<Q", raw, offset)[0], 1_000_000_000))
