r"""Field types of dissect's records -> Arrow types, and one value of a field -> what Arrow stores.

datetime                          timestamp[ns, UTC]; what lies outside 1677 to 2262 raises OutOfRangeError
varint, uint16, uint32, filesize  int64 (a batch in which one value is larger is stored as text, see spool.py)
unix_file_mode                    int64
boolean, float, bytes             bool, float64, binary
digest                            three texts: <field>_md5, <field>_sha1, <field>_sha256
path                              text, with acting characters escaped as in the column `path` of every table
string, uri, command, net.*, …    text; what is no Unicode stands as \xNN or \uNNNN
T[], stringlist                   list of the above
record, dictlist, anything else   text: JSON with sorted keys where the value has parts, else what Python's str says

References: flow.record 3.21, flow/record/whitelist.py lists the types.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from forensics.names import escape_text
from forensics.schema import TEXT, TIME

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT64 = 1 << 63
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_BYTE = range(0xDC80, 0xDD00)  # what `surrogateescape` makes of a byte from 0x80 (PEP 383)


class OutOfRangeError(ValueError):
    """A time that a timestamp in nanoseconds cannot hold; the message is the raw value."""


@dataclass(frozen=True, slots=True)
class FieldReader:
    """How one field of a record becomes one column.

    Attributes:
        field: name of the field in the record.
        typename: its type as flow.record names it.
        column: name of the column.
        type: Arrow type of the column.
        read: a value that is not None -> what Arrow stores; raises ValueError, TypeError, OverflowError or AttributeError.
    """

    field: str
    typename: str
    column: str
    type: pa.DataType
    read: Callable[[Any], Any]


def field_readers(field: str, typename: str) -> tuple[FieldReader, ...]:
    """The readers of a field: one, or three for a digest."""
    if typename == "digest":
        return tuple(FieldReader(field, typename, f"{field}_{name}", TEXT, _attribute(name)) for name in ("md5", "sha1", "sha256"))
    if typename.endswith("[]") or typename == "stringlist":
        type_, read = _SCALARS.get(typename.removesuffix("[]"), (TEXT, as_text))
        return (FieldReader(field, typename, field, pa.list_(type_), _each(read)),)
    if typename == "dictlist":
        return (FieldReader(field, typename, field, TEXT, as_json),)
    type_, read = _SCALARS.get(typename, (TEXT, as_text))
    return (FieldReader(field, typename, field, type_, read),)


def typename_of(value: object) -> str:
    """The field type for a plain value, such as a property of the target gives."""
    for kind, typename in ((bool, "boolean"), (int, "varint"), (float, "float"), (datetime, "datetime"), (bytes, "bytes")):
        if isinstance(value, kind):
            return typename
    return "string"


def as_nanoseconds(value: datetime) -> int:
    """Nanoseconds since 1970-01-01T00:00:00Z; a time without a zone counts as UTC, as flow.record has it.

    Raises:
        OutOfRangeError: 64 bits do not hold it.
    """
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    nanoseconds = (value - _EPOCH) // _MICROSECOND * 1000
    if not -_INT64 < nanoseconds < _INT64:
        raise OutOfRangeError(value.astimezone(UTC).isoformat() if value.year > 1 else value.isoformat())
    return nanoseconds


def as_text(value: object) -> str:
    r"""The value as Unicode text; a byte that was no UTF-8 as `\xNN`, a lone surrogate as `\uNNNN`."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (Mapping, list, tuple)) or hasattr(value, "_asdict"):
        return as_json(value)
    text = str(value)
    return text if text.isascii() else _SURROGATE.sub(_escaped, text)


def as_json(value: object) -> str:
    """The value as JSON with sorted keys, so that equal values give equal text."""
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False)


def plain(value: object) -> Any:
    """The value made of what JSON knows: bytes as hex, times as ISO 8601, records as objects, everything else as text."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, Mapping):
        return {as_text(key): plain(one) for key, one in value.items()}
    if hasattr(value, "_asdict"):
        return {key: plain(one) for key, one in value._asdict().items() if not key.startswith("_")}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return _plain_scalar(value)


def _plain_scalar(value: object) -> str | int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, bytes):
        return value.hex()
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else as_text(value)


def _as_path(value: object) -> str:
    return escape_text(str(value))


def _as_float(value: float) -> float:
    """The number; -0.0 as 0.0 and every NaN as one, since sorting takes them for equal and so would leave their order to chance."""
    return math.nan if math.isnan(value) else value + 0.0


def _as_command(value: Any) -> str:
    """The command line: flow.record keeps the arguments of a Windows command as one string, of a Unix command as a list."""
    if not hasattr(value, "executable"):
        return as_text(value)
    if value.executable is None:
        return ""
    executable, arguments = str(value.executable), [str(one) for one in value.args or ()]
    if type(value).__name__ == "windows_command":
        return as_text(" ".join([f'"{executable}"' if " " in executable else executable, *arguments]))
    return as_text(shlex.join([executable, *arguments]))


def _each(read: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    return lambda values: [None if value is None else read(value) for value in values]


def _attribute(name: str) -> Callable[[Any], Any]:
    return lambda value: getattr(value, name)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code - 0xDC00:02x}" if code in _ESCAPED_BYTE else f"\\u{code:04x}"


_INTEGER = (pa.int64(), int)
_SCALARS: dict[str, tuple[pa.DataType, Callable[[Any], Any]]] = {
    "datetime": (TIME, as_nanoseconds),
    "varint": _INTEGER,
    "uint16": _INTEGER,
    "uint32": _INTEGER,
    "filesize": _INTEGER,
    "unix_file_mode": _INTEGER,
    "boolean": (pa.bool_(), bool),
    "float": (pa.float64(), _as_float),
    "bytes": (pa.binary(), bytes),
    "path": (TEXT, _as_path),
    "command": (TEXT, _as_command),
}
