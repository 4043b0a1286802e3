"""QCOW2: what is checked before the disk is opened.

References: QEMU docs/interop/qcow2.rst, "Header", "Header extensions".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.containers.disk import DiskReader, open_qcow2
from forensics.errors import ImageError, Problem, Stage, UnsupportedImageError
from forensics.exhibit import Container, shown
from forensics.media import Media
from forensics.names import display_path

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_FEATURES = struct.Struct(">Q")
_FEATURES_OFFSET = 72
_MIN_CLUSTER_BITS, _MAX_CLUSTER_BITS = 9, 21
_MAX_NAME_BYTES = 1023
_L1_ENTRY_BYTES = 8
_MAX_L1_BYTES = 32 * 1024 * 1024  # QEMU's own limit
_VERSIONS = (2, 3)
_CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = 1 << 1, 1 << 2, 1 << 3, 1 << 4
_KNOWN_FEATURES = 0b11111


def open_disk(file: SourceFile) -> Media:
    """The media of a QCOW2 file that stands alone.

    Raises:
        UnsupportedImageError: it needs another file (which is named and never opened), is encrypted, or of another version.
        ImageError: its header cannot be.
    """
    raw = file.read_at(0, _HEADER.size)
    if len(raw) < _HEADER.size:
        message = f"{shown(file.path)}: the QCOW2 header is cut off"
        raise ImageError(message)
    _, version, backing_offset, backing_size, cluster_bits, size, crypt, l1_size, l1_offset, _, _, snapshots, _ = _HEADER.unpack(raw)
    if version not in _VERSIONS:
        message = f"{shown(file.path)}: is QCOW version {version}, which is not read; convert it to raw with qemu-img"
        raise UnsupportedImageError(message)
    features = _FEATURES.unpack(file.read_at(_FEATURES_OFFSET, _FEATURES.size).ljust(_FEATURES.size, b"\0"))[0]
    if features and version != _VERSIONS[-1]:
        # Version 2 has no such field: header extensions stand there, and the library takes them for features.
        message = f"{shown(file.path)}: is QCOW2 version 2 with header extensions, which are not read; convert it to raw with qemu-img"
        raise UnsupportedImageError(message)
    if backing_offset:
        name = display_path(file.read_at(backing_offset, min(backing_size, _MAX_NAME_BYTES)))[0]
        message = f"{shown(file.path)}: is an overlay over the backing file '{name}', which is not opened; give a merged image"
        raise UnsupportedImageError(message)
    _check_features(file, features, crypt)
    _check_shape(file, cluster_bits, size, l1_size, l1_offset)
    stream = open_qcow2(file)
    return Media(
        container=Container.QCOW2,
        size=size,
        files=(file,),
        reader=DiskReader(stream, size=size, unit=1 << cluster_bits),
        problems=tuple(_problems(file, features, snapshots)),
    )


def _check_features(file: SourceFile, features: int, crypt: int) -> None:
    told = ""
    if features & _DATA_FILE:
        told = "keeps its data in another file, which is not opened; give an image with its data inside"
    elif crypt:
        told = "is encrypted, which is not read; decrypt it with qemu-img first"
    elif features & _EXTENDED_L2:
        told = "has subclusters (extended L2 entries), which are not read; convert it to raw with qemu-img"
    elif features & ~_KNOWN_FEATURES:
        told = f"needs features that are not known (bits {features & ~_KNOWN_FEATURES:#x}); convert it to raw with qemu-img"
    if told:
        message = f"{shown(file.path)}: this QCOW2 image {told}"
        raise UnsupportedImageError(message)


def _check_shape(file: SourceFile, cluster_bits: int, size: int, l1_size: int, l1_offset: int) -> None:
    told = ""
    if not _MIN_CLUSTER_BITS <= cluster_bits <= _MAX_CLUSTER_BITS:
        told = f"states clusters of 2**{cluster_bits} bytes, which cannot be"
    elif size == 0:
        told = "states a disk of 0 bytes"
    # An L1 entry covers a table of 2**(cluster_bits - 3) entries, a cluster each.
    elif l1_size < -(-size // (1 << (2 * cluster_bits - 3))) or l1_size * _L1_ENTRY_BYTES > _MAX_L1_BYTES:
        told = f"states a disk of {size} bytes and an L1 table of {l1_size} entries, which do not fit"
    elif l1_offset + l1_size * _L1_ENTRY_BYTES > file.size:
        told = f"is cut off: its L1 table ends at byte {l1_offset + l1_size * _L1_ENTRY_BYTES} and the file at {file.size}"
    if told:
        message = f"{shown(file.path)}: {told}"
        raise ImageError(message)


def _problems(file: SourceFile, features: int, snapshots: int) -> list[Problem]:
    problems = []
    if features & _CORRUPT:
        problems.append(
            Problem(
                stage=Stage.IMAGE,
                code="qcow2-marked-corrupt",
                what="The QCOW2 image is marked as corrupt; what is read from it may be wrong.",
                why="incompatible feature bit 1 is set in its header",
                advice="Check a copy of it with qemu-img check.",
                path=file.name,
            )
        )
    if snapshots:
        problems.append(
            Problem(
                stage=Stage.IMAGE,
                code="snapshots-not-read",
                what=f"The QCOW2 image holds {snapshots} internal snapshots, earlier states of the disk; only the current state is read.",
                why="its header counts them",
                advice="Export each with qemu-img convert -l and process it as an exhibit of its own.",
                path=file.name,
            )
        )
    return problems
