"""One pass over a space for the signatures of all kinds; where one stands, its structure is followed.

Behind a valid file the search goes on at its end, so what is embedded in it is not carved again; behind one that is not valid, at the
next place after its signature.
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


def iter_carved(source: ByteSource, *, alignment: int = 512, kinds: tuple[CarvedKind, ...] = ALL_KINDS) -> Iterator[Carved | Problem]:
    """The files in the source, in order; a Problem for each range that could not be read.

    Args:
        source: the space.
        alignment: files are looked for at multiples of so many bytes; 1 looks everywhere.
        kinds: what is looked for.
    """
    search = _Search(kinds)
    at = 0
    while at < source.size:
        try:
            block = source.read_at(at, _BLOCK + search.reach)
            found = search.first(block, alignment, limit=_BLOCK)
            if found is None:
                at += _BLOCK
                continue
            start = at + found
            carved = _measure(source, start, search.kinds_at(block, found))
        except ImageReadError as error:
            step = min(_UNREADABLE_STEP, source.size - at)
            yield _unreadable(at, step, str(error))
            at += step
            continue
        if carved is not None:
            yield carved
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

    def first(self, block: bytes, alignment: int, *, limit: int) -> int | None:
        """Where in the block the first signature stands whose file would begin before `limit`; None if none does."""
        if alignment == 1:
            found = self._pattern.search(block)
            return found.start() if found is not None and found.start() < limit else None
        firsts, inner = self._firsts, self._inner
        for at in range(0, min(limit, len(block)), alignment):
            is_candidate = block[at : at + 2] in firsts or any(block.startswith(one, at + offset) for offset, one in inner)
            if is_candidate and self._pattern.match(block, at) is not None:
                return at
        return None

    def kinds_at(self, block: bytes, at: int) -> list[CarvedKind]:
        """The kinds one of whose signatures stands there."""
        return [kind for kind in self._kinds if block.startswith(kind.signatures, at + kind.signature_offset)]


def _unreadable(start: int, size: int, why: str) -> Problem:
    return Problem(
        stage=Stage.CONTENT,
        code="carving-unreadable",
        what=f"{size} bytes of free space could not be read, so nothing was carved there",
        why=why,
        start_byte=start,
        size_bytes=size,
    )
