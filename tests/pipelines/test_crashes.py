"""A worker that dies while it reads a file costs that file, whatever killed it (architecture, law 8).

The crash is a real one: another thread kills the worker process, each time it stands at the largest file. A parser's SIGSEGV
looks the same from outside.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forensics.expansion.bounds import Bounds
from pipelines.crashes import Marker, count_all_deaths, count_death, fatal_items
from pipelines.progress import Silent
from pipelines.run import ProcessRequest, Signer, process
from pipelines.tables import read_table
from pipelines.tasks import ReadContents, RunContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import ListingLimits

_TASK = ReadContents(number=1)


def _context(folder: Path, limits: ListingLimits) -> RunContext:
    return RunContext(
        images=(folder / "no",),
        folder=folder,
        work=folder / "work",
        exhibit="E",
        nodes=(),
        limits=limits,
        bounds=Bounds(),
        rules=None,
        read_contents=True,
    )


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    from forensics.filesystems.base import ListingLimits

    return _context(tmp_path, ListingLimits(orphans=1, orphan_bytes=1))


def test_one_death_at_an_item_does_not_leave_it_out(context: RunContext) -> None:
    _die_at(context, 7)
    assert fatal_items(context, _TASK) == frozenset()


def test_two_deaths_at_an_item_leave_it_out_and_no_other(context: RunContext) -> None:
    _die_at(context, 7)
    _die_at(context, 8)
    _die_at(context, 7)
    assert fatal_items(context, _TASK) == {7}


def test_a_task_that_ends_leaves_no_mark(context: RunContext) -> None:
    with Marker(context, _TASK) as marker:
        marker.at(3)
    count_all_deaths(context.work)
    assert fatal_items(context, _TASK) == frozenset()
    assert not list(context.work.glob("at/*"))


def _die_at(context: RunContext, item: int) -> None:
    """What a process leaves behind that is killed at the item."""
    marker = Marker(context, _TASK).__enter__()
    marker.at(item)
    os.close(marker._handle)
    count_death(context.work, _TASK.name)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An ext4 with two small files and one of 700 MB, all hole, that takes long enough to be killed in."""
    if shutil.which("mkfs.ext4") is None:
        pytest.fail("mkfs.ext4 is needed (Debian package e2fsprogs)")
    content = tmp_path / "content"
    content.mkdir()
    (content / "first.txt").write_text("first\n")
    (content / "last.txt").write_text("last\n")
    with (content / "large.bin").open("wb") as file:
        file.truncate(700 << 20)
    made = tmp_path / "disk.dd"
    subprocess.run(["mkfs.ext4", "-q", "-d", content, made, "64M"], check=True)
    return made


def test_a_file_that_kills_its_worker_twice_costs_that_file_alone(image: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    killer = _Killer(case)
    with killer:
        process(
            ProcessRequest(images=(image,), case=case, exhibit="E", examiner="T", signer=Signer(state=tmp_path / "state"), workers=1),
            Silent(),
        )
    assert killer.kills == 2
    tables = case / "runs" / "001-E" / "tables"
    rows = {row["path"]: row for row in read_table(tables, "entries", ["path", "sha256", "scan", "bytes_read"]).to_pylist()}
    assert rows["large.bin"]["sha256"] is None
    assert rows["large.bin"]["scan"] == "failed"
    # sha256sum of "first\n" and "last\n" (coreutils 9.1)
    assert rows["first.txt"]["sha256"] == "b640e840b19d378660b32fb51ae18d67dccb4a8596a29e7bd72c1b2ae5928f41"
    assert rows["last.txt"]["sha256"] == "761d1fb145ca8c7130231412276df60f34dd34554c4d174b973a45e3222475a9"
    problems = read_table(tables, "problems", ["code", "path"]).to_pylist()
    assert {"code": "parser-crashed", "path": "large.bin"} in problems


class _Killer:
    """Kills, twice, the worker that stands at an item for longer than any small file takes."""

    def __init__(self, case: Path) -> None:
        self._case = case
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.kills = 0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(0.01) and self.kills < 2:
            for marker in list(self._case.glob("work/*/at/content-*.at")):
                if self._stands(marker):
                    for pid in _holders(marker):
                        os.kill(pid, signal.SIGKILL)
                        self.kills += 1
                    time.sleep(0.5)

    def _stands(self, marker: Path) -> bool:
        try:
            before = marker.read_bytes()
            time.sleep(0.3)
            return bool(before) and marker.read_bytes() == before
        except FileNotFoundError:
            return False


def _holders(path: Path) -> Iterator[int]:
    """The processes that have the file open."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            links = [str(link.readlink()) for link in (entry / "fd").iterdir()]
        except OSError:
            continue
        if str(path) in links:
            yield int(entry.name)
