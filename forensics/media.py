"""What every container reader gives: the media as bytes at an offset, and as blocks in order for one whole read.

A reader never makes up data silently: `read_at` raises where bytes cannot be had; `iter_blocks` goes on, and names in each
block the ranges that are damaged. There the data is what the container stores where something can be read, else zeros.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from forensics.errors import ImageReadError
from forensics.exhibit import StatedDigests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from forensics.errors import Problem
    from forensics.exhibit import Container, SourceFile

BLOCK_BYTES = 2 * 1024 * 1024
SALVAGE_BYTES = 64 * 1024
DEFAULT_SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The range `media[start_byte : start_byte + size_bytes]` is not what was acquired, or cannot be read.

    Attributes:
        code: the problem's code: "chunk-checksum", or "media-read".
        why: what is wrong with it.
        chunks: how many chunks of the container it covers; 0 where the container has no checksums.
    """

    start_byte: int
    size_bytes: int
    code: str
    why: str
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class MediaBlock:
    """Some consecutive bytes of the media, and which ranges of them are damaged."""

    data: bytes
    damage: tuple[Damage, ...] = ()


class MediaReader(Protocol):
    """Bytes of the media of one container."""

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `media[offset : offset + length]`; the range lies inside the media.

        Raises:
            ImageReadError: some of them cannot be had; the message names sectors or bytes.
        """

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes of the media in order, damaged ranges named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What opening a container gave; forensics.image makes an Image of it. Attributes as there."""

    container: Container
    size: int
    files: tuple[SourceFile, ...]
    reader: MediaReader
    sector_size: int = DEFAULT_SECTOR_BYTES
    stated: StatedDigests = field(default_factory=StatedDigests)
    header_values: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    native_path: Path | None = None


def iter_salvaged(read_at: Callable[[int, int], bytes], size: int) -> Iterator[MediaBlock]:
    """All bytes of a media without chunk checksums, the next block being read while one is used; unreadable parts as zeros."""

    def task(start: int) -> Callable[[], MediaBlock]:
        return lambda: _salvage(read_at, start, min(BLOCK_BYTES, size - start))

    return read_ahead((task(start) for start in range(0, size, BLOCK_BYTES)), workers=1)


def read_ahead(tasks: Iterable[Callable[[], MediaBlock]], *, workers: int) -> Iterator[MediaBlock]:
    """The tasks' results in the tasks' order; as many as there are workers, and one more, are under way meanwhile."""
    waiting: deque[Future[MediaBlock]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="media")
    try:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _salvage(read_at: Callable[[int, int], bytes], start: int, length: int) -> MediaBlock:
    try:
        return MediaBlock(read_at(start, length))
    except ImageReadError:
        parts = [_salvage_part(read_at, at, min(SALVAGE_BYTES, start + length - at)) for at in range(start, start + length, SALVAGE_BYTES)]
    return MediaBlock(b"".join(part.data for part in parts), tuple(one for part in parts for one in part.damage))


def _salvage_part(read_at: Callable[[int, int], bytes], start: int, length: int) -> MediaBlock:
    try:
        return MediaBlock(read_at(start, length))
    except ImageReadError as error:
        return MediaBlock(bytes(length), (Damage(start_byte=start, size_bytes=length, code="media-read", why=str(error)),))
