"""Listed entries -> batches of about equal cost. Pure: the same listing gives the same batches on any machine.

Cost is counted in bytes: what is read, plus what a small file costs beside its bytes (opening, type detection, scan start),
measured at about 1 ms or 64 KiB of reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ITEM_COST = 64 << 10
BATCH_COST = 128 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows `listing[first : last]` of the ordered listing, and what they cost."""

    number: int
    first: int
    last: int
    cost: int


def plan_batches(rows: Iterable[tuple[tuple[str, int | None], int]], *, batch_cost: int = BATCH_COST) -> Iterator[Batch]:
    """Cuts an ordered listing into batches.

    Args:
        rows: for each row ((volume, metadata address), bytes to read), in order.
        batch_cost: cost at which a batch is cut. A cut never parts rows of one metadata address, so that hard links are
            read once.
    """
    number = first = cost = position = 0
    before: tuple[str, int | None] | None = None
    for position, (address, size) in enumerate(rows):
        if cost >= batch_cost and address != before:
            number += 1
            yield Batch(number=number, first=first, last=position, cost=cost)
            first, cost = position, 0
        cost += size + ITEM_COST
        before = address
    if before is not None:
        yield Batch(number=number + 1, first=first, last=position + 1, cost=cost)
