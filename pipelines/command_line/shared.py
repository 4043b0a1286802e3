"""What commands share: exit codes, arguments, secrets of the environment, and an open custody log."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from chain_of_custody.errors import CustodyError
from chain_of_custody.service import CustodyService
from chain_of_custody.statement import Actor, Tool
from forensics.errors import ForensicsError
from pipelines.errors import PipelineError
from pipelines.expectation import ReplayError
from pipelines.passphrase import StatedSecrets, read_passphrase
from pipelines.profiles import TOOL, tool_version
from pipelines.report.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_T = TypeVar("_T")
COMPLETE, FATAL, USAGE, WITH_PROBLEMS, FAILED = 0, 1, 2, 3, 4
FATAL_ERRORS = (ForensicsError, PipelineError, CustodyError, ReplayError, ReportError, OSError)

CASE = click.argument("case", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
KEY = click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="Private key to sign with; its roster lies beside it.")
PASSPHRASE_FD = click.option("--passphrase-fd", type=int, help="File descriptor to read the key's passphrase from.")


def open_custody(case: Path, key: Path | None, passphrase_fd: int | None, *, case_number: str = "", basis: str = "") -> CustodyService:
    """The custody service of a case, signing with the key; a context manager.

    Args:
        case: the case folder.
        key: the private key's file; None for the demonstration identity.
        passphrase_fd: where the key's passphrase is read from; else from the environment or the terminal.
        case_number: becomes part of a new log's name.
        basis: the legal basis of what is recorded.
    """
    return CustodyService.start(
        case=case,
        key=key,
        passphrase=read_passphrase(key, passphrase_fd, stated().key_passphrase),
        actor=Actor(),
        tool=tool(),
        case_number=case_number,
        basis=basis,
        host=platform.node(),
    )


def stated() -> StatedSecrets:
    """What the environment said when the program was started."""
    secrets: StatedSecrets = click.get_current_context().obj
    return secrets


def tool() -> Tool:
    """This program, as entries name it."""
    return Tool(name=TOOL, version=tool_version())


def as_usage(check: Callable[[], _T]) -> _T:
    """What the check gives; its failure is one of usage."""
    try:
        return check()
    except FATAL_ERRORS as error:
        raise click.UsageError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """What an error says, on one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def print_all(lines: Iterable[str]) -> None:
    """Prints each on a line of its own."""
    for line in lines:
        click.echo(line)
