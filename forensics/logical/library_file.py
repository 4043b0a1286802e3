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
            wanted = length
            while wanted > 0 and (part := bytes(self._file.read(wanted))):
                read.append(part)
                wanted -= len(part)

        error = attempt(take)
        if error is not None:
            message = f"bytes {offset} to {offset + length - 1} cannot be read: {type(error).__name__}: {error}"
            raise StreamReadError(message) from error
        data = b"".join(read)
        if len(data) != length:
            message = f"the container gives {len(data)} of {length} bytes at byte {offset} of {self.size}"
            raise StreamReadError(message)
        return data

    def checksum_failure(self) -> str:
        """Nothing: what the container states are digests."""
        return ""
