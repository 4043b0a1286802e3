"""What a library opened as a file, as a byte source: one user at a time, never short without saying so, its errors in our words."""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING, Any

from forensics.boundary import attempt
from forensics.errors import ImageReadError

if TYPE_CHECKING:
    from collections.abc import Callable


# How the libraries by J. Metz say what failed: "pyvshadow_volume_open: unable to open. libbfio_read: unable to …", the outermost first.
_CALL = re.compile(r"(?:^|(?<=\. ))(?:py|lib)[a-z0-9_]+: ")
_OURS = re.compile(r"""ImageReadError\((['"])(.*?)\1\)""")


class LibrarySource:
    """The bytes of a library's file object."""

    def __init__(self, file: Any, size: int, what: str) -> None:
        """`what` names the volume in messages."""
        self._file, self._what = file, what
        self.size = size
        self._lock = Lock()

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `volume[offset : offset + length]`, short only at its end.

        Raises:
            ImageReadError: the library cannot give them.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        data = bytearray()

        def read() -> None:
            self._file.seek(offset)
            while len(data) < length:
                part = self._file.read(length - len(data))
                if not part:
                    return
                data.extend(part)

        with self._lock:
            error = attempt(read, passing=(ImageReadError,))
        where = f"bytes {offset} to {offset + length - 1} of the {self._what}"
        if error is not None:
            message = f"{where} cannot be read: {library_words(error)}"
            raise ImageReadError(message) from error
        if len(data) != length:
            message = f"{where} cannot be read: {len(data)} of {length} bytes are there"
            raise ImageReadError(message)
        return bytes(data)


def tried(action: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """What the action gives, and what it raised."""
    found: list[Any] = []
    error = attempt(lambda: found.append(action()))
    return (found[0] if found else None), error


def library_words(error: Exception) -> str:
    """What went wrong, without the names of the functions that it went wrong in; the cause as we stated it where it is ours."""
    text = str(error)
    ours = _OURS.search(text)
    if ours is not None:
        return ours[2]
    said = [part.strip() for part in _CALL.split(text) if part.strip()]
    return f"{type(error).__name__}: {said[0]}" if not said[1:] else f"{said[0]} {said[-1]}"
