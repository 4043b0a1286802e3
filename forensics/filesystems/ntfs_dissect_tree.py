"""NTFS through dissect.ntfs: what it lists, to be held against TSK, or where TSK refuses one.

Address of a stream: the MFT entry, the type of $DATA, and the stream's place among the names of the entry's streams, from 0.
Known of dissect, and left as it is: it goes by the indexes of folders alone, reads blocks of an index that are not in use any more, and
gives what lies on the disk behind the initialised size.

References: Linux-NTFS project, NTFS Documentation, "$FILE_NAME (0x30)", "Index".
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from dissect.ntfs import NTFS
from dissect.ntfs.util import AttributeCollection, segment_reference

from forensics.boundary import attempt
from forensics.errors import StreamReadError
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.bounded_stream import BoundedContent, BoundedStream, counted
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name
from forensics.names import escape_text
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource

_ROOT, _BAD_CLUSTERS = 5, 8
_DATA, _INDEX_ALLOCATION = 0x80, 0xA0
_DOS_NAME = 2
_INDEX = "$I30"
_COMPRESSED = 0xFF  # of an attribute's flags
_MOST_CLUSTERS = 1 << 26
_MOST_STREAMS = 65_536


class NtfsDissectTree:
    """The MFT entries of an NTFS filesystem."""

    filesystem = "ntfs"

    def __init__(self, source: ByteSource) -> None:
        """Opens the filesystem; raises anything where it is damaged."""
        self._disk = BoundedStream(source)
        # Given those two, it does not look for $Secure and $UsnJrnl, so that one that is damaged does not keep the rest from being read.
        self._fs = NTFS(self._disk, sds=io.BytesIO(), usnjrnl=io.BytesIO())
        self.root = InodeAddress(_ROOT)
        self.block_size = int(self._fs.cluster_size)
        self.size = int(self._fs.boot_sector.NumberSectors) * int(self._fs.sector_size)
        self._volume_bytes = source.size

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the MFT entry says."""
        record = self._record(inode.number)
        streams = [
            InodeStream(name=name, address=StreamAddress(inode.number, _DATA, number), size=int(found.size()))
            for number, (name, found) in enumerate(self._streams(record).items())
        ]
        standard = record.attributes.STANDARD_INFORMATION
        said = standard[0].attribute.attr if standard else None
        return Inode(
            kind=Kind.DIRECTORY if record.is_dir() else Kind.FILE,
            size=None if record.is_dir() else next((one.size for one in streams if not one.name), 0),
            times=Times()
            if said is None
            else Times(
                created=from_filetime(int(said.CreationTime)),
                modified=from_filetime(int(said.LastModificationTime)),
                accessed=from_filetime(int(said.LastAccessTime)),
                metadata_changed=from_filetime(int(said.LastChangeTime)),
            ),
            links=int(record.header.ReferenceCount),
            sequence=int(record.header.SequenceNumber),
            streams=tuple(sorted(streams, key=lambda one: bool(one.name))),
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name | str]:
        """The names in a folder's index; a text for one that dissect cannot read. Names that are for DOS only are left out."""
        record = self._record(directory.number)
        allocation = record.attributes.find(_INDEX, _INDEX_ALLOCATION)
        if allocation and int(allocation.size()) > self._volume_bytes:
            message = f"its index states {allocation.size()} bytes, more than the volume has"
            raise StreamReadError(message)
        for entry in counted(record.index(_INDEX).entries()):
            read: list[Name | None] = []
            failure = attempt(lambda: read.append(_name(entry)))  # noqa: B023 - called before the next turn
            if failure is not None:
                yield f"an entry of its index cannot be read: {escape_text(str(failure))[:200]}"
            for name in read:
                if name is not None:
                    yield name
            self._disk.renew()

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress]:
        """None: dissect finds files through the indexes."""
        del named
        return iter(())

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""
        found = list(self._streams(self._record(address.metadata_address)).values())
        if address.attribute_type != _DATA or not 0 <= address.attribute_id < len(found):
            message = f"MFT entry {address.metadata_address} has no such stream"
            raise StreamReadError(message)
        stream = found[address.attribute_id]
        # A compressed stream is laid out in units, all of them, before the first is read.
        first = stream[0].header
        if not first.resident and int(first.flags) & _COMPRESSED and sum(int(count) for _, count in stream.dataruns()) > _MOST_CLUSTERS:
            message = f"its compressed clusters are more than {_MOST_CLUSTERS}"
            raise StreamReadError(message)
        return BoundedContent(self._disk, stream.open(), int(stream.size()))

    def _record(self, number: int) -> Any:
        self._disk.renew()
        return self._fs.mft.get(number)

    def _streams(self, record: Any) -> dict[str, Any]:
        """The entry's streams by name, in the order in which they stand there."""
        found: dict[str, Any] = {}
        for attribute in record.attributes[_DATA]:
            name = str(attribute.header.name)
            # The map of bad clusters is as large as the volume and holds nothing.
            if record.segment != _BAD_CLUSTERS or not name:
                found.setdefault(name, AttributeCollection()).append(attribute)
        if len(found) > _MOST_STREAMS:
            message = f"it has more than {_MOST_STREAMS} streams"
            raise StreamReadError(message)
        return found


def _name(entry: Any) -> Name | None:
    attribute = entry.attribute
    if attribute is None or int(attribute.flags) == _DOS_NAME:
        return None
    return Name(str(attribute.file_name).encode("utf-8", "surrogatepass"), InodeAddress(int(segment_reference(entry.header.FileReference))))
