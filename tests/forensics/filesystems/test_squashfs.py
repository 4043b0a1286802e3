"""SquashFS that mksquashfs made of a folder, beside the folder; and SquashFS that is damaged on purpose."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import pytest
from laid_tree import Changed, FileBytes, damage, differences, lay, list_image, list_source, reads, stated
from made_volumes import needs, run

from forensics.errors import FilesystemError

if TYPE_CHECKING:
    from pathlib import Path

    from laid_tree import Stated

pytestmark = needs("mksquashfs")
_COMPRESSORS = ("gzip", "lzma", "xz", "lzo", "lz4", "zstd")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay(tmp_path_factory.mktemp("squashfs") / "tree", wide=600)


@pytest.fixture(scope="module")
def truth(tree: Path) -> dict[bytes, Stated]:
    """SquashFS keeps whole seconds."""
    return stated(tree, whole_seconds=True)


def _made(path: Path, tree: Path, *options: str) -> Path:
    run("mksquashfs", tree, path, "-noappend", "-no-progress", "-xattrs", *options)
    return path


@pytest.mark.parametrize("compressor", _COMPRESSORS)
@pytest.mark.parametrize("block", ["4096", "131072"])
def test_each_compressor_gives_the_folder_back(tmp_path: Path, tree: Path, truth: dict[bytes, Stated], compressor: str, block: str) -> None:
    """A block of metadata holds 8 KiB, also where one of data holds less."""
    listed = list_image(_made(tmp_path / "a.sqfs", tree, "-comp", compressor, "-b", block))
    assert differences(truth, listed.stated()) == []
    assert listed.problems == []


@pytest.mark.parametrize(
    "options",
    [
        ("-no-fragments",),
        ("-always-use-fragments", "-b", "1M"),
        ("-noI", "-noD", "-noF", "-noX"),
        ("-no-exports", "-no-duplicates", "-no-sparse"),
        ("-comp", "xz", "-Xbcj", "x86"),
        ("-comp", "lz4", "-Xhc"),
        ("-comp", "lzo", "-Xalgorithm", "lzo1x_1"),
    ],
    ids=" ".join,
)
def test_shapes_make_no_difference(tmp_path: Path, tree: Path, truth: dict[bytes, Stated], options: tuple[str, ...]) -> None:
    listed = list_image(_made(tmp_path / "a.sqfs", tree, *options))
    assert differences(truth, listed.stated()) == []
    assert listed.problems == []


def test_owners_and_modes_that_are_forced_are_listed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(b"content")
    listed = list_image(_made(tmp_path / "a.sqfs", tmp_path / "tree", "-force-uid", "70000", "-force-gid", "4000000", "-all-time", "7"))
    entry = listed.found(b"file")
    assert (entry.owner, entry.group, entry.times.modified) == (70_000, 4_000_000, 7_000_000_000)


def test_any_place_of_a_file_is_read(tmp_path: Path, tree: Path) -> None:
    """Blocks, holes, and the fragment that several files share."""
    listed = list_image(_made(tmp_path / "a.sqfs", tree, "-b", "4096"))
    for name in ("sparse", "packs well", "noise-4097", "half packs"):
        whole = (tree / name).read_bytes()
        entry = listed.found(name.encode())
        assert entry.address is not None
        stream = listed.reader.open_stream(entry.address)
        chance = random.Random(name)
        for _ in range(40):
            offset, length = chance.randint(0, len(whole) + 5), chance.randint(0, 10_000)
            assert stream.read_at(offset, length) == whole[offset : offset + length]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not compressed, so that damage reaches what is inside."""
    folder = tmp_path_factory.mktemp("small")
    return _made(folder / "a.sqfs", lay(folder / "tree", wide=20), "-noI", "-noD", "-noF", "-noX", "-b", "4096")


def test_damage_costs_what_it_strikes_and_never_more_than_an_error(small: Path) -> None:
    assert sum(map(len, damage(small, seed=8, rounds=40)))


@pytest.mark.parametrize("compressor", _COMPRESSORS)
def test_damaged_blocks_that_are_packed_are_errors(tmp_path: Path, compressor: str) -> None:
    image = _made(tmp_path / "a.sqfs", lay(tmp_path / "tree", wide=20), "-comp", compressor)
    assert damage(image, seed=9, rounds=15)


def _tables(image: Path) -> tuple[int, int]:
    """Where the tables of inodes and directories start (squashfs_super_block)."""
    inodes, directories = struct.unpack_from("<QQ", image.read_bytes(), 64)
    return inodes, directories


def test_a_directory_that_holds_itself_ends(small: Path) -> None:
    """The root's first name is made to lead to the root; the header of the names stands before it (squashfs_dir_header, _dir_entry)."""
    data = small.read_bytes()
    root = struct.unpack_from("<Q", data, 32)[0]
    entry = data.index(b" lead and trail ", _tables(small)[1]) - 8
    changes = {entry: struct.pack("<H", root & 0xFFFF), entry - 8: struct.pack("<I", root >> 16)}
    listed = list_source(Changed(FileBytes(small), changes))
    loops = [problem.path for problem in listed.problems if problem.code == "directory-loop"]
    assert " lead and trail / lead and trail " in loops
    assert max(entry.path.count(b" lead and trail ") for entry in listed.entries) == 2


def test_numbers_without_end_are_errors(small: Path) -> None:
    """Sizes of 2^63 of a file, of 2^31 names, blocks of metadata of nothing, and attributes that are not there."""
    data = small.read_bytes()
    start, end = _tables(small)
    whole = len(reads(FileBytes(small)))
    for place in range(start + 2, min(end, start + 3000), 20):
        found = reads(Changed(FileBytes(small), {place: b"\xff\xff\xff\x7f"}))
        assert len(found) <= whole
    for place in (start, end):
        reads(Changed(FileBytes(small), {place: b"\0\x80"}))
    with pytest.raises(FilesystemError, match="blocks of 3 bytes"):
        list_source(Changed(FileBytes(small), {12: struct.pack("<I", 3)}))
    table = struct.unpack_from("<Q", data, 56)[0]
    broken = list_source(Changed(FileBytes(small), {table + 8: bytes(4)}))
    assert {problem.path for problem in broken.problems} == {"noise-60", "packs well", "sub"}
    assert all("extended attributes" in problem.why for problem in broken.problems)
    assert len(broken.stated()) == len(list_image(small).stated())
