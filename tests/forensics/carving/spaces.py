"""What is carved of some bytes, for the tests of single kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.carving.carver import iter_carved
from forensics.errors import Problem

if TYPE_CHECKING:
    from forensics.carving.base import Carved


class Bytes:
    """Bytes as a byte source."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        return self._data[offset : offset + length]


def carved(data: bytes, alignment: int = 512) -> list[Carved]:
    """All that is carved; nothing is a problem."""
    found = []
    for one in iter_carved(Bytes(data), alignment=alignment):
        assert not isinstance(one, Problem)
        found.append(one)
    return found


def first(data: bytes) -> Carved:
    """What is carved at the beginning."""
    found = carved(data)[0]
    assert found.offset == 0
    return found
