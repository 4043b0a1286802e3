"""The files of a UDF filesystem.

An inode's number is its logical block, in bits 16 and up, and its partition below. Address of a stream: the inode; type and identifier are
0. Named streams and names marked as deleted are not listed.

References: ECMA-167, 3rd edition, part 4: 14.4 (file identifier), 14.6 (ICB tag), 14.9 and 14.17 (file entries), 14.14 (allocation
descriptors), 14.16.1 (path component); part 1, 7.3 (timestamp).
"""

from __future__ import annotations

import calendar
import struct
from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.runs import BytesStream, Run, RunStream
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name
from forensics.filesystems.udf_volume import EXTENDED_FILE_ENTRY, FILE_ENTRY, Place, UdfVolume, tag_of, text_of
from forensics.timestamps import OutOfRange, from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource

_KINDS = {
    4: Kind.DIRECTORY,
    5: Kind.FILE,
    6: Kind.BLOCK_DEVICE,
    7: Kind.CHARACTER_DEVICE,
    9: Kind.FIFO,
    10: Kind.SOCKET,
    12: Kind.LINK,
    249: Kind.FILE,
}
_SHORT, _LONG, _INLINE = 0, 1, 3
_RECORDED, _CONTINUED = 0, 3
_DELETED, _PARENT = 4, 8
_FILE_IDENTIFIER, _ALLOCATION_EXTENT = 257, 258
_NO_ZONE = -2047
_MOST_CONTINUATIONS = 100_000
_LARGEST_DIRECTORY = 1 << 28
_UNSTATED = 0xFFFFFFFF
_COMPONENTS = {2: "/", 3: "..", 4: "."}


class UdfTree:
    """The inodes (ICBs) of a UDF filesystem."""

    filesystem = "udf"

    def __init__(self, source: ByteSource) -> None:
        """Reads the volume structures; raises FilesystemError where they cannot be."""
        self._source = source
        self.volume = UdfVolume(source)
        self.root = _address(self.volume.root)
        self._entry(self.root.number)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the file entry says."""
        raw, extended = self._entry(inode.number)
        kind = _KINDS.get(raw[27], Kind.UNKNOWN)
        size = struct.unpack_from("<Q", raw, 56)[0]
        owner, group, permissions, links = struct.unpack_from("<IIIH", raw, 36)
        flags = struct.unpack_from("<H", raw, 34)[0]
        accessed, modified, created, changed = (80, 92, 104, 116) if extended else (72, 84, None, 96)
        streams: tuple[InodeStream, ...] = ()
        if kind is Kind.FILE:
            streams = (InodeStream(name="", address=StreamAddress(inode.number, 0, 0), size=size),)
        target = None
        if kind is Kind.LINK:
            stream = self._data(inode.number)
            target = _link(stream.read_at(0, min(stream.size, 1 << 16)))
        return Inode(
            kind=kind,
            size=size,
            times=Times(
                created=None if created is None else _time(raw, created),
                modified=_time(raw, modified),
                accessed=_time(raw, accessed),
                metadata_changed=_time(raw, changed),
            ),
            owner=None if owner == _UNSTATED else owner,
            group=None if group == _UNSTATED else group,
            mode=_mode(permissions, flags),
            links=links,
            link_target=target,
            streams=streams,
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name | str]:
        """The names in a directory; a text where it is damaged."""
        stream = self._data(directory.number)
        if stream.size > _LARGEST_DIRECTORY:
            yield f"the directory states a size of {stream.size} bytes"
            return
        raw, place = stream.read_at(0, stream.size), 0
        while place + 38 <= len(raw):
            flags, length = raw[place + 18], raw[place + 19]
            _, block, partition = struct.unpack_from("<IIH", raw, place + 20)
            start = place + 38 + struct.unpack_from("<H", raw, place + 36)[0]
            end = place + (start + length - place + 3 & ~3)
            if tag_of(raw[place:end], None) != _FILE_IDENTIFIER:
                yield f"the name at byte {place} of the directory is damaged; names behind it are not listed"
                return
            if not flags & (_DELETED | _PARENT):
                name = text_of(raw[start : start + length]).encode("utf-8", "surrogatepass")
                yield Name(name, _address(Place(block, partition)))
            place = end

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress]:
        """None: file entries lie anywhere, and no table lists them."""
        del named
        return iter(())

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""
        return self._data(address.metadata_address)

    def _entry(self, number: int) -> tuple[bytes, bool]:
        """The file entry of an inode, and whether it is an extended one."""
        place = Place(number >> 16, number & 0xFFFF)
        raw = self.volume.read(place, 1)
        kind = tag_of(raw, place.block)
        strategy = struct.unpack_from("<H", raw, 20)[0]
        if kind not in (FILE_ENTRY, EXTENDED_FILE_ENTRY):
            message = f"no file entry stands at logical block {place.block}"
            raise StreamReadError(message)
        if strategy != 4:  # noqa: PLR2004 - ICB strategy type 4, the only one in use on rewritable media
            message = f"its file entry is of strategy {strategy}, which is not read by this version"
            raise StreamReadError(message)
        return raw, kind == EXTENDED_FILE_ENTRY

    def _data(self, number: int) -> RunStream | BytesStream:
        raw, extended = self._entry(number)
        size = struct.unpack_from("<Q", raw, 56)[0]
        start = 216 if extended else 176
        attributes, length = struct.unpack_from("<II", raw, start - 8)
        descriptors = raw[start + attributes : start + attributes + length]
        form = struct.unpack_from("<H", raw, 34)[0] & 7
        if form == _INLINE:
            if len(descriptors) < size:
                message = f"its {size} bytes should stand in its file entry, which has {len(descriptors)}"
                raise StreamReadError(message)
            return BytesStream(descriptors[:size])
        if form not in (_SHORT, _LONG):
            message = f"its allocation descriptors are of form {form}, which is not read by this version"
            raise StreamReadError(message)
        runs: list[Run] = []
        place = 0
        for stated, block, partition in self._descriptors(descriptors, form, number & 0xFFFF):
            held = stated & 0x3FFFFFFF
            if stated >> 30 == _RECORDED:
                within = place
                for first, count in self.volume.runs(Place(block, partition), -(-held // self.volume.block_size)):
                    taken = min(count, place + held - within)
                    runs.append(Run(within, taken, first))
                    within += taken
            place += held
        if place < size:
            message = f"its extents hold {place} bytes, and {size} are stated"
            raise StreamReadError(message)
        return RunStream(self._source, runs, size)

    def _descriptors(self, raw: bytes, form: int, partition: int) -> Iterator[tuple[int, int, int]]:
        """Stated length, block and partition of each extent, those in continuations too."""
        step = 8 if form == _SHORT else 16
        visited: set[Place] = set()
        place = 0
        while place + step <= len(raw):
            stated, block = struct.unpack_from("<II", raw, place)
            where = partition if form == _SHORT else struct.unpack_from("<H", raw, place + 8)[0]
            place += step
            if not stated & 0x3FFFFFFF:
                return
            if stated >> 30 != _CONTINUED:
                yield stated, block, where
                continue
            following = Place(block, where)
            extent = self.volume.read(following, 1)
            if following in visited or len(visited) > _MOST_CONTINUATIONS or tag_of(extent, block) != _ALLOCATION_EXTENT:
                message = f"the continuation of its extents at logical block {block} is damaged"
                raise StreamReadError(message)
            visited.add(following)
            raw, place = extent[24 : 24 + struct.unpack_from("<I", extent, 20)[0]], 0


def _address(place: Place) -> InodeAddress:
    return InodeAddress(place.block << 16 | place.partition)


def _mode(permissions: int, flags: int) -> int:
    """POSIX permission bits: three groups of five bits, of which execute, write and read come first; set-ID bits from the ICB's flags."""
    mode = 0
    for number in range(3):
        five = permissions >> 5 * number
        mode |= ((five & 1) | (five & 2) | (five & 4)) << 3 * number
    return mode | (flags >> 6 & 1) << 11 | (flags >> 7 & 1) << 10 | (flags >> 8 & 1) << 9


def _time(raw: bytes, offset: int) -> int | OutOfRange | None:
    zone, year, month, day, hour, minute, second, hundredths, hundreds, micros = struct.unpack_from("<Hh8B", raw, offset)
    if not year and not month:
        return None
    minutes = (zone & 0xFFF) - (0x1000 if zone & 0x800 else 0)
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61 and 1 <= year <= 9999):  # noqa: PLR2004
        return OutOfRange(f"UDF time {raw[offset : offset + 12].hex()}")
    seconds = calendar.timegm((year, month, day, hour, minute, second)) - (0 if minutes == _NO_ZONE else 60 * minutes)
    return from_unix(seconds, hundredths * 10_000_000 + hundreds * 100_000 + micros * 1_000)


def _link(raw: bytes) -> bytes:
    """The target as a POSIX path."""
    parts: list[str] = []
    place = 0
    while place + 4 <= len(raw):
        kind, length = raw[place], raw[place + 1]
        parts.append(_COMPONENTS.get(kind, "") if kind != 5 else text_of(raw[place + 4 : place + 4 + length]))  # noqa: PLR2004 - a name
        place += 4 + length
    rooted = bool(parts) and parts[0] == "/"
    return ("/" if rooted else "").encode() + "/".join(parts[1:] if rooted else parts).encode("utf-8", "surrogatepass")
