"""Which item a process was at when it died, so that a parser's crash costs that item and nothing else.

A worker writes down each item before it touches it. When the process is gone, the item that stands there is counted; one that two
processes have died at is left out from then on, with a problem that says so. Once is not enough: a process also dies of a power
cut, or is killed by hand.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.tasks import RunContext, Task

_DEATHS = 2
WHOLE_TASK = 0
"""The item of a task that is not done item by item."""


class Marker:
    """Says, while it is entered, which item of a task this process is at."""

    def __init__(self, context: RunContext, task: Task) -> None:
        self._path = _marker(context.work, task.name)
        self._handle = -1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        return self

    def at(self, item: int) -> None:
        """The process begins with this item."""
        os.pwrite(self._handle, b"%20d" % item, 0)

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)
        self._path.unlink()


def count_death(work: Path, task: str) -> None:
    """Counts the item that a dead process stood at, if it stood at one."""
    marker = _marker(work, task)
    try:
        item = marker.read_bytes().strip()
        marker.unlink()
    except FileNotFoundError:
        return
    if item:
        with _deaths(work, task).open("ab") as file:
            file.write(item + b"\n")


def count_all_deaths(work: Path) -> None:
    """Counts the items that the processes of an earlier, dead run stood at; for a run that is resumed."""
    for marker in sorted(work.glob("at/*.at")):
        count_death(work, marker.name.removesuffix(".at"))


def fatal_items(context: RunContext, task: Task) -> frozenset[int]:
    """The items of the task that are left out."""
    try:
        counts = Counter(int(line) for line in _deaths(context.work, task.name).read_bytes().split())
    except FileNotFoundError:
        return frozenset()
    return frozenset(item for item, deaths in counts.items() if deaths >= _DEATHS)


def _marker(work: Path, task: str) -> Path:
    return work / "at" / f"{task}.at"


def _deaths(work: Path, task: str) -> Path:
    return work / "at" / f"{task}.deaths"
