"""NTFS, FAT12/16/32, exFAT, ext2/3/4, HFS+, ISO 9660, UFS and YAFFS2 through The Sleuth Kit.

Entries as tsk_listing.py walks to them. Where it is asked for, also what is not in plain sight: file slack, unallocated space and what
lies behind the filesystem, extended attributes, and whether deleted files were overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forensics.errors import FilesystemError, ImageReadError, Problem, Stage, StreamReadError
from forensics.filesystems.allocation.open_allocation import open_allocation
from forensics.filesystems.deleted_blocks import DeletedBlocks
from forensics.filesystems.ext_attribute_streams import EXT_ATTRIBUTE_TYPE, ExtAttributeStreams
from forensics.filesystems.file_slack import FileSlack
from forensics.filesystems.tsk_listing import Extras, TskListing
from forensics.filesystems.tsk_stream import Attribute, TskStream, attributes_of
from forensics.filesystems.unallocated import SPACE_TYPES, UnallocatedSpace
from forensics.filesystems.unowned import UNOWNED_TYPE, OwnedBlocks, iter_unowned_entries, open_unowned
from forensics.filesystems.unowned import runs_of as unowned_runs
from forensics.sleuthkit import TSK_ERRORS, damage, tsk_reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from forensics.filesystems.allocation.unallocated_runs import Allocation, Run
    from forensics.filesystems.base import Entry, ListingLimits, Stream, StreamAddress
    from forensics.sleuthkit import OpenFilesystem


@dataclass(frozen=True, slots=True)
class _Known:
    """The allocation of the filesystem, or why there is none."""

    allocation: Allocation | None
    why: str = ""


class TskReader:
    """Entries and streams of one filesystem that TSK opened.

    Attributes:
        filesystem: its name.
        slack: what listing found of file slack: how much was all zero, and so was not listed.
    """

    def __init__(self, filesystem: OpenFilesystem) -> None:
        self._opened = filesystem
        self._fs = filesystem.handle
        self.filesystem = filesystem.name
        self.slack = FileSlack(filesystem)
        self._known: _Known | None = None
        self._space: UnallocatedSpace | None = None

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every stream of every entry under the root and among the orphans, then unallocated space; a Problem for what could not be.

        Raises:
            FilesystemError: the root directory cannot be read, so nothing can be listed.
        """
        self.slack = FileSlack(self._opened)
        if self._opened.lost:
            what = "some of what the filesystem is opened from cannot be read; what it lists may be incomplete"
            yield _problem("filesystem-damaged", what, damage(self._opened.lost), "use another copy of the image, if there is one")
        attributes: ExtAttributeStreams | None = None
        if limits.attributes and self.filesystem.startswith("ext"):
            try:
                attributes = ExtAttributeStreams(self._opened)
            except (ImageReadError, StreamReadError) as error:
                yield _problem("attributes-unreadable", "no extended attribute could be read", str(error))
        allocation = self._allocation() if limits.overwritten or limits.unallocated else _Known(None)
        if allocation.why:
            what = "which blocks are unallocated is not known: no unallocated space is listed, nor whether deleted files were overwritten"
            yield _problem("allocation-not-known", what, allocation.why, "carve the whole volume with another tool")
        deleted = DeletedBlocks(self._opened, allocation.allocation) if limits.overwritten and allocation.allocation is not None else None
        owned = self._owned(allocation.allocation) if limits.unallocated else None
        extras = Extras(slack=self.slack if limits.slack else None, deleted=deleted, attributes=attributes, owned=owned)
        failure: FilesystemError | None = None
        try:
            yield from TskListing(self._opened, limits, extras).iter_entries()
        except FilesystemError as error:
            failure = error  # what is unallocated may be listed all the same
        if limits.unallocated:
            yield from self._unallocated().iter_entries()
        if owned is not None:
            yield from iter_unowned_entries(owned, allocation.allocation)
        if allocation.allocation is not None:
            yield from _unreadable(allocation.allocation)
        if failure is not None:
            raise failure

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address.

        Raises:
            StreamReadError: the metadata or the attribute is not there.
        """
        if address.attribute_type in SPACE_TYPES:
            return self._unallocated().open_stream(address)
        if address.attribute_type == EXT_ATTRIBUTE_TYPE and self.filesystem.startswith("ext"):
            try:
                return ExtAttributeStreams(self._opened).open_stream(address)
            except ImageReadError as error:
                raise StreamReadError(str(error)) from error
        if address.attribute_type == UNOWNED_TYPE:
            return open_unowned(self._opened.volume, address)
        file, attribute = self._attribute(address)
        return self.slack.open_stream(address.metadata_address, attribute) if address.slack else TskStream(file, attribute)

    def runs_of(self, address: StreamAddress) -> tuple[Run, ...]:
        """Where slack or unallocated space lies in its volume: (first byte, bytes), in order; nothing for other streams.

        Raises:
            StreamReadError: there is no such stream.
        """
        if address.attribute_type in SPACE_TYPES:
            return self._unallocated().runs_of(address)
        if address.attribute_type == UNOWNED_TYPE:
            return unowned_runs(self._opened.volume, address)
        return self.slack.runs_of(address.metadata_address, self._attribute(address)[1]) if address.slack else ()

    def _attribute(self, address: StreamAddress) -> tuple[Any, Attribute]:
        """TSK's file at the address, and its attribute."""
        try:
            file = self._fs.open_meta(inode=address.metadata_address)
            for attribute in attributes_of(file):
                if (attribute.type, attribute.id) == (address.attribute_type, address.attribute_id):
                    return file, attribute
        except TSK_ERRORS as error:
            raise StreamReadError(tsk_reason(error)) from error
        message = f"no attribute {address.attribute_type}-{address.attribute_id} at metadata address {address.metadata_address}"
        raise StreamReadError(message)

    def _allocation(self) -> _Known:
        if self._known is None:
            try:
                allocation = open_allocation(self._opened)
                self._known = _Known(allocation, "" if allocation else f"{self.filesystem} keeps no map of its blocks")
            except (ImageReadError, StreamReadError) as error:
                self._known = _Known(None, str(error))
        return self._known

    def _owned(self, allocation: Allocation | None) -> OwnedBlocks:
        """Nothing owned as yet, in the units in which the filesystem allocates."""
        if allocation is not None:
            geometry = allocation.geometry
            return OwnedBlocks(geometry.unit_bytes, geometry.end_byte, geometry.first_byte)
        filesystem = self._opened
        end = filesystem.first_block_byte + filesystem.block_count * filesystem.block_size
        return OwnedBlocks(filesystem.block_size, min(end, filesystem.volume.size), filesystem.first_block_byte)

    def _unallocated(self) -> UnallocatedSpace:
        if self._space is None:
            self._space = UnallocatedSpace(self._opened, self._allocation().allocation)
        return self._space


def _unreadable(allocation: Allocation) -> Iterator[Problem]:
    """A problem for each part of the volume whose allocation could not be read."""
    for start, size, why in allocation.unreadable():
        what = "which blocks of a part of the volume are unallocated is not known; none of it is listed as unallocated"
        problem = _problem("allocation-unreadable", what, why, "look at the bytes with another tool")
        yield replace(problem, start_byte=start, size_bytes=size)


def _problem(code: str, what: str, why: str, advice: str = "") -> Problem:
    return Problem(stage=Stage.FILESYSTEM, code=code, what=what, why=why, advice=advice)
