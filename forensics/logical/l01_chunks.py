"""A segment of an L01 or Lx01 as libewf reads it, each chunk checked by its own checksum when it is read.

libewf gives zeros for a chunk that fails its checksum, and no error. It reads a chunk in one piece from where it begins, so what begins
there is checked then, and a failure reaches the caller as an error of the read.

References: Expert Witness Compression Format specification, "Table section", "Sectors section"; version 2, "Sector table".
"""

from __future__ import annotations

import bz2
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from forensics.boundary import attempt
from forensics.containers.ewf2_chunks import ENTRY, find_sector_tables, load_entries
from forensics.containers.ewf2_sections import Compression, read_segment
from forensics.containers.kinds import EWF2_MAGIC, EWF_MAGIC
from forensics.errors import ImageReadError
from forensics.ewf_chunks import find_tables, load_places
from forensics.ewf_sections import read_chain

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile
    from forensics.source import ByteSource

_LEF2 = b"LEF2"
_COMPRESSED, _CHECKSUMED, _PATTERN = 1, 2, 4
_MAGIC_BYTES = 8
_LARGEST_STORED = 256 << 20
_STEP_BYTES = 1 << 20
_PLAIN, _ZLIB, _BZIP2 = "", "zlib", "bzip2"


class CheckedSegment:
    """The segment as a file object.

    Attributes:
        failure: why its chunks cannot be checked, once it was asked for one; "" if they can.
    """

    def __init__(self, source: ByteSource, number: int) -> None:
        self._source, self._number, self._at = source, number, 0
        self._places: dict[int, tuple[int, str]] | None = None
        self.failure = ""

    def find_chunks(self) -> None:
        """Notes where the chunks lie; why that cannot be is kept in `failure`."""
        if self._places is None:
            self._places = {}
            error = attempt(self._find_second if self._source.read_at(0, len(_LEF2)) == _LEF2 else self._find_first)
            self.failure = f"segment {self._number}: {error}" if error is not None else ""

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            ImageReadError: a chunk begins there, and fails its checksum; or they cannot be read.
        """
        rest = self._source.size - self._at
        data = self._source.read_at(self._at, rest if size < 0 else min(size, rest)) if rest > 0 else b""
        place = (self._places or {}).get(self._at)
        if place is not None and data:
            fault = self._fault(self._at, *place)
            if fault:
                message = f"the chunk at byte {self._at} of segment {self._number} {fault}"
                raise ImageReadError(message)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a place."""
        self._at = offset + (0 if whence == os.SEEK_SET else self._at if whence == os.SEEK_CUR else self._source.size)
        return self._at

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def get_size(self) -> int:
        """How many bytes there are."""
        return self._source.size

    def _find_first(self) -> None:
        file = cast("SourceFile", _AsDisk(self._source, self._number, EWF_MAGIC))
        for table in find_tables(file, read_chain(file), 0):
            places = load_places(table)
            for start, end, deflated in zip(places.starts, places.ends, places.deflated, strict=True):
                self._note(int(start), int(end), _ZLIB if deflated else _PLAIN)

    def _find_second(self) -> None:
        segment = read_segment(cast("SourceFile", _AsDisk(self._source, self._number, EWF2_MAGIC)))
        how = _BZIP2 if segment.compression is Compression.BZIP2 else _ZLIB
        for table in find_sector_tables(segment):
            for start, length, flags in ENTRY.iter_unpack(load_entries(table)):
                if flags & (_COMPRESSED | _CHECKSUMED) and not flags & _PATTERN:
                    self._note(start, start + length, how if flags & _COMPRESSED else _PLAIN)

    def _note(self, start: int, end: int, how: str) -> None:
        assert self._places is not None, "find_chunks has made it"
        self._places[start] = end, how

    def _fault(self, start: int, end: int, how: str) -> str:
        """What is wrong with the chunk that is `segment[start : end]`: it is compressed, or its Adler-32 follows it."""
        if not 0 < end - start <= _LARGEST_STORED or end > self._source.size:
            return "is stated where it is not"
        stored = self._source.read_at(start, end - start)
        if how == _PLAIN:
            return "" if zlib.adler32(stored[:-4]) == int.from_bytes(stored[-4:], "little") else "fails its checksum"
        try:
            return "" if (_inflates(stored) if how == _ZLIB else _unbzips(stored)) else "does not end where it should"
        except (zlib.error, OSError) as error:
            return f"does not decompress ({error})"


class _AsDisk:
    """The segment, looking like one of a disk: only the signature differs."""

    def __init__(self, source: ByteSource, number: int, magic: bytes) -> None:
        self._source, self._magic, self.size = source, magic, source.size
        self.name = f"segment {number}"
        self.path = Path(self.name)

    def read_at(self, offset: int, length: int) -> bytes:
        data = self._source.read_at(offset, length) if offset >= 0 else b""
        return (self._magic + data[_MAGIC_BYTES:])[:length] if offset == 0 else data


def _inflates(stored: bytes) -> bool:
    """Whether the data is whole, its Adler-32 included; no more of it than a step is held."""
    decoder = zlib.decompressobj()
    decoder.decompress(stored, _STEP_BYTES)
    while not decoder.eof and decoder.unconsumed_tail:
        decoder.decompress(decoder.unconsumed_tail, _STEP_BYTES)
    return decoder.eof


def _unbzips(stored: bytes) -> bool:
    decoder = bz2.BZ2Decompressor()
    data = decoder.decompress(stored, _STEP_BYTES)
    while not decoder.eof and (data or not decoder.needs_input):
        data = decoder.decompress(b"", _STEP_BYTES)
    return decoder.eof
