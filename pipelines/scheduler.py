"""Tasks -> receipts: what a scheduler is, and the one that works in this process. Dask's is in cluster.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from pipelines.batch import run_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from pipelines.tasks import Receipt, RunContext, Task


class Scheduler(Protocol):
    """Does tasks and gives their receipts as they finish."""

    def iter_receipts(self, context: RunContext, tasks: Sequence[Task]) -> Iterator[Receipt]:
        """Each task's receipt, once, in any order."""

    def __enter__(self) -> Self:
        """Ready to work."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        """Ends the workers."""


class InlineScheduler:
    """Does tasks one after the other in this process: quickest for a small image."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        return

    def iter_receipts(self, context: RunContext, tasks: Sequence[Task]) -> Iterator[Receipt]:
        """Each task's receipt, in the order of the tasks."""
        for task in tasks:
            yield run_task(context, task)
