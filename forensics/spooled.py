"""The bytes of one content, kept while it is worked on: in memory up to a window, then in a temporary file with its holes kept.

It is written once, from its start to its end, and then read as often as needed: by YARA, by the carver, by the openers of files
inside files.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from forensics.errors import ImageReadError
from forensics.filetype import HEAD_BYTES

if TYPE_CHECKING:
    from contextlib import ExitStack


class SpooledContent:
    """The bytes of one stream: in memory up to the window, then in a temporary file with its holes kept."""

    def __init__(self, folder: Path, window: int, cleanup: ExitStack) -> None:
        self._folder, self._window, self._cleanup = folder, window, cleanup
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._head = b""
        self.size = 0
        self.spool_failure: str | None = None

    def write(self, block: bytes) -> None:
        """Takes the next block."""
        self.size += len(block)
        if self.spool_failure is not None:
            return
        if self._file is None and self.size <= self._window:
            self._memory += block
            return
        try:
            self._spool(block)
        except OSError as error:
            self._give_up(error)

    def _spool(self, block: bytes) -> None:
        if self._file is None:
            # Closed and removed by `cleanup`; a name is needed, because YARA opens the file itself.
            # Unbuffered: a buffer that does not fit on a full disk would fail once more when the file is closed.
            file = self._cleanup.enter_context(tempfile.NamedTemporaryFile(dir=self._folder, prefix="stream-", buffering=0))  # noqa: SIM115
            self._file, self._path = file.file, Path(file.name)  # type: ignore[assignment]
            self._head = bytes(self._memory[:HEAD_BYTES])
            self._write_all(self._memory)
            self._memory = bytearray()
        if block.count(0) < len(block):
            self._write_all(block)
        else:  # a hole, so that a sparse file of any size takes no room
            self._file.seek(len(block), 1)  # type: ignore[union-attr]

    def _write_all(self, data: bytes | bytearray) -> None:
        """Writes on after a short write, which is how a disk that fills up shows first."""
        assert self._file is not None, "the caller has made it"
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def head(self) -> bytes:
        """The first HEAD_BYTES, or all if fewer."""
        return self._head or bytes(self._memory[:HEAD_BYTES])

    def source(self) -> memoryview | Path:
        """All bytes, as YARA takes them: in memory or as a file."""
        if self._file is None or self._path is None:
            return memoryview(self._memory)
        return self._path

    def open(self) -> BinaryIO:
        """All bytes as a file of its own position, open for reading only."""
        if self._file is None or self._path is None:
            return io.BytesIO(self._memory)
        return self._path.open("rb")

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `content[offset : offset + length]`, short only at its end, so that it is a byte source.

        Raises:
            ImageReadError: there was no room to keep them, or they cannot be read back.
        """
        if self.spool_failure is not None:
            message = f"no room for a temporary copy: {self.spool_failure}"
            raise ImageReadError(message)
        if self._file is None:
            return bytes(self._memory[offset : offset + length])
        try:
            return os.pread(self._file.fileno(), length, offset)
        except OSError as error:
            message = f"the temporary copy cannot be read: {error.strerror}"
            raise ImageReadError(message) from error

    def complete(self) -> None:
        """No more blocks come: a hole at the end becomes part of the file."""
        if self._file is None or self.spool_failure is not None:
            return
        try:
            self._file.truncate(self.size)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise error
        self.spool_failure = error.strerror or "no space"
