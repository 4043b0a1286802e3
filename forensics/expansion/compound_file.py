"""Compound files (OLE structured storage): storages, streams, and the bytes of a stream in blocks.

Sector chains are followed with a count, so that a chain that runs in a circle ends; the only thing held whole is the allocation
table, four bytes a sector.

References: MS-CFB 2.2 (header), 2.3 to 2.5 (FAT, mini FAT, DIFAT), 2.6 (directory).
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from forensics.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LARGEST_REGULAR, _END_OF_CHAIN, _NO_STREAM = 0xFFFFFFFA, 0xFFFFFFFE, 0xFFFFFFFF
_HEADER = struct.Struct("<8s16s5H6x9I")
_ENTRY = struct.Struct("<64sHBB3I16sIQQIQ")
_HEADER_BYTES, _HEADER_DIFAT = 512, 109
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_MOST_ENTRIES = 1 << 20
_DEEPEST = 64
_SECTORS_A_BLOCK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class CompoundEntry:
    """One storage or stream.

    Attributes:
        path: names from the root's children down.
        number: its number in the directory.
        is_storage: whether it is a storage.
        start: first sector of its chain.
        size: bytes of a stream; 0 for a storage.
        created, modified: FILETIME values; 0 if not set, as streams have it.
    """

    path: tuple[str, ...]
    number: int
    is_storage: bool
    start: int
    size: int
    created: int
    modified: int


class CompoundFile:
    """An open compound file.

    Attributes:
        file, size: the file and its size in bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        """Of `file`, `size` bytes long.

        Raises:
            ArchiveError: it is none, or its allocation table or directory cannot be read.
        """
        self.file, self.size = file, size
        file.seek(0)
        head = file.read(_HEADER_BYTES)
        if len(head) < _HEADER_BYTES or head[:8] != SIGNATURE:
            message = "it is no compound file"
            raise ArchiveError(message)
        (_, _, _, version, _, sector_shift, mini_shift, _, fat_count, directory, _, self._cutoff, mini_fat, _, difat, _) = (
            _HEADER.unpack_from(head)
        )
        if sector_shift not in (9, 12) or mini_shift != 6:  # noqa: PLR2004 - 2.2 allows these
            message = f"it states sectors of 2^{sector_shift} and 2^{mini_shift} bytes"
            raise ArchiveError(message)
        self._has_long_sizes = version > 3  # noqa: PLR2004 - 2.6.1: before version 4 the upper half of a size may hold anything
        self._sector = 1 << sector_shift
        self._most = size // self._sector + 1
        self._fat = self._read_fat(array("I", head[76:_HEADER_BYTES]), fat_count, difat)
        self._mini_fat = array("I", b"".join(self._chain_blocks(mini_fat, self._fat)))
        raw = b"".join(
            islice(self._chain_blocks(directory, self._fat), _MOST_ENTRIES * _ENTRY.size // (_SECTORS_A_BLOCK * self._sector) + 1)
        )
        self._directory = [_ENTRY.unpack_from(raw, at) for at in range(0, len(raw) - _ENTRY.size + 1, _ENTRY.size)]
        if not self._directory or self._directory[0][2] != _ROOT:
            message = "its directory cannot be read"
            raise ArchiveError(message)
        self._mini_start, self._mini_size = self._directory[0][11], self._directory[0][12]
        self._mini_sectors: array[int] | None = None

    def entries(self) -> Iterator[CompoundEntry]:
        """All storages and streams that hang on the root, each once, a storage before what is in it."""
        seen = {0}
        stack: list[tuple[int, tuple[str, ...]]] = [(self._directory[0][6], ())]
        while stack:
            number, folder = stack.pop()
            if number == _NO_STREAM or number in seen or number >= len(self._directory):
                continue
            seen.add(number)
            name, length, kind, _, left, right, child, _, _, created, modified, start, size = self._directory[number]
            path = (*folder, name[: max(min(length, 64) - 2, 0)].decode("utf-16-le", "replace"))
            stack += [(right, folder), (left, folder)]
            if kind not in (_STORAGE, _STREAM):
                continue
            if kind == _STORAGE and len(path) < _DEEPEST:
                stack.append((child, path))
            yield CompoundEntry(
                path=path,
                number=number,
                is_storage=kind == _STORAGE,
                start=start,
                size=0 if kind == _STORAGE else size if self._has_long_sizes else size & 0xFFFFFFFF,
                created=created,
                modified=modified,
            )

    def blocks(self, entry: CompoundEntry) -> Iterator[bytes]:
        """The bytes of the stream.

        Raises:
            ArchiveError: its chain ends too early or leads out of the file.
        """
        left = entry.size
        source = self._mini_blocks(entry.start) if left < self._cutoff else self._chain_blocks(entry.start, self._fat)
        while left > 0:
            block = next(source, b"")
            if not block:
                message = f"{left} of {entry.size} bytes are missing: the chain of its sectors ends too early"
                raise ArchiveError(message)
            yield block[:left]
            left -= len(block)

    def read(self, entry: CompoundEntry, most: int) -> bytes:
        """The bytes of a small stream, at most `most`.

        Raises:
            ArchiveError: as `blocks`.
        """
        data = b""
        for block in self.blocks(entry):
            data += block
            if len(data) >= most:
                break
        return data[:most]

    def _read_fat(self, first: array[int], count: int, difat: int) -> array[int]:
        """The allocation table: its sectors are listed in the header and, beyond 109, in a chain of their own (2.5)."""
        places = [sector for sector in first if sector < _LARGEST_REGULAR]
        for _ in range(self._most):
            if difat >= _LARGEST_REGULAR or len(places) >= min(count, self._most):
                break
            listed = array("I", self._read_sector(difat))
            difat = listed.pop()
            places += [sector for sector in listed if sector < _LARGEST_REGULAR]
        fat = array("I")
        for sector in places[: min(count, self._most)]:
            fat.frombytes(self._read_sector(sector))
        return fat

    def _chain(self, start: int, fat: array[int]) -> Iterator[int]:
        for _ in range(len(fat)):
            if start >= len(fat):
                return
            yield start
            start = fat[start]

    def _chain_blocks(self, start: int, fat: array[int]) -> Iterator[bytes]:
        """What the chain holds; sectors that lie one behind the other are read together."""
        run_start, run = 0, 0
        for sector in self._chain(start, fat):
            if run and sector == run_start + run and run < _SECTORS_A_BLOCK:
                run += 1
                continue
            if run:
                yield self._read_sector(run_start, run)
            run_start, run = sector, 1
        if run:
            yield self._read_sector(run_start, run)

    def _mini_blocks(self, start: int) -> Iterator[bytes]:
        """What a chain of the mini FAT holds: sectors of 64 bytes inside the root's stream (2.4)."""
        if self._mini_sectors is None:
            self._mini_sectors = array("I", self._chain(self._mini_start, self._fat))
        for sector in self._chain(start, self._mini_fat):
            at, within = divmod(sector * 64, self._sector)
            if at >= len(self._mini_sectors):
                return
            self.file.seek((self._mini_sectors[at] + 1) * self._sector + within)
            yield self.file.read(64)

    def _read_sector(self, sector: int, count: int = 1) -> bytes:
        self.file.seek((sector + 1) * self._sector)
        data = self.file.read(self._sector * count)
        if len(data) < self._sector * (count - 1) + 1:
            message = f"sector {sector} lies behind the end of the file"
            raise ArchiveError(message)
        return data.ljust(self._sector * count, b"\0") if count == 1 else data
