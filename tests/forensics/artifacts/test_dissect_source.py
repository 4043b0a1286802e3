from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import textwrap
from collections import Counter

import pyarrow as pa
import pytest

from forensics.artifacts.dissect_source import NO_SYSTEM, open_artifact_source
from forensics.artifacts.functions import functions_for
from forensics.artifacts.reader import read_artifact
from forensics.image import open_image

pytestmark = pytest.mark.corpus

# `regf` reads every registry value (158,406 rows, as dissect counts); `evtx` has a test of its own.
TOO_LONG = {"regf", "evtx"}
# shared/corpus/open/artifact-counts-*.json holds what dissect.target 3.25.1 itself yields; it lists only functions with records.
DIFFERENT = {
    # dissect stops after the first line that it cannot take apart; the file has nine (`icat -o 2048 linux-open.raw 87 | wc -l`).
    ("linux-open", "authlog"): 9,
}


@pytest.fixture(scope="module")
def source(corpus_image):
    opened = {}

    def source_(identifier):
        if identifier not in opened:
            opened[identifier] = open_artifact_source([open_image(corpus_image(identifier))])
        return opened[identifier]

    return source_


@pytest.fixture
def read(source, tmp_path):
    def read_(identifier, function):
        table = read_artifact(source(identifier), function, exhibit="E1", spool=tmp_path)
        rows = pa.Table.from_batches(table.iter_batches(), table.schema)
        assert rows.num_rows == table.rows
        return table, rows

    return read_


def plain_functions():
    """Functions whose value is no record, so that dissect's counts do not name them."""
    return {"hostname", "version", "os", "architecture", "ips", "domain", "timezone", "language", "codepage", "install_date"}


@pytest.mark.parametrize(
    ("identifier", "function"),
    [
        (identifier, function)
        for identifier, os in (("win-open", "windows"), ("linux-open", "linux"))
        for function in functions_for("full", os)
        if function not in plain_functions() | {"users"} | TOO_LONG
    ],
)
def test_a_function_has_as_many_rows_as_dissect_yields_records(corpus, read, identifier, function):
    """Counts: shared/corpus/open/artifact-counts-*.json."""
    records = json.loads((corpus / "open" / f"artifact-counts-{identifier}.json").read_text())["records"]
    table, _ = read(identifier, function)
    assert table.rows == DIFFERENT.get((identifier, function), records.get(function, 0))


def test_event_records_agree_file_by_file_with_libevtx(corpus, read):
    """truth/win-open.artefacts.json: records of evtxinfo (libevtx 20220724).

    dissect also reads the chunks of a log whose header counts no records; libevtx calls records there recovered.
    """
    expected = json.loads((corpus / "open" / "truth" / "win-open.artefacts.json").read_text())["independent"]["evtx_per_file"]
    table, rows = read("win-open", "evtx")
    found = Counter(path.rpartition("\\")[2] for path in rows["source_path"].to_pylist())
    more = {name: found[name] - one["records"] for name, one in expected.items() if found[name] != one["records"]}
    assert set(found) <= set(expected)
    assert all(0 < extra <= expected[name]["recovered"] for name, extra in more.items()), more
    assert (table.rows, sum(more.values())) == (42_626, 95)


def test_the_name_of_the_computer_and_its_users_are_those_of_the_image(read):
    """Names: manifest of win-open and linux-open (made by their authors)."""
    _, hostname = read("linux-open", "hostname")
    assert hostname["value"].to_pylist() == ["web01"]
    _, users = read("linux-open", "users")
    assert "root" in users["name"].to_pylist()


def test_windows_times_of_1601_are_null_and_named(read):
    table, rows = read("win-open", "userassist")
    assert rows["ts"].null_count == 4
    assert [one.code for one in table.problems] == ["time-never-set"]


def test_a_function_of_another_system_does_not_apply(read):
    table, _ = read("linux-open", "evtx")
    assert (table.applicable, table.problems) == (False, ())


def test_what_concerns_the_users_is_reported_once_at_opening_and_not_by_each_function(source, read):
    (problem,) = source("win-open").problems()
    assert problem.why == "Could not read SAM records (ValueError: SAM key checksum validation failed!)"
    table, _ = read("win-open", "runkeys")
    assert table.problems == ()


def test_what_a_function_reports_does_not_depend_on_those_before(read):
    """Architecture, law 6: a plugin that is asked twice would report a broken line only the first time."""
    first = [read("linux-open", name)[0].problems for name in ("ips", "syslog")]
    again = [read("linux-open", name)[0].problems for name in ("ips", "syslog")]
    assert first == again
    assert all(first)


@pytest.mark.parametrize("identifier", ["exfat-dsoprea", "dfir-exfat-win", "fsamples-multiple"])
def test_exfat_is_not_mounted_and_a_problem_says_so(source, identifier):
    opened = source(identifier)
    assert opened.os == NO_SYSTEM
    assert "exfat-artifacts" in [one.code for one in opened.problems()]
    assert "exfat" not in [one.__type__ for one in opened._opened.filesystems]


def test_other_filesystems_beside_exfat_are_still_mounted(source):
    assert [one.__type__ for one in source("fsamples-multiple")._opened.filesystems] == ["ext", "ntfs", "btrfs"]


def test_a_volume_that_makes_dissect_fail_costs_only_its_own_artifacts(bad_input, tmp_path):
    """The damaged Btrfs is of btrfs-progs' fuzz tests; the volume after it is an ext4."""
    btrfs = bad_input("third_party/btrfs_sys-chunk-type-bogus.raw.xz")
    opened = open_artifact_source([open_image(two_partitions(tmp_path / "disk.raw", btrfs, bad_input("ext4_dirloop.dd.xz")))])
    assert [one.__type__ for one in opened._opened.filesystems] == ["ext"]
    assert [one.code for one in opened.problems()] == ["artifact-volume"]
    assert "at byte 1048576" in opened.problems()[0].what


def two_partitions(path, first, second):
    """A disk with an MBR and those two volumes, the first at 1 MiB (entry: type at 4, start at 8, sectors at 12)."""
    sizes = [-(-one.stat().st_size // 512) for one in (first, second)]
    starts = [2048, 2048 + sizes[0]]
    entries = b"".join(struct.pack("<B3sB3sII", 0, b"", 0x83, b"", start, size) for start, size in zip(starts, sizes, strict=True))
    with path.open("wb") as disk:
        disk.write(bytes(446) + entries + bytes(32) + b"\x55\xaa")
        for start, volume in zip(starts, (first, second), strict=True):
            disk.seek(start * 512)
            disk.write(volume.read_bytes())
        disk.truncate((starts[1] + sizes[1]) * 512)
    return path


def test_configuration_of_the_host_is_not_read(corpus_image, tmp_path, monkeypatch):
    (tmp_path / ".targetcfg.py").write_text(f"CACHE_DIR = {str(tmp_path / 'cache')!r}\n")
    (tmp_path / "cache").mkdir()
    monkeypatch.chdir(tmp_path)
    opened = open_artifact_source([open_image(corpus_image("linux-open"))])
    read_artifact(opened, "commandhistory", exhibit="E1", spool=tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


_SCRIPT = """
    import sys
    from pathlib import Path
    import hashlib
    import pyarrow as pa
    from forensics.artifacts.dissect_source import open_artifact_source
    from forensics.artifacts.reader import read_artifact
    from forensics.image import open_image

    source = open_artifact_source([open_image(Path(sys.argv[1]))])
    for function in ("shimcache", "services", "runkeys", "ips"):
        table = read_artifact(source, function, exhibit="E1", spool=Path(sys.argv[2]))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            for batch in table.iter_batches():
                writer.write_batch(batch)
        print(function, table.rows, hashlib.sha256(sink.getvalue()).hexdigest(), table.problems)
"""


def test_artifacts_of_a_real_image_are_the_same_bytes_whatever_the_hash_seed(corpus_image, tmp_path):
    """Architecture, law 6; shimcache resolves paths by walking a set of file extensions."""
    image = corpus_image("win-open")
    outputs = set()
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        command = [sys.executable, "-c", textwrap.dedent(_SCRIPT), str(image), str(folder)]
        outputs.add(subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout)
    assert len(outputs) == 1
    assert "shimcache 1024 " in outputs.pop()


def test_reading_artifacts_leaves_the_image_as_it_was(corpus_image, tmp_path):
    path = corpus_image("linux-open")
    before = hashlib.sha256(path.read_bytes()).digest()
    opened = open_artifact_source([open_image(path)])
    for function in functions_for("triage", "linux"):
        read_artifact(opened, function, exhibit="E1", spool=tmp_path)
    assert hashlib.sha256(path.read_bytes()).digest() == before
