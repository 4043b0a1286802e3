"""The columns of an artifact table, from the shapes of the records that a function yields.

Rules: every table starts with schema.ARTIFACT_FIELDS. Columns are the union of the fields of all shapes, shapes in the order of
their names. Where that would be more than WIDEST columns, only fields that more than half of the shapes have stay columns, and
each row's other fields stand as one JSON object in `other`. A field that has several types is text. The field that names the
file that a row was read from becomes `source_path`. Names that differ only in case get a number, since SQL does not tell them
apart. Nothing depends on the order in which shapes or rows came.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from forensics.artifacts.values import field_readers
from forensics.schema import ARTIFACT_FIELDS, ARTIFACT_PREFIX, TEXT, column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from forensics.artifacts.spool import Shape

WIDEST = 96
OTHER = "other"
SOURCE_FIELDS = ("source", "source_log", "source_file", "regf_hive_path")
_SOURCE_TYPES = frozenset({"path", "string"})

ShapeTypes: TypeAlias = "Mapping[Shape, Mapping[str, set[pa.DataType]]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which column of the table each column of each shape becomes.

    Attributes:
        table: name of the table.
        schema: its Arrow schema.
        columns: column of a record -> column of the table; what is missing goes to `other`.
        has_other: whether there is a column `other`.
    """

    table: str
    schema: pa.Schema
    columns: Mapping[str, str]
    has_other: bool


def table_name(function: str) -> str:
    """The table of a function: `artifact_` and its name, dots as underscores."""
    return ARTIFACT_PREFIX + function.replace(".", "_")


def source_field(shape: Shape) -> str | None:
    """The field of a shape that names the file that a row was read from; None where there is none."""
    names = {name for typename, name in shape.fields if typename in _SOURCE_TYPES}
    return next((name for name in SOURCE_FIELDS if name in names), None)


def lay_out(function: str, types: ShapeTypes) -> Layout:
    """The layout of a function's table for the shapes and types seen."""
    shapes = sorted(types, key=lambda shape: (shape.name, shape.fields))
    merged = _merge(shapes, types)
    has_other = len(merged) > WIDEST
    if has_other:
        shared = Counter(name for shape in shapes for name in types[shape] if name != source_field(shape))
        merged = {name: one for name, one in merged.items() if shared[name] * 2 > len(shapes)}
    taken = {one.name for one in ARTIFACT_FIELDS} | ({OTHER} if has_other else set())
    columns = _distinct_names(merged, taken)
    fields = [*ARTIFACT_FIELDS, *(column(columns[name], *one) for name, one in merged.items())]
    if has_other:
        fields.append(column(OTHER, TEXT, "the row's remaining fields, as a JSON object", unit="JSON"))
    table = table_name(function)
    row = f"one record of dissect's function {function}"
    return Layout(table=table, schema=pa.schema(fields, {"table": table, "row": row}), columns=columns, has_other=has_other)


def _merge(shapes: Iterable[Shape], types: ShapeTypes) -> dict[str, tuple[pa.DataType, str]]:
    """Each column with its type and its meaning, in the order of the shapes."""
    seen: dict[str, set[pa.DataType]] = {}
    origin: dict[str, dict[str, None]] = {}
    for shape in shapes:
        left_out = source_field(shape)
        for typename, name in shape.fields:
            for reader in field_readers(name, typename) if name != left_out else ():
                seen.setdefault(reader.column, set()).update(types[shape][reader.column])
                origin.setdefault(reader.column, {})[f"field {name} ({typename}) of {shape.name}"] = None
    return {name: (_common_type(one), _meaning(list(origin[name]))) for name, one in seen.items()}


def _common_type(types: set[pa.DataType]) -> pa.DataType:
    if len(types) == 1:
        return next(iter(types))
    return pa.list_(TEXT) if all(pa.types.is_list(one) for one in types) else TEXT


def _meaning(origins: list[str]) -> str:
    more = f" and {len(origins) - 1} more" if len(origins) > 1 else ""
    return f"{origins[0]}{more}, as dissect reads it"


def _distinct_names(names: Iterable[str], taken: set[str]) -> dict[str, str]:
    used = {name.lower() for name in taken}
    distinct = {}
    for name in names:
        candidate, number = name, 1
        while candidate.lower() in used:
            number += 1
            candidate = f"{name}_{number}"
        used.add(candidate.lower())
        distinct[name] = candidate
    return distinct
