"""Runs that end in the middle: killed driver, killed worker, Ctrl-C. What is finished is kept, and --resume gives the same tables."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from running import command, digests, environment, evidex, run, tables_of, unpack

from chain_of_custody.show import verdict_text
from chain_of_custody.verify import verify_case

_RUN = "001-KH-1"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack("linux", tmp_path_factory.mktemp("resume") / "linux.dd")


@pytest.fixture(scope="module")
def undisturbed(image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return digests(tables_of(run(image, tmp_path_factory.mktemp("undisturbed") / "case")))


def _arguments(image: Path, case: Path, *more: str) -> tuple[str | Path, ...]:
    return ("process", image, "--case", case, "--exhibit", "KH-1", "--examiner", "E", *more)


def _start(image: Path, case: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*_arguments(image, case, *more)),
        env=environment(case.parent / "state"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _wait_for(pattern: str, folder: Path, process: subprocess.Popen[bytes], *, number: int = 1) -> None:
    """Returns when that many files of the pattern are there, or the process has ended."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if len(list(folder.glob(pattern))) >= number:
            return
        time.sleep(0.005)


def _resume_and_compare(image: Path, case: Path, undisturbed: dict[str, str]) -> None:
    """Goes on until a run is finished; its tables are the undisturbed ones and the log is whole."""
    if not (case / "runs" / _RUN).is_dir() and not (case / "work" / _RUN).is_dir():
        answer = evidex(*_arguments(image, case, "--workers", "0"), state=case.parent / "state")
    else:
        answer = evidex(*_arguments(image, case, "--workers", "0", "--resume"), state=case.parent / "state")
    assert answer.returncode in (0, 3), answer.stderr
    assert digests(case / "runs" / _RUN / "tables") == undisturbed
    verdict = verify_case(case)
    assert next(iter(verdict_text(verdict))) == "INTEGRITY     PASS", list(verdict_text(verdict))


@pytest.mark.parametrize("seed", range(4))
def test_a_driver_that_is_killed_at_any_moment_can_be_resumed(tmp_path: Path, image: Path, undisturbed: dict[str, str], seed: int) -> None:
    """The moment is so many receipts and a random while; the session of the driver is killed whole, as at a power cut."""
    moment = random.Random(seed)
    case = tmp_path / "case"
    driver = _start(image, case, "--workers", "0")
    _wait_for("runs/*/receipts/*.json", case, driver, number=moment.choice((1, 3, 8, 15)))
    time.sleep(moment.random() / 4)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert driver.stderr is not None
    driver.stderr.close()
    if _finished(case):
        return  # the machine was quicker than the knife
    _resume_and_compare(image, case, undisturbed)
    shown = evidex("custody", "show", case, "--json", state=case.parent / "state").stdout
    assert '"resumed": true' in shown


def test_a_driver_that_is_killed_before_its_run_began_leaves_a_case_that_can_be_used(
    tmp_path: Path, image: Path, undisturbed: dict[str, str]
) -> None:
    case = tmp_path / "case"
    driver = _start(image, case, "--workers", "0")
    _wait_for("case.toml", case, driver)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert driver.stderr is not None
    driver.stderr.close()
    _resume_and_compare(image, case, undisturbed)


def test_ctrl_c_ends_the_run_says_how_to_go_on_and_is_recorded(tmp_path: Path, image: Path, undisturbed: dict[str, str]) -> None:
    case = tmp_path / "case"
    driver = _start(image, case, "--workers", "0")
    _wait_for("runs/*/receipts/*.json", case, driver, number=2)
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=120)
    if _finished(case):
        return
    assert driver.returncode == 1
    assert b"--resume" in said
    assert b"Traceback" not in said
    shown = evidex("custody", "show", case, state=case.parent / "state").stdout
    assert "interrupted by the examiner" in shown
    _resume_and_compare(image, case, undisturbed)


def test_a_worker_that_is_killed_once_changes_nothing(tmp_path: Path, image: Path, undisturbed: dict[str, str]) -> None:
    case = tmp_path / "case"
    driver = _start(image, case, "--workers", "1")
    _wait_for("runs/*/receipts/*.json", case, driver)
    victim = _worker(driver.pid)
    if victim is not None:
        os.kill(victim, signal.SIGKILL)
    _, said = driver.communicate(timeout=300)
    assert driver.returncode in (0, 3), said
    assert victim is not None
    assert digests(case / "runs" / _RUN / "tables") == undisturbed
    assert next(iter(verdict_text(verify_case(case)))) == "INTEGRITY     PASS"


def _worker(session: int) -> int | None:
    """A worker process of Dask in the session: one that multiprocessing spawned, and not its resource tracker."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            if b"spawn_main" in words and os.getsid(int(folder.name)) == session:
                return int(folder.name)
        except OSError:
            continue
    return None


def test_a_run_that_was_killed_between_its_last_table_and_its_seal_can_be_resumed(
    tmp_path: Path, image: Path, undisturbed: dict[str, str]
) -> None:
    """All tables and run.json are there, and the log has no process.end: the run must not be lost."""
    case = tmp_path / "case"
    driver = _start(image, case, "--workers", "0")
    _wait_for("runs/*/run.json", case, driver)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert driver.stderr is not None
    driver.stderr.close()
    if _finished(case):
        return
    _resume_and_compare(image, case, undisturbed)


def test_resume_of_another_configuration_is_refused(tmp_path: Path, image: Path) -> None:
    case = tmp_path / "case"
    driver = _start(image, case, "--workers", "0")
    _wait_for("runs/*/receipts/*.json", case, driver)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert driver.stderr is not None
    driver.stderr.close()
    answer = evidex(*_arguments(image, case, "--resume", "--profile", "full"), state=case.parent / "state")
    assert answer.returncode == 1
    assert "another profile" in answer.stderr


def test_resume_without_an_unfinished_run_says_so(tmp_path: Path, image: Path) -> None:
    answer = evidex(*_arguments(image, tmp_path / "case", "--resume"), state=tmp_path / "state")
    assert answer.returncode == 1
    assert "no unfinished run" in answer.stderr


def _finished(case: Path) -> bool:
    return (case / "custody" / "manifests" / f"{_RUN}.sha256").is_file()
