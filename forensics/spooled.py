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


_ZEROS = bytes(1 << 20)


class SpooledContent:
    """The bytes of one stream: in memory up to the window, then in a temporary file with its holes kept.

    Attributes:
        size: how many bytes it has so far, those that could not be read among them.
        spool_failure: why there was no room to keep them; None if there was.
        holes: first byte and length of what could not be read, which is kept as zeros.
    """

    def __init__(self, folder: Path, window: int, cleanup: ExitStack) -> None:
        self._folder, self._window, self._cleanup = folder, window, cleanup
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._head = b""
        self.size = 0
        self.spool_failure: str | None = None
        self.holes: list[tuple[int, int]] = []

    def skip(self, size: int) -> None:
        """Takes `size` bytes that could not be read."""
        if self.holes and sum(self.holes[-1]) == self.size:
            start, before = self.holes.pop()
            self.holes.append((start, before + size))
        else:
            self.holes.append((self.size, size))
        while size:
            taken = min(size, len(_ZEROS))
            self.write(_ZEROS[:taken])
            size -= taken

    def cut(self) -> None:
        """Lets go what lies behind the first byte that could not be read: for readers that would take zeros for content."""
        if not self.holes:
            return
        self.size = self.holes[0][0]
        self.holes.clear()
        if self._file is None:
            self._memory = self._memory[: self.size]
        elif self.spool_failure is None:
            self._file.truncate(self.size)
            self._head = self._head[: self.size]

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
            ImageReadError: there was no room to keep them, they cannot be read back, or some of them could not be read at all.
        """
        for start, size in self.holes:
            if start < offset + length and offset < start + size:
                message = f"{size} bytes at byte {start} could not be read"
                raise ImageReadError(message)
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
