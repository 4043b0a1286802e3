"""A stream of which parts cannot be read: the bytes before, between and behind them, and the holes they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, StreamReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream

BLOCK_BYTES = 1 << 20
_SECTOR_BYTES = 512
_LONGEST_HOLE = 64 << 20


@dataclass(frozen=True, slots=True)
class Hole:
    """`size` bytes that cannot be read, and why."""

    size: int
    why: str


def iter_readable(stream: Stream) -> Iterator[bytes | Hole]:
    """The stream's bytes in order, with holes where they cannot be read; down to sectors of 512 bytes of the stream.

    Of a range whose first, middle and last sector cannot be read, no sector is tried: a damaged chunk, a part of a truncated image.

    Raises:
        StreamReadError: nothing of 64 MiB could be read, so what follows was not tried.
    """
    position = unread = 0
    while position < stream.size:
        length = min(BLOCK_BYTES, stream.size - position)
        for piece in _read(stream, position, length):
            if isinstance(piece, Hole):
                unread += piece.size
                position += piece.size
            else:
                unread = 0
                position += len(piece)
            yield piece
            if isinstance(piece, Hole) and unread >= _LONGEST_HOLE and position < stream.size:
                message = f"{piece.why}; nothing of the {unread} bytes before could be read, so what follows was not tried"
                raise StreamReadError(message)


def _read(stream: Stream, start: int, length: int) -> Iterator[bytes | Hole]:
    """Bytes `[start : start + length]`, as far as they can be read."""
    data = _attempt(stream, start, length)
    if not isinstance(data, Hole):
        yield data
        if len(data) < length:
            yield from _read(stream, start + len(data), length - len(data))
        return
    if length <= _SECTOR_BYTES:
        yield data
        return
    half = -(-length // (2 * _SECTOR_BYTES)) * _SECTOR_BYTES
    last = start + (length - 1) // _SECTOR_BYTES * _SECTOR_BYTES
    if all(isinstance(_attempt(stream, at, min(_SECTOR_BYTES, start + length - at)), Hole) for at in (start, start + half, last)):
        yield data
        return
    yield from _read(stream, start, half)
    if length > half:
        yield from _read(stream, start + half, length - half)


def _attempt(stream: Stream, start: int, length: int) -> bytes | Hole:
    try:
        data = stream.read_at(start, length)
    except (StreamReadError, ImageReadError) as error:
        return Hole(length, str(error))
    # A reader that breaks its word must not hang a run.
    return data or Hole(length, f"the reader gave nothing at byte {start}")
