"""What `evidex extract` is asked for -> a condition on the rows of `entries`.

path:GLOB        a path, `*` and `?` as in a shell; a selector without a prefix is one      path:*/Desktop/*.pdf
hash:HEX         MD5, SHA-1 or SHA-256; the hex digits alone will do
rule:NAME        every stream that a YARA rule matches
row:VOLUME/ADDRESS[-TYPE-ID]    one entry by its address, as tables and report show it      row:v01/1234-128-1
where:CONDITION  any SQL condition on the columns of `entries`                               where:size > 1000000
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipelines.errors import PipelineError

_HEX = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_ROW = re.compile(r"(?P<volume>[vg][0-9.]+)/(?P<address>[0-9]+)(?:-(?P<type>-?[0-9]+)-(?P<id>-?[0-9]+))?")
_KINDS = ("path", "hash", "rule", "row", "where")
_ALGORITHM = {32: "md5", 40: "sha1", 64: "sha256"}


@dataclass(frozen=True, slots=True)
class Selection:
    """A selector as typed, and its condition in SQL."""

    stated: str
    condition: str


def parse_selector(stated: str) -> Selection:
    """The selection that the text means.

    Raises:
        PipelineError: it is of none of the forms above.
    """
    if _HEX.fullmatch(stated):
        return Selection(stated, _of_hash(stated))
    kind, colon, value = stated.partition(":")
    if not colon or kind not in _KINDS:
        kind, value = "path", stated
    condition = _condition(kind, value)
    if condition is None:
        message = f"selector {stated!r} is not understood; write path:GLOB, hash:HEX, rule:NAME, row:VOLUME/ADDRESS-TYPE-ID or where:SQL"
        raise PipelineError(message)
    return Selection(stated, condition)


def _condition(kind: str, value: str) -> str | None:
    if kind == "hash":
        return _of_hash(value) if _HEX.fullmatch(value) else None
    if kind == "row":
        return _of_row(value)
    if not value.strip():
        return None
    if kind == "rule":
        # A file and its slack, or two deleted files of one name, differ in their contents only.
        same = "h.volume = e.volume AND h.path = e.path AND h.stream = e.stream"
        content = "h.metadata_address IS NOT DISTINCT FROM e.metadata_address AND h.sha256 IS NOT DISTINCT FROM e.sha256"
        return f"EXISTS (SELECT 1 FROM hits h WHERE h.rule = {_text(value)} AND {same} AND {content})"  # noqa: S608 - quoted
    return f"({value})" if kind == "where" else f"path GLOB {_text(value)}"


def _of_row(value: str) -> str | None:
    found = _ROW.fullmatch(value)
    if found is None:
        return None
    condition = f"volume = {_text(found['volume'])} AND metadata_address = {found['address']}"
    if found["type"] is not None:
        condition += f" AND attribute_type = {found['type']} AND attribute_id = {found['id']}"
    return condition


def _of_hash(digest: str) -> str:
    return f"{_ALGORITHM[len(digest)]} = {_text(digest.lower())}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
