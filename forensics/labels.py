"""The label that a filesystem carries, by which its user knows it.

Places: FAT boot sector (Microsoft FAT specification, BS_VolLab), ext superblock s_volume_name (ext4 disk layout), ISO 9660
volume identifier (ECMA-119, 8.4.7), NTFS $VOLUME_NAME of MFT entry 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.names import escape_text
from forensics.sleuthkit import read_attribute

if TYPE_CHECKING:
    from forensics.sleuthkit import OpenFilesystem

_BOOT_SECTOR_LABEL = {"fat12": 43, "fat16": 43, "fat32": 71}
_EXT_LABEL = slice(0x400 + 120, 0x400 + 136)
_ISO_LABEL = slice(0x8000 + 40, 0x8000 + 72)
_NTFS_VOLUME_ENTRY, _NTFS_VOLUME_NAME = 3, 96


def read_label(filesystem: OpenFilesystem, head: bytes) -> str | None:
    """The label; None where there is none, or where the filesystem keeps it elsewhere (exFAT and HFS+ list it as an entry).

    Args:
        filesystem: the open filesystem.
        head: the first bytes of its volume, signatures.HEAD_BYTES of them.
    """
    name = filesystem.name
    if name == "ntfs":
        text = read_attribute(filesystem, _NTFS_VOLUME_ENTRY, _NTFS_VOLUME_NAME).decode("utf-16-le", "replace")
    elif name in _BOOT_SECTOR_LABEL:
        start = _BOOT_SECTOR_LABEL[name]
        text = head[start : start + 11].decode("cp437")
        text = "" if text.strip() == "NO NAME" else text
    elif name in ("ext2", "ext3", "ext4"):
        text = head[_EXT_LABEL].decode("utf-8", "replace")
    elif name == "iso9660":
        text = head[_ISO_LABEL].decode("ascii", "replace")
    else:
        return None
    return escape_text(text.partition("\0")[0].strip()) or None
