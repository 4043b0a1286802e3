"""One filesystem as The Sleuth Kit and dissect list it: nothing where they agree, and what is known where they do not.

Runs that write the differences as a table are in tests/pipelines/test_cross_check.py.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import forensics.filesystems.dissect_fs as beyond_tsk
from forensics.cross_check import Difference, compare_readers
from forensics.errors import FilesystemError, Problem, Stage, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, ListingLimits, Recovery, StreamAddress, Times
from forensics.filesystems.runs import BytesStream
from forensics.filesystems.tsk import TskReader
from forensics.image import open_image
from forensics.signatures import HEAD_BYTES
from forensics.sleuthkit import open_filesystem, open_media

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from forensics.filesystems.base import Stream

_LIMITS = ListingLimits(orphans=1000, orphan_bytes=1 << 20)
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _needs(*commands: str) -> pytest.MarkDecorator:
    missing = [command for command in commands if shutil.which(command, path=_PATH) is None]
    return pytest.mark.skipif(bool(missing) and not os.environ.get("CI"), reason=f"not installed: {', '.join(missing)}")


def _run(*command: str | int | Path) -> None:
    environment = os.environ | {"PATH": _PATH, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"}
    subprocess.run([str(part) for part in command], check=True, capture_output=True, env=environment)


def _compared(image: Path) -> list[Difference | Problem]:
    with open_image(image) as source:
        tsk = TskReader(open_filesystem(open_media(source), 0))
        head = source.read_at(0, HEAD_BYTES)
        (found,) = beyond_tsk.find_filesystems(source, head, volume="v01", credentials=(), also_tsk_kinds=True)
        dissect = beyond_tsk.open_reader(source, found, volume="v01", credentials=())
        return list(compare_readers(tsk, dissect, _LIMITS))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "SUB" / "BELOW").mkdir(parents=True)
    for number in range(40):
        (folder / "SUB" / f"FILE{number}.TXT").write_bytes(b"%d" % number * (number * 100))
    (folder / "SUB" / "BELOW" / "LARGE.BIN").write_bytes(bytes(range(256)) * 1000)
    return folder


def _ext4(folder: Path, tree: Path, *options: str) -> Path:
    image = folder / "a.img"
    _run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-E", "lazy_itable_init=0", *options, "-d", tree, image, "4M")
    return image


@_needs("mke2fs")
def test_the_engines_agree_on_ext4(tmp_path: Path, tree: Path) -> None:
    (tree / "link").symlink_to("SUB/FILE1.TXT")
    os.mkfifo(tree / "fifo")
    assert _compared(_ext4(tmp_path, tree)) == []


@_needs("mke2fs", "debugfs")
def test_the_file_of_the_last_inode_is_missing_in_dissect_and_that_is_known(tmp_path: Path, tree: Path) -> None:
    """dissect.extfs skips the last inode of a filesystem: a name is made to lead there."""
    image = _ext4(tmp_path, tree, "-N", "64")
    total = struct.unpack_from("<I", image.read_bytes(), 1024)[0]
    script = tmp_path / "script"
    script.write_text(
        "".join(f"write {tree}/SUB/FILE{number % 40}.TXT more{number}\n" for number in range(total)), encoding="utf-8"
    )  # until no inode is left
    _run("debugfs", "-w", "-f", script, image)
    found = _compared(image)
    assert [(one.what, one.known) for one in found if isinstance(one, Difference)] == [
        ("missing in dissect", "dissect.extfs skips the last inode of a filesystem")
    ]


@_needs("mkfs.fat", "mcopy")
def test_what_dissect_does_with_names_and_labels_of_fat_is_known(tmp_path: Path, tree: Path) -> None:
    image = tmp_path / "a.img"
    image.write_bytes(bytes(4 << 20))
    _run("mkfs.fat", "-F", 16, "-s", 1, "-n", "MYLABEL", image)
    (tree / "lower.txt").write_bytes(b"lower")
    _run("mcopy", "-s", "-i", image, *sorted(tree.iterdir()), "::")
    found = [(one.path, one.what, one.known) for one in _compared(image) if isinstance(one, Difference)]
    assert found == [
        (b"LOWER.TXT", "missing in tsk", "dissect.fat ignores the flags that make an 8.3 name lower case"),
        (b"MYLABEL", "missing in tsk", "dissect.fat lists the volume label as a file"),
        (b"lower.txt", "missing in dissect", "dissect.fat ignores the flags that make an 8.3 name lower case"),
    ]


@_needs("mkntfs", "ntfscp")
def test_the_engines_agree_on_ntfs(tmp_path: Path, tree: Path) -> None:
    image = tmp_path / "a.img"
    image.write_bytes(bytes(4 << 20))
    _run("mkntfs", "-q", "-Q", "-F", "-s", 512, "-p", 0, "-H", 16, "-S", 63, image)
    for number in (1, 5, 39):
        _run("ntfscp", "-q", image, tree / "SUB" / f"FILE{number}.TXT", f"FILE{number}.TXT")
    found = _compared(image)
    assert [one for one in found if isinstance(one, Difference) and not one.path.startswith(b"$")] == []


class _Given:
    """A reader that lists what it is given; content of None cannot be read, and an exception among the entries ends the listing."""

    def __init__(self, filesystem: str, listed: Sequence[tuple[Entry, bytes | None] | Problem | Exception]) -> None:
        self.filesystem, self._listed = filesystem, listed

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        del limits
        for one in self._listed:
            if isinstance(one, Exception):
                raise one
            yield one if isinstance(one, Problem) else one[0]

    def open_stream(self, address: StreamAddress) -> Stream:
        for one in self._listed:
            if isinstance(one, tuple) and one[0].address == address and one[1] is not None:
                return BytesStream(one[1])
        message = "a block is damaged"
        raise StreamReadError(message)


def _file(number: int, path: bytes, content: bytes | None, size: int | None = None) -> tuple[Entry, bytes | None]:
    return Entry(
        path=path,
        stream="",
        address=StreamAddress(number, 0, 0),
        metadata_address=number,
        kind=Kind.FILE,
        link_target=None,
        name_allocated=True,
        metadata_allocated=True,
        recovery=Recovery.ALLOCATED,
        content=Content.READ,
        size=len(content or b"") if size is None else size,
        times=Times(),
        name_times=None,
        owner=None,
        group=None,
        mode=None,
        links=None,
        sequence=None,
    ), content


def test_kinds_sizes_and_contents_that_differ_are_each_a_row() -> None:
    folder = replace(_file(4, b"kind", b"")[0], kind=Kind.DIRECTORY, content=Content.NONE, address=None)
    first = [
        _file(1, b"same", b"same"),
        _file(2, b"size", b"long"),
        _file(3, b"content", b"one"),
        _file(4, b"kind", b""),
        _file(5, b"bad", None, 9),
    ]
    second = [
        _file(1, b"same", b"same"),
        _file(2, b"size", b"longer"),
        _file(3, b"content", b"two"),
        (folder, None),
        _file(5, b"bad", b"readable!"),
    ]
    found = list(compare_readers(_Given("ext4", first), _Given("ext", second), _LIMITS))
    rows = {one.path: (one.what, one.tsk, one.dissect) for one in found if isinstance(one, Difference)}
    assert rows == {
        b"bad": ("content differs", "not readable: a block is damaged", rows[b"bad"][2]),
        b"content": (
            "content differs",
            "SHA-256 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
            "SHA-256 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3",
        ),
        b"kind": ("kind differs", "file", "directory"),
        b"size": ("size differs", "4", "6"),
    }
    assert len(found) == len(rows)


def test_a_content_that_neither_engine_can_read_for_the_same_reason_is_no_difference() -> None:
    first, second = [_file(1, b"bad", None, 9)], [_file(7, b"bad", None, 9)]
    assert list(compare_readers(_Given("ext4", first), _Given("ext", second), _LIMITS)) == []


def test_what_is_deleted_named_or_made_up_is_not_compared() -> None:
    plain = _file(1, b"file", b"x")[0]
    left_out = [
        replace(plain, path=b"deleted", recovery=Recovery.DELETED),
        replace(plain, stream="named"),
        replace(plain, path=b"$OrphanFiles", kind=Kind.VIRTUAL),
        replace(plain, path=b"LABEL (Volume Label Entry)"),
        replace(plain, path=b"$FAT1"),
    ]
    first = [(plain, b"x"), *((one, b"y") for one in left_out)]
    assert list(compare_readers(_Given("fat16", first), _Given("fat", [(plain, b"x")]), _LIMITS)) == []


def test_an_engine_that_stops_or_meets_problems_is_named() -> None:
    problem = Problem(stage=Stage.FILESYSTEM, code="directory-unreadable", what="a directory could not be read whole", why="it is damaged")
    first = [_file(1, b"a", b"a"), FilesystemError("the tree ends")]
    second = [problem, _file(1, b"a", b"a")]
    found = list(compare_readers(_Given("ext4", first), _Given("ext", second), _LIMITS))
    assert [one.code for one in found if isinstance(one, Problem)] == ["cross-check-incomplete"] * 2
    assert [one.what.split(" could")[0] for one in found if isinstance(one, Problem)] == ["The Sleuth Kit", "dissect"]
    assert len(found) == 2


def test_a_row_shows_a_path_that_is_no_text() -> None:
    row = Difference(path=b"caf\xe9\n", what="missing in tsk", tsk=None, dissect="file, 1 bytes").as_row()
    assert row["path"] is not None
    assert "\n" not in row["path"]
    assert (row["tsk"], row["dissect"], row["known"]) == (None, "file, 1 bytes", "")
