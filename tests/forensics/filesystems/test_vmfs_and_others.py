"""Filesystems through dissect: what TSK reads too, beside the folder that their makers copied, and damaged; VMFS as far as it can be tried.

No tool makes VMFS, and no public image is at hand: that a volume of it is recognised and refused in words is all that is shown here.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest
from laid_tree import EVERYTHING, BytesSource, Changed, FileBytes, used_bytes
from made_volumes import needs, run

import forensics.filesystems.dissect_fs as beyond_tsk
from forensics.content import iter_blocks
from forensics.errors import FilesystemError, Problem, StreamReadError
from forensics.filesystems.base import Content, Kind
from forensics.filesystems.found import FoundFilesystem
from forensics.filesystems.single_kinds import ALSO_OF_TSK, OWN
from forensics.signatures import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from forensics.filesystems.base import FilesystemReader
    from forensics.source import ByteSource

_MEBIBYTE = 1 << 20


def _contents() -> dict[str, bytes]:
    chance = random.Random(16)
    sizes = {"EMPTY": 0, "ONE": 1, "BLOCK": 4096, "LARGE.BIN": 300_000, "FOLDER/INSIDE.TXT": 50, "FOLDER/BELOW/DEEP.TXT": 70_000}
    return {name: chance.randbytes(size) for name, size in sizes.items()} | {
        f"FOLDER/{number:04d}": b"%d" % number for number in range(200)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("others") / "tree"
    for name, data in _contents().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def _ext(image: Path, folder: Path) -> None:
    run("mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0", "-d", folder, image, "4M")


def _fat(image: Path, folder: Path) -> None:
    with image.open("wb") as file:
        file.truncate(4 * _MEBIBYTE)
    run("mkfs.fat", "-F", 16, "-s", 1, image)
    run("mcopy", "-s", "-i", image, *sorted(folder.iterdir()), "::")


def _ntfs(image: Path, folder: Path) -> None:
    """At the top only: ntfscp makes no folders."""
    with image.open("wb") as file:
        file.truncate(4 * _MEBIBYTE)
    run("mkntfs", "-q", "-Q", "-F", "-s", 512, "-p", 0, "-H", 16, "-S", 63, image)
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size:
            run("ntfscp", "-q", image, path, path.name)


_MAKERS: Mapping[str, Callable[[Path, Path], None]] = {"ext": _ext, "fat": _fat, "ntfs": _ntfs}
_NEEDED = {"ext": ("mke2fs",), "fat": ("mkfs.fat", "mcopy"), "ntfs": ("mkntfs", "ntfscp")}
_each = pytest.mark.parametrize("kind", [pytest.param(kind, marks=needs(*_NEEDED[kind])) for kind in _MAKERS])


def _opened(source: ByteSource) -> FilesystemReader:
    found = beyond_tsk.find_filesystems(source, source.read_at(0, HEAD_BYTES), volume="v01", credentials=(), also_tsk_kinds=True)
    if not found:
        message = "no filesystem is recognised"
        raise FilesystemError(message)
    return beyond_tsk.open_reader(source, found[0], volume="v01", credentials=())


def _read(source: ByteSource) -> tuple[dict[str, str], list[Problem]]:
    """Digests of all files, and problems; a listing that fails is a FilesystemError, a stream a StreamReadError."""
    reader = _opened(source)
    digests: dict[str, str] = {}
    problems: list[Problem] = []
    for one in reader.iter_entries(EVERYTHING):
        if isinstance(one, Problem):
            problems.append(one)
        elif one.kind is Kind.FILE and one.content is Content.READ and one.address is not None:
            try:
                digests[one.path.decode(errors="replace")] = hashlib.sha256(
                    b"".join(block for block, _ in zip(iter_blocks(reader.open_stream(one.address)), range(4), strict=False))
                ).hexdigest()
            except StreamReadError:
                continue
    return digests, problems


@_each
def test_the_files_that_were_put_in_are_there(tmp_path: Path, folder: Path, kind: str) -> None:
    image = tmp_path / "a.img"
    _MAKERS[kind](image, folder)
    digests, problems = _read(FileBytes(image))
    expected = {name: hashlib.sha256(data).hexdigest() for name, data in _contents().items()}
    if kind == "ntfs":
        expected = {name: expected[name] for name in ("ONE", "BLOCK", "LARGE.BIN")}
    assert {name: digests.get(name) for name in expected} == expected
    assert problems == []


@_each
def test_damage_never_gives_more_than_an_error(tmp_path: Path, folder: Path, kind: str) -> None:
    image = tmp_path / "a.img"
    _MAKERS[kind](image, folder)
    places, chance, source = used_bytes(image), random.Random(17), FileBytes(image)
    listed = 0
    for _ in range(10):
        changed = Changed(source, {chance.choice(places): chance.randbytes(1) for _ in range(chance.randint(1, 4))})
        for damaged in (changed, Changed(source, {}, size=chance.choice(places))):
            try:
                listed += len(_read(damaged)[0])
            except FilesystemError:
                continue
    assert listed


def test_a_volume_of_vmfs_that_cannot_be_read_is_refused_in_words() -> None:
    for body in (bytes(_MEBIBYTE), b"\xff" * _MEBIBYTE, random.Random(18).randbytes(_MEBIBYTE)):
        source = BytesSource(bytes(_MEBIBYTE) + b"\x0d\xd0\x01\xc0" + body)
        (found,) = beyond_tsk.find_filesystems(source, source.read_at(0, HEAD_BYTES), volume="v01", credentials=())
        assert (found.filesystem, found.reader) == ("vmfs", "dissect")
        assert found.reason.startswith("vmfs cannot be opened: ")
        with pytest.raises(FilesystemError, match="vmfs"):
            beyond_tsk.open_reader(source, found, volume="v01", credentials=())


def test_noise_and_zeros_are_none_of_the_kinds() -> None:
    for data in (b"", b"\0", bytes(3 * _MEBIBYTE), random.Random(19).randbytes(3 * _MEBIBYTE)):
        source = BytesSource(data)
        found = beyond_tsk.find_filesystems(source, source.read_at(0, HEAD_BYTES), volume="v01", credentials=(), also_tsk_kinds=True)
        assert found == ()


def test_every_kind_has_a_name_of_its_own_and_one_that_is_unknown_is_refused() -> None:
    names = [kind.name for kind in (*OWN, *ALSO_OF_TSK)]
    assert len(names) == len(set(names))
    with pytest.raises(FilesystemError, match="does not know"):
        beyond_tsk.open_reader(BytesSource(b""), FoundFilesystem(reader="dissect", filesystem="zfs"), volume="v01", credentials=())
