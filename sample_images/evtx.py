"""Events -> a Windows event log (EVTX) of one chunk.

References:
    MS-EVEN6 2.2.12 to 2.2.17: binary XML. J. Metz, "Windows XML Event Log (EVTX)": file header, chunk, record.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sample_images.stated import filetime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

_CHUNK = 0x10000
_RECORDS = 512
_FRAGMENT = b"\x0f\x01\x01\x00"
_NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
_STRING, _UINT16, _UINT64, _FILETIME = 0x01, 0x06, 0x0A, 0x11


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event; `data` are its named values."""

    provider: str
    event_id: int
    when: datetime
    channel: str
    computer: str
    data: Mapping[str, str]


def event_log(events: Sequence[Event]) -> bytes:
    """The bytes of a log that holds the events in order, numbered from 1."""
    head = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, 0, len(events) + 1, 128, 1, 3, 4096, 1).ljust(120, b"\0")
    return (head + struct.pack("<II", 0, zlib.crc32(head))).ljust(4096, b"\0") + _Chunk().build(events)


class _Chunk:
    """Collects records; names and templates are written where they are first used, and referred to by offset in the chunk."""

    def __init__(self) -> None:
        self._out = bytearray(_RECORDS)
        self._names: dict[str, int] = {}
        self._buckets = [0] * 64
        self._templates: dict[tuple[str, ...], int] = {}
        self._pointers = [0] * 32

    def build(self, events: Sequence[Event]) -> bytes:
        last = _RECORDS
        for number, event in enumerate(events, start=1):
            last = len(self._out)
            self._record(number, event)
        free = len(self._out)
        records = zlib.crc32(self._out[_RECORDS:])
        head = struct.pack("<8sQQQQIIII", b"ElfChnk\0", 1, len(events), 1, len(events), 128, last, free, records).ljust(120, b"\0")
        tables = struct.pack("<64I32I", *self._buckets, *self._pointers)
        self._out[:_RECORDS] = head + struct.pack("<II", 0, zlib.crc32(head + tables)) + tables
        return bytes(self._out).ljust(_CHUNK, b"\0")

    def _record(self, number: int, event: Event) -> None:
        start = len(self._out)
        self._out += struct.pack("<IIQQ", 0x2A2A, 0, number, filetime(event.when)) + _FRAGMENT
        self._template(tuple(event.data))
        values = [
            (_STRING, event.provider.encode("utf-16-le")),
            (_UINT16, struct.pack("<H", event.event_id)),
            (_FILETIME, struct.pack("<Q", filetime(event.when))),
            (_UINT64, struct.pack("<Q", number)),
            (_STRING, event.channel.encode("utf-16-le")),
            (_STRING, event.computer.encode("utf-16-le")),
            *((_STRING, text.encode("utf-16-le")) for text in event.data.values()),
        ]
        self._out += struct.pack("<I", len(values)) + b"".join(struct.pack("<HBB", len(data), kind, 0) for kind, data in values)
        self._out += b"".join(data for _, data in values) + b"\0"
        self._out += bytes(-(len(self._out) - start + 4) % 8)
        size = len(self._out) - start + 4
        self._out += struct.pack("<I", size)
        struct.pack_into("<I", self._out, start + 4, size)

    def _template(self, names: tuple[str, ...]) -> None:
        """An instance of the template with these named values, with its definition at the first use."""
        identifier = 0x0E71DE00 + len(names) + 256 * sum(map(len, names))
        here = len(self._out) + 10
        known = self._templates.setdefault(names, here)
        self._out += struct.pack("<BBII", 0x0C, 1, identifier, known)
        if known != here:
            return
        bucket = identifier % 32
        self._out += struct.pack("<I", self._pointers[bucket]) + struct.pack("<I", identifier) + bytes(12) + bytes(4)
        self._pointers[bucket] = here
        start = len(self._out)
        self._out += _FRAGMENT
        self._element("Event", {"xmlns": _NAMESPACE}, lambda: self._event_children(names))
        self._out += b"\0"
        struct.pack_into("<I", self._out, start - 4, len(self._out) - start)

    def _event_children(self, names: tuple[str, ...]) -> None:
        self._element("System", {}, self._system_children)
        self._element("EventData", {}, lambda: self._data_children(names))

    def _system_children(self) -> None:
        self._element("Provider", {"Name": (0, _STRING)}, None)
        self._element("EventID", {}, lambda: self._value((1, _UINT16)))
        self._element("TimeCreated", {"SystemTime": (2, _FILETIME)}, None)
        self._element("EventRecordID", {}, lambda: self._value((3, _UINT64)))
        self._element("Channel", {}, lambda: self._value((4, _STRING)))
        self._element("Computer", {}, lambda: self._value((5, _STRING)))

    def _data_children(self, names: tuple[str, ...]) -> None:
        for number, name in enumerate(names, start=6):
            self._element("Data", {"Name": name}, lambda at=number: self._value((at, _STRING)))  # type: ignore[misc]

    def _element(self, name: str, attributes: Mapping[str, str | tuple[int, int]], children: Callable[[], None] | None) -> None:
        self._out += struct.pack("<BHI", 0x41 if attributes else 0x01, 0xFFFF, 0)
        start = len(self._out)
        self._name(name)
        if attributes:
            self._out += bytes(4)
            first = len(self._out)
            for left, (key, value) in zip(range(len(attributes) - 1, -1, -1), attributes.items(), strict=True):
                self._out.append(0x46 if left else 0x06)
                self._name(key)
                self._value(value)
            struct.pack_into("<I", self._out, first - 4, len(self._out) - first)
        if children is None:
            self._out.append(0x03)
        else:
            self._out.append(0x02)
            children()
            self._out.append(0x04)
        struct.pack_into("<I", self._out, start - 4, len(self._out) - start)

    def _value(self, value: str | tuple[int, int]) -> None:
        """A text, or a substitution by number and type."""
        if isinstance(value, str):
            self._out += struct.pack("<BBH", 0x05, _STRING, len(value)) + value.encode("utf-16-le")
        else:
            self._out += struct.pack("<BHB", 0x0D, *value)

    def _name(self, name: str) -> None:
        here = len(self._out) + 4
        known = self._names.setdefault(name, here)
        self._out += struct.pack("<I", known)
        if known != here:
            return
        digest = 0
        for character in name:
            digest = (digest * 65599 + ord(character)) & 0xFFFFFFFF
        digest &= 0xFFFF
        bucket = digest % 64
        self._out += struct.pack("<IHH", self._buckets[bucket], digest, len(name)) + name.encode("utf-16-le") + b"\0\0"
        self._buckets[bucket] = here
