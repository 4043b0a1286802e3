"""Keys and values -> a Windows registry hive.

References:
    M. Suhanov, "Windows registry file format specification": base block, hive bins, cells nk, vk, lh and sk.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from sample_images.stated import DEFAULT_TIME, filetime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_NONE = 0xFFFFFFFF
_BIN = 4096
_INLINE = 0x80000000
_KEY_ROOT, _KEY_PLAIN = 0x2C, 0x20  # hive entry, cannot be deleted, name in one byte a character
# A security descriptor without owner, group or lists (MS-DTYP 2.4.6): revision 1, self-relative.
_DESCRIPTOR = struct.pack("<BBH4I", 1, 0, 0x8000, 0, 0, 0, 0)


class Type(IntEnum):
    """Types of values."""

    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    MULTI_SZ = 7
    QWORD = 11


@dataclass(slots=True, kw_only=True)
class Key:
    """One key: values as (type, data) and keys below, by name."""

    written: datetime = DEFAULT_TIME
    values: dict[str, tuple[Type, bytes]] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)

    def key(self, path: str, *, written: datetime | None = None) -> Key:
        r"""The key at `path` ("A\B"), made with all that lead to it where it is not there."""
        found = self
        for name in path.split("\\"):
            found = found.keys.setdefault(name, Key())
        if written:
            found.written = written
        return found

    def set(self, **values: str | int | bytes | list[str]) -> Key:
        """Sets values by name and gives the key back: text as REG_SZ, numbers as REG_DWORD, bytes as REG_BINARY."""
        return self.put(values.items())

    def put(self, values: Iterable[tuple[str, str | int | bytes | list[str]]]) -> Key:
        """As `set`, for names that are no words; the empty name is the default value."""
        for name, value in values:
            self.values[name] = _data(value)
        return self


def _data(value: str | int | bytes | list[str]) -> tuple[Type, bytes]:
    if isinstance(value, bytes):
        return Type.BINARY, value
    if isinstance(value, int):
        return Type.DWORD, value.to_bytes(4, "little")
    if isinstance(value, list):
        return Type.MULTI_SZ, "".join(f"{part}\0" for part in [*value, ""]).encode("utf-16-le")
    return Type.SZ, f"{value}\0".encode("utf-16-le")


def hive(root: Key, *, name: str) -> bytes:
    """The bytes of a hive whose base block says that it is the file `name`."""
    cells = _Cells()
    security = cells.reserve(20 + len(_DESCRIPTOR))
    count = _count(root)
    cells.fill(security, b"sk" + struct.pack("<HIIII", 0, security, security, count, len(_DESCRIPTOR)) + _DESCRIPTOR)
    root_cell = _write_key(cells, root, "ROOT", _NONE, security)
    bins = cells.bins(filetime(root.written))
    head = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, filetime(root.written), 1, 5, 0, 1, root_cell, len(bins), 1)
    head = (head + name.encode("utf-16-le")[:64]).ljust(508, b"\0")
    checksum = 0
    for (word,) in struct.iter_unpack("<I", head):
        checksum ^= word
    return (head + struct.pack("<I", checksum)).ljust(_BIN, b"\0") + bins


def _count(key: Key) -> int:
    return 1 + sum(_count(below) for below in key.keys.values())


def _write_key(cells: _Cells, key: Key, name: str, parent: int, security: int) -> int:
    encoded = name.encode("latin-1")
    cell = cells.reserve(76 + len(encoded))
    below = sorted(key.keys.items(), key=lambda item: item[0].upper())
    children = [(_write_key(cells, child, text, cell, security), text) for text, child in below]
    subkeys = _write_list(cells, children) if children else _NONE
    values = [_write_value(cells, text, kind, data) for text, (kind, data) in key.values.items()]
    value_list = cells.add(struct.pack(f"<{len(values)}I", *values)) if values else _NONE
    longest_name = max((2 * len(text) for text in key.keys), default=0)
    longest_value = max((2 * len(text) for text in key.values), default=0)
    longest_data = max((len(data) for _, data in key.values.values()), default=0)
    flags = _KEY_ROOT if parent == _NONE else _KEY_PLAIN
    head = struct.pack("<2sHQII", b"nk", flags, filetime(key.written), 0, 0 if parent == _NONE else parent)
    counts = struct.pack("<IIIIIIII", len(children), 0, subkeys, _NONE, len(values), value_list, security, _NONE)
    lengths = struct.pack("<IIIIIHH", longest_name, 0, longest_value, longest_data, 0, len(encoded), 0)
    cells.fill(cell, head + counts + lengths + encoded)
    return cell


def _write_list(cells: _Cells, children: list[tuple[int, str]]) -> int:
    """A hash leaf: the hash of a name is sum * 37 + upper-case character, over its characters."""
    leaf = b"lh" + struct.pack("<H", len(children))
    for cell, name in children:
        digest = 0
        for character in name.upper():
            digest = (digest * 37 + ord(character)) & 0xFFFFFFFF
        leaf += struct.pack("<II", cell, digest)
    return cells.add(leaf)


def _write_value(cells: _Cells, name: str, kind: Type, data: bytes) -> int:
    encoded = name.encode("latin-1")
    if len(data) <= 4:
        size, place = len(data) | _INLINE, int.from_bytes(data.ljust(4, b"\0"), "little")
    else:
        size, place = len(data), cells.add(data)
    return cells.add(struct.pack("<2sHIIIHH", b"vk", len(encoded), size, place, kind, 1 if encoded else 0, 0) + encoded)


class _Cells:
    """Cells of one hive bin; offsets count from the start of the bin, which stands at 4096 in the file."""

    def __init__(self) -> None:
        self._data = bytearray(32)

    def reserve(self, size: int) -> int:
        """The offset of a new cell for `size` bytes."""
        offset = len(self._data)
        whole = (size + 4 + 7) // 8 * 8
        self._data += struct.pack("<i", -whole) + bytes(whole - 4)
        return offset

    def fill(self, offset: int, content: bytes) -> None:
        """Puts the content into the reserved cell."""
        self._data[offset + 4 : offset + 4 + len(content)] = content

    def add(self, content: bytes) -> int:
        """The offset of a new cell with that content."""
        offset = self.reserve(len(content))
        self.fill(offset, content)
        return offset

    def bins(self, written: int) -> bytes:
        """The bin, its rest a free cell."""
        rest = -len(self._data) % _BIN
        if rest:
            self._data += struct.pack("<i", rest).ljust(rest, b"\0")
        self._data[:32] = struct.pack("<4sIIQQI", b"hbin", 0, len(self._data), 0, written, 0)[:32].ljust(32, b"\0")
        return bytes(self._data)
