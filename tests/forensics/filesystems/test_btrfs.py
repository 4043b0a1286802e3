"""Btrfs that mkfs.btrfs made and filled, or that the Linux kernel filled, beside the folder and what the kernel says; and damaged Btrfs."""

from __future__ import annotations

import hashlib
import os
import random
import struct
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from laid_tree import (
    Changed,
    FileBytes,
    damage,
    differences,
    kernel_mounts,
    lay,
    list_image,
    list_source,
    mounted,
    reads,
    stated,
)
from made_volumes import needs, run

from forensics.errors import FilesystemError, StreamReadError
from forensics.filesystems.base import Kind, Recovery
from forensics.filesystems.checksums import crc32c

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SIZE = 160 << 20
_NODE = 16384
pytestmark = needs("mkfs.btrfs", "btrfs")


def _blank(path: Path, size: int = _SIZE) -> Path:
    path.touch()
    os.truncate(path, size)
    return path


def _made(path: Path, *options: str) -> Path:
    run("mkfs.btrfs", "-q", "-f", "-L", "labelled", *options, _blank(path))
    return path


def test_a_folder_that_mkfs_copied_is_the_same(tmp_path: Path) -> None:
    """But for the nanoseconds, which mkfs.btrfs 6.2 leaves out."""
    tree = lay(tmp_path / "tree", wide=300, sockets=False)
    listed = list_image(_made(tmp_path / "a.img", "-r", str(tree)))
    assert differences(stated(tree, whole_seconds=True), listed.stated()) == []
    assert (listed.problems, listed.label) == ([], "labelled")


@pytest.mark.parametrize("checksum", ["crc32c", "xxhash", "sha256", "blake2"])
@pytest.mark.parametrize("options", [("-n", "4096"), ("-M",), ("-n", "65536", "-m", "single")], ids=["small nodes", "mixed", "large nodes"])
def test_shapes_of_metadata_make_no_difference(tmp_path: Path, checksum: str, options: tuple[str, ...]) -> None:
    tree = lay(tmp_path / "tree", wide=300, sockets=False)
    listed = list_image(_made(tmp_path / "a.img", "--csum", checksum, *options, "-r", str(tree)))
    assert differences(stated(tree, whole_seconds=True), listed.stated()) == []
    assert listed.problems == []


@kernel_mounts("btrfs")
@pytest.mark.parametrize("option", ["compress-force=zlib", "compress-force=lzo", "compress-force=zstd", "max_inline=0", "nodatacow"])
def test_all_that_the_kernel_lists_is_listed_and_is_the_same(tmp_path: Path, option: str) -> None:
    """With compression, small files stand inline and packed, large ones in extents of 128 KiB, and holes between."""
    image = _made(tmp_path / "a.img")
    with mounted(image, option) as place:
        lay(place / "tree", wide=300)
        os.utime(place / "tree" / "noise-4097", ns=(-5_000_000_001, -5_000_000_001))
        os.utime(place / "tree" / "noise-4095", ns=(7_500_000_000_000_000_009, 7_500_000_000_000_000_009))
        os.sync()
        with (place / "tree" / "packs well").open("r+b") as file:  # references into the midst of an extent
            os.pwrite(file.fileno(), b"over the middle", 200_000)
            os.ftruncate(file.fileno(), 400_001)
        with (place / "preallocated").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 300_000)
            os.pwrite(file.fileno(), b"written", 100_000)
    with mounted(image, "ro") as place:
        truth = stated(place)
    listed = list_image(image)
    assert differences(truth, listed.stated()) == []
    assert listed.problems == []


@kernel_mounts("btrfs")
def test_subvolumes_and_snapshots_stand_under_their_paths_as_the_kernel_shows_them(tmp_path: Path) -> None:
    """A snapshot of a subvolume that holds another has an empty folder in its place, as the kernel shows it."""
    image = _made(tmp_path / "a.img")
    with mounted(image) as place:
        run("btrfs", "subvolume", "create", place / "home")
        run("btrfs", "subvolume", "create", place / "home" / "inner")
        (place / "home" / "a.txt").write_bytes(b"first")
        (place / "home" / "inner" / "b.txt").write_bytes(b"inside")
        run("btrfs", "subvolume", "snapshot", "-r", place / "home", place / "then")
        (place / "home" / "a.txt").write_bytes(b"second, longer")
        (place / "home" / "c.txt").write_bytes(b"later")
        run("btrfs", "subvolume", "set-default", place / "home")
    with mounted(image, "ro", "subvolid=5") as place:
        truth = stated(place)
    assert (b"then/a.txt" in truth, b"then/inner" in truth, b"then/inner/b.txt" in truth) == (True, True, False)
    ours = list_image(image).stated()
    # The kernel makes up owner, time and mode of the empty folder that stands for the inner subvolume.
    assert differences({**truth, b"then/inner": ours[b"then/inner"]}, ours) == []
    assert ours[b"then/inner"].kind is Kind.DIRECTORY


@kernel_mounts("btrfs")
def test_a_file_deleted_while_it_was_open_is_an_orphan(tmp_path: Path) -> None:
    image = _made(tmp_path / "a.img")
    with mounted(image) as place, (place / "gone").open("wb") as file:
        file.write(b"still here" * 1000)
        file.flush()
        (place / "gone").unlink()
        run("btrfs", "filesystem", "sync", place)
        run("cp", "--sparse=always", image, tmp_path / "copy.img")
    listed = list_image(tmp_path / "copy.img")
    (orphan,) = [entry for entry in listed.entries if entry.recovery is Recovery.ORPHAN]
    assert (orphan.links, listed.read(orphan)) == (0, b"still here" * 1000)


@contextmanager
def _attached(*images: Path) -> Iterator[list[str]]:
    """The block devices of the images."""
    with ExitStack() as devices:

        def attach(image: Path) -> str:
            device = run("losetup", "-f", "--show", image).decode().strip()
            devices.callback(run, "losetup", "-d", device)
            return device

        yield [attach(image) for image in images]


def _pair(tmp_path: Path, data: str, metadata: str) -> tuple[list[Path], dict[str, str]]:
    """Two devices of one filesystem, filled by the kernel, and the digests that it gives."""
    images = [_blank(tmp_path / name) for name in ("a.img", "b.img")]
    truth: dict[str, str] = {}
    place = tmp_path / "pair"
    place.mkdir()
    with _attached(*images) as devices:
        run("mkfs.btrfs", "-q", "-f", "-d", data, "-m", metadata, *devices)
        run("mount", "-o", ",".join(f"device={device}" for device in devices), devices[0], place)
        try:
            for name, size in (("inline", 100), ("large", 3_000_000)):
                content = random.Random(size).randbytes(size)
                (place / name).write_bytes(content)
                truth[name] = hashlib.sha256(content).hexdigest()
        finally:
            run("umount", place)
    return images, truth


@kernel_mounts("btrfs")
def test_of_two_mirrors_each_holds_everything(tmp_path: Path) -> None:
    images, truth = _pair(tmp_path, "raid1", "raid1")
    for image in images:
        listed = list_image(image)
        assert {path.decode(): one.sha256 for path, one in listed.stated().items()} == truth
        assert [problem.code for problem in listed.problems] == ["device-missing"]


@kernel_mounts("btrfs")
def test_of_two_stripes_what_is_not_here_is_an_error_and_never_zeros(tmp_path: Path) -> None:
    images, truth = _pair(tmp_path, "raid0", "raid1")
    for number, image in enumerate(images):
        listed = list_image(image)
        assert [problem.code for problem in listed.problems] == ["device-missing"]
        assert hashlib.sha256(listed.read(listed.found(b"inline"))).hexdigest() == truth["inline"]
        with pytest.raises(StreamReadError, match=f"it needs device {2 - number} of this filesystem, which has 2"):
            listed.read(listed.found(b"large"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nodes of 4 KiB, one copy of each, so that its trees have levels and no damage is made good."""
    folder = tmp_path_factory.mktemp("btrfs")
    tree = folder / "tree"
    (tree / "folder").mkdir(parents=True)
    for number in range(400):
        (tree / "folder" / f"{number:03d}.txt").write_bytes(b"%d" % number * 30)
    (tree / "large").write_bytes(random.Random(1).randbytes(200_000))
    return _made(folder / "a.img", "-n", "4096", "-m", "single", "-r", str(tree))


def test_damage_never_changes_what_is_read_but_for_the_files_own_blocks(small: Path) -> None:
    """Metadata has checksums, which this reader verifies: damage there costs a node, and gives no other content."""
    whole = reads(FileBytes(small))
    assert len(whole) == 401
    for found in damage(small, seed=7, rounds=30):
        for key, content in found.items():
            if not key[0].endswith(b"large") and b"Orphan" not in key[0]:
                assert content == whole[key]


def _nodes(data: bytes, level: int, owner: int) -> Iterator[int]:
    """Places of the nodes of a tree at a level (struct btrfs_header)."""
    identifier = data[0x10020:0x10030]
    for place in range(0x100000, len(data) - 4096, 4096):
        is_node = data[place + 32 : place + 48] == identifier and data[place + 100] == level and data[place : place + 4] != bytes(4)
        if is_node and struct.unpack_from("<Q", data, place + 88)[0] == owner:
            yield place


def _sealed(node: bytes) -> bytes:
    """The node with its checksum made right."""
    return struct.pack("<I", crc32c(node[32:])) + node[4:]


def test_a_tree_that_leads_back_to_itself_ends_and_is_a_problem(small: Path) -> None:
    data = small.read_bytes()
    root = max(_nodes(data, 1, 5), key=lambda place: struct.unpack_from("<Q", data, place + 80)[0])
    node = bytearray(data[root : root + 4096])
    count = struct.unpack_from("<I", node, 96)[0]
    first = struct.unpack_from("<Q", node, 101 + 17)[0]
    for number in range(1, count):  # every pointer but the first leads to the first leaf again
        struct.pack_into("<Q", node, 101 + 33 * number + 17, first)
    listed = list_source(Changed(FileBytes(small), {root: _sealed(bytes(node))}))
    assert any("is in its tree twice" in problem.why for problem in listed.problems)


def test_numbers_without_end_are_errors(small: Path) -> None:
    """A node of 2^32-1 items; an item that lies outside its node; a superblock that states nodes of nothing."""
    data, struck = small.read_bytes(), 0
    for leaf in _nodes(data, 0, 5):
        node = bytearray(data[leaf : leaf + 4096])
        struct.pack_into("<I", node, 96, 0xFFFFFFFF)
        try:
            why = " ".join(problem.why for problem in list_source(Changed(FileBytes(small), {leaf: _sealed(bytes(node))})).problems)
        except FilesystemError as error:  # the leaf of the root directory
            why = str(error)
        struck += "4294967295 items" in why
    assert struck > 5
    superblock = bytearray(data[0x10000:0x11000])
    struct.pack_into("<I", superblock, 148, 0)
    with pytest.raises(FilesystemError, match="superblock is damaged"):
        list_source(Changed(FileBytes(small), {0x10000: _sealed(bytes(superblock))}))
    with pytest.raises(FilesystemError, match="checksum"):
        list_source(Changed(FileBytes(small), {0x10100: b"\x01"}))


def test_items_that_lie_outside_their_node_are_no_content(small: Path) -> None:
    data = small.read_bytes()
    changed = 0
    for leaf in _nodes(data, 0, 5):
        node = bytearray(data[leaf : leaf + 4096])
        for number in range(struct.unpack_from("<I", node, 96)[0]):
            struct.pack_into("<II", node, 101 + 25 * number + 17, 0xFFFFFFF0, 0xFFFFFFF0)
        found = reads(Changed(FileBytes(small), {leaf: _sealed(bytes(node))}))
        changed += len(found) < 401
    assert changed
