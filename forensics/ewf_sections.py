"""One EWF segment file as its chain of sections, every descriptor checked.

Rules enforced here: the file header has the signature; each descriptor's Adler-32 holds; `next` leads forward and stays in the
file, so that a crafted loop ends at once; the chain ends in `next` (another segment follows) or `done` (the last one). Where a
rule is broken the chain stops, and `fault` says at which byte and why.

References: Expert Witness Compression Format specification (libewf documentation), "Segment file", "Section".
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.containers.kinds import EWF_MAGIC
from forensics.errors import ImageError

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

FILE_HEADER = struct.Struct("<8sBHH")
DESCRIPTOR = struct.Struct("<16sQQ40sI")
_CHECKED = DESCRIPTOR.size - 4
MAX_SECTIONS = 1_000_000
_ENDINGS = ("next", "done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section: its kind, where its descriptor stands, and its data as `file[data_start : data_end]`; bytes."""

    kind: str
    offset: int
    data_start: int
    data_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentChain:
    """The sections of one segment file.

    Attributes:
        number: the segment number in its header; 1 is the first.
        ending: "next", "done", or "" when the chain broke before its end.
        fault: why it broke; empty when it did not.
    """

    number: int
    sections: tuple[Section, ...]
    ending: str
    fault: str

    def all_of(self, *kinds: str) -> list[Section]:
        """The sections of those kinds, in order."""
        return [section for section in self.sections if section.kind in kinds]


def read_chain(file: SourceFile) -> SegmentChain:
    """The file's sections.

    Raises:
        ImageError: the file has no EWF header.
    """
    header = file.read_at(0, FILE_HEADER.size)
    if len(header) < FILE_HEADER.size or not header.startswith(EWF_MAGIC):
        message = f"{file.name}: is not an EWF segment, although its name places it in the set"
        raise ImageError(message)
    number = FILE_HEADER.unpack(header)[2]
    sections: list[Section] = []
    offset, ending, fault = FILE_HEADER.size, "", ""
    while not ending:
        section, following, fault = _read_section(file, offset)
        if section is not None:
            sections.append(section)
            ending = section.kind if section.kind in _ENDINGS else ""
        if fault or len(sections) > MAX_SECTIONS:
            break
        offset = following
    return SegmentChain(number=number, sections=tuple(sections), ending=ending, fault=fault)


def _read_section(file: SourceFile, offset: int) -> tuple[Section | None, int, str]:
    raw = file.read_at(offset, DESCRIPTOR.size)
    if len(raw) < DESCRIPTOR.size:
        return None, 0, f"a section should start at byte {offset} and the file ends at {file.size}: it is cut off"
    name, following, size, _, checksum = DESCRIPTOR.unpack(raw)
    if zlib.adler32(raw[:_CHECKED]) != checksum:
        return None, 0, f"the section descriptor at byte {offset} fails its checksum"
    kind = name.rstrip(b"\0").decode("ascii", "backslashreplace")
    data_start = offset + DESCRIPTOR.size
    if kind in _ENDINGS:
        return Section(kind=kind, offset=offset, data_start=data_start, data_end=data_start), 0, ""
    # Some writers leave the size 0: then the next section bounds the data.
    data_end = offset + size if size >= DESCRIPTOR.size else following
    if following < data_start or not data_start <= data_end <= following:
        return None, 0, f"section {kind!r} at byte {offset} leads back to byte {following}"
    section = Section(kind=kind, offset=offset, data_start=data_start, data_end=min(data_end, file.size))
    if following > file.size:
        return section, 0, f"section {kind!r} at byte {offset} runs to byte {following} and the file ends at {file.size}: it is cut off"
    return section, following, ""
