"""The laws of whole runs (architecture: laws 1, 2, 3, 6, 7, 10), each over a committed sample.

The sample `linux` is an ext4 filesystem with artifacts; `ntfs-mbr` has a partition table, named streams and deleted files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from running import digests, environment, evidex, request, row_count, rows_of, run, tables_of, unpack

from chain_of_custody.verify import verify_case
from forensics.filesystems.base import Entry, ListingLimits
from forensics.filesystems.tsk import TskReader
from forensics.image import open_image
from forensics.sleuthkit import open_filesystem, open_media
from pipelines.progress import Silent
from pipelines.run import process

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.run import RunResult


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("laws")


@pytest.fixture(scope="module")
def linux(place: Path) -> Path:
    return unpack("linux", place / "linux.dd")


@pytest.fixture(scope="module")
def ntfs(place: Path) -> Path:
    return unpack("ntfs-mbr", place / "ntfs-mbr.dd")


@pytest.fixture(scope="module")
def linux_run(place: Path, linux: Path) -> RunResult:
    return run(linux, place / "linux-case")


@pytest.fixture(scope="module")
def ntfs_run(place: Path, ntfs: Path) -> RunResult:
    return run(ntfs, place / "ntfs-case")


def test_law_1_the_evidence_is_never_written(tmp_path: Path) -> None:
    image = unpack("ntfs-mbr", tmp_path / "evidence" / "image.dd")
    os.utime(image, ns=(1_600_000_000_000_000_000, 1_600_000_000_000_000_000))
    before = hashlib.sha256(image.read_bytes()).hexdigest(), image.stat().st_mtime_ns
    image.chmod(0o444)
    result = run(image, tmp_path / "case")
    assert (hashlib.sha256(image.read_bytes()).hexdigest(), image.stat().st_mtime_ns) == before
    assert [path.name for path in image.parent.iterdir()] == ["image.dd"], "nothing may be left beside the evidence"
    assert rows_of(tables_of(result), "sources")[0]["sha256"] == before[0]


@pytest.mark.parametrize("table", ["volumes", "coverage"])
def test_law_2_volumes_and_gaps_tile_the_image(ntfs: Path, ntfs_run: RunResult, table: str) -> None:
    position = 0
    for row in rows_of(tables_of(ntfs_run), table):
        assert row["start_byte"] == position
        position += row["size_bytes"]
    assert position == ntfs.stat().st_size


def test_law_3_each_listed_stream_is_one_row(ntfs: Path, ntfs_run: RunResult) -> None:
    volume = next(row for row in rows_of(tables_of(ntfs_run), "volumes") if row["filesystem"] == "ntfs")
    with open_image(ntfs) as image:
        reader = TskReader(open_filesystem(open_media(image), volume["start_byte"], volume["size_bytes"]))
        limits = ListingLimits(orphans=1000, orphan_bytes=1 << 30, slack=True, unallocated=True, overwritten=True, attributes=True)
        listed = Counter(
            (e.metadata_address, e.stream, e.path, e.address.attribute_id if e.address else None)
            for e in reader.iter_entries(limits)
            if isinstance(e, Entry)
        )
    rows = Counter(
        (row["metadata_address"], row["stream"], row["path_bytes"] or row["path"].encode(), row["attribute_id"])
        for row in rows_of(tables_of(ntfs_run), "entries")
        if row["volume"] == volume["volume"]
    )
    assert rows == listed
    assert set(rows.values()) == {1}


def test_law_3_what_was_not_read_whole_has_a_problem(ntfs_run: RunResult, linux_run: RunResult) -> None:
    for result in (ntfs_run, linux_run):
        tables = tables_of(result)
        known = {(p["volume"], p["metadata_address"], p["stream"]) for p in rows_of(tables, "problems")}
        for row in rows_of(tables, "entries"):
            if row["scan"] is not None and row["bytes_read"] != row["size"]:
                assert (row["volume"], row["metadata_address"], row["stream"]) in known


def test_law_6_the_number_of_workers_changes_nothing(tmp_path: Path, linux: Path, linux_run: RunResult) -> None:
    for workers in (1, 2):
        result = run(linux, tmp_path / f"case{workers}", workers=workers)
        assert digests(tables_of(result)) == digests(tables_of(linux_run))


def test_law_6_the_place_of_the_image_and_the_case_changes_nothing(tmp_path: Path, ntfs: Path, ntfs_run: RunResult) -> None:
    image = tmp_path / "other folder" / "ntfs-mbr.dd"
    image.parent.mkdir()
    shutil.copyfile(ntfs, image)
    result = run(image, tmp_path / "another case")
    assert digests(tables_of(result)) == digests(tables_of(ntfs_run))


def test_law_6_the_name_of_the_file_stands_in_sources_and_nowhere_else(tmp_path: Path, ntfs: Path, ntfs_run: RunResult) -> None:
    image = tmp_path / "renamed.bin"
    shutil.copyfile(ntfs, image)
    ours, theirs = digests(tables_of(run(image, tmp_path / "case"))), digests(tables_of(ntfs_run))
    assert {name for name in ours if ours[name] != theirs[name]} == {"sources/part-000000.parquet"}
    assert ours.keys() == theirs.keys()


@pytest.mark.parametrize(
    "stage", ["look at the volumes", "list the filesystems", "read contents and artifacts", "write the ledger and the timeline"]
)
def test_law_6_an_interrupted_and_resumed_run_gives_the_same_tables(tmp_path: Path, linux: Path, linux_run: RunResult, stage: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        process(request(linux, tmp_path / "case"), _StopsAt(stage))
    result = run(linux, tmp_path / "case", resume=True)
    assert digests(tables_of(result)) == digests(tables_of(linux_run))
    assert verify_case(tmp_path / "case").exit_code != 4


def test_law_7_a_flipped_byte_anywhere_in_a_run_is_found_and_named(tmp_path: Path, ntfs_run: RunResult) -> None:
    case = tmp_path / "case"
    shutil.copytree(ntfs_run.case, case)
    assert verify_case(case).exit_code == 3, "an untouched case of a demonstration identity shows integrity and no more"
    files = [path for path in sorted((case / "runs").rglob("*")) if path.is_file()]
    files += sorted((case / "custody" / "manifests").iterdir())
    assert len(files) > 10
    for number, path in enumerate(files):
        data = path.read_bytes()
        flipped = bytearray(data)
        flipped[(number * 7919) % len(data)] ^= 1 << number % 8
        path.write_bytes(flipped)
        verdict = verify_case(case)
        path.write_bytes(data)
        assert verdict.exit_code == 4, path
        assert str(path.relative_to(case)) in str(verdict.to_dict()), "the file that broke must be named"


def test_law_7_a_flipped_byte_in_the_log_makes_the_command_fail_and_name_the_entry(tmp_path: Path, ntfs_run: RunResult) -> None:
    case = tmp_path / "case"
    shutil.copytree(ntfs_run.case, case)
    log = case / "custody" / "custody.intoto.jsonl"
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 4
    log.write_bytes(data)
    answer = evidex("verify", case, state=tmp_path / "state")
    assert answer.returncode == 4
    assert "INTEGRITY     FAIL" in answer.stdout
    assert "entry" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_law_10_no_process_of_a_run_connects_to_another_machine(tmp_path: Path, linux: Path) -> None:
    guard = _guard(tmp_path)
    arguments = ("process", linux, "--case", tmp_path / "case", "--exhibit", "KH-1", "--examiner", "E", "--workers", "1")
    answer = evidex(*arguments, state=tmp_path / "state", changes={"PYTHONPATH": str(guard)})
    assert answer.returncode in (0, 3), answer.stderr
    assert row_count(tmp_path / "case" / "runs" / "001-KH-1" / "tables", "entries") > 0
    assert (guard / "loaded").stat().st_size >= 3, "the driver, the custody process and the worker must all have loaded the guard"
    assert not (guard / "connected").exists(), (guard / "connected").read_text()


def test_the_guard_of_law_10_sees_a_connection(tmp_path: Path) -> None:
    guard = _guard(tmp_path)
    # 192.0.2.0/24 is for documentation (RFC 5737): nobody answers there.
    code = "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 9), 0.1)\nexcept OSError:\n    pass"
    subprocess.run([sys.executable, "-c", code], env=environment(tmp_path, {"PYTHONPATH": str(guard)}), check=True)
    assert "192.0.2.1" in (guard / "connected").read_text()


class _StopsAt(Silent):
    """Interrupts the run, as Ctrl-C would, when a stage begins."""

    def __init__(self, name: str) -> None:
        self._name = name

    def stage(self, name: str, *, items: int | None = None, size_bytes: int | None = None) -> None:  # noqa: ARG002
        if name == self._name:
            raise KeyboardInterrupt


_GUARD = """
import os, sys
_FOLDER = os.path.dirname(os.path.abspath(__file__))
_LOOPBACK = ("127.", "::1", "localhost")

def _note(name, text):
    with open(os.path.join(_FOLDER, name), "a") as file:
        file.write(text)

def _watch(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
            _note("connected", f"{address} {sys.argv}\\n")
    elif event == "socket.getaddrinfo" and arguments[0] and not str(arguments[0]).startswith(_LOOPBACK):
        _note("connected", f"{arguments} {sys.argv}\\n")

sys.addaudithook(_watch)
_note("loaded", ".")
"""


def _guard(folder: Path) -> Path:
    """A folder whose sitecustomize notes each connection and each look-up of a name that is not of this machine (PEP 578)."""
    guard = folder / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(_GUARD)
    return guard
