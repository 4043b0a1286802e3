"""Extended attributes of ext filesystems as streams, which The Sleuth Kit does not give: named as getfattr names them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, Recovery, StreamAddress
from forensics.filesystems.ext_attributes import ExtAttributes, read_ext_attributes
from forensics.filesystems.ext_layout import ExtLayout
from forensics.filesystems.tsk_names import entry_problem
from forensics.filesystems.tsk_stream import TskStream, attributes_of
from forensics.sleuthkit import TSK_ERRORS, tsk_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.errors import Problem
    from forensics.filesystems.base import Stream
    from forensics.sleuthkit import OpenFilesystem

EXT_ATTRIBUTE_TYPE = -3
"""Attribute type of such a stream; its identifier is the attribute's number, from 0, those in the inode first."""

# With the feature inline_data, the end of a file's content that its inode has no other place for. getfattr does not show it either.
_REST_OF_CONTENT = "system.data"


class MemoryStream:
    """Bytes as a stream."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end."""
        return self._data[offset : offset + length]


class ExtAttributeStreams:
    """The extended attributes of the files of one ext filesystem."""

    def __init__(self, filesystem: OpenFilesystem) -> None:
        """Raises StreamReadError where the superblock makes no sense, ImageReadError where it cannot be read."""
        self._filesystem = filesystem
        self._layout = ExtLayout(filesystem.volume)

    def iter_entries(self, entry: Entry) -> Iterator[Entry | Problem]:
        """An entry an attribute of the file whose default stream the entry is."""
        address = entry.metadata_address
        if entry.metadata_allocated is None or address is None or entry.kind is Kind.VIRTUAL or entry.recovery is Recovery.DELETED_NAME:
            return
        try:
            found = read_ext_attributes(self._layout, address)
        except (ImageReadError, StreamReadError) as error:
            found = ExtAttributes((), str(error))
        for number, attribute in enumerate(found.attributes):
            if attribute.name == _REST_OF_CONTENT:
                continue
            yield replace(
                entry,
                stream=attribute.name,
                address=StreamAddress(address, EXT_ATTRIBUTE_TYPE, number),
                content=Content.READ,
                size=attribute.size,
                overwritten=None,
            )
        # The block of a deleted inode's attributes is often another's by now.
        if found.damage and entry.metadata_allocated:
            what = "the extended attributes of an entry could not be read to their end"
            yield entry_problem(address, entry.path, "attributes-damaged", what, found.damage)

    def open_stream(self, address: StreamAddress) -> Stream:
        """The value of the attribute.

        Raises:
            StreamReadError: there is none, or it cannot be read.
        """
        try:
            found = read_ext_attributes(self._layout, address.metadata_address).attributes
        except ImageReadError as error:
            raise StreamReadError(str(error)) from error
        if not 0 <= address.attribute_id < len(found):
            message = f"no extended attribute {address.attribute_id} at inode {address.metadata_address}"
            raise StreamReadError(message)
        attribute = found[address.attribute_id]
        if not attribute.value_inode:
            return MemoryStream(attribute.value)
        try:
            file = self._filesystem.handle.open_meta(inode=attribute.value_inode)
            data = next((one for one in attributes_of(file) if one.is_plain_data), None)
        except TSK_ERRORS as error:
            raise StreamReadError(tsk_reason(error)) from error
        if data is None:
            message = f"inode {attribute.value_inode}, which should hold the value, has no content"
            raise StreamReadError(message)
        return TskStream(file, replace(data, size=min(data.size, attribute.size)))
