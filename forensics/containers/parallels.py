"""Parallels: a disk folder with DiskDescriptor.xml and its files, or one file of Parallels' blocks that stands alone.

The files of the disk folder are taken from that folder and from nowhere else. The blocks are looked up here because dissect.hypervisor
opens the files by the paths that the descriptor states, takes no notice of the newest snapshot it names, and holds the block table in
memory whatever its size.

References: QEMU docs/interop/prl-xml.rst; docs/interop/parallels.rst, "Parallels expandable image file format".
"""

from __future__ import annotations

import stat
import struct
from typing import TYPE_CHECKING

from forensics.containers.beside import Reference, moved
from forensics.containers.disk import MAX_UNIT_BYTES, DiskReader, by_block
from forensics.containers.parallels_descriptor import ROOT, read_descriptor
from forensics.containers.vmdk_extents import ExtentReader
from forensics.errors import ImageError, ImageReadError, Problem, Stage, UnsupportedImageError
from forensics.exhibit import Container, SourceFile, shown
from forensics.media import Media
from forensics.source import MediaSource

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from forensics.containers.disk import ReadDisk
    from forensics.containers.lineage import Lineage
    from forensics.containers.parallels_descriptor import Storage
    from forensics.source import ByteSource

DESCRIPTOR_NAME = "DiskDescriptor.xml"
MAGICS = (b"WithoutFreeSpace", b"WithouFreSpacExt")
# magic, version, heads, cylinders, sectors in a block, blocks, sectors of the disk, in use, where data starts, flags, extension
_HEADER = struct.Struct("<16sIIIIIQIIIQ")
_VERSION = 2
_IN_USE = 0x746F6E59
_ENTRY_BYTES = 4
_SECTOR_BYTES = 512
_MAX_BLOCK_SECTORS = 1 << 21
_HEAD_BYTES = 4096


def descriptor_in(path: Path) -> Path | None:
    """The descriptor, if the path is the folder of a Parallels disk or that descriptor itself; else None. Never raises."""
    try:
        candidate = path / DESCRIPTOR_NAME if path.is_dir() else path
        if candidate.name != DESCRIPTOR_NAME or not stat.S_ISREG(candidate.lstat().st_mode):
            return None
        with candidate.open("rb") as file:
            return candidate if f"<{ROOT}".encode() in file.read(_HEAD_BYTES) else None
    except (OSError, ValueError):
        return None


def is_disk_folder(path: Path) -> bool:
    """Whether the path is a folder that is one image: the disk folder of Parallels."""
    return path.is_dir() and descriptor_in(path) is not None


def open_disk(file: SourceFile, lineage: Lineage) -> Media:
    """The media of the Parallels disk that the descriptor describes, or of the one file that stands alone.

    Raises:
        SegmentMissingError: a file of the disk does not lie in its folder; the message names it.
        UnsupportedImageError: it is one of several files of a disk folder, or encrypted, or names a file that is not opened.
        ImageError: descriptor or files are damaged, or state what cannot be.
    """
    if not file.read_at(0, len(MAGICS[0])).startswith(MAGICS):
        return _open_folder(file, lineage)
    beside = descriptor_in(file.path.parent)
    if beside is not None:
        described = read_descriptor(descriptor := SourceFile(beside))
        descriptor.release()
        if len([image for storage in described.storages for image in storage.images]) > 1:
            message = f"{shown(file.path)}: is one of several files of a Parallels disk; give its folder, or {DESCRIPTOR_NAME} in it"
            raise UnsupportedImageError(message)
    size, read, block = _open_blocks(file, None)
    return Media(
        container=Container.PARALLELS,
        size=size,
        files=(file,),
        reader=DiskReader(read, size=size, unit=min(block, MAX_UNIT_BYTES), cache_bytes=lineage.cache_bytes),
        problems=_in_use(file),
    )


def _open_folder(file: SourceFile, lineage: Lineage) -> Media:
    descriptor = read_descriptor(file)
    files = [file]
    problems: list[Problem] = []
    readers = []
    for storage in descriptor.storages:
        below = None
        for snapshot in reversed(descriptor.chain):
            reference, is_plain = _stored(file, storage, snapshot)
            opened = lineage.beside.open_moved(reference)
            if any(opened.identity == other.identity for other in files):
                message = f"{shown(file.path)}: names the file {opened.name} twice"
                raise ImageError(message)
            below = _layer(opened, storage.end - storage.start, below, is_plain=is_plain, cache_bytes=lineage.cache_bytes)
            files.append(opened)
            problems += [*moved(reference, opened), *(() if is_plain else _in_use(opened))]
        if below is None:
            message = f"{shown(file.path)}: describes no snapshot"
            raise ImageError(message)
        readers.append(below)
    sizes = [storage.end - storage.start for storage in descriptor.storages]
    return Media(
        container=Container.PARALLELS, size=sum(sizes), files=tuple(files), reader=ExtentReader(readers, sizes), problems=tuple(problems)
    )


def _stored(file: SourceFile, storage: Storage, snapshot: UUID) -> tuple[Reference, bool]:
    """The file that holds the snapshot of that storage, as stated, and whether it is a plain one."""
    for image in storage.images:
        if image.snapshot == snapshot:
            return Reference(by=file, role="file of the disk", names=(image.name,)), image.is_plain
    message = f"{shown(file.path)}: names no file for the snapshot {snapshot} of its storage from byte {storage.start}"
    raise ImageError(message)


def _layer(file: SourceFile, size: int, below: DiskReader | None, *, is_plain: bool, cache_bytes: int) -> DiskReader:
    if is_plain:
        if file.size < size:
            message = f"{shown(file.path)}: is cut off: the Parallels descriptor states {size} bytes, {file.size} are there"
            raise ImageError(message)
        return DiskReader(file.read_at, size=size, unit=MAX_UNIT_BYTES, cache_bytes=cache_bytes)
    own, read, block = _open_blocks(file, MediaSource(below, size) if below else None)
    if own < size:
        message = f"{shown(file.path)}: the Parallels descriptor states {size} bytes, the file itself {own}"
        raise ImageError(message)
    return DiskReader(read, size=size, unit=min(block, MAX_UNIT_BYTES), cache_bytes=cache_bytes)


def _open_blocks(file: SourceFile, below: ByteSource | None) -> tuple[int, ReadDisk, int]:
    """Size of the disk in bytes, what reads it, and the size of a block in bytes."""
    raw = file.read_at(0, _HEADER.size)
    if len(raw) < _HEADER.size or not raw.startswith(MAGICS):
        message = f"{shown(file.path)}: is no file of Parallels' blocks, or its header is cut off"
        raise ImageError(message)
    magic, version, _, _, per_block, blocks, sectors, _, _, _, _ = _HEADER.unpack(raw)
    is_first = magic == MAGICS[0]
    if is_first:
        sectors &= 0xFFFF_FFFF  # what follows is not used in the older format
    fits = version == _VERSION and 0 < per_block <= _MAX_BLOCK_SECTORS and 0 < sectors <= blocks * per_block
    if not fits or _HEADER.size + blocks * _ENTRY_BYTES > file.size:
        message = (
            f"{shown(file.path)}: its Parallels header (version {version}) states {sectors} sectors in {blocks} blocks of {per_block}, "
            "which cannot be, or it is cut off inside its block table"
        )
        raise ImageError(message)
    # An entry counts sectors in the older format and blocks in the newer one, from the start of the file.
    step = _SECTOR_BYTES if is_first else per_block * _SECTOR_BYTES
    block = per_block * _SECTOR_BYTES

    def read(index: int, skip: int, length: int) -> bytes:
        entry = file.read_at(_HEADER.size + index * _ENTRY_BYTES, _ENTRY_BYTES)
        if len(entry) < _ENTRY_BYTES:
            message = f"the block table is cut off before block {index}"
            raise ImageReadError(message)
        place = int.from_bytes(entry, "little") * step
        if place:
            return file.read_at(place + skip, length)
        return below.read_at(index * block + skip, length) if below else bytes(length)

    return sectors * _SECTOR_BYTES, by_block(read, block), block


def _in_use(file: SourceFile) -> tuple[Problem, ...]:
    raw = file.read_at(0, _HEADER.size)
    if len(raw) < _HEADER.size or _HEADER.unpack(raw)[7] != _IN_USE:
        return ()
    return (
        Problem(
            stage=Stage.IMAGE,
            code="parallels-in-use",
            what=f"The Parallels disk file {file.name} was not closed; its newest blocks may be missing from its table.",
            why="its header is marked as in use",
            advice="Compare with a copy that the virtual machine closed, if there is one.",
            path=file.name,
        ),
    )
