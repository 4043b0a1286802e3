"""One pass over a space for the signatures of all kinds; where one stands, its structure is followed.

Behind a valid file the search goes on at its end, so what is embedded in it is not carved again; behind one that is not valid, at the
next place after its signature. What is read for files that turn out not to be valid is bounded, and a problem says so where the bound
bites.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from forensics.carving.base import Carved
from forensics.carving.followed import AllowanceSpentError, Followed
from forensics.carving.kinds import ALL_KINDS
from forensics.errors import ImageReadError, Problem, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.carving.base import CarvedKind
    from forensics.source import ByteSource

_BLOCK = 4 << 20
_PIECE = 64 << 10  # where something cannot be read, what can is known as exactly as this


def iter_carved(source: ByteSource, *, alignment: int = 512, kinds: tuple[CarvedKind, ...] = ALL_KINDS) -> Iterator[Carved | Problem]:
    """The files in the source, in order; a Problem for each range that could not be read, and one for all places not followed to an end.

    Args:
        source: the space.
        alignment: files are looked for at multiples of so many bytes; 1 looks everywhere.
        kinds: what is looked for.
    """
    search = _Search(kinds)
    followed = Followed(source)
    at, base, block = 0, 0, b""
    not_followed = []
    while at < source.size:
        if not block or at >= base + min(_BLOCK, len(block)):
            damaged, why = _damaged(source, at)
            if damaged:
                yield _unreadable(at, damaged, why)
                at += damaged + -damaged % alignment
                continue
            base, block = at, _readable(source, at, _BLOCK + search.reach)
        found = search.first(block, alignment, begin=at - base, limit=_BLOCK)
        if found is None:
            at = base + min(_BLOCK, len(block))
            at += -at % alignment
            continue
        start, carved = base + found, None
        followed.begin(start, base, block)
        try:
            carved = _measure(followed, start, search.kinds_at(block, found))
            followed.settle(carved)
        except AllowanceSpentError:
            followed.give_up()
            not_followed.append(start)
            carved = None
        if carved is not None:
            yield carved
        at = start + 1 if carved is None or not carved.validated else start + carved.length
        at += -at % alignment
    if not_followed:
        yield _bounded(not_followed[0], not_followed[-1], len(not_followed))


def _measure(source: Followed, start: int, kinds: list[CarvedKind]) -> Carved | None:
    for kind in kinds:
        try:
            measured = kind.measure(source, start)
        except ImageReadError:
            # The source ends before what cannot be read now; what is there of the file counts as if it were cut off.
            measured = kind.measure(source, start)
        if measured is not None:
            return Carved(
                offset=start,
                length=measured.length,
                kind=kind.name,
                extension=measured.extension,
                validated=measured.validated,
                why=measured.why if source.is_whole else f"{measured.why}; what follows cannot be read",
            )
    return None


def _readable(source: ByteSource, at: int, length: int) -> bytes:
    """The bytes from `at` on, up to the first piece that cannot be read."""
    try:
        return source.read_at(at, length)
    except ImageReadError:
        found = b""
        while len(found) < length:
            try:
                piece = source.read_at(at + len(found), _PIECE)
            except ImageReadError:
                break
            found += piece
            if not piece:
                break
        return found


def _damaged(source: ByteSource, at: int) -> tuple[int, str]:
    """How many bytes from `at` on lie in pieces that cannot be read, and why the first cannot."""
    length, first = 0, ""
    while at + length < source.size:
        size = min(_PIECE, source.size - at - length)
        try:
            source.read_at(at + length, size)
        except ImageReadError as error:
            first, length = first or str(error), length + size
        else:
            break
    return length, first


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


def _bounded(first: int, last: int, count: int) -> Problem:
    return Problem(
        stage=Stage.CONTENT,
        code="carving-bounded",
        what=f"at {count} places of a piece of free space where a file may begin, it was not looked for where it ends",
        why="following what looks like the beginning of files and is not cost more than many times the size of that space",
        advice="carve the range from the first to the last of them with another tool",
        start_byte=first,
        size_bytes=last - first + 1,
    )


def _unreadable(start: int, size: int, why: str) -> Problem:
    return Problem(
        stage=Stage.CONTENT,
        code="carving-unreadable",
        what=f"some of {size} bytes of free space cannot be read, so no file that begins there was looked for",
        why=why,
        start_byte=start,
        size_bytes=size,
    )
