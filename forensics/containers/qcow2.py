"""QCOW2: what is checked before the disk is opened, and the files it may need: a backing file, a data file.

The library is given a header of version 3 made from what was checked here, without backing file and extensions, because it takes
the extensions of a version 2 header for features, and the first bytes of a raw backing file for a format.

References: QEMU docs/interop/qcow2.rst, "Header", "Header extensions".
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from forensics.containers.beside import Reference, moved, told
from forensics.containers.disk import DiskReader, open_qcow2
from forensics.containers.kinds import identify
from forensics.containers.lineage import Underlay
from forensics.errors import ImageError, Problem, Stage, UnsupportedImageError
from forensics.exhibit import Container, shown
from forensics.media import Media

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forensics.containers.lineage import Lineage
    from forensics.exhibit import SourceFile

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_LATER_HEADER = struct.Struct(">QQQIIB7x")  # features thrice, refcount order, header length, compression
_EXTENSION = struct.Struct(">II")
_V2_HEADER_BYTES, _V3_HEADER_BYTES = 72, 104
_BACKING_FORMAT, _DATA_FILE_NAME = 0xE2792ACA, 0x44415441
_MAX_EXTENSIONS = 64
_MIN_CLUSTER_BITS, _MAX_CLUSTER_BITS = 9, 21
_MAX_NAME_BYTES = 1023
_L1_ENTRY_BYTES = 8
_MAX_L1_BYTES = 32 * 1024 * 1024  # QEMU's own limit
_VERSIONS = (2, 3)
_CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = 1 << 1, 1 << 2, 1 << 3, 1 << 4
_KNOWN_FEATURES = 0b11111
_FORMATS: Mapping[str, Container] = MappingProxyType(
    {
        "raw": Container.RAW,
        "qcow2": Container.QCOW2,
        "vmdk": Container.VMDK,
        "vpc": Container.VHD,
        "vhdx": Container.VHDX,
        "vdi": Container.VDI,
        "parallels": Container.PARALLELS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What the header states; offsets and sizes in bytes, names as the file system of this computer would give them."""

    backing: str | None
    backing_format: str
    data_file: str
    cluster_bits: int
    size: int
    crypt: int
    l1_size: int
    l1_offset: int
    snapshots: int
    features: int
    compression: int


def open_disk(file: SourceFile, lineage: Lineage) -> Media:
    """The media of a QCOW2 file.

    Raises:
        SegmentMissingError: its backing file or data file does not lie beside it; the message names it.
        UnsupportedImageError: that name is not taken, or the image is encrypted or of a kind that is not read.
        ImageError: its header cannot be.
    """
    header = _read_header(file)
    _check_features(file, header)
    _check_shape(file, header)
    cluster = 1 << header.cluster_bits
    problems = _problems(file, header)
    files = [file]
    data = None
    if header.features & _DATA_FILE:
        reference = Reference(by=file, role="data file", names=(header.data_file,))
        data = lineage.beside.open_moved(reference)
        files.append(data)
        problems += moved(reference, data)
    backing = None
    if header.backing is not None:
        reference = Reference(by=file, role="backing file", names=(header.backing,))
        parent = lineage.open(*_backing(file, header.backing_format, lineage.beside.open_moved(reference)))
        backing = Underlay(parent, -(-header.size // cluster) * cluster)
        files.extend(parent.files)
        problems += [*moved(reference, parent.files[0]), *parent.problems]
    stream = open_qcow2(file, _plain_head(header), data=data, backing=backing, cache_bytes=lineage.cache_bytes)
    return Media(
        container=Container.QCOW2,
        size=header.size,
        files=tuple(files),
        reader=DiskReader(stream, size=header.size, unit=cluster, cache_bytes=lineage.cache_bytes),
        problems=tuple(problems),
    )


def _read_header(file: SourceFile) -> _Header:
    raw = file.read_at(0, _HEADER.size)
    if len(raw) < _HEADER.size:
        message = f"{shown(file.path)}: the QCOW2 header is cut off"
        raise ImageError(message)
    _, version, backing_at, backing_size, cluster_bits, size, crypt, l1_size, l1_offset, _, _, snapshots, _ = _HEADER.unpack(raw)
    if version not in _VERSIONS:
        message = f"{shown(file.path)}: is QCOW version {version}, which is not read; convert it to raw with qemu-img"
        raise UnsupportedImageError(message)
    features, length, compression = 0, _V2_HEADER_BYTES, 0
    if version == _VERSIONS[-1]:
        later = file.read_at(_V2_HEADER_BYTES, _LATER_HEADER.size).ljust(_LATER_HEADER.size, b"\0")
        features, _, _, _, length, compression = _LATER_HEADER.unpack(later)
        if length <= _V3_HEADER_BYTES:
            compression = 0
    extensions = _extensions(file, length, backing_at or 1 << min(cluster_bits, _MAX_CLUSTER_BITS))
    return _Header(
        backing=os.fsdecode(file.read_at(backing_at, min(backing_size, _MAX_NAME_BYTES))) if backing_at else None,
        backing_format=extensions.get(_BACKING_FORMAT, ""),
        data_file=extensions.get(_DATA_FILE_NAME, ""),
        cluster_bits=cluster_bits,
        size=size,
        crypt=crypt,
        l1_size=l1_size,
        l1_offset=l1_offset,
        snapshots=snapshots,
        features=features,
        compression=compression,
    )


def _extensions(file: SourceFile, at: int, end: int) -> dict[int, str]:
    """The header extensions that are names, by their type."""
    found: dict[int, str] = {}
    for _ in range(_MAX_EXTENSIONS):
        raw = file.read_at(at, _EXTENSION.size)
        if at + _EXTENSION.size > end or len(raw) < _EXTENSION.size:
            break
        kind, length = _EXTENSION.unpack(raw)
        if kind == 0:
            break
        if kind in (_BACKING_FORMAT, _DATA_FILE_NAME):
            found[kind] = os.fsdecode(file.read_at(at + _EXTENSION.size, min(length, _MAX_NAME_BYTES)))
        at += _EXTENSION.size + -(-length // 8) * 8
    return found


def _backing(file: SourceFile, stated: str, backing: SourceFile) -> tuple[Container, SourceFile]:
    """How to read the backing file: as the image states it; where it does not, by its signature, as QEMU did."""
    if not stated:
        return identify(backing), backing
    container = _FORMATS.get(stated.lower())
    if container is None:
        message = f"{shown(file.path)}: states that its backing file is of the format '{told(stated)}', which is not read as one"
        raise UnsupportedImageError(message)
    if container is not Container.RAW and (found := identify(backing)) is not container:
        message = f"{shown(file.path)}: states that its backing file {backing.name} is {container.value}, and it is {found.value}"
        raise ImageError(message)
    return container, backing


def _plain_head(header: _Header) -> bytes:
    """The header as the library is to see it, and behind it the end of the extensions."""
    first = _HEADER.pack(
        b"QFI\xfb", 3, 0, 0, header.cluster_bits, header.size, 0, header.l1_size, header.l1_offset, 0, 0, 0, 0
    )  # refcounts and snapshots are not read
    length = _V2_HEADER_BYTES + _LATER_HEADER.size
    return first + _LATER_HEADER.pack(header.features, 0, 0, 4, length, header.compression) + bytes(_EXTENSION.size)


def _check_features(file: SourceFile, header: _Header) -> None:
    told_of = ""
    if header.crypt:
        told_of = "is encrypted, which is not read; decrypt it with qemu-img first"
    elif header.features & _EXTENDED_L2:
        told_of = "has subclusters (extended L2 entries), which are not read; convert it to raw with qemu-img"
    elif header.features & ~_KNOWN_FEATURES:
        told_of = f"needs features that are not known (bits {header.features & ~_KNOWN_FEATURES:#x}); convert it to raw with qemu-img"
    elif header.features & _DATA_FILE and not header.data_file:
        told_of = "keeps its data in another file and does not name it"
    if told_of:
        message = f"{shown(file.path)}: this QCOW2 image {told_of}"
        raise UnsupportedImageError(message)


def _check_shape(file: SourceFile, header: _Header) -> None:
    told_of, table_bytes = "", header.l1_size * _L1_ENTRY_BYTES
    if not _MIN_CLUSTER_BITS <= header.cluster_bits <= _MAX_CLUSTER_BITS:
        told_of = f"states clusters of 2**{header.cluster_bits} bytes, which cannot be"
    elif header.size == 0:
        told_of = "states a disk of 0 bytes"
    # An L1 entry covers a table of 2**(cluster_bits - 3) entries, a cluster each.
    elif header.l1_size < -(-header.size // (1 << (2 * header.cluster_bits - 3))) or table_bytes > _MAX_L1_BYTES:
        told_of = f"states a disk of {header.size} bytes and an L1 table of {header.l1_size} entries, which do not fit"
    elif header.l1_offset + table_bytes > file.size:
        told_of = f"is cut off: its L1 table ends at byte {header.l1_offset + table_bytes} and the file at {file.size}"
    if told_of:
        message = f"{shown(file.path)}: {told_of}"
        raise ImageError(message)


def _problems(file: SourceFile, header: _Header) -> list[Problem]:
    problems = []
    if header.features & _CORRUPT:
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
    if header.snapshots:
        problems.append(
            Problem(
                stage=Stage.IMAGE,
                code="snapshots-not-read",
                what=f"The QCOW2 image holds {header.snapshots} internal snapshots, earlier states; only the current state is read.",
                why="its header counts them",
                advice="Export each with qemu-img convert -l and process it as an exhibit of its own.",
                path=file.name,
            )
        )
    return problems
