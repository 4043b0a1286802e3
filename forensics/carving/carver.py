"""One pass over a space for the signatures of all kinds; where one stands, its structure is followed.

Behind a valid file the search goes on at its end, so what is embedded in it is not carved again; behind one that is not valid, at the
next place after its signature. A space that is full of signatures would be read through again for each of them: what is read for
files that turn out not to be valid is bounded, and a problem says so where the bound bites.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from forensics.carving.base import Carved
from forensics.carving.kinds import ALL_KINDS
from forensics.errors import ImageReadError, Problem, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.carving.base import CarvedKind
    from forensics.source import ByteSource

_BLOCK = 4 << 20
_UNREADABLE_STEP = 64 << 10
_READS_A_BYTE, _READS_AT_LEAST = 16, 256 << 20  # bound on what is read in vain
_NEAR = 64 << 10  # behind the bound a file is followed so far


def iter_carved(source: ByteSource, *, alignment: int = 512, kinds: tuple[CarvedKind, ...] = ALL_KINDS) -> Iterator[Carved | Problem]:
    """The files in the source, in order; a Problem for each range that could not be read.

    Args:
        source: the space.
        alignment: files are looked for at multiples of so many bytes; 1 looks everywhere.
        kinds: what is looked for.
    """
    search = _Search(kinds)
    followed = _Followed(source)
    at = base = 0
    block = b""
    while at < source.size:
        try:
            if not block or at >= base + _BLOCK:
                base, block = at, source.read_at(at, _BLOCK + search.reach)
            found = search.first(block, alignment, begin=at - base, limit=_BLOCK)
            if found is None:
                at = base + _BLOCK
                continue
            start = base + found
            carved = _measure(followed.from_start(start), start, search.kinds_at(block, found))
        except ImageReadError as error:
            step = min(_UNREADABLE_STEP, source.size - at)
            yield _unreadable(at, step, str(error))
            at, block = at + step, b""
            continue
        if carved is not None:
            yield carved
        if followed.note(is_valid=carved is not None and carved.validated):
            yield _bounded(start, source.size - start)
        at = start + 1 if carved is None or not carved.validated else start + carved.length
        at += -at % alignment


def _measure(source: ByteSource, start: int, kinds: list[CarvedKind]) -> Carved | None:
    for kind in kinds:
        measured = kind.measure(source, start)
        if measured is not None:
            return Carved(
                offset=start,
                length=measured.length,
                kind=kind.name,
                extension=measured.extension,
                validated=measured.validated,
                why=measured.why,
            )
    return None


class _Followed:
    """The source as the kinds follow files in it, and how much of it was read in vain."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._left = max(_READS_AT_LEAST, _READS_A_BYTE * source.size)
        self._read = 0
        self.size = source.size

    def from_start(self, start: int) -> ByteSource:
        """The source for the file that starts there."""
        self._read = 0
        self.size = self._source.size if self._left > 0 else min(self._source.size, start + _NEAR)
        return self

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `source[offset : offset + length]`, short at the end."""
        data = self._source.read_at(offset, max(0, min(length, self.size - offset)))
        self._read += len(data)
        return data

    def note(self, *, is_valid: bool) -> bool:
        """Counts what was read for a file; whether the bound has just bitten."""
        if is_valid or self._left <= 0:
            return False
        self._left -= self._read
        return self._left <= 0


class _Search:
    """Looks for the signatures of the kinds."""

    def __init__(self, kinds: tuple[CarvedKind, ...]) -> None:
        self._kinds = kinds
        self.reach = max(kind.signature_offset + len(one) for kind in kinds for one in kind.signatures)
        # Looked for where a file would begin: signatures inside it stand behind any bytes.
        patterns = [b"." * kind.signature_offset + re.escape(one) for kind in kinds for one in kind.signatures]
        self._pattern = re.compile(b"|".join(patterns), re.DOTALL)
        self._firsts = frozenset(one[:2] for kind in kinds if not kind.signature_offset for one in kind.signatures)
        self._inner = tuple((kind.signature_offset, one) for kind in kinds if kind.signature_offset for one in kind.signatures)

    def first(self, block: bytes, alignment: int, *, begin: int, limit: int) -> int | None:
        """Where in the block, from `begin` on, the first signature stands whose file would begin before `limit`; None if none does."""
        if alignment == 1:
            found = self._pattern.search(block, begin)
            return found.start() if found is not None and found.start() < limit else None
        firsts, inner = self._firsts, self._inner
        for at in range(begin, min(limit, len(block)), alignment):
            is_candidate = block[at : at + 2] in firsts or any(block.startswith(one, at + offset) for offset, one in inner)
            if is_candidate and self._pattern.match(block, at) is not None:
                return at
        return None

    def kinds_at(self, block: bytes, at: int) -> list[CarvedKind]:
        """The kinds one of whose signatures stands there."""
        return [kind for kind in self._kinds if block.startswith(kind.signatures, at + kind.signature_offset)]


def _bounded(start: int, size: int) -> Problem:
    return Problem(
        stage=Stage.CONTENT,
        code="carving-bounded",
        what=f"in the last {size} bytes of a piece of free space only files of at most {_NEAR} bytes were carved",
        why="it is full of what looks like the beginning of files and is not",
        advice="carve it with another tool",
        start_byte=start,
        size_bytes=size,
    )


def _unreadable(start: int, size: int, why: str) -> Problem:
    return Problem(
        stage=Stage.CONTENT,
        code="carving-unreadable",
        what=f"{size} bytes of free space could not be read, so nothing was carved there",
        why=why,
        start_byte=start,
        size_bytes=size,
    )
