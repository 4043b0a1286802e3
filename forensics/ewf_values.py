"""What an EWF image says of itself: the media's shape, the digests and the acquisition details it stores, each checked.

References: Expert Witness Compression Format specification, "Volume section", "Header section", "Hash section", "Digest
section", "Error2 section".
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forensics.errors import ImageError, Problem, Stage
from forensics.exhibit import StatedDigests
from forensics.names import escape_text

if TYPE_CHECKING:
    from forensics.ewf_sections import Section, SegmentChain
    from forensics.exhibit import SourceFile

_CHECKSUM = struct.Struct("<I")
_VOLUME = struct.Struct("<4xIIIQ")
_SMART_VOLUME_BYTES = 94
_VOLUME_BYTES = 1052
_SET_IDENTIFIER = slice(64, 80)
_HASH_BYTES = 36
_DIGEST_BYTES = 80
_ERRORS_HEADER_BYTES = 520
_ERROR = struct.Struct("<II")
_MAX_ERRORS = 1000
_MAX_HEADER_BYTES = 1024 * 1024
_MAX_CHUNK_BYTES = 64 * 1024 * 1024
_MAX_SECTOR_BYTES = 1024 * 1024
# Specification, "Header section": the letters above the values.
_HEADER_NAMES = {
    "a": "description",
    "c": "case_number",
    "n": "evidence_number",
    "e": "examiner_name",
    "t": "notes",
    "av": "acquiry_software_version",
    "ov": "acquiry_operating_system",
    "m": "acquiry_date",
    "u": "system_date",
    "p": "password",
    "r": "compression_level",
    "md": "model",
    "sn": "serial_number",
    "l": "device_label",
    "pid": "process_identifier",
    "ext": "extents",
    "dc": "unknown_dc",
}
_DATES = ("m", "u")
_NOT_SHOWN = ("p",)  # a password's hash is no acquisition detail


@dataclass(frozen=True, slots=True, kw_only=True)
class EwfVolume:
    """The media's shape as the image states it: counts, sizes in bytes, and the identifier that all segments share."""

    chunk_count: int
    sectors_per_chunk: int
    sector_size: int
    sector_count: int
    set_identifier: bytes

    @property
    def chunk_size(self) -> int:
        """Bytes of media in a chunk."""
        return self.sectors_per_chunk * self.sector_size

    @property
    def size(self) -> int:
        """Bytes of media."""
        return self.sector_count * self.sector_size


def read_volume(file: SourceFile, section: Section) -> EwfVolume:
    """The media's shape from a section volume, disk or data.

    Raises:
        ImageError: it fails its checksum or states what cannot be.
    """
    raw = _checked(file, section, _VOLUME_BYTES) or _checked(file, section, _SMART_VOLUME_BYTES)
    if raw is None:
        message = f"{file.name}: the section {section.kind!r} at byte {section.offset}, which states the media's size, fails its checksum"
        raise ImageError(message)
    chunk_count, sectors_per_chunk, sector_size, sector_count = _VOLUME.unpack_from(raw)
    if len(raw) == _SMART_VOLUME_BYTES:
        sector_count &= 0xFFFF_FFFF  # 4 bytes there
    volume = EwfVolume(
        chunk_count=chunk_count,
        sectors_per_chunk=sectors_per_chunk,
        sector_size=sector_size,
        sector_count=sector_count,
        set_identifier=raw[_SET_IDENTIFIER] if len(raw) == _VOLUME_BYTES else b"",
    )
    if not (0 < sector_size <= _MAX_SECTOR_BYTES and 0 < volume.chunk_size <= _MAX_CHUNK_BYTES and sector_count > 0):
        message = f"{file.name}: states {sector_count} sectors of {sector_size} bytes, {sectors_per_chunk} a chunk, which cannot be"
        raise ImageError(message)
    return volume


def read_stated(file: SourceFile, chain: SegmentChain) -> StatedDigests:
    """The digests in the sections hash and digest; one that fails its checksum, or is all zeros, counts as not stated."""
    md5 = sha1 = b""
    for section in chain.all_of("hash"):
        raw = _checked(file, section, _HASH_BYTES)
        md5 = raw[:16] if raw else md5
    for section in chain.all_of("digest"):
        raw = _checked(file, section, _DIGEST_BYTES)
        if raw:
            md5, sha1 = md5 if any(md5) else raw[:16], raw[16:36]
    return StatedDigests(md5=md5.hex() if any(md5) else None, sha1=sha1.hex() if any(sha1) else None)


def read_header_values(file: SourceFile, chain: SegmentChain) -> dict[str, str]:
    """What the examiner's tool wrote about the acquisition; names after libewf's, times in UTC where the image gives UTC."""
    values: dict[str, str] = {}
    # header2 says the same in Unicode and with times in UTC, so it comes last and wins, wherever it stands.
    for section in (*chain.all_of("header"), *chain.all_of("header2")):
        text = _header_text(file.read_at(section.data_start, min(section.data_end - section.data_start, _MAX_HEADER_BYTES)))
        lines = text.replace("\r", "").split("\n")
        for at, line in enumerate(lines[:-2]):
            if line == "main":
                pairs = zip(lines[at + 1].split("\t"), lines[at + 2].split("\t"), strict=False)
                values |= {_HEADER_NAMES.get(key, key): _value(key, value) for key, value in pairs if value and key not in _NOT_SHOWN}
    return {escape_text(name): value for name, value in sorted(values.items())}


def read_acquisition_errors(file: SourceFile, chain: SegmentChain, sector_size: int) -> list[Problem]:
    """The sectors that could not be read when the image was made, as the section error2 lists them."""
    problems = []
    for section in chain.all_of("error2"):
        count = int.from_bytes(file.read_at(section.data_start, 4), "little")
        raw = file.read_at(section.data_start + _ERRORS_HEADER_BYTES, min(count, _MAX_ERRORS) * _ERROR.size)
        for first, sectors in _ERROR.iter_unpack(raw[: len(raw) // _ERROR.size * _ERROR.size]):
            problems.append(
                Problem(
                    stage=Stage.IMAGE,
                    code="acquisition-read-error",
                    what=f"Sectors {first} to {first + sectors - 1} could not be read at the acquisition; what stands there is filling.",
                    why=f"{file.name} lists them in its section error2",
                    start_byte=first * sector_size,
                    size_bytes=sectors * sector_size,
                )
            )
    return problems


def _checked(file: SourceFile, section: Section, size: int) -> bytes | None:
    raw = file.read_at(section.data_start, size)
    if len(raw) < size or zlib.adler32(raw[:-4]) != _CHECKSUM.unpack(raw[-4:])[0]:
        return None
    return raw


def _header_text(stored: bytes) -> str:
    try:
        raw = zlib.decompressobj().decompress(stored, _MAX_HEADER_BYTES)
    except zlib.error:
        return ""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8", "backslashreplace")


def _value(key: str, value: str) -> str:
    """The value as text; dates, six numbers in local time or one in Unix seconds, as ISO 8601."""
    if key in _DATES:
        parts = value.split()
        try:
            if len(parts) == 1:
                return datetime.fromtimestamp(int(parts[0]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            year, month, day, hour, minute, second = (int(part) for part in parts)
            # The time zone of the acquiring computer is not stored.
            return datetime(year, month, day, hour, minute, second).strftime("%Y-%m-%dT%H:%M:%S, unknown zone")  # noqa: DTZ001
        except (ValueError, OverflowError, OSError):
            return escape_text(value)
    return escape_text(value)
