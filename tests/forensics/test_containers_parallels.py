"""Parallels disks: one file beside what qemu-img makes of it, and disk folders built after QEMU's document of them."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from virtual_disks import NOTHING, ROOT, SECTOR, TOP, hds, laid, parallels_storage, parallels_xml, some_bytes

from forensics.containers.parallels import descriptor_in, is_disk_folder
from forensics.errors import ImageError, ImageReadError, SegmentMissingError, UnsupportedImageError
from forensics.image import open_image

if TYPE_CHECKING:
    from pathlib import Path

needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None and not os.environ.get("CI"), reason="qemu-utils is not installed")
BLOCK = 4096
SNAPSHOTS = {TOP: ROOT, ROOT: NOTHING}


def block(number: int) -> bytes:
    return some_bytes(BLOCK, 100 + number)


def joined(blocks: dict[int, bytes], count: int) -> bytes:
    return b"".join(blocks.get(index, bytes(BLOCK)) for index in range(count))


@needs_qemu
@pytest.mark.parametrize("older", [False, True])
def test_one_file_of_either_format_reads_as_qemu_img_reads_it(tmp_path: Path, older: bool) -> None:
    blocks = {index: block(index) for index in (7, 0, 2)}
    path = laid(tmp_path, "disk.hds", hds(blocks, 9, older=older))
    subprocess.run(["qemu-img", "convert", "-f", "parallels", "-O", "raw", path, tmp_path / "out"], check=True)
    with open_image(path) as image:
        assert image.container == "parallels"
        assert image.read_at(0, image.size) == (tmp_path / "out").read_bytes() == joined(blocks, 9)
        assert image.read_at(BLOCK - 3, BLOCK) == joined(blocks, 9)[BLOCK - 3 :][:BLOCK]
        assert image.problems() == ()


@needs_qemu
def test_a_disk_that_qemu_img_wrote_reads_back(tmp_path: Path) -> None:
    media = some_bytes(1 << 20) + bytes(2 << 20) + some_bytes(5 * SECTOR)
    path, source = tmp_path / "disk.hdd", laid(tmp_path, "media.raw", media)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "parallels", source, path], check=True)
    with open_image(path) as image:
        assert image.read_at(0, image.size) == media


def test_a_disk_folder_is_opened_by_itself_and_by_its_descriptor(tmp_path: Path) -> None:
    folder = tmp_path / "disk.hdd"
    folder.mkdir()
    media = some_bytes(3 * SECTOR)
    laid(folder, "root.hds", media)
    path = laid(folder, "DiskDescriptor.xml", parallels_xml(parallels_storage(0, 3, (TOP, "Plain", "root.hds"))))
    assert is_disk_folder(folder)
    assert not is_disk_folder(path)
    assert not is_disk_folder(tmp_path)
    assert descriptor_in(folder) == descriptor_in(path) == path
    for opened in (folder, path):
        with open_image(opened) as image:
            assert (image.path, image.container) == (opened, "parallels")
            assert image.read_at(0, image.size) == media
            assert [segment.name for segment in image.segments] == ["DiskDescriptor.xml", "root.hds"]
    with open_image(tmp_path) as around:
        assert around.container == "folder"


def test_a_split_disk_with_snapshots_is_read_from_its_newest_state(tmp_path: Path) -> None:
    middle = "{22222222-2222-2222-2222-222222222222}"
    base, second = {0: block(0), 1: block(1), 3: block(3)}, some_bytes(2 * BLOCK + SECTOR, 5)
    newer, newest = {1: block(11), 2: block(12)}, {2: block(22)}
    laid(tmp_path, "0.root", hds(base, 4))
    laid(tmp_path, "0.middle", hds(newer, 4, older=True))
    laid(tmp_path, "0.top", hds(newest, 4))
    laid(tmp_path, "1.root", second)
    laid(tmp_path, "1.middle", hds({}, 3))
    laid(tmp_path, "1.top", hds({1: block(31)}, 3))
    first = [(ROOT, "Compressed", "0.root"), (TOP, "Compressed", "0.top"), (middle, "Compressed", "0.middle")]
    last = [(ROOT, "Plain", "1.root"), (middle, "Compressed", "1.middle"), (TOP, "Compressed", "1.top")]
    storages = parallels_storage(32, 49, *last), parallels_storage(0, 32, *first)
    shots = {TOP: middle, middle: ROOT, ROOT: NOTHING}
    path = laid(tmp_path, "DiskDescriptor.xml", parallels_xml(*storages, shots=shots))
    media = joined({**base, **newer, **newest}, 4) + second[:BLOCK] + block(31) + second[2 * BLOCK :]
    with open_image(path) as image:
        assert image.size == 49 * SECTOR
        assert image.read_at(0, image.size) == media
        rng = random.Random(1)
        for offset in (rng.randrange(len(media)) for _ in range(20)):
            assert image.read_at(offset, 9000) == media[offset : offset + 9000]
        names = ["DiskDescriptor.xml", "0.root", "0.middle", "0.top", "1.root", "1.middle", "1.top"]
        assert [segment.name for segment in image.segments] == names
    # docs/interop/prl-xml.rst, "Snapshots element": where TopGUID is given, it names the newest state.
    told = parallels_xml(*storages, shots=shots).replace(b"<Snapshots>", f"<Snapshots><TopGUID>{middle}</TopGUID>".encode())
    with open_image(laid(tmp_path, "DiskDescriptor.xml", told)) as image:
        assert image.read_at(0, image.size) == joined({**base, **newer}, 4) + second


def test_a_file_stated_by_a_path_is_taken_from_the_folder_with_a_problem(tmp_path: Path) -> None:
    laid(tmp_path, "root.hds", bytes(SECTOR))
    storage = parallels_storage(0, 1, (TOP, "Plain", "/Users/x/Parallels/vm.pvm/disk.hdd/root.hds"))
    with open_image(laid(tmp_path, "DiskDescriptor.xml", parallels_xml(storage))) as image:
        assert [problem.code for problem in image.problems()] == ["reference-moved"]


def test_a_file_in_use_is_a_problem(tmp_path: Path) -> None:
    with open_image(laid(tmp_path, "disk.hds", hds({}, 2, in_use=0x746F6E59))) as image:
        assert [problem.code for problem in image.problems()] == ["parallels-in-use"]


PLAIN = parallels_storage(0, 1, (TOP, "Plain", "root.hds"))


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        (parallels_xml(PLAIN, before='<!DOCTYPE x [<!ENTITY a "b">]>'), ImageError, "has a document type"),
        (parallels_xml(PLAIN, before='<!DOCTYPE x SYSTEM "file:///etc/passwd">'), ImageError, "has a document type"),
        (parallels_xml(PLAIN)[:-20], ImageError, "is no descriptor of a Parallels disk that can be read"),
        (parallels_xml(PLAIN, extra="<Padding>1</Padding>"), UnsupportedImageError, "is padded"),
        (parallels_xml(PLAIN, extra=f"<Encryption><Engine>{ROOT}</Engine></Encryption>"), UnsupportedImageError, "is encrypted"),
        (parallels_xml(), ImageError, "lists 0 storages"),
        (parallels_xml(parallels_storage(1, 2, (TOP, "Plain", "root.hds"))), ImageError, "do not tile the disk"),
        (parallels_xml(parallels_storage(0, 2, (TOP, "Plain", "root.hds"))), ImageError, r"root\.hds: is cut off"),
        (parallels_xml(parallels_storage(0, 1, (ROOT, "Plain", "root.hds"))), ImageError, "names no file for the snapshot 5fbaabe3"),
        (parallels_xml(parallels_storage(0, 1, (TOP, "Other", "root.hds"))), ImageError, "an image of the type Other"),
        (parallels_xml(parallels_storage(0, 1, (TOP, "Compressed", "root.hds"))), ImageError, "is no file of Parallels' blocks"),
        (parallels_xml(PLAIN, shots={TOP: ROOT}), ImageError, "does not describe the snapshot 11111111"),
        (parallels_xml(PLAIN, shots=SNAPSHOTS), ImageError, "names no file for the snapshot 11111111"),
        (parallels_xml(PLAIN).replace(b"<Start>0", b"<Start>1e9"), ImageError, "1e9 is no number of sectors"),
        (
            parallels_xml(parallels_storage(0, 1, (TOP, "Plain", "gone.hds"))),
            SegmentMissingError,
            r"file of the disk 'gone\.hds'",
        ),
    ],
)
def test_a_descriptor_that_cannot_be_is_refused_and_says_why(tmp_path: Path, data: bytes, error: type[ImageError], told: str) -> None:
    laid(tmp_path, "root.hds", bytes(SECTOR))
    with pytest.raises(error, match=told) as caught:
        open_image(laid(tmp_path, "DiskDescriptor.xml", data))
    assert str(caught.value).isprintable()


def test_a_file_cut_off_gives_errors_and_never_zeros(tmp_path: Path) -> None:
    path = laid(tmp_path, "disk.hds", hds({0: block(0), 1: block(1)}, 2)[:-100])
    with open_image(path) as image:
        assert image.read_at(0, BLOCK) == block(0)
        with pytest.raises(ImageReadError, match="cut off or damaged"):
            image.read_at(BLOCK, 1)
    with pytest.raises(ImageError, match="cut off inside its block table"):
        open_image(laid(tmp_path, "short.hds", hds({}, 2000)[:1000]))


def test_damage_gives_our_errors_and_no_others(tmp_path: Path) -> None:
    rng, outcomes = random.Random(2), set()
    laid(tmp_path, "root.hds", bytes(SECTOR))
    for name, data in (("disk.hds", hds({0: block(0)}, 4)), ("DiskDescriptor.xml", parallels_xml(PLAIN))):
        for _ in range(200):
            damaged = bytearray(data)
            damaged[rng.randrange(min(80, len(data)))] = rng.randrange(256)
            damaged[rng.randrange(len(data))] = rng.randrange(256)
            try:
                with open_image(laid(tmp_path, name, bytes(damaged[: rng.randrange(1, 3 * len(data))]))) as image:
                    image.read_at(0, 100_000)
                    outcomes.add("opened")
            except (ImageError, ImageReadError) as error:
                outcomes.add("refused" if str(error).isprintable() else str(error))
        (tmp_path / name).unlink()
    assert outcomes == {"opened", "refused"}
