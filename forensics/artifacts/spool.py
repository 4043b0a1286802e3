"""Rows of records of any shape, spooled to one file, so that memory stays bounded whatever a function yields.

Rows are kept per shape (name and fields of a record descriptor) until there are enough of them, then each shape's rows go to
the file as one Arrow IPC stream; the file is a sequence of such streams. One file, because a function such as evtx makes
hundreds of shapes. The types of a stream are those of its values: an integer column with a value beyond 64 bits is text there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from forensics.artifacts.values import FieldReader, OutOfRangeError, as_text, field_readers
from forensics.errors import ForensicsError
from forensics.schema import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from forensics.artifacts.remarks import Remarks

_ROWS = 16_384
_BYTES = 64 * 1024 * 1024
_SHAPE = b"shape"
_NEVER_SET = "1601-01-01T00:00:00+00:00"


class SpoolError(ForensicsError):
    """Rows cannot be written to the temporary folder. Fatal: it is full or gone, and no fault of the evidence."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What rows have in common: the name of their record and its fields as (type, name), in order."""

    name: str
    fields: tuple[tuple[str, str], ...]


@lru_cache(4096)
def shape_of(name: str, fields: tuple[tuple[str, str], ...]) -> Shape:
    """The shape of a record descriptor; of a field that it names twice, the last type counts, as for flow.record."""
    return Shape(name, tuple((typename, field_) for field_, typename in {one: typename for typename, one in fields}.items()))


@dataclass(slots=True)
class _Buffer:
    readers: tuple[FieldReader, ...]
    columns: list[list[Any]]
    rows: int = 0


@dataclass(slots=True, eq=False)
class RowSpool:
    """Takes rows, gives them back as record batches per shape.

    Attributes:
        path: the spool file; it must not exist.
        remarks: takes what could not be kept.
        types: the Arrow types seen for each column of each shape.
        rows: how many rows were taken.
    """

    path: Path
    remarks: Remarks
    types: dict[Shape, dict[str, set[pa.DataType]]] = field(default_factory=dict)
    rows: int = 0
    _buffers: dict[Shape, _Buffer] = field(default_factory=dict)
    _waiting: int = 0
    _bytes: int = 0

    def declare(self, shape: Shape) -> None:
        """Makes known a shape that may have no rows."""
        if shape not in self._buffers:
            readers = tuple(reader for typename, name in shape.fields for reader in field_readers(name, typename))
            self._buffers[shape] = _Buffer(readers, [[] for _ in readers])
            self.types[shape] = {reader.column: {reader.type} for reader in readers}

    def add(self, shape: Shape, source: object) -> None:
        """Takes one row: the attributes of `source` that the shape's fields name."""
        self.declare(shape)
        buffer = self._buffers[shape]
        values = [(reader, getattr(source, reader.field)) for reader in buffer.readers]
        for (reader, value), column in zip(values, buffer.columns, strict=True):
            column.append(None if value is None else self._read(reader, value))
        buffer.rows += 1
        self.rows += 1
        self._waiting += 1
        if self._waiting >= _ROWS or self._bytes >= _BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes what waits in memory to the file.

        Raises:
            SpoolError: the file cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                for number, (shape, buffer) in enumerate(self._buffers.items()):
                    if buffer.rows:
                        self._write(file, number, shape, buffer)
                        buffer.columns = [[] for _ in buffer.readers]
                        buffer.rows = 0
        except OSError as error:
            message = f"{self.path}: artifact rows cannot be spooled: {error.strerror or error}"
            raise SpoolError(message) from error
        self._waiting = self._bytes = 0

    def iter_batches(self) -> Iterator[tuple[Shape, pa.RecordBatch]]:
        """All rows, after a flush, in the order of the file."""
        if not self.rows:
            return
        shapes = list(self._buffers)
        with pa.memory_map(str(self.path)) as file:
            while file.tell() < file.size():
                with pa.ipc.open_stream(file) as reader:
                    shape = shapes[int(reader.schema.metadata[_SHAPE])]
                    for batch in reader:
                        yield shape, batch

    def _read(self, reader: FieldReader, value: Any) -> Any:
        try:
            stored = reader.read(value)
        except OutOfRangeError as error:
            what = f"the time in {reader.field!r} is left empty"
            if str(error) == _NEVER_SET:
                self.remarks.note("time-never-set", what, f"{error}: FILETIME 0, which Windows writes where no time was ever set")
            else:
                self.remarks.note("time-out-of-range", what, f"{error} is outside of what 64 bits of nanoseconds hold (1677 to 2262)")
            return None
        except (ValueError, TypeError, OverflowError, AttributeError) as error:
            what = f"the value of {reader.field!r} does not fit its type {reader.typename} and is left empty"
            self.remarks.note("value-not-kept", what, f"{as_text(repr(value))}: {error}")
            return None
        if isinstance(stored, (str, bytes, list)):
            self._bytes += len(stored) if not isinstance(stored, list) else sum(len(str(one)) for one in stored)
        return stored

    def _write(self, file: Any, number: int, shape: Shape, buffer: _Buffer) -> None:
        arrays = [_array(values, reader.type) for reader, values in zip(buffer.readers, buffer.columns, strict=True)]
        names = [reader.column for reader in buffer.readers]
        for name, array in zip(names, arrays, strict=True):
            self.types[shape][name].add(array.type)
        # A row without a field still counts: a record batch of no columns has no length.
        arrays.append(pa.nulls(buffer.rows, pa.bool_()))
        schema = pa.schema([*(pa.field(n, a.type) for n, a in zip(names, arrays, strict=False)), pa.field("", pa.bool_())])
        schema = schema.with_metadata({_SHAPE: str(number).encode()})
        with pa.ipc.new_stream(file, schema) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, type_)
    except (OverflowError, pa.ArrowInvalid):
        if not pa.types.is_integer(type_) and not pa.types.is_list(type_):
            raise
    if pa.types.is_list(type_):
        return pa.array([None if one is None else [None if x is None else as_text(x) for x in one] for one in values], pa.list_(TEXT))
    return pa.array([None if one is None else str(one) for one in values], TEXT)
