"""The command line: parse, call one function, print, exit code.

Exit codes
    0  complete
    1  fatal: nothing that was written is lost
    2  usage
    3  complete with problems; `verify`: something is not shown
    4  verification failed; `replay`: something differs
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

import rules
from chain_of_custody.checkpoint import parse_head
from chain_of_custody.show import verdict_text
from chain_of_custody.trust import parse_trust
from chain_of_custody.verify import verify_case
from forensics.credentials import read_credentials
from forensics.digests import parse_expected
from forensics.schema import TABLES, table
from pipelines.case import check_exhibit, iter_finished_runs, lock_case, read_case
from pipelines.command_line.custody import custody
from pipelines.command_line.keys import keys
from pipelines.command_line.shared import (
    CASE,
    COMPLETE,
    FAILED,
    FATAL,
    FATAL_ERRORS,
    JSON,
    KEY,
    PASSPHRASE_FD,
    USAGE,
    WITH_PROBLEMS,
    as_usage,
    one_line,
    open_custody,
    print_all,
    stated,
)
from pipelines.errors import PipelineError
from pipelines.evidence import evidence_subject
from pipelines.exhibit_numbers import numbered
from pipelines.exhibits import FolderAs, exhibits_of, name_of, names_of, parse_readers
from pipelines.export import write_and_record_report
from pipelines.extract import Evidence, extract, iter_lines
from pipelines.info import describe_exhibit, render_info
from pipelines.job import JobExhibit, Outcome, run_job
from pipelines.job_file import JobSettings, read_job
from pipelines.mount import check_mount_point, mount, require_fuse
from pipelines.passphrase import read_passphrase, take_secrets
from pipelines.profiles import TOOL, Profile, tool_version
from pipelines.progress_display import reporter_for
from pipelines.query import query_case
from pipelines.replay import render, replay
from pipelines.result_text import render_rows, result_lines
from pipelines.run import ProcessRequest, Signer, process
from pipelines.scheduler import check_scheduler
from pipelines.selector import parse_selector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chain_of_custody.statement import Subject
    from forensics.credentials import Credential
    from pipelines.job import ExhibitOutcome

_IMAGES = click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
_CREDENTIALS = click.option(
    "--credentials",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file of passphrases and keys for locked volumes and archives.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tool_version(), prog_name=TOOL)
def evidex() -> None:
    """Process seized disk images; keep a signed chain of custody.

    \b
    Exit codes: 0 complete, 1 fatal, 2 usage, 3 complete with problems, 4 verification failed.
    """  # noqa: D301 - click reads the backspace as "do not fill these lines"


@evidex.command()
@_IMAGES
@_CREDENTIALS
@JSON
def info(images: tuple[Path, ...], *, credentials: Path | None, as_json: bool) -> int:
    """Say what IMAGES are: container, digests, volumes, what will not be read and why. Several images are the disks of one exhibit."""
    facts = describe_exhibit(images, _credentials(credentials))
    print_all([json.dumps(facts, indent=1)] if as_json else render_info(facts))
    return WITH_PROBLEMS if facts["problems"] else COMPLETE


@evidex.command("process")
@_IMAGES
@click.option("--case", "case", required=True, type=click.Path(path_type=Path), help="Case folder; made if it is not there.")
@click.option("--exhibit", required=True, help="Number of the exhibit, e.g. KH-1.")
@click.option("--examiner", required=True, help="Name of the examiner.")
@click.option("--case-number", default="", help="Number of the case.")
@click.option("--agency", default="", help="Name of the agency.")
@click.option("--profile", type=click.Choice([str(p) for p in Profile]), default=str(Profile.STANDARD), show_default=True)
@click.option("--rules", "rule_folders", multiple=True, type=click.Path(path_type=Path), help="YARA rules instead of the shipped ones.")
@KEY
@PASSPHRASE_FD
@click.option("--workers", type=click.IntRange(min=0), help="Worker processes; 0 works in this process. Default: by size.")
@click.option("--scheduler", help="Address of a running Dask scheduler on this machine.")
@click.option("--resume", is_flag=True, help="Go on with the exhibit's unfinished run.")
@_CREDENTIALS
@click.option(
    "--reader", "readers", multiple=True, metavar="VOLUME=READER", help="Read a volume with tsk, dissect or raw; may be repeated."
)
@click.option("--cross-check", is_flag=True, help="List each filesystem with a second engine too, and write the differences as a table.")
@click.option(
    "--folder-as", type=click.Choice([str(f) for f in FolderAs]), default=str(FolderAs.AUTO), help="What a folder given as image is."
)
@click.option("--expect-hash", help="MD5, SHA-1 or SHA-256 that the media should have.")
@click.option("--accept-mismatch", metavar="REASON", help="Go on although digests differ; the reason is recorded.")
@JSON
def process_command(
    images: tuple[Path, ...],
    *,
    case: Path,
    exhibit: str,
    examiner: str,
    case_number: str,
    agency: str,
    profile: str,
    rule_folders: tuple[Path, ...],
    key: Path | None,
    passphrase_fd: int | None,
    workers: int | None,
    scheduler: str | None,
    resume: bool,
    credentials: Path | None,
    readers: tuple[str, ...],
    cross_check: bool,
    folder_as: str,
    expect_hash: str | None,
    accept_mismatch: str | None,
    as_json: bool,
) -> int:
    """Process IMAGES as an exhibit of a case: list, hash, scan, extract, seal, report.

    Several images are the disks of one exhibit. A folder of images gives an exhibit each, numbered EXHIBIT.1, EXHIBIT.2, …; a folder
    without an image, and an archive, is a collection of files.
    """
    as_usage(lambda: check_exhibit(exhibit))
    if expect_hash is not None:
        as_usage(lambda: parse_expected(expect_hash))
    if scheduler is not None:
        as_usage(lambda: check_scheduler(scheduler))
    for option, value in (("--examiner", examiner), ("--accept-mismatch", accept_mismatch)):
        if value is not None and not value.strip():
            message = f"{option} is empty"
            raise click.UsageError(message)
    request = ProcessRequest(
        images=images,
        case=case,
        exhibit=exhibit,
        examiner=examiner,
        case_number=case_number,
        agency=agency,
        profile=Profile(profile),
        rules=rule_folders or (shipped_rules(),),
        signer=Signer(key=key, passphrase=read_passphrase(key, passphrase_fd, stated().key_passphrase)),
        workers=workers,
        scheduler=scheduler,
        resume=resume,
        expect_hash=expect_hash,
        accept_mismatch=accept_mismatch,
        credentials=_credentials(credentials),
        readers=as_usage(lambda: parse_readers(readers)),
        cross_check=cross_check,
        host=platform.node(),
    )
    found = exhibits_of(images, FolderAs(folder_as))
    if found.left_out:
        click.echo(f"not taken for images and left out: {names_of(found.left_out, len(found.left_out))}", err=True)
    requests = numbered(request, found)
    if len(requests) > 1:
        return _process_all([JobExhibit(request=one) for one in requests], as_json=as_json)
    return _process_one(requests[0], as_json=as_json)


def _process_one(request: ProcessRequest, *, as_json: bool) -> int:
    stream = sys.stdout if as_json else sys.stderr
    try:
        with reporter_for(stream, as_json=as_json) as reporter:
            result = process(request, reporter)
    except KeyboardInterrupt:
        click.echo("interrupted; what is finished is kept. The same command with --resume goes on from there.", err=True)
        return FATAL
    if as_json:
        facts = {
            "event": "result",
            "case": str(result.case),
            "run": result.run,
            "report": str(result.report),
            "tables": result.counts,
            "head": result.head,
            "demonstration": result.identity.demonstration,
        }
        click.echo(json.dumps(facts))
    else:
        print_all(result_lines(result.counts, result.report, result.head, demonstration=result.identity.demonstration))
    return WITH_PROBLEMS if result.problems else COMPLETE


def _process_all(exhibits: Sequence[JobExhibit], *, as_json: bool) -> int:
    """Processes one exhibit after the other; goes on when one fails, and says at the end what became of each."""
    outcomes: list[ExhibitOutcome] = []
    interrupted = False
    with reporter_for(sys.stdout if as_json else sys.stderr, as_json=as_json) as reporter:
        try:
            outcomes.extend(run_job(exhibits, reporter, one_line))
        except KeyboardInterrupt:
            interrupted = True
    for one in outcomes:
        names = [name_of(path) for path in one.images]
        facts = {"event": "exhibit", "exhibit": one.exhibit, "images": names, "outcome": str(one.outcome), "told": one.told}
        click.echo(json.dumps(facts) if as_json else f"exhibit {one.exhibit} ({', '.join(names)}): {one.outcome}: {one.told}")
    if interrupted:
        click.echo("interrupted; what is finished is kept. The same command again does what is left.", err=True)
    if interrupted or any(one.outcome is Outcome.FAILED for one in outcomes):
        return FATAL
    return WITH_PROBLEMS if any(one.outcome is Outcome.WITH_PROBLEMS for one in outcomes) else COMPLETE


@evidex.command("batch")
@click.argument("job", type=click.Path(path_type=Path))
@KEY
@PASSPHRASE_FD
@JSON
def batch_command(job: Path, *, key: Path | None, passphrase_fd: int | None, as_json: bool) -> int:
    """Process all exhibits of a job file (TOML), unattended; may be run again, and then does what is left."""
    settings = JobSettings(
        signer=Signer(key=key, passphrase=read_passphrase(key, passphrase_fd, stated().key_passphrase)),
        rules=(shipped_rules(),),
        credentials=stated().credentials,
        host=platform.node(),
    )
    return _process_all(read_job(job, settings), as_json=as_json)


@evidex.command()
@CASE
@click.option("--trust", help="Fingerprint of the agency's root key, or its public-key file, from outside the case.")
@click.option("--expect-head", help="Head of the log as printed on a report.")
@click.option("--evidence", type=click.Path(path_type=Path), help="The evidence image: is it the one that was processed?")
@JSON
def verify(case: Path, *, trust: str | None, expect_head: str | None, evidence: Path | None, as_json: bool) -> int:
    """Check CASE: integrity, identity, time, completeness."""
    if trust is not None:
        as_usage(lambda: parse_trust(trust))
    if expect_head is not None:
        as_usage(lambda: parse_head(expect_head))
    subjects = [_hashed(evidence)] if evidence is not None else []
    verdict = verify_case(case, trust=trust, expect_head=expect_head, evidence=subjects)
    print_all([json.dumps(verdict.to_dict(), indent=1)] if as_json else verdict_text(verdict))
    return verdict.exit_code


@evidex.command()
@CASE
@click.option("--run", "run", help="The run; default: the latest finished one.")
@KEY
@PASSPHRASE_FD
def report(case: Path, *, run: str | None, key: Path | None, passphrase_fd: int | None) -> int:
    """Write the report of a run of CASE again, from its tables, and record it."""
    opened = read_case(case)
    name = run or next(reversed(list(iter_finished_runs(opened))), None)
    if name is None:
        message = f"{case} has no finished run to report on"
        raise PipelineError(message)
    with (
        lock_case(opened),
        open_custody(case, key, passphrase_fd) as log,
        reporter_for(sys.stderr, as_json=False) as reporter,
    ):
        index = write_and_record_report(case, name, log, reporter)
        head = log.checkpoint().text
    print_all([f"report  {index}", f"head    {head}"])
    return COMPLETE


@evidex.command("extract")
@CASE
@click.argument("selector")
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="New or empty folder for the files.")
@click.option("--image", "images", multiple=True, required=True, type=click.Path(path_type=Path), help="The exhibit's image; one a disk.")
@click.option("--run", "run", help="The run; default: the latest finished one.")
@_CREDENTIALS
@KEY
@PASSPHRASE_FD
def extract_command(
    case: Path,
    selector: str,
    *,
    target: Path,
    images: tuple[Path, ...],
    run: str | None,
    credentials: Path | None,
    key: Path | None,
    passphrase_fd: int | None,
) -> int:
    """Write the files of CASE that SELECTOR chooses to a folder, with a manifest, and record it.

    \b
    SELECTOR: path:GLOB  hash:HEX  rule:NAME  row:VOLUME/ADDRESS-TYPE-ID  where:SQL
    """  # noqa: D301 - click reads the backspace as "do not fill these lines"
    selection = as_usage(lambda: parse_selector(selector))
    opened = read_case(case)
    evidence = Evidence(images=images, credentials=_credentials(credentials))
    with (
        lock_case(opened),
        open_custody(case, key, passphrase_fd) as log,
    ):
        done = extract(opened, run, selection, evidence=evidence, target=target, custody=log)
    print_all(iter_lines(done))
    return WITH_PROBLEMS if done.failed else COMPLETE


@evidex.command("mount")
@_IMAGES
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_CREDENTIALS
def mount_command(images: tuple[Path, ...], folder: Path, *, credentials: Path | None) -> int:
    """Show what is in IMAGES as folders and files in DIR, an empty folder, read-only, deleted files too; until Ctrl-C.

    Needs FUSE: the package fuse3 (macOS: macFUSE).
    """
    as_usage(require_fuse)
    as_usage(lambda: check_mount_point(folder))
    return COMPLETE if mount(images, folder, _credentials(credentials), click.echo) else WITH_PROBLEMS


@evidex.command("replay")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--junit", type=click.Path(path_type=Path), help="Write the result as JUnit XML.")
@click.option("--update", is_flag=True, help="Write our own golden digests anew; expected results are never written.")
def replay_command(folder: Path, *, junit: Path | None, update: bool) -> int:
    """Process every sample in FOLDER and show each difference from what is expected."""
    result = replay(folder, rules=(shipped_rules(),), junit=junit, update=update)
    print_all(render(result))
    return COMPLETE if result.passed else FAILED


@evidex.command()
@CASE
@click.argument("sql")
@click.option("--format", "form", type=click.Choice(["table", "csv", "jsonl"]), default="table", show_default=True)
def query(case: Path, sql: str, form: str) -> int:
    """Answer SQL over the tables of CASE (DuckDB; a view a table)."""
    columns, rows = query_case(read_case(case), sql)
    print_all(render_rows(columns, rows, form))
    return COMPLETE


@evidex.command()
@click.argument("name", required=False)
def schema(name: str | None) -> int:
    """List the tables, or the columns of table NAME with meaning and unit."""
    if name is None:
        print_all(f"{one.name:12} {one.row}" for one in TABLES)
        return COMPLETE
    one = table(name)
    print_all([f"{one.name}: {one.row}", ""])
    for column in one.fields:
        facts = {k.decode(): v.decode() for k, v in (column.metadata or {}).items()}
        unit = f" [{facts['unit']}]" if facts["unit"] else ""
        click.echo(f"{column.name:24} {column.type!s:24} {facts['meaning']}{unit}")
    return COMPLETE


evidex.add_command(keys)
evidex.add_command(custody)


def shipped_rules() -> Path:
    """The folder of rules that Evidex ships."""
    return Path(str(rules.__file__)).parent


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code; a failure is one line on standard error."""
    # Taken out of the environment before any process is started, so that no worker inherits it.
    secrets = take_secrets(os.environ)
    try:
        code = evidex.main(args=list(arguments) if arguments is not None else None, prog_name=TOOL, standalone_mode=False, obj=secrets)
    except click.ClickException as error:
        error.show()
        code = USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = FATAL
    except FATAL_ERRORS as error:
        click.echo(f"evidex: {one_line(error)}", err=True)
        code = FATAL
    sys.exit(code if isinstance(code, int) else COMPLETE)


def _credentials(path: Path | None) -> tuple[Credential, ...]:
    """What the file and the environment state."""
    return (*(read_credentials(path) if path is not None else ()), *stated().credentials)


def _hashed(evidence: Path) -> Subject:
    with reporter_for(sys.stderr, as_json=False) as reporter:
        return evidence_subject(evidence, reporter)


if __name__ == "__main__":
    main()
