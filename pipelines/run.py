"""The main job over one exhibit: hash, survey, list, read, extract, write tables, seal, report.

The imperative shell: clock, folders, custody events. Order of things, so that nothing is done without a record:

  1. The media is hashed and compared; evidence.verify says with what result. A mismatch ends here unless it is accepted.
  2. process.start, before any output.
  3. The tables, task by task, each finished task with a receipt (tasks.py), so that an interrupted run goes on from there.
  4. The source is checked again; evidence.verify. A source that changed aborts the run.
  5. process.end seals the manifest of the run's folder; then the report, output.export, and the head of the log.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chain_of_custody.errors import CustodyError
from chain_of_custody.service import CustodyService
from chain_of_custody.statement import Actor, Tool
from forensics.disks import open_disks
from forensics.errors import ForensicsError
from forensics.yara_rules import load_rules
from pipelines.case import Case, check_exhibit, lock_case, open_case
from pipelines.crashes import count_all_deaths
from pipelines.done_before import credential_kinds, write_state
from pipelines.errors import PipelineError, ResumeError, RunError
from pipelines.evidence import check_before, check_unchanged, media_subject, subject_name
from pipelines.export import write_and_record_report
from pipelines.profiles import TOOL, Profile, configure, tool_version
from pipelines.scheduler import check_scheduler
from pipelines.stages import RunStages
from pipelines.tables import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from chain_of_custody.recorder import Appended
    from chain_of_custody.service import Identity
    from forensics.credentials import Credential
    from forensics.disks import Disks
    from forensics.errors import Problem
    from forensics.yara_rules import RuleSet
    from pipelines.evidence import Checked
    from pipelines.profiles import Configuration
    from pipelines.progress import Reporter
    from pipelines.stages import Outcome

_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of the empty set of hash sets
_CONFIGURATION, _MEDIA = "configuration", "media"  # files in the work folder: digests that a resumed run must find again
_ROOM_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signs the custody log: a private key and its passphrase; no key makes a demonstration identity."""

    key: Path | None = None
    passphrase: bytes | None = None
    state: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRequest:
    """What the examiner asked for.

    Attributes:
        images: first or any file of each image of the exhibit; most exhibits have one, an array has one a disk.
        case: the case folder.
        exhibit: number of the exhibit.
        examiner: name of the examiner.
        rules: folders or files of YARA rules; empty scans nothing.
        workers: worker processes; 0 works in this process; None decides by the size of the media.
        scheduler: address of a running Dask scheduler instead.
        resume: go on with the exhibit's unfinished run.
        expect_hash: digest that the examiner expects of the media.
        accept_mismatch: reason for going on in spite of a digest mismatch.
        credentials: what may open locked volumes and archives; no value of it is written anywhere.
        readers: (volume, reader) to read a volume's filesystem with, in place of the one that would be chosen.
        cross_check: whether a second engine lists each filesystem too.
        folder_images: (number, name of its first file) of every image of the folder that the exhibit is one of; the case remembers them.
    """

    images: tuple[Path, ...]
    case: Path
    exhibit: str
    examiner: str
    case_number: str = ""
    agency: str = ""
    profile: Profile = Profile.STANDARD
    rules: tuple[Path, ...] = ()
    signer: Signer = Signer()
    workers: int | None = None
    scheduler: str | None = None
    resume: bool = False
    expect_hash: str | None = None
    accept_mismatch: str | None = None
    credentials: tuple[Credential, ...] = field(default=(), repr=False)
    readers: tuple[tuple[str, str], ...] = ()
    cross_check: bool = False
    host: str = ""
    folder_images: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A finished run: where it lies, how many rows its tables have, and the head of the log after it."""

    case: Path
    run: str
    report: Path
    counts: dict[str, int]
    head: str
    identity: Identity

    @property
    def problems(self) -> int:
        """How many problems were recorded."""
        return self.counts["problems"]


def process(request: ProcessRequest, reporter: Reporter) -> RunResult:
    """Runs the main job.

    Raises:
        ForensicsError: the image cannot be opened, or no rule can be used.
        PipelineError: the case cannot be used, the digests do not match, or the source changed.
        CustodyError: the log cannot be kept; nothing is processed without it.
    """
    check_exhibit(request.exhibit)
    if request.scheduler:
        check_scheduler(request.scheduler)
    with open_disks(request.images) as disks:
        rules, problems = load_rules(request.rules) if request.rules else (None, ())
        fresh = not (request.case / "case.toml").is_file()
        case = open_case(request.case, number=request.case_number, agency=request.agency)
        try:
            _check_room(case)
            with lock_case(case), _start_custody(request, case) as custody:
                fresh = False
                case = case.with_exhibit(request.exhibit, request.folder_images)
                job = _Job(
                    request=request, disks=disks, rules=rules, rule_problems=tuple(problems), case=case, custody=custody, reporter=reporter
                )
                return job.do()
        except (CustodyError, RunError):
            if fresh:  # nothing was done in it: leave no half-made case behind a wrong passphrase or a full disk
                case.discard()
            raise


def _check_room(case: Case) -> None:
    free = shutil.disk_usage(case.folder).free
    if free < _ROOM_BYTES:
        message = f"only {free} bytes are free where {case.folder} lies; make room, or name another folder for the case"
        raise RunError(message)


def _start_custody(request: ProcessRequest, case: Case) -> CustodyService:
    return CustodyService.start(
        case=case.folder,
        key=request.signer.key,
        passphrase=request.signer.passphrase,
        state=request.signer.state,
        actor=Actor(name=request.examiner, agency=case.agency if request.signer.key is None else ""),
        tool=Tool(name=TOOL, version=tool_version()),
        case_number=case.number,
        host=request.host,
    )


class _Job:
    """One run, from the first read of the media to the report."""

    def __init__(
        self,
        *,
        request: ProcessRequest,
        disks: Disks,
        rules: RuleSet | None,
        rule_problems: tuple[Problem, ...],
        case: Case,
        custody: CustodyService,
        reporter: Reporter,
    ) -> None:
        self._request, self._disks, self._rules, self._case = request, disks, rules, case
        self._custody, self._reporter = custody, reporter
        self._configuration = configure(request.profile, rules, disks.size, readers=request.readers, cross_check=request.cross_check)
        self._problems = [*disks.problems(), *rule_problems]
        self._done_before = 0

    def do(self) -> RunResult:
        """The whole job."""
        run = self._choose_run()
        checked = check_before(self._disks, self._request, self._custody, self._reporter)
        self._check_same_media(run, checked)
        start = self._start(run, checked)
        try:
            counts, outcome = self._fill(run, checked)
        except BaseException as error:
            self._abort(run, error)
            raise
        if outcome.planned != outcome.written:
            message = f"{outcome.planned} tasks were planned and {outcome.written} have a receipt; --resume does the rest"
            raise RunError(message)
        details = {
            "tables": counts,
            "problems": counts["problems"],
            "planned": outcome.planned,
            "written": outcome.written,
        }
        write_state(self._case, run, self._disks)
        self._custody.append_end_of_run(self._case.folder, run, details=details, answers=start, purpose="examination")
        self._case.drop_work(run)
        report = write_and_record_report(self._case.folder, run, self._custody, self._reporter)
        return RunResult(
            case=self._case.folder,
            run=run,
            report=report,
            counts=counts,
            head=self._custody.checkpoint().text,
            identity=self._custody.identity,
        )

    def _choose_run(self) -> str:
        unfinished = self._case.unfinished_run(self._request.exhibit)
        if not self._request.resume:
            if unfinished is not None:
                self._reporter.note(f"run {unfinished} was not finished; --resume would go on with it. A new run is begun.")
            return self._case.new_run_name(self._request.exhibit)
        if unfinished is None:
            message = f"exhibit {self._request.exhibit} has no unfinished run in {self._case.folder}; leave out --resume to begin one"
            raise RunError(message)
        work = self._case.work_of(unfinished)
        stored = (work / _CONFIGURATION).read_text(encoding="ascii") if (work / _CONFIGURATION).is_file() else self._configuration.sha256
        if stored != self._configuration.sha256:
            message = (
                f"run {unfinished} was begun with another profile, other rules or another version; leave out --resume to begin a new one"
            )
            raise ResumeError(message)
        count_all_deaths(work)
        self._done_before = sum(1 for _ in (self._case.runs / unfinished / "receipts").glob("*.json"))
        return unfinished

    def _check_same_media(self, run: str, checked: Checked) -> None:
        """Refuses to go on with a run that was begun over other media."""
        stored = self._case.work_of(run) / _MEDIA
        begun = any((self._case.runs / run / "receipts").glob("*.json"))
        if begun and not (stored.is_file() and stored.read_text(encoding="ascii") == checked.subjects_digest):
            message = f"run {run} was begun over another image; leave out --resume to begin a new run, or give the image it was begun with"
            raise ResumeError(message)

    def _start(self, run: str, checked: Checked) -> Appended:
        configuration = self._configuration
        details: dict[str, Any] = {
            "run": run,
            "profile": str(configuration.profile),
            "tool": TOOL,
            "version": tool_version(),
            "config_sha256": configuration.sha256,
            "rules_sha256": configuration.rules_digest or _EMPTY_SHA256,
            "hashsets_sha256": _EMPTY_SHA256,
            "lock_sha256": configuration.lock_sha256,
        }
        if self._request.resume:
            details |= {"resumed": True, "tasks_done_before": self._done_before}
        subjects = tuple(
            media_subject(subject_name(self._request.exhibit, self._disks, number), one.media) for number, one in enumerate(checked.images)
        )
        start = self._custody.append("process.start", subject=subjects, details=details, purpose="examination")
        (self._case.runs / run).mkdir(parents=True, exist_ok=True)
        work = self._case.work_of(run)
        work.mkdir(parents=True, exist_ok=True)
        write_atomically(work / _MEDIA, checked.subjects_digest.encode())
        write_atomically(work / _CONFIGURATION, configuration.sha256.encode())
        return start

    def _fill(self, run: str, checked: Checked) -> tuple[dict[str, int], Outcome]:
        """Everything in CASE/runs/<run>."""
        folder = self._case.runs / run
        stages = RunStages(
            request=self._request,
            disks=self._disks,
            rules=self._rules,
            configuration=self._configuration,
            folder=folder,
            work=self._case.work_of(run),
            reporter=self._reporter,
        )
        outcome = stages.do([*self._problems, *checked.problems])
        unchanged = check_unchanged(self._disks, self._request, checked, self._custody, self._reporter)
        counts = stages.finish(checked, unchanged)
        document = _run_document(self._request, self._case, self._configuration, run, counts)
        write_atomically(folder / "run.json", (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
        return counts, outcome

    def _abort(self, run: str, error: BaseException) -> None:
        """Records why the run stopped; what it wrote stays for --resume."""
        reason = "interrupted by the examiner" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
        try:
            self._custody.append("process.abort", details={"run": run, "reason": reason[:2000]})
        except CustodyError as second:
            error.add_note(f"and the custody log could not record it: {second}")


def _run_document(request: ProcessRequest, case: Case, configuration: Configuration, run: str, counts: dict[str, int]) -> dict[str, Any]:
    """run.json: what was run with what; no clock, no host, no path."""
    return {
        "run": run,
        "exhibit": request.exhibit,
        "case_number": case.number,
        "agency": case.agency,
        "examiner": {"name": request.examiner},
        "tool": {"name": TOOL, "version": tool_version()},
        **configuration.as_json(),
        "credentials": credential_kinds(request),
        "counts": counts,
    }


ERRORS = (ForensicsError, PipelineError, CustodyError)
"""What `process` raises with a message for the examiner."""
