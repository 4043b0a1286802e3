"""What a physical volume of LVM2 says: its own identifier, and the text that describes its whole volume group.

References:
    LVM2 2.03, lib/format_text/layout.h (label, pv_header, mda_header, raw_locn); lib/format_text/text_label.c;
    lib/misc/crc.c (INITIAL_CRC); lib/config/config.c (the text's grammar).
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, VolumeError
from forensics.layers.unit_source import read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.source import ByteSource

    # A value of the text: a number, a string, a list of them, or a section.
    Value = int | float | str | list["Value"] | dict[str, "Value"]
    Section = dict[str, Value]

LABEL = b"LABELONE"
SECTOR_BYTES = 512
LABEL_SECTORS = 4
_TYPE = b"LVM2 001"
_LABEL = struct.Struct("<8sQII8s")
_PV = struct.Struct("<32sQ")
_PLACE = struct.Struct("<QQ")
_AREA = struct.Struct("<I16sIQQQQII")
_AREA_BYTES = 512
_AREA_MAGIC = b" LVM2 x[5A%r0N*>"
_INITIAL_CRC = 0xF597A6CF
_IGNORED = 1
_MOST_PLACES = 16
_MAX_TEXT_BYTES = 16 << 20
_MAX_DEPTH = 8
_TOKEN = re.compile(
    r'\s+|#[^\n]*|(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d*)?(?![\w.-]))|(?P<name>[\w.+/@-]+)|(?P<mark>[{}\[\],=])'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalVolume:
    """A disk of a group.

    Attributes:
        identifier: its UUID, without hyphens.
        text: the description of its group; None if it carries none, or none that is whole.
        fault: why not, "" where it is not meant to.
    """

    identifier: str
    text: Section | None
    fault: str


def read_physical_volume(source: ByteSource) -> PhysicalVolume:
    """What the label and the metadata areas say.

    Raises:
        VolumeError: the label is damaged.
        ImageReadError: it cannot be read.
    """
    head = source.read_at(0, (LABEL_SECTORS + 1) * SECTOR_BYTES)
    for sector in range(LABEL_SECTORS):
        label = head[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES]
        if label[:8] == LABEL and len(label) == SECTOR_BYTES:
            break
    else:
        message = "it has no label"
        raise VolumeError(message)
    _, number, checksum, offset, kind = _LABEL.unpack_from(label)
    if kind != _TYPE or number != sector or _crc(label[20:]) != checksum or not _LABEL.size <= offset <= SECTOR_BYTES - _PV.size:
        message = "the checksum of its label is wrong, or its label is of another kind"
        raise VolumeError(message)
    identifier, _ = _PV.unpack_from(label, offset)
    areas = _areas(label, offset + _PV.size)
    faults = []
    for start, _ in areas:
        try:
            text = _text(source, start)
        except (VolumeError, ImageReadError) as error:
            faults.append(str(error))
            continue
        if text is not None:
            return PhysicalVolume(identifier=identifier.decode("latin-1"), text=parse_text(text), fault="")
    return PhysicalVolume(identifier=identifier.decode("latin-1"), text=None, fault="; ".join(faults))


def _areas(label: bytes, at: int) -> list[tuple[int, int]]:
    """Offset and size of each metadata area: what follows the list of data areas. Each list ends with zeros."""
    lists: list[list[tuple[int, int]]] = [[], []]
    for found in lists:
        while at + _PLACE.size <= len(label) and len(found) < _MOST_PLACES:
            place = _PLACE.unpack_from(label, at)
            at += _PLACE.size
            if not any(place):
                break
            found.append(place)
    return lists[1]


def _text(source: ByteSource, start: int) -> str | None:
    """The text that a metadata area holds; None if it is unused. It may run over the end of the area, and go on behind its head."""
    head = read_exactly(source, start, _AREA_BYTES)
    checksum, magic, version, stated, size, offset, length, text_checksum, flags = _AREA.unpack_from(head)
    if magic != _AREA_MAGIC or version != 1 or stated != start or _crc(head[4:]) != checksum:
        message = "the head of its metadata is damaged"
        raise VolumeError(message)
    if flags & _IGNORED or not length:
        return None
    if not (_AREA_BYTES <= offset < size and length <= min(size - _AREA_BYTES, _MAX_TEXT_BYTES)):
        message = "the head of its metadata states a text that cannot be"
        raise VolumeError(message)
    first = min(length, size - offset)
    data = read_exactly(source, start + offset, first) + read_exactly(source, start + _AREA_BYTES, length - first)
    if _crc(data) != text_checksum:
        message = "the checksum of its metadata is wrong"
        raise VolumeError(message)
    return data.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _crc(data: bytes) -> int:
    return zlib.crc32(data, _INITIAL_CRC ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def parse_text(text: str) -> Section:
    """The sections and values of the text.

    Raises:
        VolumeError: it is not of LVM's grammar.
    """
    tokens = _tokens(text)
    try:
        return _section(tokens, 0)
    except StopIteration:
        message = "its metadata end in the middle"
        raise VolumeError(message) from None


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            message = f"its metadata cannot be understood from character {at} on"
            raise VolumeError(message)
        at = match.end()
        if match.lastgroup is not None:
            yield match.lastgroup, match.group()
    yield "end", ""


def _section(tokens: Iterator[tuple[str, str]], depth: int) -> Section:
    if depth > _MAX_DEPTH:
        message = "the sections of its metadata are nested too deep"
        raise VolumeError(message)
    found: Section = {}
    while True:
        kind, word = next(tokens)
        if (kind == "end" and not depth) or (word == "}" and kind == "mark" and depth):
            return found
        if kind not in ("name", "number", "string"):
            message = f"its metadata have {word[:20]!a} where a name should be"
            raise VolumeError(message)
        _, mark = next(tokens)
        if mark == "{":
            found[word] = _section(tokens, depth + 1)
        elif mark == "=":
            found[word] = _value(tokens, next(tokens))
        else:
            message = f"its metadata have {mark[:20]!a} behind a name"
            raise VolumeError(message)


def _value(tokens: Iterator[tuple[str, str]], token: tuple[str, str]) -> Value:
    kind, word = token
    if kind == "string":
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    if kind == "number":
        return float(word) if "." in word else _number(word)
    if (kind, word) == ("mark", "["):
        items: list[Value] = []
        while (token := next(tokens)) != ("mark", "]"):
            if token == ("mark", ","):
                continue
            if token[0] not in ("string", "number"):
                break
            items.append(_value(tokens, token))
        else:
            return items
    message = f"its metadata have {word[:20]!a} where a value should be"
    raise VolumeError(message)


def _number(word: str) -> int:
    if len(word) > 20:  # noqa: PLR2004 - digits of 2^64
        message = "its metadata hold a number that is too large"
        raise VolumeError(message)
    return int(word)
