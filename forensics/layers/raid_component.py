"""One disk's part of an array, and what every array says where bytes cannot be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from forensics.errors import ImageReadError
from forensics.layers.unit_source import read_exactly

if TYPE_CHECKING:
    from forensics.source import ByteSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """The bytes `source[start : start + size]` that belong to the array.

    Attributes:
        size: bytes that count, from the start.
        bad: (first, end) in bytes of the component, of what the array itself knows to be no good there.
    """

    source: ByteSource
    start: int
    size: int
    bad: tuple[tuple[int, int], ...] = ()

    def read(self, offset: int, length: int) -> bytes:
        """The bytes `component[offset : offset + length]`.

        Raises:
            ImageReadError: not all of them are there, or good.
        """
        end = offset + length
        if end > self.size or any(first < end and offset < last for first, last in self.bad):
            message = f"bytes {offset} to {end - 1} of a disk of the array are not in use, not up to date or recorded as bad"
            raise ImageReadError(message)
        return read_exactly(self.source, self.start + offset, length)


class MissingBytes:
    """A byte source in the place of what is not there."""

    def __init__(self, size: int, why: str) -> None:
        """`why` completes "bytes 0 to 511 cannot be read: "."""
        self.size, self._why = size, why

    def read_at(self, offset: int, length: int) -> bytes:
        """Nothing.

        Raises:
            ImageReadError: always.
        """
        message = f"bytes {offset} to {offset + length - 1} cannot be read: {self._why}"
        raise ImageReadError(message)


class Array(Protocol):
    """An array put together of components."""

    def read(self, offset: int, length: int) -> bytes:
        """The bytes `array[offset : offset + length]`, which lie within it.

        Raises:
            ImageReadError: some of them cannot be had from what is there. Never zeros instead.
        """


def first_good(places: list[tuple[Component | None, int]], length: int) -> bytes:
    """The bytes from the first of these (component, offset), copies of one another, where they can be read.

    Raises:
        ImageReadError: none has them.
    """
    cause = "the disk that holds them is missing"
    for component, offset in places:
        if component is None:
            continue
        try:
            return component.read(offset, length)
        except ImageReadError as error:
            cause = str(error)
    message = f"{length} bytes of the array cannot be read from any of their {len(places)} places: {cause}"
    raise ImageReadError(message)
