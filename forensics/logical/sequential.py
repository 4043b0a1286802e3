"""A compressed content, decompressed once from its start to its end; only a read that goes back begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import ArchiveError, StreamReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_NO_DIGESTS: dict[str, str] = {}


class SequentialStream:
    """Such a content. No more of it is held than a block.

    Attributes:
        size: bytes of it.
        stated: digests that the container states, as in StatedStream.
    """

    def __init__(self, blocks: Callable[[], Iterator[bytes]], size: int, stated: Mapping[str, str] = _NO_DIGESTS) -> None:
        """`blocks` begins a pass over the content; a pass raises ArchiveError where it cannot go on, at its end where a checksum fails."""
        self._begin, self.size, self.stated = blocks, size, stated
        self._pass: Iterator[bytes] | None = None
        self._block, self._start = b"", 0
        self._failure = ""

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: it is damaged, or shorter than stated.
        """
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        if self._pass is None or offset < self._start:
            self._pass, self._block, self._start = self._begin(), b"", 0
        parts: list[bytes] = []
        while offset < end:
            if offset < self._start + len(self._block):
                part = self._block[offset - self._start : end - self._start]
                parts.append(part)
                offset += len(part)
            else:
                self._advance()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def checksum_failure(self) -> str:
        """How its checksum fails, once it was read to its end; "" if it does not."""
        if self._pass is None and not self.size:
            self._pass = self._begin()
        if self._pass is not None and not self._failure and self._start + len(self._block) >= self.size:
            try:
                more = next(self._pass, b"")
            except ArchiveError as error:
                self._failure = str(error)
            else:
                self._failure = f"there is more content than the {self.size} bytes stated" if more else ""
        return self._failure

    def _advance(self) -> None:
        assert self._pass is not None, "read_at has begun it"
        try:
            block = next(self._pass, None)
        except ArchiveError as error:
            raise StreamReadError(str(error)) from error
        if block is None:
            message = f"there are {self._start + len(self._block)} bytes of content instead of the {self.size} stated"
            raise StreamReadError(message)
        self._start += len(self._block)
        self._block = block
