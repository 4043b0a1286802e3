"""The streams of a file as The Sleuth Kit has them: its attributes, and the bytes of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forensics.errors import StreamReadError
from forensics.names import escape_text
from forensics.sleuthkit import TSK_ERRORS, tsk_reason


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: TSK's type and identifier, its name as text ("" for none), its size in bytes."""

    type: int
    id: int
    name: str
    size: int


class TskStream:
    """One attribute of one file, read through TSK."""

    def __init__(self, file: Any, attribute: Attribute) -> None:
        self._file = file
        self._attribute = attribute
        self.size = attribute.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: TSK cannot read them.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        try:
            data: bytes = self._file.read_random(offset, length, self._attribute.type, self._attribute.id)
        except TSK_ERRORS as error:
            raise StreamReadError(tsk_reason(error)) from error
        if len(data) < length and not data:
            message = f"TSK gives nothing at byte {offset} of {self.size}"
            raise StreamReadError(message)
        return data


def attributes_of(file: Any) -> list[Attribute]:
    """The file's attributes, in TSK's order."""
    return [
        Attribute(
            int(attribute.info.type),
            int(attribute.info.id),
            escape_text(bytes(attribute.info.name).decode("utf-8", "backslashreplace")) if attribute.info.name else "",
            int(attribute.info.size),
        )
        for attribute in file
    ]
