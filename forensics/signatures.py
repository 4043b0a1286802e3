"""What the first bytes of a volume say it is: used to name what no reader of ours opens, and what is encrypted.

Each signature: offset in bytes, the bytes there, the name, whether it means encryption or swapped-out memory. Sources:
the on-disk structures in each format's own specification or in the Linux kernel's documentation (Documentation/filesystems), cited at
the row.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES = 0x11000  # far enough for the Btrfs superblock at 64 KiB


@dataclass(frozen=True, slots=True)
class Signature:
    """`head[offset : offset + len(magic)] == magic`, and what `also` says likewise, means `name`."""

    offset: int
    magic: bytes
    name: str
    encrypted: bool = False
    also: tuple[int, bytes] = (0, b"")
    swap: bool = False

    def is_in(self, head: bytes) -> bool:
        """Whether the head carries it."""
        return all(head[start : start + len(magic)] == magic for start, magic in ((self.offset, self.magic), self.also))


SIGNATURES: tuple[Signature, ...] = (
    Signature(3, b"-FVE-FS-", "BitLocker", encrypted=True),  # libbde documentation, volume header
    # BitLocker To Go: a FAT32 shell around the encrypted volume; its identifier stands at 424 (libbde documentation).
    Signature(424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001"), "BitLocker To Go", encrypted=True),
    Signature(0, b"LUKS\xba\xbe", "LUKS", encrypted=True),  # LUKS on-disk format specification
    # libfvde documentation, volume header: version 1 and block type 0x10 at 8, the signature at 88.
    Signature(88, b"CS", "FileVault 2 (CoreStorage)", encrypted=True, also=(8, bytes.fromhex("01001000"))),
    Signature(32, b"NXSB", "APFS"),  # Apple File System Reference, nx_superblock_t
    Signature(0, b"XFSB", "XFS"),
    Signature(0x10040, b"_BHRfS_M", "Btrfs"),
    Signature(0, b"hsqs", "SquashFS"),
    Signature(0x400, bytes.fromhex("1020f5f2"), "F2FS"),
    Signature(0x10034, b"ReIsEr", "ReiserFS"),
    Signature(0x8000, b"JFS1", "JFS"),
    Signature(0, b"ReFS", "ReFS"),
    Signature(3, b"ReFS", "ReFS"),
    Signature(512, b"LABELONE", "LVM2 physical volume"),
    Signature(0, bytes.fromhex("fc4e2ba9"), "md RAID member"),
    Signature(4096, bytes.fromhex("fc4e2ba9"), "md RAID member"),
    Signature(4086, b"SWAPSPACE2", "Linux swap", swap=True),
    Signature(4086, b"SWAP-SPACE", "Linux swap", swap=True),
    # Inside Macintosh: Files, master directory block; its volume bitmap always begins at block 3.
    Signature(0x400, b"BD", "HFS (classic)", also=(0x40E, b"\0\3")),
    # Linux, include/uapi/linux/jffs2.h: the magic, then the type of the first node (entry, inode, clean marker).
    Signature(0, bytes.fromhex("851901e0"), "JFFS2"),
    Signature(0, bytes.fromhex("851902e0"), "JFFS2"),
    Signature(0, bytes.fromhex("85190320"), "JFFS2"),
    Signature(512, b"/".ljust(16, b"\0"), "QNX4"),  # Linux, include/uapi/linux/qnx4_fs.h: the root directory's name, in block 1
    # ZFS on-disk specification, 1.2.2: a list of name-value pairs in XDR from 16 KiB on, of which the first is "version".
    Signature(0x4000, b"\1\1", "ZFS", also=(0x4018, b"version\0")),
    Signature(0x400, bytes.fromhex("e2e1f5e0"), "EROFS"),  # Linux, include/uapi/linux/magic.h, as are the next two
    Signature(0, bytes.fromhex("453dcd28"), "cramfs"),
    Signature(0, bytes.fromhex("28cd3d45"), "cramfs"),
    Signature(0, b"UBI#", "UBI"),  # Linux, drivers/mtd/ubi/ubi-media.h
    Signature(0x2000, b"OCFSV2", "OCFS2"),  # Linux, fs/ocfs2/ocfs2_fs.h: block 2
    Signature(0x10000, bytes.fromhex("0116197000000001"), "GFS2"),  # Linux, include/uapi/linux/gfs2_ondisk.h
    Signature(0x8001, b"BEA01", "UDF"),  # ECMA-167 part 2, volume recognition sequence
)


def identify(head: bytes) -> Signature | None:
    """The first signature that `head`, the first HEAD_BYTES of a volume, carries; None if it carries none we know."""
    for signature in SIGNATURES:
        if signature.is_in(head):
            return signature
    return None


def name_more_exactly(known_as: str, head: bytes) -> str:
    """What a volume is called of which it is known what it is, because its first bytes may say the same more exactly: "BitLocker To Go"."""
    signature = identify(head)
    return signature.name if signature is not None and signature.name.startswith(known_as) else known_as
