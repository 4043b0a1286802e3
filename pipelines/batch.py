"""One task in one worker: listing, contents or an artifact function -> parts and a receipt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from forensics.artifacts.dissect_source import NO_SYSTEM
from forensics.artifacts.reader import read_artifact
from forensics.errors import ForensicsError, Problem, Stage
from pipelines.contents import read_contents
from pipelines.crashes import WHOLE_TASK, Marker, fatal_items
from pipelines.cross_check import cross_check_volume
from pipelines.listing import write_listing
from pipelines.problems import write_problems
from pipelines.tables import write_atomically, write_batches
from pipelines.tasks import CrossCheck, ListVolume, ReadArtifact, ReadContents, Receipt, RecogniseSystem, RunContext, Task
from pipelines.worker import OpenExhibit, exhibit_of

if TYPE_CHECKING:
    from pipelines.tables import Part

_WholeTask = ListVolume | CrossCheck | ReadArtifact | RecogniseSystem
SYSTEM_FILE = "system"
"""File in the work folder that names the operating system found."""
_WHAT_IS_LEFT_OUT = {
    ListVolume: "a filesystem could not be listed",
    CrossCheck: "a filesystem could not be listed by a second engine",
    ReadArtifact: "an artifact function gave nothing",
    RecogniseSystem: "the operating system could not be recognised",
}


def run_task(context: RunContext, task: Task) -> Receipt:
    """Does the task, writes its parts, and last its receipt."""
    exhibit = exhibit_of(context)
    left_out = fatal_items(context, task)
    with Marker(context, task) as marker:
        if isinstance(task, ReadContents):
            receipt = read_contents(exhibit, task, marker, left_out)
        elif left_out:
            receipt = _left_out(context, task)
        else:
            marker.at(WHOLE_TASK)
            receipt = _do_whole(exhibit, task)
    receipt.save(context.folder)
    return receipt


def _do_whole(exhibit: OpenExhibit, task: _WholeTask) -> Receipt:
    match task:
        case ListVolume():
            return _list_volume(exhibit, task)
        case CrossCheck():
            return cross_check_volume(exhibit, task)
        case ReadArtifact():
            return _read_artifact(exhibit, task)
        case RecogniseSystem():
            return _recognise_system(exhibit, task)
        case _:
            assert_never(task)


def _left_out(context: RunContext, task: _WholeTask) -> Receipt:
    """A receipt for a task that two processes have died of."""
    if isinstance(task, RecogniseSystem):
        write_atomically(context.work / SYSTEM_FILE, NO_SYSTEM.encode())
    problem = Problem(
        stage=Stage.FILESYSTEM if isinstance(task, (ListVolume, CrossCheck)) else Stage.ARTIFACTS,
        code="parser-crashed",
        what=_WHAT_IS_LEFT_OUT[type(task)],
        why="two worker processes died of it",
        advice="read it with another tool; a crash of a parser is worth a report to its authors",
        volume=task.volume if isinstance(task, (ListVolume, CrossCheck)) else "",
        path=task.function if isinstance(task, ReadArtifact) else "",
    )
    parts = write_problems(context.tables, task.name, context.exhibit, [problem])
    return Receipt(task=task.name, parts=parts, items=0, bytes_read=0, problems=1)


def _list_volume(exhibit: OpenExhibit, task: ListVolume) -> Receipt:
    context, volume = exhibit.context, task.volume
    folder = context.work / "listings"
    folder.mkdir(parents=True, exist_ok=True)
    node = exhibit.volumes.node(volume)
    try:
        reader = exhibit.reader(volume)
    except ForensicsError as error:
        rows, problems = 0, [_unopened(volume, error)]
    else:
        rows, problems = write_listing(
            reader,
            folder / f"{volume}.arrow",
            exhibit=context.exhibit,
            volume=volume,
            # Free space of an earlier state is the live volume's free space, or its files.
            limits=replace(context.limits, slack=False, unallocated=False) if node.snapshot else context.limits,
            snapshot=node.snapshot,
        )
    parts = write_problems(context.tables, task.name, context.exhibit, problems)
    return Receipt(task=task.name, parts=parts, items=rows, bytes_read=0, problems=len(problems))


def _read_artifact(exhibit: OpenExhibit, task: ReadArtifact) -> Receipt:
    context = exhibit.context
    spool = context.work / "spool" / task.name
    spool.mkdir(parents=True, exist_ok=True)
    found = read_artifact(exhibit.artifact_source(), task.function, exhibit=context.exhibit, spool=spool)
    parts: list[Part] = []
    if found.applicable:
        parts.append(write_batches(context.tables, found.table, task.name, found.schema, found.iter_batches()))
    found.close()
    spool.rmdir()
    parts += write_problems(context.tables, task.name, context.exhibit, found.problems)
    return Receipt(task=task.name, parts=tuple(parts), items=found.rows, bytes_read=0, problems=len(found.problems))


def _recognise_system(exhibit: OpenExhibit, task: RecogniseSystem) -> Receipt:
    context = exhibit.context
    system = NO_SYSTEM
    try:
        source = exhibit.artifact_source()
    except ForensicsError as error:
        problems: tuple[Problem, ...] = (
            Problem(
                stage=Stage.ARTIFACTS,
                code="system-unreadable",
                what="the exhibit could not be opened for artifacts; none were read",
                why=str(error),
                advice="the listing and the contents do not depend on it",
            ),
        )
    else:
        system, problems = source.os, source.problems()
    write_atomically(context.work / SYSTEM_FILE, system.encode())
    parts = write_problems(context.tables, task.name, context.exhibit, problems)
    return Receipt(task=task.name, parts=parts, items=0, bytes_read=0, problems=len(problems))


def _unopened(volume: str, error: ForensicsError) -> Problem:
    return Problem(
        stage=Stage.FILESYSTEM,
        code="filesystem-unreadable",
        what="a filesystem could not be opened",
        why=str(error),
        advice="look at the volume with another tool",
        volume=volume,
    )
