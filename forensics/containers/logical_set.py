"""Logical evidence in one or several segment files (AD1, L01, Lx01) as one media: the files' bytes, one file after the other.

Rules enforced here: every file says that it is the segment that its name makes it; the last one ends the set. Which files there are,
their names say (forensics.segment_sets); what is in them, forensics.logical reads.

References: "AccessData Format (AD1)" (pcbje/pyad1), segment header; Expert Witness Compression Format specification (libewf
documentation), "File header part", "Done section", "Next section", and version 2, "File header", "Section descriptor".
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from forensics.containers.ewf2_sections import DESCRIPTOR, FILE_HEADER, SectionKind
from forensics.errors import ImageError, Problem, SegmentMissingError, Stage
from forensics.exhibit import Container, shown
from forensics.media import Media
from forensics.raw import RawReader
from forensics.segment_sets import next_ad1_name, next_l01_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.exhibit import SourceFile

AD1_MAGIC = b"ADSEGMENTEDFILE\0"
AD1_SEGMENT_HEADER = struct.Struct("<16s4IQI")
AD1_SEGMENT_HEADER_BYTES = 512
_LVF_MAGIC, _LEF2_MAGIC = b"LVF\x09\x0d\x0a\xff\x00", b"LEF2\x0d\x0a\x81\x00"
_LVF_HEADER = struct.Struct("<8sBHH")
_LVF_SECTION_BYTES, _LVF_SECTION_CHECKED = 76, 72


def open_ad1(files: Sequence[SourceFile]) -> Media:
    """The media of an AD1 whose segments are `files`, in order.

    Raises:
        SegmentMissingError: the set ends before its last segment, or one is not in its place; the message names the file.
        ImageError: a file is no segment of an AD1.
    """
    counts = [_ad1_count(file, at) for at, file in enumerate(files, start=1)]
    count = counts[0]
    if any(one != count for one in counts[:count]):
        other = next(file for file, one in zip(files, counts, strict=True) if one != count)
        message = f"{shown(other.path)}: belongs to another image: it is one of another number of segments than {files[0].name}"
        raise ImageError(message)
    if count > len(files):
        _raise_missing(files, next_ad1_name(files[0].path, len(files) + 1), f"it is one of {count}")
    used, problems = files[:count], [_ignored(file) for file in files[count:]]
    usual = AD1_SEGMENT_HEADER.unpack(files[0].read_at(0, AD1_SEGMENT_HEADER.size))[5]
    problems += [_cut_off(file, usual) for file in used[:-1] if file.size != usual]
    return _whole(used, files[count:], Container.AD1, problems)


def open_l01(files: Sequence[SourceFile]) -> Media:
    """The media of an L01 or Lx01 whose segments are `files`, in order.

    Raises:
        SegmentMissingError: the set ends before its last segment, or one is not in its place; the message names the file.
        ImageError: a file is no segment of such an image, or is cut off.
    """
    for at, file in enumerate(files, start=1):
        number = _l01_number(file)
        if number != at:
            _raise_displaced(file, number, at)
        if _ends_set(file):
            return _whole(files[:at], files[at:], Container.L01, [_ignored(one) for one in files[at:]])
    _raise_missing(files, next_l01_name(files[0].path, len(files) + 1), f"{files[-1].name} says that another follows")
    raise AssertionError


def _ad1_count(file: SourceFile, at: int) -> int:
    head = file.read_at(0, AD1_SEGMENT_HEADER.size)
    if file.size < AD1_SEGMENT_HEADER_BYTES or not head.startswith(AD1_MAGIC):
        message = f"{shown(file.path)}: is no segment of an AD1, although its name places it in the set; it is cut off or another file"
        raise ImageError(message)
    _, _, _, number, count, _, _ = AD1_SEGMENT_HEADER.unpack(head)
    if number != at:
        _raise_displaced(file, number, at)
    return int(count)


def _l01_number(file: SourceFile) -> int:
    head = file.read_at(0, FILE_HEADER.size)
    if head.startswith(_LVF_MAGIC) and len(head) >= _LVF_HEADER.size:
        return int(_LVF_HEADER.unpack_from(head)[2])
    if head.startswith(_LEF2_MAGIC) and len(head) == FILE_HEADER.size:
        return int(FILE_HEADER.unpack(head)[4])
    message = f"{shown(file.path)}: is no segment of an L01, although its name places it in the set"
    raise ImageError(message)


def _ends_set(file: SourceFile) -> bool:
    """Whether its last section ends the set, rather than saying that another segment follows."""
    if file.read_at(0, len(_LEF2_MAGIC)) == _LEF2_MAGIC:
        raw = file.read_at(file.size - DESCRIPTOR.size, DESCRIPTOR.size)
        if len(raw) == DESCRIPTOR.size and zlib.adler32(raw[:-4]) == int.from_bytes(raw[-4:], "little"):
            kind = int(DESCRIPTOR.unpack(raw)[0])
            if kind in (SectionKind.NEXT, SectionKind.DONE):
                return kind == SectionKind.DONE
    else:
        raw = file.read_at(file.size - _LVF_SECTION_BYTES, _LVF_SECTION_BYTES)
        is_whole = len(raw) == _LVF_SECTION_BYTES and zlib.adler32(raw[:_LVF_SECTION_CHECKED]) == int.from_bytes(raw[-4:], "little")
        if is_whole and raw[:16].rstrip(b"\0") in (b"next", b"done"):
            return raw.startswith(b"done")
    message = f"{shown(file.path)}: is incomplete: it does not end in a section 'next' or 'done'. Use another copy of the image."
    raise ImageError(message)


def _whole(used: Sequence[SourceFile], left: Sequence[SourceFile], container: Container, problems: Sequence[Problem]) -> Media:
    for file in left:
        file.release()
    return Media(
        container=container,
        size=sum(file.size for file in used),
        files=tuple(used),
        reader=RawReader(used),
        problems=tuple(problems),
    )


def _raise_displaced(file: SourceFile, number: int, at: int) -> None:
    message = f"{shown(file.path)}: is segment {number} by its header and lies in the place of segment {at}; one is missing or misnamed"
    raise SegmentMissingError(message)


def _raise_missing(files: Sequence[SourceFile], name: str, why: str) -> None:
    following = name or "name unknown, as this file's name does not count"
    message = f"{shown(files[0].path)}: segment {len(files) + 1} ({following}) is missing ({why}); put all segments into one folder"
    raise SegmentMissingError(message)


def _ignored(file: SourceFile) -> Problem:
    return Problem(
        stage=Stage.IMAGE,
        code="segment-ignored",
        what=f"{file.name} lies behind the segment that ends the image; it is not part of it and was not read.",
        why="the segments before it make up the whole set",
        advice="Check whether it belongs to another image.",
        path=file.name,
    )


def _cut_off(file: SourceFile, usual: int) -> Problem:
    return Problem(
        stage=Stage.IMAGE,
        code="segment-size",
        what=f"Segment {file.name} does not have the size that the image states for its segments; it may be cut off.",
        why=f"it has {file.size} bytes, stated are {usual}",
        advice="Compare the segments with the acquisition notes.",
        path=file.name,
    )
