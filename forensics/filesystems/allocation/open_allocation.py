"""The allocation of a filesystem that TSK opened, by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import StreamReadError
from forensics.filesystems.allocation.block_map import Geometry
from forensics.filesystems.allocation.exfat_bitmap import ExfatBitmap
from forensics.filesystems.allocation.ext_groups import ExtGroups
from forensics.filesystems.allocation.fat_table import FatTable
from forensics.filesystems.allocation.stream_bitmap import StreamBitmap
from forensics.filesystems.allocation.ufs_groups import UfsGroups
from forensics.filesystems.allocation.unallocated_runs import Allocation
from forensics.filesystems.tsk_stream import TskStream, attributes_of
from forensics.sleuthkit import TSK_ERRORS, tsk_reason

if TYPE_CHECKING:
    from forensics.filesystems.allocation.block_map import BlockMap
    from forensics.sleuthkit import OpenFilesystem

_NTFS_BITMAP_ENTRY = 6
_HFS_ALLOCATION_FILE = 6  # TN1150, kHFSAllocationFileID


def open_allocation(filesystem: OpenFilesystem) -> Allocation | None:
    """The filesystem's allocation; None for a kind that keeps none: every block of ISO 9660 is a file's, YAFFS2 has no map.

    Raises:
        StreamReadError: what says which blocks are allocated is not there or makes no sense.
        ImageReadError: it cannot be read.
    """
    blocks = _block_map(filesystem)
    return None if blocks is None else Allocation(blocks)


def _block_map(filesystem: OpenFilesystem) -> BlockMap | None:
    match filesystem.name:
        case "ntfs":
            blocks: BlockMap | None = _bitmap_file(filesystem, _NTFS_BITMAP_ENTRY, most_significant_first=False)
        case "hfs+":
            blocks = _bitmap_file(filesystem, _HFS_ALLOCATION_FILE, most_significant_first=True)
        case "exfat":
            blocks = ExfatBitmap(filesystem.volume)
        case "fat12" | "fat16" | "fat32":
            blocks = FatTable(filesystem.volume, filesystem.name)
        case "ext2" | "ext3" | "ext4":
            blocks = ExtGroups(filesystem.volume)
        case "ufs1" | "ufs1b" | "ufs2":
            blocks = UfsGroups(filesystem.volume)
        case _:
            blocks = None
    return blocks


def _bitmap_file(filesystem: OpenFilesystem, address: int, *, most_significant_first: bool) -> StreamBitmap:
    first, unit = filesystem.first_block_byte, filesystem.block_size
    end = min(first + filesystem.block_count * unit, filesystem.volume.size)
    geometry = Geometry(first_byte=first, unit_bytes=unit, units=-(-max(0, end - first) // unit), end_byte=end)
    try:
        file = filesystem.handle.open_meta(inode=address)
        stream = next((TskStream(file, one) for one in attributes_of(file) if one.is_plain_data), None)
    except TSK_ERRORS as error:
        raise StreamReadError(tsk_reason(error)) from error
    if stream is None:
        message = "the file that holds the bitmap of blocks has no content"
        raise StreamReadError(message)
    return StreamBitmap(stream, geometry, most_significant_first=most_significant_first)
