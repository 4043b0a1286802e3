"""Many exhibits unattended: one after the other, whatever becomes of each; what is done already is not done again.

A job has no switch for going on with an unfinished run: it goes on where it can, and begins a new run where settings, rules, credentials
or the image are others than those of the run that is there; what differs is said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from chain_of_custody.errors import CustodyError
from forensics.credentials import read_credentials
from forensics.errors import ForensicsError
from pipelines.case import read_case
from pipelines.done_before import find_done
from pipelines.errors import PipelineError, ResumeError
from pipelines.exhibit_numbers import numbered
from pipelines.exhibits import FolderAs, exhibits_of, names_of
from pipelines.run import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pipelines.progress import Reporter
    from pipelines.run import ProcessRequest, RunResult


_FATAL_TO_ONE = (ForensicsError, PipelineError, CustodyError, OSError)


class Outcome(StrEnum):
    """What became of one exhibit of a job."""

    COMPLETE = "complete"
    WITH_PROBLEMS = "complete with problems"
    DONE_BEFORE = "done before"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobExhibit:
    """What a job states of one exhibit, or of a folder of images, which is several; looked at when its turn comes.

    Attributes:
        request: what is asked for.
        folder_as: what a folder is taken for.
        credentials: a file of credentials, to be added to those of the request.
    """

    request: ProcessRequest
    folder_as: FolderAs = FolderAs.AUTO
    credentials: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhibitOutcome:
    """One exhibit of a job: its images, what became of it, and its run and problems, or why it failed."""

    exhibit: str
    images: tuple[Path, ...]
    outcome: Outcome
    told: str


def run_job(exhibits: Sequence[JobExhibit], reporter: Reporter, one_line: Callable[[BaseException], str]) -> Iterator[ExhibitOutcome]:
    """Processes each exhibit in turn; a failure is that exhibit's outcome, and the next one begins.

    Args:
        exhibits: what the job states.
        reporter: is told the progress of each.
        one_line: an exception as one line for the examiner.
    """
    numbers = {one.request.exhibit for one in exhibits}
    for one in exhibits:
        try:
            requests = _requests(one, numbers - {one.request.exhibit}, reporter)
        except _FATAL_TO_ONE as error:
            yield _failed(one.request, one_line(error))
            continue
        for request in requests:
            try:
                yield _done(request, reporter)
            except _FATAL_TO_ONE as error:
                yield _failed(request, one_line(error))


def _requests(one: JobExhibit, reserved: set[str], reporter: Reporter) -> tuple[ProcessRequest, ...]:
    found = exhibits_of(one.request.images, one.folder_as)
    if found.left_out:
        reporter.note(f"exhibit {one.request.exhibit}: not taken for images and left out: {names_of(found.left_out, len(found.left_out))}")
    credentials = read_credentials(one.credentials) if one.credentials is not None else ()
    return numbered(replace(one.request, credentials=(*credentials, *one.request.credentials)), found, reserved)


def _done(request: ProcessRequest, reporter: Reporter) -> ExhibitOutcome:
    before = find_done(request, reporter)
    if before.run is not None:
        return ExhibitOutcome(exhibit=request.exhibit, images=request.images, outcome=Outcome.DONE_BEFORE, told=f"run {before.run}")
    if before.difference:
        reporter.note(f"exhibit {request.exhibit}: {before.difference}; it is processed again")
    result = _process(request, reporter)
    told = f"run {result.run}, {result.problems} problems, {result.report}"
    return ExhibitOutcome(
        exhibit=request.exhibit,
        images=request.images,
        outcome=Outcome.WITH_PROBLEMS if result.problems else Outcome.COMPLETE,
        told=f"{told} ({before.difference})" if before.difference else told,
    )


def _failed(request: ProcessRequest, why: str) -> ExhibitOutcome:
    return ExhibitOutcome(exhibit=request.exhibit, images=request.images, outcome=Outcome.FAILED, told=why)


def _process(request: ProcessRequest, reporter: Reporter) -> RunResult:
    """Goes on with the exhibit's unfinished run; begins a new one where there is none, or where that one was begun with something else."""
    if _is_unfinished(request):
        try:
            return process(replace(request, resume=True), reporter)
        except ResumeError as error:
            reporter.note(f"exhibit {request.exhibit}: {error}")
    return process(replace(request, resume=False), reporter)


def _is_unfinished(request: ProcessRequest) -> bool:
    return (request.case / "case.toml").is_file() and read_case(request.case).unfinished_run(request.exhibit) is not None
