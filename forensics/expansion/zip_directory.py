"""The entries of a ZIP file: by its central directory, or by the local headers where there is none or it leaves some out.

References: APPNOTE.TXT 6.3.10 (PKWARE), sections 4.3 and 4.5; WinZip's AES encryption information for extra field 0x9901.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from forensics.errors import ArchiveError
from forensics.expansion.zip_extras import Extras, parse_extras

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_END64, _LOCATOR64 = b"PK\6\6", b"PK\6\7"
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # 4.3.7
_CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")  # 4.3.12
_END_RECORD = struct.Struct("<4s4H2IH")  # 4.3.16
_END_RECORD64 = struct.Struct("<4sQ2H2I4Q")  # 4.3.14
_LOCATOR_RECORD = struct.Struct("<4sIQI")  # 4.3.15
_LARGEST_COMMENT = 0xFFFF
_IN_EXTRA32 = 0xFFFFFFFF
_IN_EXTRA16 = 0xFFFF
_SCAN_BYTES = 1 << 20
_LONGEST_LIKELY_NAME = 4096
_KNOWN_METHODS = frozenset((0, 1, 6, 8, 9, 12, 14, 93, 95, 98, 99))
FLAG_ENCRYPTED, FLAG_DESCRIPTOR, FLAG_STRONG, FLAG_MASKED = 1, 1 << 3, 1 << 6, 1 << 13


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipEntry:
    """One entry.

    Attributes:
        name: as stored.
        flags: general purpose bit flag.
        method: compression method.
        dos_time: time and date, the date in the upper half.
        crc: stated CRC-32.
        packed, size: bytes stored and bytes unpacked; of a local header with a data descriptor both may be 0 and not known.
        offset: offset of the local header in the file.
        host: the system that the attributes are of; 3 is Unix.
        attributes: external attributes.
        extras: what the extra field states.
        is_central: whether it is of the central directory.
    """

    name: bytes
    flags: int
    method: int
    dos_time: int
    crc: int
    packed: int
    size: int
    offset: int
    host: int
    attributes: int
    extras: Extras
    is_central: bool

    @property
    def end(self) -> int:
        """Where its stored bytes end at the earliest."""
        return self.offset + _LOCAL_HEADER.size + len(self.name) + self.packed

    @property
    def has_known_size(self) -> bool:
        """Whether `packed` and `size` are stated."""
        return self.is_central or not self.flags & FLAG_DESCRIPTOR or bool(self.packed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Where the central directory lies.

    Attributes:
        start, end: its place, `file[start:end]`.
        count: how many entries it states.
        shift: by how much all offsets are off, because something was put before the archive.
        parts: in how many files the archive is; the directory is in the last.
    """

    start: int
    end: int
    count: int
    shift: int
    parts: int = 1


@dataclass(slots=True)
class Ranges:
    """The byte ranges of the entries met so far, sorted by where they start."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def add(self, start: int, end: int) -> bool:
        """Takes the range `[start:end]` in unless it shares bytes with one that is there; whether it did."""
        at = bisect_left(self.starts, start)
        if (at and self.ends[at - 1] > start) or (at < len(self.starts) and self.starts[at] < end):
            return False
        self.starts.insert(at, start)
        self.ends.insert(at, end)
        return True

    def gaps(self, end: int) -> Iterator[tuple[int, int]]:
        """The ranges between, before and behind, up to `end`, in which a local header has room."""
        before = 0
        for start, stop in zip([*self.starts, end], [*self.ends, end], strict=True):
            if start - before >= _LOCAL_HEADER.size:
                yield before, start
            before = max(before, stop)


def ends_with_directory(end: bytes, *, anything_behind: bool) -> bool:
    """Whether a file that ends so ends with a central directory, and nothing behind its last record and comment unless that is said."""
    at = len(end)
    while (at := end.rfind(END, 0, at)) >= 0:
        if at + _END_RECORD.size > len(end):
            continue
        *_, length, _, comment = _END_RECORD.unpack_from(end, at)
        behind, start = at + _END_RECORD.size + comment, at - length
        if behind > len(end) or not length:
            continue
        # Where the directory begins before what is looked at, or ZIP64's records stand behind it, only the exact end tells.
        begins = start >= 0 and end.startswith(CENTRAL, start)
        is_exact = behind == len(end) and (start < 0 or end.startswith(_LOCATOR64, at - _LOCATOR_RECORD.size))
        if is_exact or (begins and (behind == len(end) or anything_behind)):
            return True
    return False


def find_directory(file: BinaryIO, size: int) -> Directory | None:
    """Where the central directory lies, by the record at the end; None if there is none."""
    tail_start = max(size - _END_RECORD.size - _LARGEST_COMMENT, 0)
    tail = _read(file, tail_start, size)
    at = len(tail)
    while (at := tail.rfind(END, 0, at)) >= 0:
        if at + _END_RECORD.size > len(tail):
            continue
        _, number, _, _, count, length, start, _ = _END_RECORD.unpack_from(tail, at)
        found = _end64(file, tail_start + at) or (count, length, start, tail_start + at)
        directory = _place(file, *found)
        if directory is not None:
            return replace(directory, parts=number + 1 if number < _IN_EXTRA16 else 1)
    return None


def iter_central(file: BinaryIO, directory: Directory) -> Iterator[ZipEntry]:
    """The entries of the central directory, in its order.

    Raises:
        ArchiveError: it is damaged here; nothing behind can be read.
    """
    position = directory.start
    while position < directory.end:
        head = _read(file, position, position + _CENTRAL_HEADER.size)
        if len(head) < _CENTRAL_HEADER.size or head[:4] != CENTRAL:
            message = f"there is no entry of the central directory at byte {position}"
            raise ArchiveError(message)
        (_, made_by, _, flags, method, time, date, crc, packed, size, names, extra, comment, _, _, attributes, offset) = (
            _CENTRAL_HEADER.unpack(head)
        )
        rest = _read(file, position + len(head), position + len(head) + names + extra)
        if len(rest) < names + extra:
            message = f"an entry of the central directory at byte {position} is cut off"
            raise ArchiveError(message)
        extras = parse_extras(rest[names:], (size == _IN_EXTRA32, packed == _IN_EXTRA32, offset == _IN_EXTRA32))
        yield ZipEntry(
            name=rest[:names],
            flags=flags,
            method=method,
            dos_time=date << 16 | time,
            crc=crc,
            packed=packed if extras.packed is None else extras.packed,
            size=size if extras.size is None else extras.size,
            offset=(offset if extras.offset is None else extras.offset) + directory.shift,
            host=made_by >> 8,
            attributes=attributes,
            extras=extras,
            is_central=True,
        )
        position += len(head) + names + extra + comment


def read_local(file: BinaryIO, offset: int) -> tuple[ZipEntry, int]:
    """The entry of the local header at the offset, and where its stored bytes begin.

    Raises:
        ArchiveError: there is no local header, or it is cut off.
    """
    head = _read(file, offset, offset + _LOCAL_HEADER.size)
    if len(head) < _LOCAL_HEADER.size or head[:4] != LOCAL:
        message = f"there is no local header at byte {offset}"
        raise ArchiveError(message)
    _, _, flags, method, time, date, crc, packed, size, names, extra = _LOCAL_HEADER.unpack(head)
    rest = _read(file, offset + len(head), offset + len(head) + names + extra)
    if len(rest) < names + extra:
        message = f"the local header at byte {offset} is cut off"
        raise ArchiveError(message)
    extras = parse_extras(rest[names:], (size == _IN_EXTRA32, packed == _IN_EXTRA32, False))
    entry = ZipEntry(
        name=rest[:names],
        flags=flags,
        method=method,
        dos_time=date << 16 | time,
        crc=crc,
        packed=packed if extras.packed is None else extras.packed,
        size=size if extras.size is None else extras.size,
        offset=offset,
        host=0,
        attributes=0,
        extras=extras,
        is_central=False,
    )
    return entry, offset + len(head) + len(rest)


def iter_local(file: BinaryIO, start: int, end: int) -> Iterator[ZipEntry]:
    """The entries whose local headers are found in `file[start:end]`; looking goes on behind what an entry states that it stores."""
    while (start := _find(file, LOCAL, start, end)) >= 0:
        try:
            entry, data = read_local(file, start)
        except ArchiveError:
            start += len(LOCAL)
            continue
        likely = entry.method in _KNOWN_METHODS and 0 < len(entry.name) <= _LONGEST_LIKELY_NAME and data <= end
        if likely:
            yield replace(entry, packed=min(entry.packed, end - data)) if entry.packed > end - data else entry
        start = min(data + entry.packed, end) if likely else start + len(LOCAL)


def _end64(file: BinaryIO, end_at: int) -> tuple[int, int, int, int] | None:
    """Count, length and start of the central directory by the ZIP64 records before the end record, and where these begin."""
    locator = _read(file, max(end_at - _LOCATOR_RECORD.size, 0), end_at)
    if len(locator) < _LOCATOR_RECORD.size or locator[:4] != _LOCATOR64:
        return None
    stated = _LOCATOR_RECORD.unpack(locator)[2]
    for at in (stated, end_at - _LOCATOR_RECORD.size - _END_RECORD64.size):  # the latter if something was put before the archive
        record = _read(file, at, at + _END_RECORD64.size) if at >= 0 else b""
        if len(record) == _END_RECORD64.size and record[:4] == _END64:
            *_, count, length, start = _END_RECORD64.unpack(record)
            return count, length, start, at
    return None


def _place(file: BinaryIO, count: int, length: int, start: int, records_at: int) -> Directory | None:
    actual = records_at - length
    for begin, shift in ((start, 0), (actual, actual - start)):
        if 0 <= begin <= records_at and (_read(file, begin, begin + 4) == CENTRAL or (not length and not count)):
            return Directory(start=begin, end=begin + length, count=count, shift=shift)
    return None


def _find(file: BinaryIO, what: bytes, start: int, end: int) -> int:
    while start < end:
        block = _read(file, start, min(start + _SCAN_BYTES, end))
        at = block.find(what)
        if at >= 0:
            return start + at
        if len(block) < len(what):
            break
        start += len(block) - len(what) + 1
        if len(block) < _SCAN_BYTES:
            break
    return -1


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(max(end - start, 0))
