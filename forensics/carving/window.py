"""Bytes of a source behind a start, for walking along a structure: short where the source ends, searched in blocks."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

from forensics.carving.followed import Followed

if TYPE_CHECKING:
    from forensics.source import ByteSource

_FIRST_STEP, _STEP = 512, 1 << 20  # most that looks like a file at its start is none, and is seen to be none soon


class Window:
    """`source[start : start + limit]`; offsets are counted from `start`."""

    def __init__(self, source: ByteSource, start: int, limit: int) -> None:
        self._source, self._start = source, start
        self._count_step = source.step if isinstance(source, Followed) else None
        self.size = max(0, min(limit, source.size - start))
        self._kept = (0, b"")
        self._step = _FIRST_STEP

    def read(self, offset: int, length: int) -> bytes:
        """The bytes `window[offset : offset + length]`, short at its end."""
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        if self._count_step is not None:
            self._count_step()
        at, block = self._kept
        if not (at <= offset and offset + length <= at + len(block)):
            if length >= _STEP:
                return self._source.read_at(self._start + offset, length)
            block = self._source.read_at(self._start + offset, min(max(self._step, length), self.size - offset))
            self._kept = at, _ = offset, block
            self._step = min(self._step * 16, _STEP)
        return block[offset - at : offset - at + length]

    def unpack(self, form: str, offset: int) -> tuple[Any, ...] | None:
        """Values at the offset; None where the window ends before them."""
        length = struct.calcsize(form)
        raw = self.read(offset, length)
        return struct.unpack(form, raw) if len(raw) == length else None

    def find(self, needle: bytes, offset: int, end: int | None = None) -> int:
        """Where the needle next stands from `offset`, wholly before `end`; -1 if it does not."""
        return self.search(re.compile(re.escape(needle)), len(needle), offset, end)

    def search(self, pattern: re.Pattern[bytes], length: int, offset: int, end: int | None = None) -> int:
        """As `find`, for a pattern that matches so many bytes."""
        last = self.size if end is None else min(end, self.size)
        while offset + length <= last:
            self.read(offset, length)  # keeps a block that holds them: what is kept is searched to its end before more is read
            at, block = self._kept
            found = pattern.search(block, offset - at, last - at)
            if found is not None:
                return at + found.start()
            offset = at + len(block) - length + 1
        return -1
