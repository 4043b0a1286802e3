"""A mount, through the kernel's FUSE: what it shows beside what TSK's own tools give, and what it refuses."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from running import SAMPLES, command, environment, evidex, unpack

from pipelines import mount
from pipelines.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HAS_FUSE = Path("/dev/fuse").is_char_device() and shutil.which("fusermount") is not None
needs_fuse = pytest.mark.skipif(not _HAS_FUSE and not os.environ.get("CI"), reason="FUSE (fuse3) is not installed")


@contextmanager
def mounted(
    folder: Path, *images: Path, changes: dict[str, str] | None = None, code: int = 0, options: tuple[str, ...] = ()
) -> Iterator[Any]:
    """The images mounted on the folder, which is made, by a process that must end with the code; gives it and the lines that it printed."""
    folder.mkdir()
    arguments = command("mount", *images, folder, *options)
    with subprocess.Popen(arguments, env=environment(folder.parent, changes), stdout=subprocess.PIPE, text=True) as process:
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("mounted on "):
                break
        try:
            assert lines, "nothing was mounted"
            yield process, lines
        finally:
            if process.poll() is None and folder.is_mount():
                subprocess.run(["fusermount", "-u", folder], check=True)
            process.wait(60)
    assert process.returncode == code
    assert not folder.is_mount()


def walked(folder: Path) -> dict[str, Path]:
    """Every file below the folder by its path in it."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if not path.is_dir()}


def sha256(path: Path) -> str | None:
    """The digest of a file; None where reading it is an input/output error."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return None


def expected_of(sample: str) -> list[dict[str, Any]]:
    """What fls, istat and icat say of the sample's entries."""
    lines = (SAMPLES / sample / "expected" / "entries.jsonl").read_text().splitlines()
    return list(map(json.loads, lines[1:]))


def shown_path(row: dict[str, Any]) -> str:
    place = "" if row["recovery"] == "allocated" else "$Deleted/"
    return place + row["path"] + (f":{row['stream']}" if row["stream"] else "")


def nanoseconds(text: str) -> int:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 10**9 + int(fraction.ljust(9, "0") or 0)


@needs_fuse
@pytest.mark.parametrize(
    ("sample", "kinds", "code"), [("ntfs-mbr", ["ntfs"], 0), ("exfat", ["exfat"], 3), ("gpt-fat32-ext4", ["fat32", "ext4"], 0)]
)
def test_what_is_shown_is_what_fls_and_icat_give_deleted_files_and_streams_too(
    tmp_path: Path, sample: str, kinds: list[str], code: int
) -> None:
    image = unpack(sample, tmp_path / "image.dd")
    rows = expected_of(sample)
    with mounted(tmp_path / "shown", image, code=code):
        folders = sorted(path.name for path in (tmp_path / "shown").iterdir() if path.name.startswith("v"))
        assert [name.partition("-")[2] for name in folders] == kinds
        for folder in folders:
            own = [row for row in rows if row["volume"] == folder.partition("-")[0]]
            top = tmp_path / "shown" / folder
            files = walked(top)
            named = {shown_path(row): row for row in own if row["kind"] != "directory" or row["stream"]}
            named.pop("$OrphanFiles", None)
            assert set(files) == set(named)
            # A link is shown as its target, and TSK gives zeros where that stands in the inode.
            read = {path for path, row in named.items() if row.get("sha256") and row["kind"] != "link"}
            assert {path: sha256(files[path]) for path in read} == {path: named[path]["sha256"] for path in read}
            assert {path: files[path].lstat().st_size for path in read} == {path: named[path]["size"] for path in read}
            times = {path: row["modified"] for path, row in named.items() if row.get("modified")}
            times |= {shown_path(row): row["modified"] for row in own if row["kind"] == "directory" and row.get("modified")}
            assert {path: (top / path).lstat().st_mtime_ns for path in times} == {path: nanoseconds(time) for path, time in times.items()}
            assert any(path.startswith("$Deleted/") for path in read), "the sample has deleted files"


@needs_fuse
@pytest.mark.corpus
def test_deleted_files_of_one_name_are_all_shown(tmp_path: Path, corpus: Path, corpus_image: Callable[[str], Path]) -> None:
    truth = [json.loads(line) for line in (corpus / "open" / "truth" / "dfir-fat-deleted-dir.jsonl").read_text().splitlines()]
    deleted = Counter(row["sha256"] for row in truth if not row["allocated"] and row["sha256"])
    assert deleted.total() > 500
    with mounted(tmp_path / "shown", corpus_image("dfir-fat-deleted-dir")):
        found = Counter(sha256(path) for path in walked(tmp_path / "shown" / "v01-fat32" / "$Deleted").values())
    assert found == deleted


@needs_fuse
def test_nothing_can_be_written_and_the_image_stays_as_it_is(tmp_path: Path) -> None:
    image = unpack("ntfs-mbr", tmp_path / "image.dd")
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    with mounted(tmp_path / "shown", image):
        folder = tmp_path / "shown" / "v01-ntfs"
        file = next(path for path in walked(folder).values() if path.stat().st_size)
        attempts: list[Callable[[], object]] = [
            lambda: file.write_bytes(b"x"),
            lambda: os.truncate(file, 0),
            lambda: (folder / "new").write_bytes(b"x"),
            (folder / "new").mkdir,
            file.unlink,
            lambda: file.rename(folder / "new"),
            lambda: file.chmod(0o777),
            lambda: os.utime(file),
        ]
        for attempt in attempts:
            with pytest.raises(OSError, match="Read-only file system") as caught:
                attempt()
            assert caught.value.errno == errno.EROFS
        options = next(line.split()[3].split(",") for line in Path("/proc/mounts").read_text().splitlines() if str(tmp_path) in line)
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(options)
        modes = [path.lstat().st_mode for path in (tmp_path / "shown").rglob("*")]
        assert all(stat.S_ISREG(mode) or stat.S_ISDIR(mode) for mode in modes)
        assert not any(mode & (0o222 | stat.S_ISUID | stat.S_ISGID) for mode in modes)
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before


@needs_fuse
def test_an_interrupt_unmounts(tmp_path: Path) -> None:
    with mounted(tmp_path / "shown", unpack("ntfs-mbr", tmp_path / "image.dd")) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert not any((tmp_path / "shown").iterdir())


@needs_fuse
def test_links_lead_nowhere_and_pipes_do_not_wait(tmp_path: Path) -> None:
    links = {row["path"]: row for row in expected_of("gpt-fat32-ext4") + expected_of("linux") if row["kind"] == "link"}
    assert links
    for sample in ("gpt-fat32-ext4", "linux"):
        with mounted(tmp_path / sample, unpack(sample, tmp_path / f"{sample}.dd")):
            for path in (tmp_path / sample).rglob("*"):
                assert not path.is_symlink()
                assert path.is_dir() or path.is_file()
            shown = {str(path.relative_to(tmp_path / sample)).partition("/")[2]: path for path in (tmp_path / sample).rglob("*")}
            assert (links.keys() <= shown.keys()) == (sample == "gpt-fat32-ext4")
            for name in links.keys() & shown.keys():
                assert shown[name].read_text() == links[name]["link_target"]


@needs_fuse
def test_what_an_image_lacks_is_an_error_and_never_zeros(tmp_path: Path) -> None:
    image = unpack("ntfs-mbr", tmp_path / "image.dd")
    truth = {shown_path(row): row["sha256"] for row in expected_of("ntfs-mbr") if row.get("sha256")}
    os.truncate(image, image.stat().st_size * 3 // 5)
    with mounted(tmp_path / "shown", image, code=3) as (_, lines):
        top = tmp_path / "shown" / "v01-ntfs"
        found = {path: sha256(file) for path, file in walked(top).items() if path in truth}
        assert {path for path, digest in found.items() if digest not in (None, truth[path])} == set()
        assert Counter(digest is None for digest in found.values()).keys() == {True, False}
        assert "PROBLEMS.txt" in lines[-2]
        assert (tmp_path / "shown" / "PROBLEMS.txt").read_text()


@needs_fuse
@pytest.mark.corpus
def test_a_locked_volume_says_so_and_opens_with_its_passphrase(tmp_path: Path, corpus: Path, corpus_image: Callable[[str], Path]) -> None:
    image = corpus_image("luks2-ext4-derived")
    with mounted(tmp_path / "locked", image, code=3) as (_, lines):
        assert [path.name for path in (tmp_path / "locked" / "v01-luks2").iterdir()] == ["LOCKED.txt"]
        text = (tmp_path / "locked" / "v01-luks2" / "LOCKED.txt").read_text()
        assert "volume v01 is locked" in text
        assert "--credentials" in text
        assert lines[0].startswith("volume v01 is locked")
    rows = map(json.loads, (corpus / "open" / "truth" / "luks2-ext4-derived.jsonl").read_text().splitlines())
    truth = {row["path"]: row["sha256"] for row in rows if row["allocated"] and row["sha256"]}
    credentials = tmp_path / "credentials.toml"
    credentials.write_text('[[credential]]\nkind = "passphrase"\nvalue = "corpus-pass"\n')
    with mounted(tmp_path / "opened", image, options=("--credentials", str(credentials))):
        found = {name: sha256(path) for name, path in walked(tmp_path / "opened" / "v01.1-ext4").items() if name in truth}
    assert found == truth


@needs_fuse
@pytest.mark.corpus
def test_shadow_copies_are_shown_beside_their_volume(tmp_path: Path, corpus: Path, corpus_image: Callable[[str], Path]) -> None:
    rows = list(map(json.loads, (corpus / "open" / "truth" / "qcow2-vss-plaso.jsonl").read_text().splitlines()))
    with mounted(tmp_path / "shown", corpus_image("qcow2-vss-plaso")):
        folders = {"v01-ntfs": None, "v01.1-ntfs": "vss1", "v01.2-ntfs": "vss2"}
        assert {path.name for path in (tmp_path / "shown").iterdir()} == folders.keys()
        for folder, volume in folders.items():
            truth = {row["path"]: row["sha256"] for row in rows if row.get("volume") == volume and row["allocated"] and row.get("sha256")}
            assert truth
            files = walked(tmp_path / "shown" / folder)
            assert {path: sha256(files[path]) for path in truth} == truth


@needs_fuse
@pytest.mark.parametrize("state", ["missing", "a file", "not empty"])
def test_only_an_empty_folder_is_mounted_on(tmp_path: Path, state: str) -> None:
    folder = tmp_path / "folder"
    if state == "a file":
        folder.write_bytes(b"")
    if state == "not empty":
        folder.mkdir()
        (folder / "x").write_bytes(b"")
    answer = evidex("mount", unpack("exfat", tmp_path / "image.dd"), folder, state=tmp_path)
    assert answer.returncode == 2
    assert "empty folder" in answer.stderr


def test_a_library_that_is_missing_is_named_and_the_help_is_there_without(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        where = environment(tmp_path, {"FUSE_LIBRARY_PATH": "/nowhere/libfuse.so"})
        return subprocess.run(command(*arguments), env=where, capture_output=True, text=True, check=False, timeout=60)

    answer = run("mount", tmp_path / "image.dd", tmp_path / "folder")
    assert answer.returncode == 2
    assert "the library libfuse is missing" in answer.stderr
    assert "install" in answer.stderr
    assert run("mount", "--help").returncode == 0


def test_a_kernel_without_fuse_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mfusepy", exc_type=OSError) if _HAS_FUSE else pytest.skip("FUSE is not there")
    monkeypatch.setattr(mount, "_DEVICE", tmp_path / "fuse")
    with pytest.raises(PipelineError, match="modprobe fuse"):
        mount.require_fuse()
