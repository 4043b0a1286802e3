"""A library's file object as a stream of an entry, whatever the library raises on damaged data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics.boundary import attempt
from forensics.errors import StreamReadError

if TYPE_CHECKING:
    from collections.abc import Mapping


class LibraryFile:
    """The content of one entry.

    Attributes:
        size: bytes of it.
        stated: digests that its container states, by algorithm.
    """

    def __init__(self, file: Any, size: int, stated: Mapping[str, str]) -> None:
        self._file = file
        self.size, self.stated = size, stated

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: the library cannot give them.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        read: list[bytes] = []

        def take() -> None:
            self._file.seek(offset)
            read.append(bytes(self._file.read(length)))

        error = attempt(take)
        if error is not None:
            message = f"bytes {offset} to {offset + length - 1} cannot be read: {type(error).__name__}: {error}"
            raise StreamReadError(message) from error
        if not read[0]:
            message = f"the container gives nothing at byte {offset} of {self.size}"
            raise StreamReadError(message)
        return read[0]

    def checksum_failure(self) -> str:
        """Nothing: what the container states are digests."""
        return ""
