"""A job for the night: exhibits to process one after the other, from a TOML file.

    case = "night-case"                 # of a path that is not absolute, beside this file
    examiner = "A. Examiner"
    case_number = "2026-0142"           # optional, as are agency, profile, rules, credentials, folder_as, workers, …
    profile = "standard"

    [[exhibit]]
    number = "KH-1"
    images = ["laptop.E01"]             # several are the disks of one exhibit

    [[exhibit]]
    number = "KH-2"
    images = ["seized/"]                # a folder of images is an exhibit each: KH-2.1, KH-2.2, …
    folder_as = "images"                # or files, where it cannot be told
    profile = "triage"                  # what stands here wins over what stands above

A job can be run again: an exhibit that has a finished run over the same image with the same settings is passed over, one that was
interrupted goes on. One that fails, also because its folder or its credentials cannot be read, does not keep the others from being done.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from forensics.digests import parse_expected
from forensics.errors import ForensicsError
from pipelines.case import check_exhibit
from pipelines.errors import PipelineError, RunError
from pipelines.exhibits import FolderAs, parse_readers
from pipelines.job import JobExhibit
from pipelines.profiles import Profile
from pipelines.run import ProcessRequest, Signer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forensics.credentials import Credential

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)
_SETTINGS: dict[str, type] = {
    "profile": str,
    "rules": list,
    "credentials": str,
    "workers": int,
    "cross_check": bool,
    "folder_as": str,
    "readers": list,
    "expect_hash": str,
    "accept_mismatch": str,
}
_JOB: dict[str, type] = {"case": str, "examiner": str, "case_number": str, "agency": str, "exhibit": list, **_SETTINGS}
_EXHIBIT: dict[str, type] = {"number": str, "images": list, **_SETTINGS}


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What the command line states for all exhibits of a job: who signs, the rules that are shipped, secrets of the environment, host."""

    signer: Signer
    rules: tuple[Path, ...]
    credentials: tuple[Credential, ...]
    host: str


def read_job(path: Path, settings: JobSettings) -> tuple[JobExhibit, ...]:
    """The exhibits of the job, in its order; nothing that they name is looked at.

    Raises:
        RunError: the file cannot be read or is not of the form above; the message says where.
    """
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: the job cannot be read: {getattr(error, 'strerror', None) or error}"
        raise RunError(message) from error
    _check(stored, _JOB, f"{path}")
    for name in ("case", "examiner", "exhibit"):
        if not stored.get(name) or (isinstance(stored[name], str) and not stored[name].strip()):
            message = f"{path}: {name} is missing or empty"
            raise RunError(message)
    exhibits = tuple(_exhibit(path, stored, one, number, settings) for number, one in enumerate(stored["exhibit"], start=1))
    numbers = [one.request.exhibit for one in exhibits]
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        message = f"{path}: exhibit {twice} stands there twice; give each exhibit a number of its own"
        raise RunError(message)
    return exhibits


def _exhibit(path: Path, job: dict[str, Any], stored: Any, number: int, settings: JobSettings) -> JobExhibit:
    where = f"{path}: exhibit {number}"
    if not isinstance(stored, dict):
        message = f"{where} is no table"
        raise RunError(message)
    _check(stored, _EXHIBIT, where)
    if not stored.get("number") or not stored.get("images"):
        message = f"{where} must have a number and images"
        raise RunError(message)
    chosen = {name: stored.get(name, job.get(name)) for name in _SETTINGS}
    profile = _one_of(Profile, chosen["profile"] or str(Profile.STANDARD), f"{where}: profile")
    folder_as = _one_of(FolderAs, chosen["folder_as"] or str(FolderAs.AUTO), f"{where}: folder_as")
    expected: str | None = chosen["expect_hash"]
    if expected is not None:
        _placed(where, partial(parse_expected, expected))
    if chosen["accept_mismatch"] is not None and not chosen["accept_mismatch"].strip():
        message = f"{where}: accept_mismatch is empty; say why the run is to go on"
        raise RunError(message)
    if (chosen["workers"] or 0) < 0:
        message = f"{where}: workers must be 0 or more"
        raise RunError(message)
    beside = path.parent
    request = ProcessRequest(
        images=tuple(beside / image for image in _texts(stored["images"], where)),
        case=beside / job["case"],
        exhibit=_placed(where, lambda: check_exhibit(stored["number"])),
        examiner=job["examiner"],
        case_number=job.get("case_number", ""),
        agency=job.get("agency", ""),
        profile=profile,
        rules=tuple(beside / rule for rule in _texts(chosen["rules"], where)) if chosen["rules"] else settings.rules,
        signer=settings.signer,
        workers=chosen["workers"],
        expect_hash=chosen["expect_hash"],
        accept_mismatch=chosen["accept_mismatch"],
        credentials=settings.credentials,
        readers=_placed(where, lambda: parse_readers(_texts(chosen["readers"] or [], where))),
        cross_check=bool(chosen["cross_check"]),
        host=settings.host,
    )
    credentials = beside / chosen["credentials"] if chosen["credentials"] else None
    return JobExhibit(request=request, folder_as=folder_as, credentials=credentials)


def _one_of(choices: type[_E], stated: str, what: str) -> _E:
    if stated not in set(choices):
        message = f"{what} must be one of {', '.join(choices)}"
        raise RunError(message)
    return choices(stated)


def _check(stored: dict[str, Any], form: dict[str, type], where: str) -> None:
    for name, value in stored.items():
        if name not in form:
            message = f"{where}: {name!r} is not known; there are: {', '.join(form)}"
            raise RunError(message)
        if not isinstance(value, form[name]) or (form[name] is int and isinstance(value, bool)):
            message = f"{where}: {name} must be {_WORDS[form[name]]}"
            raise RunError(message)


def _placed(where: str, parse: Callable[[], _T]) -> _T:
    """What `parse` gives; its error is told with the place in the job."""
    try:
        return parse()
    except (ForensicsError, PipelineError) as error:
        message = f"{where}: {error}"
        raise RunError(message) from error


def _texts(values: list[Any], where: str) -> tuple[str, ...]:
    if not all(isinstance(value, str) and value for value in values):
        message = f"{where}: a list holds something else than texts"
        raise RunError(message)
    if any("\0" in value for value in values):
        message = f"{where}: a path holds a NUL"
        raise RunError(message)
    return tuple(values)


_WORDS = {str: "a text in quotes", list: "a list in brackets", int: "a whole number", bool: "true or false"}
