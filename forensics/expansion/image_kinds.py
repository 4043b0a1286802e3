"""Whether a content is a disk image, or a container of files that an examiner's tool made: by its first bytes, its last, or its name.

A container is told by the signature of its format, whatever its size. A filesystem or a partition table is told by what stands in its
first sectors; what is too weak for that (a boot sector, FAT, ext) counts only under a name that images have.
"""

from __future__ import annotations

from forensics.containers.kinds import KINDS
from forensics.exhibit import Container

# Archives have openers of their own.
_ARCHIVES = (Container.ARCHIVE, Container.TAR, Container.ZIP)
_CONTAINERS = tuple((kind.offset, kind.magic) for kind in KINDS if kind.container not in _ARCHIVES)
_STARTS = tuple((offset, magic) for offset, magic in _CONTAINERS if offset >= 0)
_ENDS = tuple((offset, magic) for offset, magic in _CONTAINERS if offset < 0)
_DESCRIPTOR = b"# Disk Descriptor"  # the one signature that is text
_AFF4 = b"container.description"  # AFF4 Standard 1.0, 3.1: the first member of the ZIP file that a volume is
_ZIP_NAME_OFFSET = 30
_FILESYSTEMS = (
    (0x8001, b"CD001"),  # ECMA-119, 8.1.2
    (0x8001, b"BEA01"),  # ECMA-167 part 2, 9.2
    (0x10040, b"_BHRfS_M"),
    (0, b"XFSB"),
    (0, b"hsqs"),
    (3, b"NTFS    "),
    (3, b"EXFAT   "),
    (3, b"ReFS\0\0\0\0"),
    (0, b"LUKS\xba\xbe"),
    (3, b"-FVE-FS-"),
    (32, b"NXSB"),  # Apple File System Reference, nx_superblock_t
    (1024, b"H+\0\4"),  # Apple TN1150, signature and version
    (1024, b"HX\0\5"),
    (512, b"EFI PART"),  # UEFI 2.10, 5.3.2, with sectors of 512 and of 4,096 bytes
    (4096, b"EFI PART"),
    (512, b"LABELONE"),  # LVM2 lib/label/label.h; in any of the first four sectors, nearly always the second
)
_WEAK = (
    *((54, b"FAT12   "), (54, b"FAT16   "), (82, b"FAT32   ")),  # Microsoft's FAT specification, BS_FilSysType
    (0x438, b"\x53\xef"),  # ext4 disk layout, s_magic
    (1024, b"BD"),  # Inside Macintosh: Files, drSigWord
    (510, b"\x55\xaa"),
)
_NAMES = (".dd", ".img", ".raw", ".bin", ".ima", ".vfd", ".001", ".vhd", ".vmdk", ".ext4", ".fat", ".iso", ".dmg", ".cdr")
_WITHOUT_START = (".vhd", ".dmg")  # they may begin with anything, and their last bytes may be cut off
_SMALLEST_FILESYSTEM = 64 << 10  # less is a boot sector or the head of an image


def begins_like_image(head: bytes, mime_type: str, name: str) -> bool:
    """Whether a content that begins with these bytes, up to its first MiB, is an image."""
    if head.startswith(_DESCRIPTOR) or head.startswith(_AFF4, _ZIP_NAME_OFFSET):
        return True
    if mime_type.startswith("text/"):  # some signatures are four letters
        return False
    if _carries(head, _STARTS):
        return True
    if len(head) < _SMALLEST_FILESYSTEM:
        return False
    if _carries(head, _FILESYSTEMS):
        return True
    ending = name.lower()
    return ending.endswith(_NAMES) and (_carries(head, _WEAK) or ending.endswith(_WITHOUT_START))


def ends_like_image(end: bytes) -> bool:
    """Whether a content that ends with these bytes, a sector at least, is an image."""
    return any(len(end) + offset >= 0 and end.startswith(magic, len(end) + offset) for offset, magic in _ENDS)


def _carries(head: bytes, signatures: tuple[tuple[int, bytes], ...]) -> bool:
    return any(head.startswith(magic, offset) for offset, magic in signatures)
