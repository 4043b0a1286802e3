"""Many exhibits unattended: one after the other, whatever becomes of each; what is done already is not done again.

A job has no switch for going on with an unfinished run: it goes on where it can, and begins a new run where settings, rules or the
image are others than those that the run was begun with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from chain_of_custody.errors import CustodyError
from forensics.errors import ForensicsError
from pipelines.case import iter_finished_runs, read_case
from pipelines.errors import PipelineError, ResumeError
from pipelines.run import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipelines.progress import Reporter
    from pipelines.run import ProcessRequest, RunResult


class Outcome(StrEnum):
    """What became of one exhibit of a job."""

    COMPLETE = "complete"
    WITH_PROBLEMS = "complete with problems"
    DONE_BEFORE = "done before"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhibitOutcome:
    """One exhibit of a job: what became of it, and its run and problems, or why it failed."""

    exhibit: str
    outcome: Outcome
    told: str


def run_job(requests: Sequence[ProcessRequest], reporter: Reporter, one_line: Callable[[BaseException], str]) -> Iterator[ExhibitOutcome]:
    """Processes each exhibit in turn; a failure is that exhibit's outcome, and the next one begins.

    Args:
        requests: the exhibits.
        reporter: is told the progress of each.
        one_line: an exception as one line for the examiner.
    """
    for request in requests:
        done = _finished_run(request)
        if done is not None:
            yield ExhibitOutcome(exhibit=request.exhibit, outcome=Outcome.DONE_BEFORE, told=f"run {done}")
            continue
        try:
            result = _process(request, reporter)
        except (ForensicsError, PipelineError, CustodyError, OSError) as error:
            yield ExhibitOutcome(exhibit=request.exhibit, outcome=Outcome.FAILED, told=one_line(error))
            continue
        outcome = Outcome.WITH_PROBLEMS if result.problems else Outcome.COMPLETE
        yield ExhibitOutcome(
            exhibit=request.exhibit, outcome=outcome, told=f"run {result.run}, {result.problems} problems, {result.report}"
        )


def _process(request: ProcessRequest, reporter: Reporter) -> RunResult:
    """Goes on with the exhibit's unfinished run; begins a new one where there is none, or where that one was begun with something else."""
    if _is_unfinished(request):
        try:
            return process(replace(request, resume=True), reporter)
        except ResumeError as error:
            reporter.note(f"exhibit {request.exhibit}: {error}")
    return process(replace(request, resume=False), reporter)


def _finished_run(request: ProcessRequest) -> str | None:
    if not (request.case / "case.toml").is_file():
        return None
    finished = (name for name in iter_finished_runs(read_case(request.case)) if name.partition("-")[2] == request.exhibit)
    return next(reversed(list(finished)), None)


def _is_unfinished(request: ProcessRequest) -> bool:
    return (request.case / "case.toml").is_file() and read_case(request.case).unfinished_run(request.exhibit) is not None
