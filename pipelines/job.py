"""Many exhibits unattended: one after the other, whatever becomes of each; what is done already is not done again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from chain_of_custody.errors import CustodyError
from forensics.errors import ForensicsError
from pipelines.case import iter_finished_runs, read_case
from pipelines.errors import PipelineError
from pipelines.run import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipelines.progress import Reporter
    from pipelines.run import ProcessRequest


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
            result = process(replace(request, resume=_is_unfinished(request)), reporter)
        except (ForensicsError, PipelineError, CustodyError, OSError) as error:
            yield ExhibitOutcome(exhibit=request.exhibit, outcome=Outcome.FAILED, told=one_line(error))
            continue
        outcome = Outcome.WITH_PROBLEMS if result.problems else Outcome.COMPLETE
        yield ExhibitOutcome(
            exhibit=request.exhibit, outcome=outcome, told=f"run {result.run}, {result.problems} problems, {result.report}"
        )


def _finished_run(request: ProcessRequest) -> str | None:
    if not (request.case / "case.toml").is_file():
        return None
    finished = (name for name in iter_finished_runs(read_case(request.case)) if name.partition("-")[2] == request.exhibit)
    return next(reversed(list(finished)), None)


def _is_unfinished(request: ProcessRequest) -> bool:
    return (request.case / "case.toml").is_file() and read_case(request.case).unfinished_run(request.exhibit) is not None
