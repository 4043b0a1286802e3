"""Iteration over what parsers of hostile data give: whatever they raise becomes an ArchiveError."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from forensics.boundary import attempt
from forensics.errors import ArchiveError
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


def guarded(source: Iterator[T], what: str) -> Iterator[T]:
    """The items of `source`, one by one.

    Args:
        source: an iterator that may raise anything, e.g. struct.error, zlib.error, IndexError.
        what: beginning of the message, e.g. "notes.zip: entry 3", escaped.

    Raises:
        ArchiveError: the source raised; the message says what it raised, escaped.
    """
    got: list[T] = []

    def step() -> None:
        got.extend(_next_or_nothing(source))

    try:
        while True:
            error = attempt(step, passing=(ArchiveError,))
            if error is not None:
                message = f"{what}: {reason(error)}"
                raise ArchiveError(message) from error
            if not got:
                return
            yield got.pop()
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            close()


def called(action: Callable[[], T], what: str) -> T:
    """What the action gives.

    Raises:
        ArchiveError: it raised anything.
    """
    got: list[T] = []
    error = attempt(lambda: got.append(action()), passing=(ArchiveError,))
    if error is not None:
        message = f"{what}: {reason(error)}"
        raise ArchiveError(message) from error
    return got[0]


def reason(error: BaseException) -> str:
    """An exception as text for a message: its own words, escaped and not endless, or its kind where it has none."""
    words = escape_text(str(error))[:300]
    kind = type(error).__name__
    return f"{kind}: {words}" if words else kind


def _next_or_nothing(source: Iterator[T]) -> tuple[T, ...]:
    for item in source:
        return (item,)
    return ()
