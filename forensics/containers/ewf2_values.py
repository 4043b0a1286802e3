"""What an EWF 2 image says of itself: the media's shape, the digests, the acquisition details and its read errors.

References: Expert Witness Compression Format 2 specification, "Device information", "Case data", "Error table", "MD5 hash",
"SHA1 hash".
"""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forensics.containers.ewf2_sections import SectionKind, read_text
from forensics.errors import ImageError, Problem, Stage
from forensics.ewf_values import EwfVolume
from forensics.exhibit import StatedDigests, shown
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.containers.ewf2_sections import Segment2

_MD5_BYTES, _SHA1_BYTES, _CHECKSUM_BYTES = 16, 20, 4
_ERRORS_HEADER = struct.Struct("<I12xI12x")
_ERROR = struct.Struct("<QI4x")
_MAX_ERRORS = 1000
_MAX_CHUNK_BYTES = 64 * 1024 * 1024
_MAX_SECTOR_BYTES = 1024 * 1024
_MAX_NUMBER = 1 << 56
# Specification, "Attribute tags" of both sections; names after libewf's, as for EWF version 1.
_NAMES = {
    "nm": "description",
    "cn": "case_number",
    "en": "evidence_number",
    "ex": "examiner_name",
    "nt": "notes",
    "av": "acquiry_software_version",
    "os": "acquiry_operating_system",
    "tt": "acquiry_date",
    "at": "system_date",
    "md": "model",
    "sn": "serial_number",
    "lb": "device_label",
    "pid": "process_identifier",
    "dt": "drive_type",
    "hs": "hpa_sectors",
    "dc": "dco_sectors",
    "wb": "write_blocker",
}
_DATES = ("tt", "at")


def read_attributes(segment: Segment2) -> dict[str, str]:
    """The attributes of the sections device information and case data, by tag.

    Raises:
        ImageError: one of the sections is not there or damaged.
    """
    values: dict[str, str] = {}
    for kind in (SectionKind.DEVICE, SectionKind.CASE):
        sections = segment.all_of(kind)
        if not sections:
            message = f"{shown(segment.file.path)}: has no section {kind.name.lower()}, so it does not state the media's size"
            raise ImageError(message)
        lines = read_text(segment, sections[0]).replace("\r", "").split("\n")
        for at, line in enumerate(lines[:-2]):
            if line.lstrip("\ufeff") == "main":
                values |= dict(zip(lines[at + 1].split("\t"), lines[at + 2].split("\t"), strict=False))
    return values


def volume_of(segment: Segment2, values: dict[str, str]) -> EwfVolume:
    """The media's shape, from the attributes.

    Raises:
        ImageError: it is not stated, or cannot be.
    """
    sectors, sector_size, per_chunk = (_number(values.get(tag, "")) for tag in ("ts", "bp", "sb"))
    if not (sectors and 0 < sector_size <= _MAX_SECTOR_BYTES and 0 < per_chunk * sector_size <= _MAX_CHUNK_BYTES):
        message = f"{shown(segment.file.path)}: states {sectors} sectors of {sector_size} bytes, {per_chunk} a chunk, which cannot be"
        raise ImageError(message)
    return EwfVolume(
        chunk_count=-(-sectors // per_chunk),
        sectors_per_chunk=per_chunk,
        sector_size=sector_size,
        sector_count=sectors,
        set_identifier=segment.set_identifier,
    )


def header_values(values: dict[str, str]) -> dict[str, str]:
    """The attributes that say something of the acquisition, under their names, times in UTC."""
    return {_NAMES[tag]: _value(tag, value) for tag, value in sorted(values.items()) if value and tag in _NAMES}


def read_stated(segments: Sequence[Segment2]) -> tuple[StatedDigests, list[Problem]]:
    """The digests that the image stores, and a problem for each that fails its checksum; one of all zeros is not stated."""
    problems: list[Problem] = []
    found: dict[SectionKind, str] = {}
    for segment in segments:
        for kind, length in ((SectionKind.MD5, _MD5_BYTES), (SectionKind.SHA1, _SHA1_BYTES)):
            for section in segment.all_of(kind):
                raw = segment.file.read_at(section.start, min(length + _CHECKSUM_BYTES, section.end - section.start))
                if len(raw) < length + _CHECKSUM_BYTES or zlib.adler32(raw[:length]) != int.from_bytes(raw[length:], "little"):
                    problems.append(_damaged(segment, kind.name, section.start))
                elif any(raw[:length]):
                    found[kind] = raw[:length].hex()
    return StatedDigests(md5=found.get(SectionKind.MD5), sha1=found.get(SectionKind.SHA1)), problems


def read_acquisition_errors(segment: Segment2, sector_size: int) -> list[Problem]:
    """The sectors that could not be read when the image was made, as the error table lists them."""
    problems: list[Problem] = []
    for section in segment.all_of(SectionKind.ERRORS):
        header = segment.file.read_at(section.start, _ERRORS_HEADER.size)
        if len(header) < _ERRORS_HEADER.size or zlib.adler32(header[:16]) != _ERRORS_HEADER.unpack(header)[1]:
            problems.append(_damaged(segment, "error table", section.start))
            continue
        count = min(_ERRORS_HEADER.unpack(header)[0], (section.end - section.start - _ERRORS_HEADER.size) // _ERROR.size)
        raw = segment.file.read_at(section.start + _ERRORS_HEADER.size, max(0, min(count, _MAX_ERRORS)) * _ERROR.size)
        problems += [
            Problem(
                stage=Stage.IMAGE,
                code="acquisition-read-error",
                what=f"Sectors {first} to {first + sectors - 1} could not be read at the acquisition; what stands there is filling.",
                why=f"{segment.file.name} lists them in its error table",
                start_byte=first * sector_size,
                size_bytes=sectors * sector_size,
            )
            for first, sectors in _ERROR.iter_unpack(raw)
            if first < _MAX_NUMBER // sector_size
        ]
    return problems


def _damaged(segment: Segment2, what: str, start: int) -> Problem:
    return Problem(
        stage=Stage.IMAGE,
        code="ewf-section-checksum",
        what=f"The section {what} of {segment.file.name} is damaged; what it states is not known.",
        why=f"its data at byte {start} fails its checksum",
        advice="Compare the computed digests with the acquisition notes.",
        path=segment.file.name,
    )


def _number(text: str) -> int:
    """The number that the text states; 0 where it states none that can be."""
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_NUMBER)) else 0
    return value if value < _MAX_NUMBER else 0


def _value(tag: str, value: str) -> str:
    if tag in _DATES and _number(value):
        try:
            return datetime.fromtimestamp(_number(value), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):
            return escape_text(value)
    return escape_text(value)
