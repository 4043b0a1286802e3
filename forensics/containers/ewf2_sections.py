"""One EWF 2 segment file as its chain of sections, every descriptor checked.

A section's descriptor stands behind its data and points back at the descriptor before it, so the chain is read from the file's
end. Rules enforced here: the file header has the signature and a version that is known; each descriptor's Adler-32 holds; the
chain leads back to the file header, each section's data lying between two descriptors, so that a crafted loop ends at once; its
last section is `next` (another segment follows) or `done`. A file that is cut off has no end to begin at and is refused.

References: Expert Witness Compression Format 2 specification (libewf documentation), "File header", "Section descriptor".
"""

from __future__ import annotations

import bz2
import hashlib
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from forensics.containers.kinds import EWF2_MAGIC
from forensics.errors import ImageError, UnsupportedImageError
from forensics.exhibit import shown

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

FILE_HEADER = struct.Struct("<8sBBHI16s")
DESCRIPTOR = struct.Struct("<IIQQII16s12xI")
_CHECKED = DESCRIPTOR.size - 4
_VERSION = 2
_MD5_SET, _ENCRYPTED = 1, 2
_MAX_SECTIONS = 1_000_000
_MAX_TEXT_BYTES = 16 * 1024 * 1024


class SectionKind(IntEnum):
    """The kinds of section that are read; others are passed over."""

    DEVICE = 0x01
    CASE = 0x02
    TABLE = 0x04
    ERRORS = 0x05
    MD5 = 0x08
    SHA1 = 0x09
    KEYS = 0x0B
    NEXT = 0x0D
    DONE = 0x0F


class Compression(IntEnum):
    """How chunks and texts are compressed, as the file header states it."""

    NONE = 0
    DEFLATE = 1
    BZIP2 = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Section2:
    """One section: its kind, and its data, padding included, as `file[start : end]`; the data's MD5, if it is stored."""

    kind: int
    start: int
    end: int
    md5: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment2:
    """One segment file: its number (1 is the first), the identifier that all of the set share, its sections in order."""

    file: SourceFile
    number: int
    set_identifier: bytes
    compression: Compression
    sections: tuple[Section2, ...]

    @property
    def is_last(self) -> bool:
        """Whether it ends the set."""
        return self.sections[-1].kind == SectionKind.DONE

    def all_of(self, kind: SectionKind) -> list[Section2]:
        """The sections of that kind, in order."""
        return [section for section in self.sections if section.kind == kind]


def read_segment(file: SourceFile) -> Segment2:
    """The file as a segment.

    Raises:
        UnsupportedImageError: it is encrypted, or of another version.
        ImageError: it has no EWF 2 header, or its chain of sections is broken; the message says where.
    """
    header = file.read_at(0, FILE_HEADER.size)
    if len(header) < FILE_HEADER.size or not header.startswith(EWF2_MAGIC):
        message = f"{shown(file.path)}: is not an EWF 2 segment, although its name places it in the set"
        raise ImageError(message)
    _, major, minor, compression, number, identifier = FILE_HEADER.unpack(header)
    if major != _VERSION or compression not in tuple(Compression):
        message = f"{shown(file.path)}: is EWF version {major}.{minor} with compression {compression}, which is not read"
        raise UnsupportedImageError(message)
    sections = _read_chain(file)
    if sections[-1].kind not in (SectionKind.NEXT, SectionKind.DONE):
        message = f"{shown(file.path)}: is incomplete: it ends in a section of type {sections[-1].kind}, not in 'next' or 'done'"
        raise ImageError(message)
    return Segment2(file=file, number=number, set_identifier=identifier, compression=Compression(compression), sections=sections)


def read_text(segment: Segment2, section: Section2) -> str:
    """The text of a section that holds one, decompressed.

    Raises:
        ImageError: it fails its MD5, cannot be decompressed or is no text.
    """
    raw = segment.file.read_at(section.start, min(section.end - section.start, _MAX_TEXT_BYTES))
    if section.md5 and hashlib.md5(raw, usedforsecurity=False).digest() != section.md5:
        message = f"{shown(segment.file.path)}: the section at byte {section.start} fails its MD5"
        raise ImageError(message)
    try:
        if segment.compression is Compression.DEFLATE:
            raw = zlib.decompressobj().decompress(raw, _MAX_TEXT_BYTES)
        elif segment.compression is Compression.BZIP2:
            raw = bz2.BZ2Decompressor().decompress(raw, _MAX_TEXT_BYTES)
        return raw[: len(raw) // 2 * 2].decode("utf-16-le" if not raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-16")
    except (zlib.error, OSError, UnicodeDecodeError) as error:
        message = f"{shown(segment.file.path)}: the section at byte {section.start} is damaged: {error}"
        raise ImageError(message) from error


def _read_chain(file: SourceFile) -> tuple[Section2, ...]:
    sections: list[Section2] = []
    offset = file.size - DESCRIPTOR.size
    while True:
        section, previous = _read_section(file, offset, is_end=not sections)
        sections.append(section)
        if not previous:
            return tuple(reversed(sections))
        if len(sections) >= _MAX_SECTIONS:
            message = f"{shown(file.path)}: has more than {_MAX_SECTIONS} sections"
            raise ImageError(message)
        offset = previous


def _read_section(file: SourceFile, offset: int, *, is_end: bool) -> tuple[Section2, int]:
    """The section whose descriptor stands there, and where the descriptor before it stands; 0 if it is the first."""
    raw = file.read_at(offset, DESCRIPTOR.size)
    where = f"{shown(file.path)}: the section descriptor at byte {offset}"
    if len(raw) < DESCRIPTOR.size or zlib.adler32(raw[:_CHECKED]) != int.from_bytes(raw[_CHECKED:], "little"):
        why = "is not there or fails its checksum: the file is cut off, or damaged at its end" if is_end else "fails its checksum"
        message = f"{where} {why}. Use another copy of the image."
        raise ImageError(message)
    kind, flags, previous, size, descriptor_size, _, md5, _ = DESCRIPTOR.unpack(raw)
    if flags & _ENCRYPTED or kind == SectionKind.KEYS:
        message = f"{shown(file.path)}: is encrypted (Ex01 by EnCase), which is not read; decrypt it with the tool that made it"
        raise UnsupportedImageError(message)
    floor = previous + DESCRIPTOR.size if previous else FILE_HEADER.size
    if descriptor_size != DESCRIPTOR.size or not floor <= offset - size:
        message = f"{where} states {size} bytes of data and the section before it at byte {previous}, which cannot be"
        raise ImageError(message)
    return Section2(kind=kind, start=offset - size, end=offset, md5=md5 if flags & _MD5_SET else b""), previous
