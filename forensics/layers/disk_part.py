"""What of a volume its layer makes nothing of: a part that is read as raw space, so that no byte of the volume is in no item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import VolumeError
from forensics.layers.base import Derived
from forensics.source import SourceSlice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forensics.source import ByteSource

_KEY = "unused:"
MOST_RUNS = 1024
"""Runs of one volume that are told apart; behind them, all the rest is one."""


def unused_runs(used: Iterable[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """First byte and length of each run of a volume that is in none of the used ranges, in order.

    Args:
        used: (first byte, end) of each, in any order; they may overlap.
        size: the volume's, in bytes.
    """
    runs: list[tuple[int, int]] = []
    position = 0
    for start, end in sorted(used):
        if len(runs) >= MOST_RUNS:
            break
        if position < min(start, size):
            runs.append((position, min(start, size) - position))
        position = max(position, end)
    if position < size:
        runs.append((position, size - position))
    return runs


def unused_parts(used: Iterable[tuple[int, int]], size: int, *, layer: str, volume: str, name: str, what: str) -> list[Derived]:
    """What of a volume is in none of the used ranges, as volumes of a layer; arguments as in unused_runs and Derived."""
    return [
        Derived(layer=layer, parents=(volume,), key=f"{_KEY}{start}:{length}", name=name, what=what, size=length, is_gap=True)
        for start, length in unused_runs(used, size)
    ]


def is_part(derived: Derived) -> bool:
    """Whether unused_parts made it."""
    return derived.key.startswith(_KEY)


def open_part(derived: Derived, source: ByteSource) -> ByteSource:
    """The bytes of a part, from those of its volume.

    Raises:
        VolumeError: its key names no part.
    """
    try:
        start, size = map(int, derived.key.removeprefix(_KEY).split(":"))
    except ValueError as error:
        message = f"{derived.key!r} names no part of a volume"
        raise VolumeError(message) from error
    return SourceSlice(source, start, size)
