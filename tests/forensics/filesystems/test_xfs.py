"""XFS that mkfs.xfs made and the Linux kernel filled, beside what the kernel says of it; and XFS that is damaged on purpose.

The kernels of today mount no XFS of version 4; those are filled by mkfs.xfs itself, from a protofile.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from laid_tree import Changed, FileBytes, damage, differences, kernel_mounts, lay, list_image, list_source, mounted, stated
from made_volumes import needs, run

from forensics.errors import FilesystemError, StreamReadError
from forensics.filesystems.base import Kind, Recovery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SIZE = 320 << 20  # mkfs.xfs makes none below 300 MiB; nearly all of it is a hole
pytestmark = needs("mkfs.xfs")


def _made(path: Path, *options: str) -> Path:
    path.touch()
    os.truncate(path, _SIZE)
    run("mkfs.xfs", "-q", "-f", "-L", "labelled", *options, path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "xfs.img"
    yield path
    path.unlink(missing_ok=True)


@kernel_mounts("xfs")
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-i", "nrext64=1"),
        ("-m", "bigtime=0"),
        ("-b", "size=1024", "-n", "size=8192"),
        ("-s", "size=4096", "-m", "rmapbt=1"),
        ("-i", "size=2048"),
    ],
    ids=[
        "as it comes",
        "64-bit extent counts",
        "times of 32 bits",
        "directory blocks of eight blocks",
        "sectors of 4,096 bytes",
        "large inodes",
    ],
)
def test_all_that_the_kernel_lists_is_listed_and_is_the_same(image: Path, options: tuple[str, ...]) -> None:
    _made(image, *options)
    with mounted(image) as place:
        tree = lay(place / "tree")
        os.setxattr(tree / "noise-500", "user.large", random.Random(1).randbytes(40_000))
        os.setxattr(tree / "noise-500", "trusted.of root", b"root's")
        os.utime(tree / "noise-4097", ns=(-5_000_000_001, -5_000_000_001))
        if "bigtime=0" not in options:
            os.utime(tree / "noise-4095", ns=(7_500_000_000_000_000_009, 7_500_000_000_000_000_009))
    with mounted(image, "ro") as place:
        truth = stated(place)
    listed = list_image(image)
    assert differences(truth, listed.stated()) == []
    assert listed.problems == []
    assert listed.label == "labelled"
    assert {entry.recovery for entry in listed.entries} == {Recovery.ALLOCATED}


@kernel_mounts("xfs")
def test_preallocated_and_shared_blocks_read_as_the_kernel_reads_them(image: Path) -> None:
    """Unwritten extents are zeros whatever lies there; a reflink shares its blocks until one of the two is written to."""
    _made(image, "-m", "reflink=1")
    noise = random.Random(2).randbytes(400_000)
    with mounted(image) as place:
        (place / "stale").write_bytes(noise)
        os.sync()
        (place / "stale").unlink()
        with (place / "preallocated").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 300_000)
            os.pwrite(file.fileno(), b"written", 100_000)
        (place / "original").write_bytes(noise)
        run("cp", "--reflink=always", place / "original", place / "clone")
        with (place / "clone").open("r+b") as file:
            os.pwrite(file.fileno(), b"its own", 4096)
    with mounted(image, "ro") as place:
        truth = stated(place)
    assert truth[b"clone"].sha256 != truth[b"original"].sha256
    listed = list_image(image)
    assert differences(truth, listed.stated()) == []


def _fragmented(image: Path, *options: str) -> dict[bytes, object]:
    """A filesystem of small blocks with a file in some hundreds of pieces, so that its extents stand in a tree; the kernel's word of it."""
    _made(image, *options)
    chance = random.Random(4)
    with mounted(image) as place, (place / "pieces").open("wb") as file:
        for number in range(400):
            os.pwrite(file.fileno(), chance.randbytes(1024), number * 4096)
        os.fsync(file.fileno())
    with mounted(image, "ro") as place:
        return dict(stated(place))


@kernel_mounts("xfs")
def test_a_file_whose_extents_stand_in_a_tree_is_read(image: Path) -> None:
    truth = _fragmented(image, "-b", "size=1024")
    listed = list_image(image)
    assert differences(truth, listed.stated()) == []  # type: ignore[arg-type]
    assert b"BMA3" in image.read_bytes()


@kernel_mounts("xfs")
def test_a_tree_of_extents_that_leads_back_to_itself_is_an_error_of_its_file(image: Path) -> None:
    _fragmented(image, "-b", "size=1024")
    data = image.read_bytes()
    leaf = data.index(b"BMA3")
    inode = data.index(struct.pack(">2sHBB", b"IN", 0o100644, 3, 3))
    own_number = struct.unpack_from(">Q", data, inode + 176 + 4 + 8 * ((len(_fork(data, inode)) - 4) // 16))[0]
    node = struct.pack(">4sHH", b"BMA3", 1, 1)
    with_pointer = leaf + 72 + 8 * ((1024 - 72) // 16)
    changes = {inode + 176: struct.pack(">HH", 2, 1), leaf: node, with_pointer: struct.pack(">Q", own_number)}
    source = FileBytes(image)
    listed = list_source(Changed(source, changes))
    with pytest.raises(StreamReadError, match=r"block \d+ of its extent tree is"):
        listed.read(listed.found(b"pieces"))


def _fork(data: bytes, inode: int) -> bytes:
    fork = data[inode + 82] * 8
    return data[inode + 176 : inode + (176 + fork if fork else 512)]


@kernel_mounts("xfs")
@needs("xfs_freeze")
def test_a_file_deleted_while_it_was_open_is_an_orphan(image: Path) -> None:
    """The inode is allocated until its last user closes it; the image is taken before that, as from a running machine."""
    _made(image)
    copy = image.with_name("copy.img")
    with mounted(image) as place, (place / "gone").open("wb") as file:
        file.write(b"still here" * 1000)
        file.flush()
        os.fsync(file.fileno())
        (place / "gone").unlink()
        run("xfs_freeze", "-f", place)
        try:
            run("cp", "--sparse=always", image, copy)
        finally:
            run("xfs_freeze", "-u", place)
    listed = list_image(copy)
    (orphan,) = [entry for entry in listed.entries if entry.recovery is Recovery.ORPHAN]
    assert (orphan.kind, orphan.links, listed.read(orphan)) == (Kind.FILE, 0, b"still here" * 1000)
    copy.unlink()


_OLD = {
    "version 5": (),
    "version 4": ("-m", "crc=0,finobt=0,reflink=0,rmapbt=0"),
    "version 4 without file types": ("-m", "crc=0,finobt=0,reflink=0,rmapbt=0", "-n", "ftype=0"),
    "version 4 of small blocks and inodes": ("-m", "crc=0,finobt=0,reflink=0,rmapbt=0", "-b", "size=512", "-i", "size=256"),
}


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contents")
    chance = random.Random(5)
    for name, size in (("empty", 0), ("one", 1), ("block", 4096), ("large", 150_001)):
        (folder / name).write_bytes(chance.randbytes(size))
    return folder


def _from_protofile(image: Path, contents: Path, *options: str) -> None:
    """The four files at the top, and again 300 times in a folder, and links; mkfs.xfs(8), option -p."""
    lines = ["/boot", "0 0", "d--755 7 8"]
    lines += [f"{name} ---640 1000 1001 {contents / name}" for name in ("empty", "one", "block", "large")]
    lines += [
        "link l--777 0 0 folder/one-0",
        f"long l--777 0 0 {'d/' * 300}end",
        "u -u-755 0 0 " + str(contents / "one"),
        "pipe p--600 0 0",
    ]
    lines += [
        "null c--666 0 0 1 3",
        "folder d-g775 0 0",
        *(f"one-{number} ---600 0 0 {contents / 'one'}" for number in range(300)),
        "$",
        "$",
    ]
    proto = image.with_name("protofile")
    proto.write_text("\n".join(lines) + "\n")
    _made(image, *options, "-p", str(proto))


@pytest.mark.parametrize("options", _OLD.values(), ids=_OLD)
def test_what_mkfs_puts_in_is_listed(image: Path, contents: Path, options: tuple[str, ...]) -> None:
    _from_protofile(image, contents, *options)
    listed = list_image(image)
    top = {entry.path: entry for entry in listed.entries if b"/" not in entry.path}
    assert set(top) == {b"empty", b"one", b"block", b"large", b"link", b"long", b"u", b"pipe", b"null", b"folder"}
    for name in ("empty", "one", "block", "large"):
        entry = top[name.encode()]
        assert (entry.mode, entry.owner, entry.group, entry.links) == (0o640, 1000, 1001, 1)
        assert listed.read(entry) == (contents / name).read_bytes()
    assert top[b"link"].link_target == "folder/one-0"
    if options:
        assert (top[b"long"].link_target, listed.problems) == ("d/" * 300 + "end", [])
    else:  # mkfs.xfs 6.1 leaves out the header that version 5 asks for, and the kernel refuses the link as corrupt
        assert top[b"long"].link_target is None
        assert [(problem.path, problem.code) for problem in listed.problems] == [("long", "metadata-damaged")]
    assert (top[b"u"].mode, top[b"folder"].mode) == (0o4755, 0o2775)
    assert (top[b"pipe"].kind, top[b"null"].kind) == (Kind.FIFO, Kind.CHARACTER_DEVICE)
    folder = {entry.path: listed.read(entry) for entry in listed.entries if entry.path.startswith(b"folder/")}
    assert folder == {b"folder/one-%d" % number: (contents / "one").read_bytes() for number in range(300)}


@pytest.mark.parametrize("options", list(_OLD.values())[:2], ids=list(_OLD)[:2])
def test_damage_costs_what_it_strikes_and_never_more_than_an_error(image: Path, contents: Path, options: tuple[str, ...]) -> None:
    _from_protofile(image, contents, *options)
    outcomes = damage(image, seed=6, rounds=25)
    assert sum(len(found) for found in outcomes) > 25 * 300, "most damage leaves most files"


def _changed(image: Path, changes: dict[int, bytes]) -> Changed:
    return Changed(FileBytes(image), changes)


def _place(image: Path, number: int | None) -> int:
    """Where an inode of 512 bytes stands: its group, and its number in that (XFS Algorithms & Data Structures, chapter 14)."""
    assert number is not None
    data = image.read_bytes()
    bits = data[123] + data[124]
    return (number >> bits) * struct.unpack_from(">I", data, 84)[0] * 4096 + (number & (1 << bits) - 1) * 512


def test_numbers_without_end_are_errors(image: Path, contents: Path) -> None:
    """A count of 2^32-1 extents, a link and a directory of 2^62 bytes: what they strike is an error, and the rest goes on."""
    _from_protofile(image, contents)
    listed = list_image(image)
    places = {name: listed.found(name).metadata_address for name in (b"large", b"long", b"folder")}
    starts = {name: _place(image, number) for name, number in places.items()}
    changes = {
        starts[b"large"] + 76: b"\xff\xff\xff\xff",
        starts[b"long"] + 56: struct.pack(">Q", 1 << 62),
        starts[b"folder"] + 56: struct.pack(">Q", 1 << 62),
    }
    listed = list_source(_changed(image, changes))
    assert {(problem.code, problem.path) for problem in listed.problems} >= {("metadata-damaged", "long")}
    with pytest.raises(StreamReadError, match="states 4294967295 extents"):
        listed.read(listed.found(b"large"))
    assert sum(entry.path.startswith(b"folder/") for entry in listed.entries) == 300
    assert listed.read(listed.found(b"block")) == (contents / "block").read_bytes()


def test_an_inode_tree_that_leads_back_to_itself_is_a_problem(image: Path, contents: Path) -> None:
    _from_protofile(image, contents)
    data = image.read_bytes()
    header = 2 * struct.unpack_from(">H", data, 102)[0]
    assert data[header : header + 4] == b"XAGI"
    block = struct.unpack_from(">I", data, header + 20)[0]
    node = struct.pack(">4sHH", b"IAB3", 1, 1)
    changes = {header + 24: struct.pack(">I", 2), block * 4096: node, block * 4096 + 56 + 4 * ((4096 - 56) // 8): struct.pack(">I", block)}
    listed = list_source(_changed(image, changes))
    (problem,) = [one for one in listed.problems if one.path != "long"]
    assert problem.code == "inode-tree-unreadable"
    assert problem.why == f"block {block} of the inode tree of allocation group 0 is damaged"


def test_a_directory_that_names_one_above_it_is_entered_once(image: Path, contents: Path) -> None:
    """`folder/one-0` is made to be the root directory."""
    _from_protofile(image, contents)
    listed = list_image(image)
    target = listed.found(b"folder/one-0").metadata_address
    assert target is not None
    data = image.read_bytes()
    root = struct.unpack_from(">Q", data, 56)[0]
    entry = data.index(struct.pack(">QB5s", target, 5, b"one-0"))
    listed = list_source(_changed(image, {entry: struct.pack(">Q", root)}))
    assert [(one.code, one.path) for one in listed.problems if one.code == "directory-loop"] == [("directory-loop", "folder/one-0")]
    assert ("name-lost", target) in {(one.code, one.metadata_address) for one in listed.problems}


def test_names_that_a_damaged_folder_lost_are_listed_as_orphans(image: Path, contents: Path) -> None:
    _from_protofile(image, contents)
    listed = list_image(image)
    place = _place(image, listed.found(b"folder").metadata_address)
    listed = list_source(_changed(image, {place: b"XX"}))
    orphans = [entry for entry in listed.entries if entry.recovery is Recovery.ORPHAN and entry.kind is Kind.FILE]
    assert len(orphans) == 300
    assert {listed.read(entry) for entry in orphans} == {(contents / "one").read_bytes()}
    assert "metadata-damaged" in {problem.code for problem in listed.problems}


def test_a_superblock_that_cannot_be_is_an_error_that_says_so(image: Path, contents: Path) -> None:
    _from_protofile(image, contents)
    for place, value in ((4, b"\0\0\0\3"), (84, b"\0\0\0\0"), (104, b"\0\0"), (124, b"\xff"), (192, b"\x20")):
        with pytest.raises(FilesystemError, match="XFS superblock is damaged"):
            list_source(_changed(image, {place: value}))


def test_files_are_listed_as_orphans_where_the_root_directory_is_destroyed(image: Path, contents: Path) -> None:
    """Its inode is made a plain file's (xfs_dinode.di_mode); the contents are those that mkfs put in."""
    _from_protofile(image, contents)
    root = _place(image, struct.unpack_from(">Q", image.read_bytes(), 56)[0])
    listed = list_source(_changed(image, {root + 2: b"\x81\xa4"}))
    assert {entry.recovery for entry in listed.entries} == {Recovery.ORPHAN}
    read = {listed.read(entry) for entry in listed.entries if entry.kind is Kind.FILE and entry.links}
    assert {path.read_bytes() for path in contents.iterdir()} <= read
    (root_problem,) = (one for one in listed.problems if one.code == "directory-unreadable")
    assert "no directory" in root_problem.why


def test_the_kernel_s_repair_tool_agrees_about_what_is_free(image: Path, contents: Path) -> None:
    """Every inode that xfs_db's own check calls used is listed, or is the filesystem's own."""
    if shutil.which("xfs_db") is None and not os.environ.get("CI"):
        pytest.skip("xfs_db is not installed")
    _from_protofile(image, contents)
    said = subprocess.run(["xfs_db", "-r", "-c", "sb 0", "-c", "p icount ifree", str(image)], capture_output=True, text=True, check=True)
    numbers = {line.split(" = ")[0]: int(line.split(" = ")[1]) for line in said.stdout.splitlines()}
    listed = list_image(image)
    inodes = {entry.metadata_address for entry in listed.entries}
    own = 3  # the root, which is not an entry, and the two of the realtime device
    assert len(inodes) + own == numbers["icount"] - numbers["ifree"]
