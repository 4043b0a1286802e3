"""Tasks -> receipts: what a scheduler is, and the one that works in this process. Dask's is in cluster.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit

from pipelines.batch import run_task
from pipelines.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from pipelines.tasks import Receipt, RunContext, Task

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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


def check_scheduler(address: str) -> None:
    """Passes for the address of a Dask scheduler on this machine.

    Raises:
        RunError: it is elsewhere. What a Dask scheduler receives it executes, so nothing is sent off the machine without TLS on
            both sides, which this version does not set up.
    """
    host = urlsplit(address if "://" in address else f"tcp://{address}").hostname
    if host not in _LOOPBACK:
        message = f"the scheduler {address} is not on this machine; only {', '.join(_LOOPBACK)} are allowed"
        raise RunError(message)
