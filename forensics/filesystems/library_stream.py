"""A file object that a library gives, as a stream."""

from __future__ import annotations

from typing import Any


class LibraryStream:
    """Reads a seekable binary file object whose size the library states.

    What a read raises, it lets pass, and a short read is given as it is: GuardedStream makes errors of both.
    """

    def __init__(self, file: Any, size: int | None = None) -> None:
        self._file = file
        self.size = int(file.size if size is None else size)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`."""
        self._file.seek(offset)
        return bytes(self._file.read(length))
