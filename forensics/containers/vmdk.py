"""VMDK: one sparse file with its descriptor inside, or a descriptor file with extents that lie in the same folder.

An extent's name is taken only if it is a plain file name; a path, or a name that leads elsewhere, is refused, because it would let
evidence choose a file of this computer. Snapshots (disks with a parent) are refused, the parent named.

References: VMware Virtual Disk Format 1.1, "The descriptor", "Hosted sparse extent header".
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from forensics.containers.disk import MAX_UNIT_BYTES, DiskReader, open_vmdk, unit_of
from forensics.errors import ImageError, UnsupportedImageError
from forensics.exhibit import Container, SourceFile, shown
from forensics.media import Media, iter_salvaged
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.media import MediaBlock, MediaReader

_SECTOR_BYTES = 512
_SPARSE_HEADER = struct.Struct("<4sIIQQQQI")  # magic, version, flags, capacity, grain, descriptor offset and size, entries
_MAX_DESCRIPTOR_BYTES = 1024 * 1024
_MAX_EXTENTS = 1024
_NO_PARENT = "ffffffff"
_EXTENT = re.compile(r'(RW|RDONLY|NOACCESS)\s+(\d+)\s+([A-Z]+)(?:\s+"([^"]*)")?(?:\s+(\d+))?')
_SETTING = re.compile(r'([A-Za-z.]+)\s*=\s*"?([^"]*)"?')
_FLAT, _SPARSE, _ZERO = ("FLAT", "VMFS"), ("SPARSE", "VMFSSPARSE", "SESPARSE"), ("ZERO",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """One part of the disk as the descriptor states it: kind, size in bytes, file name, and where it starts in a flat file."""

    kind: str
    size: int
    name: str
    start_byte: int


class ZeroReader:
    """An extent of zeros without a file."""

    def __init__(self, size: int) -> None:
        self._size = size

    def read_at(self, _offset: int, length: int) -> bytes:
        """That many zeros, as the descriptor states."""
        return bytes(length)

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All of them."""
        return iter_salvaged(self.read_at, self._size)


class ExtentReader:
    """Extents, one after the other."""

    def __init__(self, readers: Sequence[MediaReader], sizes: Sequence[int]) -> None:
        self._readers = tuple(readers)
        self._starts = (0, *accumulate(sizes))

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `media[offset : offset + length]`.

        Raises:
            ImageReadError: an extent does not give all of them.
        """
        parts = []
        while length > 0:
            index = bisect_right(self._starts, offset) - 1
            part = self._readers[index].read_at(offset - self._starts[index], min(length, self._starts[index + 1] - offset))
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes in order; what an extent does not give as zeros, and named."""
        return iter_salvaged(self.read_at, self._starts[-1])


def open_disk(file: SourceFile) -> Media:
    """The media of a VMDK whose extents are this file, or lie beside it.

    Raises:
        UnsupportedImageError: it has a parent, or an extent outside its folder or of a kind that is not read.
        ImageError: descriptor, header or extents are damaged, missing or cut off.
    """
    if file.read_at(0, 1) == b"#":
        return _open_extents(file, _descriptor(file, 0, file.size))
    size, grain, at, length = _sparse_header(file)
    if length:
        _check_parent(file, text := _descriptor(file, at, length))
        if len(_extents(file, text)) > 1:
            message = f"{shown(file.path)}: is one of several extents; give the descriptor file that lists them"
            raise UnsupportedImageError(message)
    return Media(container=Container.VMDK, size=size, files=(file,), reader=_sparse_reader(file, size, grain))


def _open_extents(descriptor: SourceFile, text: str) -> Media:
    _check_parent(descriptor, text)
    extents = _extents(descriptor, text)
    if not extents:
        message = f"{shown(descriptor.path)}: the VMDK descriptor lists no extent"
        raise ImageError(message)
    files: list[SourceFile] = []
    readers: list[MediaReader] = []
    try:
        for extent in extents:
            if extent.kind in _ZERO:
                readers.append(ZeroReader(extent.size))
                continue
            files.append(_open_beside(descriptor, extent))
            readers.append(_extent_reader(files[-1], extent))
    except ImageError:
        for file in files:
            file.release()
        raise
    sizes = [extent.size for extent in extents]
    return Media(container=Container.VMDK, size=sum(sizes), files=(descriptor, *files), reader=ExtentReader(readers, sizes))


def _open_beside(descriptor: SourceFile, extent: Extent) -> SourceFile:
    name = extent.name
    if not name or name in (".", "..") or re.search(r"[/\\\0]", name):
        message = f"{shown(descriptor.path)}: names the extent '{escape_text(name)}', no plain name; nothing outside its folder is opened"
        raise UnsupportedImageError(message)
    path = descriptor.path.with_name(name)
    if path.is_symlink():
        message = f"{shown(descriptor.path)}: the extent '{escape_text(name)}' is a symbolic link; nothing outside its folder is opened"
        raise UnsupportedImageError(message)
    return SourceFile(path)


def _extent_reader(file: SourceFile, extent: Extent) -> MediaReader:
    if extent.kind in _FLAT:
        if extent.start_byte + extent.size > file.size:
            message = f"{shown(file.path)}: is cut off: the VMDK descriptor states {extent.size} bytes, {file.size} are there"
            raise ImageError(message)
        start = extent.start_byte
        return DiskReader(lambda offset, length: file.read_at(start + offset, length), size=extent.size, unit=MAX_UNIT_BYTES)
    if extent.kind in _SPARSE:
        size, grain, _, _ = _sparse_header(file)
        if size < extent.size:
            message = f"{shown(file.path)}: the VMDK descriptor states {extent.size} bytes, the extent itself {size}"
            raise ImageError(message)
        return _sparse_reader(file, size, grain)
    message = f"{shown(file.path)}: is a VMDK extent of the kind {extent.kind}, which is not read"
    raise UnsupportedImageError(message)


def _sparse_reader(file: SourceFile, size: int, grain: int) -> DiskReader:
    return DiskReader(open_vmdk(file), size=size, unit=unit_of(grain))


def _sparse_header(file: SourceFile) -> tuple[int, int, int, int]:
    """Capacity, grain, and the descriptor's offset and length; bytes."""
    raw = file.read_at(0, _SPARSE_HEADER.size).ljust(_SPARSE_HEADER.size, b"\0")
    magic, version, flags, capacity, grain, at, length, _ = _SPARSE_HEADER.unpack(raw)
    if magic == b"COWD":  # flags, sectors and grain in 4 bytes each; there is no descriptor
        capacity, grain, at, length = *struct.unpack_from("<II", raw, 12), 0, 0
    elif magic != b"KDMV":  # SESparse: version, capacity and grain in 8 bytes each
        capacity, grain, at, length = *struct.unpack_from("<QQ", raw, 16), 0, 0
    del version, flags
    if not (0 < capacity < 1 << 48 and 0 < grain <= MAX_UNIT_BYTES // _SECTOR_BYTES * 64):
        message = f"{shown(file.path)}: its VMDK header states {capacity} sectors in grains of {grain}, which cannot be"
        raise ImageError(message)
    return capacity * _SECTOR_BYTES, grain * _SECTOR_BYTES, at * _SECTOR_BYTES, length * _SECTOR_BYTES


def _descriptor(file: SourceFile, at: int, length: int) -> str:
    raw = file.read_at(at, min(length, _MAX_DESCRIPTOR_BYTES))
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _check_parent(file: SourceFile, text: str) -> None:
    settings = {found[1]: found[2].strip() for line in text.splitlines() if (found := _SETTING.fullmatch(line.strip()))}
    if settings.get("parentCID", _NO_PARENT).lower() != _NO_PARENT:
        parent = escape_text(settings.get("parentFileNameHint", "a parent without a name"))
        message = f"{shown(file.path)}: is a snapshot over '{parent}', which is not opened; give a merged image"
        raise UnsupportedImageError(message)


def _extents(file: SourceFile, text: str) -> list[Extent]:
    found = [one for line in text.splitlines() if (one := _EXTENT.match(line.strip()))]
    if len(found) > _MAX_EXTENTS:
        message = f"{shown(file.path)}: the VMDK descriptor lists {len(found)} extents, more than {_MAX_EXTENTS}"
        raise ImageError(message)
    return [
        Extent(kind=one[3], size=int(one[2]) * _SECTOR_BYTES, name=one[4] or "", start_byte=int(one[5] or 0) * _SECTOR_BYTES)
        for one in found
    ]
