"""One run of the main job for a replay: into a new case, signed by a demonstration identity, then verified."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chain_of_custody.findings import Claim, Result
from chain_of_custody.verify import verify_case
from pipelines.expectation import ReplayError
from pipelines.profiles import Profile
from pipelines.progress import Silent
from pipelines.run import ERRORS, ProcessRequest, Signer, process

if TYPE_CHECKING:
    from pathlib import Path

    from chain_of_custody.findings import Verdict
    from forensics.credentials import Credential

_EXAMINER = "evidex replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run to make.

    Attributes:
        image: the image, unpacked.
        case: the case folder to make; nothing is written outside the folder that it lies in.
        exhibit: number of the exhibit.
        profile: name of the profile.
        rules: folders or files of YARA rules.
        credentials: what opens what is encrypted in it.
    """

    image: Path
    case: Path
    exhibit: str
    profile: str
    rules: tuple[Path, ...]
    credentials: tuple[Credential, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A run that was made: where its tables lie, and what verifying its case found wrong, one line each."""

    tables: Path
    unverified: tuple[str, ...] = ()


def run_job(job: Job) -> Done:
    """Runs the main job in this process and verifies the case that it makes.

    Raises:
        ReplayError: the job is refused or fails.
    """
    try:
        request = ProcessRequest(
            images=(job.image,),
            case=job.case,
            exhibit=job.exhibit,
            examiner=_EXAMINER,
            profile=Profile(job.profile),
            rules=job.rules,
            signer=Signer(state=job.case.parent / "state"),
            workers=0,
            credentials=job.credentials,
        )
        result = process(request, Silent())
        verdict = verify_case(result.case, trust=result.identity.root_fingerprint, expect_head=result.head)
    except (*ERRORS, OSError, ValueError) as error:
        message = f"{job.image.name}: {type(error).__name__}: {error}"
        raise ReplayError(message) from error
    return Done(tables=result.case / "runs" / result.run / "tables", unverified=tuple(_unverified(verdict)))


def _unverified(verdict: Verdict) -> list[str]:
    """What must not be there right after a run: any failure, and integrity that is not shown.

    A demonstration identity identifies nobody and no time stamp is asked for, so those stay not shown.
    """
    wanted = [
        statement
        for statement in verdict.statements
        if statement.result is Result.FAIL or (statement.claim is Claim.INTEGRITY and statement.result is not Result.PASS)
    ]
    return [
        f"{statement.claim} {statement.result}: {finding.code} {finding.sentence} {finding.why} {finding.file or ''}".strip()
        for statement in wanted
        for finding in statement.findings
    ]
