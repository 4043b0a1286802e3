"""A case folder: what the examiner typed about it, its runs, and the lock that keeps two processes from writing at once.

CASE/case.toml        case number, agency, exhibits, and which image of a folder has which exhibit number
CASE/custody/         the signed log (chain_of_custody)
CASE/runs/NNN-ID/     one run over one exhibit
CASE/reports/NNN-ID/  its report
CASE/work/NNN-ID/     what a run that has not ended needs
CASE/sources/NNN-ID   the state of the image's files when the run ended; a hint, and no result: without it they are hashed again
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pipelines.errors import CaseBusyError, CaseError
from pipelines.tables import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EXHIBIT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_RUN = re.compile(r"(\d{3,})-(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case folder and what its case.toml says.

    Attributes:
        folder: where it lies.
        number: number of the case.
        agency: name of the agency.
        exhibits: numbers of the exhibits.
        folder_images: (number, name of its first file) of each image that was given in a folder of images.
    """

    folder: Path
    number: str
    agency: str
    exhibits: tuple[str, ...]
    folder_images: tuple[tuple[str, str], ...] = ()

    @property
    def runs(self) -> Path:
        """The folder of runs."""
        return self.folder / "runs"

    def run_names(self) -> list[str]:
        """The runs of the case, in order."""
        if not self.runs.is_dir():
            return []
        found = [path.name for path in self.runs.iterdir() if path.is_dir() and _RUN.fullmatch(path.name)]
        return sorted(found, key=_run_number)

    def new_run_name(self, exhibit: str) -> str:
        """The name of the next run."""
        return f"{max(map(_run_number, self.run_names()), default=0) + 1:03d}-{exhibit}"

    def unfinished_run(self, exhibit: str) -> str | None:
        """The latest run over the exhibit, if it has not been finished; else None."""
        of_exhibit = [name for name in self.run_names() if _RUN.fullmatch(name)[2] == exhibit]  # type: ignore[index]
        return of_exhibit[-1] if of_exhibit and self.work_of(of_exhibit[-1]).is_dir() else None

    def work_of(self, run: str) -> Path:
        """The folder of what only an unfinished run needs; it is there from process.start until after process.end."""
        return self.folder / "work" / run

    def source_of(self, run: str) -> Path:
        """The file that says in which state the image's files were when the run ended."""
        return self.folder / "sources" / run

    def drop_work(self, run: str) -> None:
        """Removes the work folder of a run that is sealed."""
        shutil.rmtree(self.work_of(run))
        with contextlib.suppress(OSError):  # another exhibit's unfinished run lies there
            (self.folder / "work").rmdir()

    def with_exhibit(self, exhibit: str, folder_images: tuple[tuple[str, str], ...] = ()) -> Case:
        """The case with one more exhibit, and the numbers of the images of its folder, saved."""
        case = replace(
            self,
            exhibits=tuple(sorted({*self.exhibits, exhibit})),
            folder_images=tuple(sorted({**dict(self.folder_images), **dict(folder_images)}.items())),
        )
        case.save()
        return case

    def discard(self) -> None:
        """Takes back a case that was begun and in which nothing was done; what else lies in the folder stays."""
        (self.folder / "case.toml").unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def save(self) -> None:
        """Writes case.toml."""
        lines = [
            "# What the examiner typed about this case. What was done stands in custody/.",
            f"case_number = {_toml(self.number)}",
            f"agency = {_toml(self.agency)}",
            f"exhibits = [{', '.join(map(_toml, self.exhibits))}]",
        ]
        if self.folder_images:
            lines += ["", "[folder_images]", *(f"{_toml(number)} = {_toml(name)}" for number, name in self.folder_images)]
        write_atomically(self.folder / "case.toml", ("\n".join(lines) + "\n").encode())


def open_case(folder: Path, *, number: str = "", agency: str = "") -> Case:
    """The case in the folder, begun if the folder is new or empty.

    Raises:
        CaseError: the folder holds something else, cannot be written, or belongs to another case number.
    """
    if folder.exists() and not folder.is_dir():
        message = f"{folder} is not a folder; name a new or empty folder for the case"
        raise CaseError(message)
    if (folder / "case.toml").is_file():
        case = read_case(folder)
        if number and case.number and number != case.number:
            message = f"{folder} is case {case.number!r}, not {number!r}; leave out --case-number, or name another folder"
            raise CaseError(message)
        return replace(case, number=case.number or number, agency=case.agency or agency)
    try:
        if folder.exists() and any(path.name != ".lock" for path in folder.iterdir()):
            message = f"{folder} holds files and is no Evidex case; name a new or empty folder for the case"
            raise CaseError(message)
        folder.mkdir(parents=True, exist_ok=True)
        case = Case(folder=folder, number=number, agency=agency, exhibits=())
        case.save()
    except OSError as error:
        raise _unwritable(folder, error) from error
    return case


def read_case(folder: Path) -> Case:
    """The case that is in the folder.

    Raises:
        CaseError: there is none, or its case.toml cannot be read.
    """
    try:
        stored = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
        return Case(
            folder=folder,
            number=str(stored["case_number"]),
            agency=str(stored["agency"]),
            exhibits=tuple(map(str, stored["exhibits"])),
            folder_images=tuple(sorted((str(number), str(name)) for number, name in stored.get("folder_images", {}).items())),
        )
    except FileNotFoundError as error:
        message = f"{folder} is no Evidex case: it has no case.toml"
        raise CaseError(message) from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{folder / 'case.toml'} cannot be read: {error}"
        raise CaseError(message) from error


def lock_case(case: Case) -> FileLock:
    """The case's lock, held; to be used as a context manager.

    Raises:
        CaseBusyError: another process is writing the case.
        CaseError: the folder cannot be written.
    """
    lock = FileLock(case.folder / ".lock", fallback_to_soft=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        message = f"another process is writing {case.folder}; wait until it has ended"
        raise CaseBusyError(message) from error
    except OSError as error:
        raise _unwritable(case.folder, error) from error
    return lock


def check_exhibit(exhibit: str) -> str:
    """The exhibit number, if it can name a folder on any system.

    Raises:
        CaseError: it cannot.
    """
    if not _EXHIBIT.fullmatch(exhibit):
        message = f"exhibit number {exhibit!r} cannot be used: 1 to 64 of A-Z a-z 0-9 . _ -, with a letter or digit at both ends"
        raise CaseError(message)
    return exhibit


def iter_finished_runs(case: Case) -> Iterator[str]:
    """The runs that are finished and sealed, in order."""
    for name in case.run_names():
        if not case.work_of(name).exists() and (case.folder / "custody" / "manifests" / f"{name}.sha256").is_file():
            yield name


def _run_number(name: str) -> int:
    found = _RUN.fullmatch(name)
    return int(found[1]) if found else 0


def _toml(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but for surrogate pairs, which TOML has not, and DEL, which TOML has escaped."""
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")


def _unwritable(folder: Path, error: OSError) -> CaseError:
    return CaseError(f"{folder} cannot be written: {error.strerror or error}; name a folder that can, with room for the results")
