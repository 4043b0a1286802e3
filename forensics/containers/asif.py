"""ASIF, the sparse image of macOS 26: a directory of tables of chunks.

Read here and not by dissect.hypervisor, which takes the file's header for a table where a directory entry is 0, gives whatever a
partly written chunk held before, and holds tables of any stated size in memory. No document of Apple describes the format; states
that nobody has seen are errors, and nothing is guessed.

References: community specification huven/asif-format, "Header", "Directory", "Table", "Chunk Group", "Bitmap Chunk".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from forensics.containers.disk import DiskReader, by_block
from forensics.errors import ImageError, ImageReadError, UnsupportedImageError
from forensics.exhibit import Container, shown
from forensics.media import Media

if TYPE_CHECKING:
    from forensics.containers.disk import ReadDisk
    from forensics.containers.lineage import Lineage
    from forensics.exhibit import SourceFile

_HEADER = struct.Struct(">4sIIIQQ16sQQIHH")
_VERSION = 1
_ENTRY_BYTES = 8
_SECTOR_SIZES = (512, 4096)
_MIN_CHUNK_BYTES, _MAX_CHUNK_BYTES = 64 * 1024, 64 * 1024 * 1024
_MAX_DISK_BYTES = 1 << 52  # 4 PiB, the format's own limit
_NUMBER = (1 << 55) - 1
_STATUS_SHIFT = 62
_EMPTY, _WHOLE, _PARTIAL = 0b00, 0b01, 0b11
_SECTORS_IN_BYTE, _STATE = 4, 0b11


def open_disk(file: SourceFile, lineage: Lineage) -> Media:
    """The media of an ASIF file.

    Raises:
        UnsupportedImageError: it is of another version.
        ImageError: its header is cut off or states what cannot be.
    """
    raw = file.read_at(0, _HEADER.size)
    if len(raw) < _HEADER.size:
        message = f"{shown(file.path)}: the ASIF header is cut off"
        raise ImageError(message)
    _, version, _, _, first, second, _, sectors, _, chunk, sector_size, _ = _HEADER.unpack(raw)
    if version != _VERSION:
        message = f"{shown(file.path)}: is ASIF version {version}, which is not read; convert it to raw with diskutil"
        raise UnsupportedImageError(message)
    size = sectors * sector_size
    fits = _MIN_CHUNK_BYTES <= chunk <= _MAX_CHUNK_BYTES and not chunk & (chunk - 1)
    if not fits or sector_size not in _SECTOR_SIZES or not 0 < size <= _MAX_DISK_BYTES:
        message = f"{shown(file.path)}: states {size} bytes in chunks of {chunk} and sectors of {sector_size}, which cannot be"
        raise ImageError(message)
    # "Directory": of the two the one with the higher sequence number holds.
    try:
        directory = max((_entry(file, place), place) for place in (first, second))[1]
    except ImageReadError as error:
        message = f"{shown(file.path)}: is cut off before its ASIF directories"
        raise ImageError(message) from error
    read = _chunks(file, directory, chunk=chunk, sector_size=sector_size)
    return Media(
        container=Container.ASIF,
        size=size,
        sector_size=sector_size,
        files=(file,),
        reader=DiskReader(read, size=size, unit=min(chunk, 1 << 20), cache_bytes=lineage.cache_bytes),
    )


def _chunks(file: SourceFile, directory: int, *, chunk: int, sector_size: int) -> ReadDisk:
    group_chunks = 4 * sector_size
    group_bytes = _ENTRY_BYTES * (group_chunks + 1)
    groups = chunk // group_bytes

    def read(index: int, skip: int, length: int) -> bytes:
        table_number, in_table = divmod(index, groups * group_chunks)
        table = _entry(file, directory + _ENTRY_BYTES * (1 + table_number)) & _NUMBER
        if table == 0:
            return bytes(length)
        group_number, in_group = divmod(in_table, group_chunks)
        group = table * chunk + group_number * group_bytes
        entry = _entry(file, group + in_group * _ENTRY_BYTES)
        status, place = entry >> _STATUS_SHIFT, (entry & _NUMBER) * chunk
        if (status, place) == (_EMPTY, 0):
            return bytes(length)
        if place and status == _WHOLE:
            return file.read_at(place + skip, length)
        bitmap = _entry(file, group + group_chunks * _ENTRY_BYTES) & _NUMBER
        if not place or status != _PARTIAL or not bitmap:
            message = f"chunk {index} is in the state {status} at chunk {place // chunk} of the file, which is not known"
            raise ImageReadError(message)
        return _written(file, bitmap * chunk, place, first=in_group * (chunk // sector_size), skip=skip, length=length, size=sector_size)

    return by_block(read, chunk)


def _written(file: SourceFile, bitmap: int, place: int, *, first: int, skip: int, length: int, size: int) -> bytes:
    """Part of a chunk that was written in part: its sectors of state 1, zeros for those of state 0."""
    sector, end = skip // size, -(-(skip + length) // size)
    start = (first + sector) // _SECTORS_IN_BYTE
    states = file.read_at(bitmap + start, (first + end - 1) // _SECTORS_IN_BYTE + 1 - start)
    data = bytearray(file.read_at(place + sector * size, (end - sector) * size))
    if len(data) != (end - sector) * size or len(states) * _SECTORS_IN_BYTE < end - sector:
        message = "the container is cut off"
        raise ImageReadError(message)
    for number in range(end - sector):
        at = first + sector + number
        state = states[at // _SECTORS_IN_BYTE - start] >> at % _SECTORS_IN_BYTE * 2 & _STATE
        if state > 1:
            message = f"a sector is in the state {state}, which is not known"
            raise ImageReadError(message)
        if state == 0:
            data[number * size : (number + 1) * size] = bytes(size)
    return bytes(data[skip - sector * size :][:length])


def _entry(file: SourceFile, place: int) -> int:
    raw = file.read_at(place, _ENTRY_BYTES)
    if len(raw) < _ENTRY_BYTES:
        message = f"{file.name}: its table ends before byte {place}"
        raise ImageReadError(message)
    return int.from_bytes(raw, "big")
