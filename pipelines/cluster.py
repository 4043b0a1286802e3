"""Tasks -> receipts on Dask workers. The only importer of Dask.

A local cluster listens on this machine's loopback alone and speaks TLS with certificates made for the run, because what a Dask
scheduler receives it executes: no other user of the machine may talk to it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

import dask
from dask.distributed import Client, Future, LocalCluster, as_completed
from distributed.scheduler import KilledWorker
from distributed.security import Security

from pipelines.batch import run_task
from pipelines.crashes import count_death
from pipelines.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from pipelines.tasks import Receipt, RunContext, Task

_MOST_DEATHS = 1000


class DaskScheduler:
    """Does tasks on Dask workers: those of a cluster of its own, or of one that is running."""

    def __init__(self, open_client: Callable[[contextlib.ExitStack], Client]) -> None:
        self._open_client = open_client
        self._cleanup = contextlib.ExitStack()
        self._client: Client | None = None
        self._submitted = 0

    def __enter__(self) -> Self:
        self._client = self._open_client(self._cleanup)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanup.close()

    def iter_receipts(self, context: RunContext, tasks: Sequence[Task]) -> Iterator[Receipt]:
        """Each task's receipt, as it finishes; the tasks are started in the order given."""
        assert self._client is not None, "used as a context manager"
        by_future = {self._submit(context, task, number): (task, number) for number, task in enumerate(tasks)}
        waiting = as_completed(list(by_future))
        deaths = 0
        for future in waiting:
            task, number = by_future.pop(future)
            try:
                yield future.result()
            except KilledWorker as error:
                # The worker died: of this task, or of the one before it. crashes.py finds out which item it was.
                deaths += 1
                if deaths > _MOST_DEATHS:
                    message = f"{deaths} worker processes died, the last at {task.name}; --resume goes on from what is finished"
                    raise RunError(message) from error
                count_death(context.work, task.name)
                again = self._submit(context, task, number)
                by_future[again] = (task, number)
                waiting.add(again)

    def _submit(self, context: RunContext, task: Task, number: int) -> Future:
        assert self._client is not None
        self._submitted += 1
        key = f"{context.folder.name}/{task.name}/{self._submitted}"
        return self._client.submit(run_task, context, task, key=key, pure=False, priority=-number)


def local_cluster(workers: int, scratch: Path) -> DaskScheduler:
    """A scheduler with `workers` worker processes on this machine; Dask's own files go to `scratch`."""

    def open_client(cleanup: contextlib.ExitStack) -> Client:
        security = Security.temporary()
        # The same hash seed everywhere: third-party parsers that iterate over sets give their rows in one order.
        cleanup.enter_context(
            dask.config.set(
                {
                    "distributed.nanny.pre-spawn-environ.PYTHONHASHSEED": "0",
                    "distributed.worker.daemon": False,
                    "temporary-directory": str(scratch),
                    "distributed.scheduler.allowed-failures": 0,
                    "distributed.worker.multiprocessing-method": "spawn",
                    "distributed.admin.log-format": "%(message)s",
                }
            )
        )
        cluster = cleanup.enter_context(
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                protocol="tls",
                security=security,
                dashboard_address="127.0.0.1:0",
                local_directory=str(scratch),
                memory_limit=0,
                silence_logs=50,
            )
        )
        return cleanup.enter_context(Client(cluster, security=security))

    return DaskScheduler(open_client)


def running_cluster(address: str) -> DaskScheduler:
    """A scheduler on this machine that is running already (scheduler.check_scheduler); its workers see the image and the case."""
    return DaskScheduler(lambda cleanup: cleanup.enter_context(Client(address)))
