"""Which container a file is: decided by its signature, never by its name.

A signature is `file[offset : offset + len(magic)] == magic`; a negative offset counts from the end of the file. What carries
none of them is raw. A name that promises a container whose signature is absent is an error, because taking it for raw would
list nothing and look like an empty disk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.containers.aff4_kind import aff4_kind
from forensics.errors import ImageError, UnsupportedImageError
from forensics.exhibit import Container, shown

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

EWF_MAGIC = b"EVF\x09\x0d\x0a\xff\x00"
EWF2_MAGIC = b"EVF2\x0d\x0a\x81\x00"


@dataclass(frozen=True, slots=True)
class Kind:
    """A container known by its signature: what is read names a Container, what is not says what it is and what to do."""

    offset: int
    magic: bytes
    name: str
    container: Container | None = None
    advice: str = ""


KINDS: tuple[Kind, ...] = (
    Kind(0, EWF_MAGIC, "EWF", Container.EWF),  # EWF specification, "File header"
    Kind(0, b"QFI\xfb", "QCOW2", Container.QCOW2),  # QEMU docs/interop/qcow2
    Kind(0, b"KDMV", "VMDK", Container.VMDK),  # VMware Virtual Disk Format 1.1, sparse extent header
    Kind(0, b"COWD", "VMDK", Container.VMDK),
    Kind(0, b"\xbe\xba\xfe\xca\0\0\0\0", "VMDK", Container.VMDK),  # SESparse constant header
    Kind(0, b"# Disk Descriptor", "VMDK", Container.VMDK),
    Kind(0, b"vhdxfile", "VHDX", Container.VHDX),  # [MS-VHDX] 2.2.1
    Kind(0, b"conectix", "VHD", Container.VHD),  # Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format"
    Kind(-512, b"conectix", "VHD", Container.VHD),
    Kind(-511, b"conectix", "VHD", Container.VHD),
    Kind(64, b"\x7f\x10\xda\xbe", "VDI", Container.VDI),  # VirtualBox VDICore.h
    Kind(0, EWF2_MAGIC, "Ex01 (EWF version 2)", Container.EWF2),  # EWF 2 specification, "File header"
    Kind(0, b"LEF2\x0d\x0a\x81\x00", "Lx01 (EWF version 2, logical files)", Container.L01),
    Kind(0, b"LVF\x09\x0d\x0a\xff\x00", "L01 (EWF, logical files)", Container.L01),
    Kind(0, b"ADSEGMENTEDFILE\x00", "AD1 (AccessData logical image)", Container.AD1),
    Kind(0, b"ADCRYPT\x00", "AD encrypted image", advice="decrypt it with the tool that made it"),
    Kind(0, b"AFF10\x0d\x0a\x00", "AFF (version 1)", advice="convert it to raw with affconvert"),
    Kind(0, b"MSWIM\x00\x00\x00", "WIM (Windows Imaging)", Container.WIM),
    Kind(-512, b"koly", "DMG (Apple UDIF)", Container.DMG),  # Apple's UDIF resource file, its last 512 bytes
    Kind(0, b"encrcdsa", "encrypted DMG (Apple)", advice="decrypt it with hdiutil"),
    Kind(0, b"sprs", "sparse image (Apple)", Container.SPARSE_IMAGE),  # libmodi, "Mac OS disk image types"
    Kind(0, b"shdw", "ASIF", Container.ASIF),  # huven/asif-format, "Header"
    Kind(0, b"WithoutFreeSpace", "Parallels", Container.PARALLELS),  # QEMU docs/interop/parallels.rst
    Kind(0, b"WithouFreSpacExt", "Parallels", Container.PARALLELS),
    Kind(0, b"QED\x00", "QED", advice="convert it to raw with qemu-img"),
    Kind(0, b"ASDF", "ASDF (acquire)", advice="convert it to raw with asdf-dd"),
    Kind(0, b"7z\xbc\xaf\x27\x1c", "7z", Container.ARCHIVE),
    Kind(0, b"Rar!\x1a\x07", "RAR", Container.ARCHIVE),
    Kind(0, b"\xfd7zXZ\x00", "xz", Container.ARCHIVE),
    Kind(0, b"\x1f\x8b\x08", "gzip", Container.ARCHIVE),
    Kind(0, b"\x28\xb5\x2f\xfd", "Zstandard", Container.ARCHIVE),
    Kind(0, b"\x04\x22\x4d\x18", "LZ4", Container.ARCHIVE),
    Kind(257, b"ustar", "tar", Container.TAR),  # POSIX.1-2017 pax, "ustar Interchange Format", field magic
    Kind(0, b"PK\x03\x04", "ZIP", Container.ZIP),
    Kind(0, b"PK\x05\x06", "ZIP", Container.ZIP),
)
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_HEAD_BYTES = 512
# Names that promise one container and nothing else; .vmdk, .img and .dmg are also given to raw data.
_PROMISED = {
    ".e01": "an EWF image",
    ".s01": "an EWF image",
    ".ex01": "an EWF 2 image",
    ".qcow2": "a QCOW2 image",
    ".vhd": "a VHD image (its footer, the last 512 bytes, may be cut off)",
    ".vhdx": "a VHDX image",
    ".vdi": "a VDI image",
    ".aff4": "an AFF4 image",
    ".ad1": "an AD1 image",
    ".l01": "an L01 image",
    ".lx01": "an Lx01 image",
}


def identify(file: SourceFile) -> Container:
    """The container that the file is; RAW if it carries no signature we know.

    A ZIP is told from an AFF4 volume, which is one too, by its members.

    Raises:
        UnsupportedImageError: it is known and not read; the message names it.
        ImageError: its name promises a container that it is not.
    """
    head = file.read_at(0, _HEAD_BYTES)
    tail = file.read_at(max(0, file.size - _HEAD_BYTES), _HEAD_BYTES)
    kind = next((kind for kind in KINDS if _carries(kind, head, tail)), None)
    if kind is not None and kind.container is None:
        message = f"{shown(file.path)}: is {kind.name}, which is not read; {kind.advice}"
        raise UnsupportedImageError(message)
    container = kind.container if kind is not None else None
    if container is None and _BZIP2.match(head):
        container = Container.ARCHIVE
    if container is Container.ZIP:
        container = aff4_kind(file) or Container.ZIP
    suffix = file.path.suffix.lower()
    promised = _PROMISED.get(suffix)
    if promised and (container is None or (container is Container.ZIP and suffix == ".aff4")):
        message = f"{shown(file.path)}: is named {file.path.suffix} and is not {promised}"
        raise ImageError(message)
    return container or Container.RAW


def _carries(kind: Kind, head: bytes, tail: bytes) -> bool:
    if kind.offset < 0:
        start = len(tail) + kind.offset
        return start >= 0 and tail.startswith(kind.magic, start)
    return head.startswith(kind.magic, kind.offset)
