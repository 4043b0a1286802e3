"""A content whose bytes lie uncompressed in its container, in one piece or in several with holes between them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, StreamReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forensics.source import ByteSource


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes `content[offset : offset + length]`, which are `container[position : position + length]`."""

    offset: int
    length: int
    position: int


@dataclass(slots=True)
class PieceStream:
    """Such a content; what no piece covers is zeros, because the container says that it is a hole.

    Attributes:
        source: the container.
        size: bytes of the content.
        pieces: in order, without overlaps.
        stated: what the container states of it, as in StatedStream.
    """

    source: ByteSource
    size: int
    pieces: tuple[Piece, ...]
    stated: Mapping[str, str] = field(default_factory=dict)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: the container ends before them, or they cannot be read.
        """
        end = min(offset + length, self.size)
        parts: list[bytes] = []
        index = max(0, bisect_right(self.pieces, offset, key=lambda piece: piece.offset) - 1)
        while offset < end:
            piece = self.pieces[index] if index < len(self.pieces) else None
            if piece is not None and piece.offset + piece.length <= offset:
                index += 1
                continue
            if piece is None or offset < piece.offset:
                upto = end if piece is None else min(end, piece.offset)
                parts.append(bytes(upto - offset))
            else:
                upto = min(end, piece.offset + piece.length)
                parts.append(self._stored(piece.position + offset - piece.offset, upto - offset))
            offset = upto
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def checksum_failure(self) -> str:
        """Nothing: there is no checksum over it."""
        return ""

    def _stored(self, position: int, length: int) -> bytes:
        try:
            data = self.source.read_at(position, length)
        except ImageReadError as error:
            raise StreamReadError(str(error)) from error
        if len(data) < length:
            message = f"the container ends at byte {position + len(data)}, and {length - len(data)} bytes of the content lie behind that"
            raise StreamReadError(message)
        return data


def whole(source: ByteSource, position: int, size: int) -> PieceStream:
    """A content in one piece."""
    return PieceStream(source, size, (Piece(0, size, position),) if size else ())
