"""What the first bytes of a volume say it is: used to name what no reader of ours opens, and what is encrypted.

Each signature: offset in bytes, the bytes there, the name, whether it means encryption. Sources: the on-disk structures in
each format's own specification or in the Linux kernel's documentation (Documentation/filesystems), cited at the row.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES = 0x11000  # far enough for the Btrfs superblock at 64 KiB


@dataclass(frozen=True, slots=True)
class Signature:
    """`head[offset : offset + len(magic)] == magic` means `name`."""

    offset: int
    magic: bytes
    name: str
    encrypted: bool = False


SIGNATURES: tuple[Signature, ...] = (
    Signature(3, b"-FVE-FS-", "BitLocker", encrypted=True),  # libbde documentation, volume header
    # BitLocker To Go: a FAT32 shell around the encrypted volume; its identifier stands at 424 (libbde documentation).
    Signature(424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001"), "BitLocker To Go", encrypted=True),
    Signature(0, b"LUKS\xba\xbe", "LUKS", encrypted=True),  # LUKS on-disk format specification
    Signature(88, b"CS", "FileVault 2 (CoreStorage)", encrypted=True),  # libfvde documentation, volume header
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
    Signature(4086, b"SWAPSPACE2", "Linux swap"),
    Signature(4086, b"SWAP-SPACE", "Linux swap"),
    Signature(0x400, b"BD", "HFS (classic)"),  # Inside Macintosh: Files, master directory block
    Signature(0, bytes.fromhex("8519"), "JFFS2"),
    Signature(4, b"/", "QNX4"),
    Signature(0x8001, b"BEA01", "UDF"),  # ECMA-167 part 2, volume recognition sequence
)


def identify(head: bytes) -> Signature | None:
    """The first signature that `head`, the first HEAD_BYTES of a volume, carries; None if it carries none we know."""
    for signature in SIGNATURES:
        if head[signature.offset : signature.offset + len(signature.magic)] == signature.magic:
            return signature
    return None
