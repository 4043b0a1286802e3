"""What an image refers to is hostile: names inside it are looked up in its own folder only, and refused by name."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_files import can_be_listed, left_open, open_files
from virtual_disks import (
    CLUSTER,
    NOTHING,
    ROOT,
    TOP,
    cowd,
    descriptor,
    hds,
    laid,
    parallels_storage,
    parallels_xml,
    qcow2,
    sesparse,
    some_bytes,
    vdi,
    vhd_dynamic,
    vhdx,
)

from forensics.containers.beside import Beside, Reference
from forensics.containers.lineage import MAX_LAYERS
from forensics.errors import ImageError, SegmentMissingError, UnsupportedImageError
from forensics.exhibit import SourceFile
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARENT = bytes(range(16))
LINK = {"parent_linkage": "{00000000-0000-0000-0000-000000000001}"}


def overlay(name: str) -> bytes:
    return qcow2(bytes(CLUSTER), backing=name.encode(), backing_format=b"raw")


def with_data_file(name: str) -> bytes:
    return qcow2(bytes(CLUSTER), features=1 << 2, data_file=name.encode())


def flat_vmdk(name: str) -> bytes:
    return descriptor(f'RW 1 FLAT "{name}" 0')


def sparse_vmdk(name: str) -> bytes:
    return descriptor(f'RW 8 VMFSSPARSE "{name}"')


def vmdk_snapshot(name: str) -> bytes:
    return descriptor("RW 1 ZERO", parent="0badcafe", hint=name)


def vhd_child(name: str) -> bytes:
    return vhd_dynamic(bytes(4096), parent=(PARENT, name), own=(0,))


def vhd_child_by_locator(name: str) -> bytes:
    return vhd_dynamic(bytes(4096), parent=(PARENT, ""), own=(0,), locators={b"W2ku": name})


def vhdx_child(name: str) -> bytes:
    return vhdx(bytes(1 << 20), own=(0,), locator={**LINK, "absolute_win32_path": name})


def parallels_disk(name: str) -> bytes:
    return parallels_xml(parallels_storage(0, 1, (TOP, "Plain", name)))


FORMATS = {
    "disk.qcow2": overlay,
    "data.qcow2": with_data_file,
    "flat.vmdk": flat_vmdk,
    "sparse.vmdk": sparse_vmdk,
    "snapshot.vmdk": vmdk_snapshot,
    "child.vhd": vhd_child,
    "located.vhd": vhd_child_by_locator,
    "child.vhdx": vhdx_child,
    "DiskDescriptor.xml": parallels_disk,
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "stated",
    ["/etc/passwd", "../../../../etc/passwd", "C:\\Windows\\passwd", "\\\\server\\share\\passwd", "file:///etc/passwd", "sub/../../passwd"],
)
def test_a_file_outside_the_folder_is_refused_by_name_and_never_opened(tmp_path: Path, name: str, stated: str) -> None:
    folder = tmp_path / "case"
    (folder / "sub").mkdir(parents=True)
    # A FIFO would block whoever opened it; a disk that fits would be taken.
    os.mkfifo(tmp_path / "passwd")
    laid(folder / "sub", "passwd", some_bytes(4096))
    path = laid(folder, name, FORMATS[name](stated))
    with pytest.raises(ImageError, match=re.escape(f"'{stated}'")) as caught:
        open_image(path)
    assert isinstance(caught.value, SegmentMissingError | UnsupportedImageError)
    assert "nothing outside its folder is opened" in str(caught.value)


@pytest.mark.parametrize("name", ["flat.vmdk", "sparse.vmdk"])
def test_an_extent_in_another_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    laid(tmp_path / "sub", "extent", some_bytes(4096))
    with pytest.raises(UnsupportedImageError, match=r"'sub/extent', no plain name; nothing outside its folder is opened"):
        open_image(laid(tmp_path, name, FORMATS[name]("sub/extent")))


@pytest.mark.parametrize("stated", ["sub/base.raw", "./sub/base.raw", "file:sub/base.raw"])
@pytest.mark.parametrize("name", ["disk.qcow2", "data.qcow2"])
def test_a_file_below_the_own_folder_is_taken_where_it_is_stated_to_lie(tmp_path: Path, name: str, stated: str) -> None:
    (tmp_path / "sub").mkdir()
    base = some_bytes(CLUSTER)
    laid(tmp_path / "sub", "base.raw", base)
    laid(tmp_path, "base.raw", bytes(CLUSTER))
    with open_image(laid(tmp_path, name, FORMATS[name](stated))) as image:
        assert [segment.path for segment in image.segments] == [tmp_path / name, tmp_path / "sub" / "base.raw"]
        assert "reference-moved" not in [problem.code for problem in image.problems()]
        if name == "disk.qcow2":
            assert image.read_at(0, CLUSTER) == base


def test_a_differencing_disk_finds_its_parent_below_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    base = some_bytes(4096)
    laid(tmp_path / "sub", "base.vhd", vhd_dynamic(base, identifier=PARENT))
    with open_image(laid(tmp_path, "disk.vhd", vhd_dynamic(bytes(4096), parent=(PARENT, ".\\sub\\base.vhd"), own=()))) as image:
        assert image.read_at(0, 4096) == base


def test_what_a_file_below_names_is_looked_for_beside_it_first(tmp_path: Path) -> None:
    """A relative name counts from the file that states it (QEMU docs/interop/qcow2.rst, "backing file name")."""
    (tmp_path / "sub").mkdir()
    base = some_bytes(CLUSTER)
    laid(tmp_path / "sub", "base.raw", base)
    laid(tmp_path, "base.raw", bytes(CLUSTER))
    laid(tmp_path / "sub", "middle.qcow2", qcow2(bytes(CLUSTER), backing=b"base.raw", backing_format=b"raw"))
    with open_image(laid(tmp_path, "top.qcow2", qcow2(bytes(CLUSTER), backing=b"sub/middle.qcow2"))) as image:
        assert image.segments[-1].path == tmp_path / "sub" / "base.raw"
        assert image.read_at(0, CLUSTER) == base


def test_no_folder_is_entered_through_a_link(tmp_path: Path) -> None:
    case, outside = tmp_path / "case", tmp_path / "outside"
    case.mkdir()
    outside.mkdir()
    laid(outside, "base.raw", some_bytes(CLUSTER))
    (case / "sub").symlink_to(outside)
    with pytest.raises(SegmentMissingError, match=r"'sub/base\.raw', and no file of that name lies beside it"):
        open_image(laid(case, "disk.qcow2", overlay("sub/base.raw")))
    (case / "sub").unlink()
    (case / "sub").mkdir()
    (case / "sub" / "base.raw").symlink_to(outside / "base.raw")
    with pytest.raises(UnsupportedImageError, match=r"'sub/base\.raw', which is a symbolic link"):
        open_image(case / "disk.qcow2")


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SegmentMissingError, match=r"needs the .* 'base\.disk', which does not lie beside it; put it into the same folder"):
        open_image(laid(tmp_path, name, FORMATS[name]("base.disk")))


@pytest.mark.parametrize("name", FORMATS)
def test_a_link_a_fifo_and_a_folder_beside_it_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    path = laid(folder, name, FORMATS[name]("base.disk"))
    (folder / "base.disk").symlink_to(laid(tmp_path, "secret", some_bytes(4096)))
    with pytest.raises(UnsupportedImageError, match=r"'base\.disk', which is a symbolic link"):
        open_image(path)
    (folder / "base.disk").unlink()
    os.mkfifo(folder / "base.disk")
    with pytest.raises(ImageError, match=r"base\.disk: is a FIFO"):
        open_image(path)
    (folder / "base.disk").unlink()
    (folder / "base.disk").mkdir()
    with pytest.raises(ImageError, match=r"base\.disk: is a folder"):
        open_image(path)


@pytest.mark.parametrize("stated", ["json:{}", "nbd://host/disk", "https://host/disk.raw", "..", ".", "sub/", "a\0b", "fat:/etc"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, stated: str) -> None:
    laid(tmp_path, "disk", some_bytes(512))
    with pytest.raises(UnsupportedImageError, match=r"no name of a file|a path that climbs") as caught:
        open_image(laid(tmp_path, "disk.qcow2", overlay(stated)))
    assert str(caught.value).isprintable()


def test_a_name_that_acts_on_a_terminal_is_escaped(tmp_path: Path) -> None:
    with pytest.raises(SegmentMissingError, match=r"'base\\x1b\[2J\\xff'"):
        open_image(laid(tmp_path, "disk.qcow2", qcow2(bytes(CLUSTER), backing=b"base\x1b[2J\xff")))


def test_a_backing_file_that_was_moved_is_taken_and_a_problem_says_so(tmp_path: Path) -> None:
    base = some_bytes(CLUSTER)
    laid(tmp_path, "base.raw", base)
    with open_image(laid(tmp_path, "disk.qcow2", overlay("/var/lib/images/base.raw"))) as image:
        assert image.read_at(0, CLUSTER) == base
        problems = image.problems()
        assert [problem.code for problem in problems] == ["reference-moved"]
        assert "'/var/lib/images/base.raw'; base.raw beside it" in problems[0].what
    with open_image(laid(tmp_path, "plain.qcow2", overlay("base.raw"))) as image:
        assert image.problems() == ()
    with pytest.raises(UnsupportedImageError, match="a path that climbs"):
        open_image(laid(tmp_path, "climbs.qcow2", overlay("../base.raw")))


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.qcow2", qcow2(bytes(CLUSTER), backing=b"a.qcow2", backing_format=b"qcow2"), "a.qcow2: is its own parent, through 1 disks"),
        ("a.vmdk", vmdk_snapshot("a.vmdk"), "a.vmdk: is its own parent, through 1 disks"),
        ("a.vhd", vhd_dynamic(bytes(4096), identifier=PARENT, parent=(PARENT, "a.vhd"), own=(0,)), "a.vhd: is its own parent"),
        ("a.vhdx", vhdx(bytes(1 << 20), own=(0,), locator={**LINK, "relative_path": "a.vhdx"}), "a.vhdx: is its own parent"),
        ("a.vdi", vdi(bytes(8192), kind=4, own=(PARENT, PARENT), parent=(PARENT, PARENT)), "a.vdi: is its own parent"),
        (
            "DiskDescriptor.xml",
            parallels_xml(parallels_storage(0, 1, (TOP, "Plain", "a")), shots={TOP: ROOT, ROOT: TOP}),
            "snapshots are a loop",
        ),
    ],
)
def test_a_disk_that_is_its_own_parent_is_refused(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    laid(tmp_path, "a", bytes(512))
    with pytest.raises(ImageError, match=told):
        open_image(laid(tmp_path, name, data))


def test_a_loop_of_two_and_the_same_file_under_another_name_are_seen(tmp_path: Path) -> None:
    laid(tmp_path, "a.qcow2", qcow2(bytes(CLUSTER), backing=b"b.qcow2", backing_format=b"qcow2"))
    laid(tmp_path, "b.qcow2", qcow2(bytes(CLUSTER), backing=b"c.qcow2", backing_format=b"qcow2"))
    (tmp_path / "c.qcow2").hardlink_to(tmp_path / "a.qcow2")
    with pytest.raises(ImageError, match=r"c\.qcow2: is its own parent, through 2 disks; the chain is a loop"):
        open_image(tmp_path / "a.qcow2")


def test_a_chain_of_the_stated_depth_is_read_and_a_deeper_one_refused(tmp_path: Path) -> None:
    media = some_bytes(CLUSTER)
    laid(tmp_path, "0.qcow2", qcow2(media))
    for number in range(1, MAX_LAYERS + 1):
        laid(tmp_path, f"{number}.qcow2", qcow2(bytes(CLUSTER), backing=b"%d.qcow2" % (number - 1), backing_format=b"qcow2"))
    with open_image(tmp_path / f"{MAX_LAYERS - 1}.qcow2") as image:
        assert image.read_at(0, CLUSTER) == media
        assert len(image.segments) == MAX_LAYERS
    with pytest.raises(ImageError, match=f"stands on more than {MAX_LAYERS} disks"):
        open_image(tmp_path / f"{MAX_LAYERS}.qcow2")


@can_be_listed
def test_a_chain_that_is_refused_leaves_no_file_open(tmp_path: Path) -> None:
    laid(tmp_path, "base.qcow2", qcow2(bytes(CLUSTER))[:1000])
    laid(tmp_path, "middle.qcow2", qcow2(bytes(CLUSTER), backing=b"base.qcow2"))
    path = laid(tmp_path, "top.qcow2", qcow2(bytes(CLUSTER), backing=b"middle.qcow2"))
    before = open_files()
    with pytest.raises(ImageError, match=r"base\.qcow2: is cut off"):
        open_image(path)
    assert not left_open(before)


@pytest.mark.parametrize(
    ("name", "build", "other", "told"),
    [
        ("disk.vhd", lambda: vhd_child("C:\\VMs\\Base.VHD"), vhd_dynamic(bytes(4096), identifier=b"x" * 16), "its identifier is 78787878-"),
        ("disk.vhdx", lambda: vhdx_child("..\\Base.vhd"), vhdx(bytes(1 << 20), data_write=UUID(int=5)), "in the state 0{8}-.*5, the one"),
        ("disk.vmdk", lambda: vmdk_snapshot("Base.bin"), some_bytes(4096), "base.bin beside it is not that one: it is no VMDK"),
        ("disk.vhd", lambda: vhd_child("Base.vhd"), some_bytes(4096), "it is no VHD"),
    ],
)
def test_what_lies_there_and_is_another_disk_is_refused(
    tmp_path: Path, name: str, build: Callable[[], bytes], other: bytes, told: str
) -> None:
    laid(tmp_path, "base.bin" if name == "disk.vmdk" else "base.vhd", other)
    with pytest.raises(ImageError, match=told):
        open_image(laid(tmp_path, name, build()))


def test_an_extent_without_its_descriptor_is_refused(tmp_path: Path) -> None:
    """What such a file does not hold lies in a parent or in other extents, and only the descriptor says so."""
    for name, data in (("vm-000001-delta.vmdk", cowd({}, 4)), ("vm-sesparse.vmdk", sesparse({}, 4))):
        with pytest.raises(UnsupportedImageError, match=r"is one extent of a larger VMDK.*give the descriptor file that lists it"):
            open_image(laid(tmp_path, name, data))


def test_one_file_of_a_disk_folder_is_refused(tmp_path: Path) -> None:
    laid(tmp_path, "base.hds", hds({}, 4))
    path = laid(tmp_path, "top.hds", hds({}, 4))
    storage = parallels_storage(0, 32, (ROOT, "Compressed", "base.hds"), (TOP, "Compressed", "top.hds"))
    laid(tmp_path, "DiskDescriptor.xml", parallels_xml(storage, shots={TOP: ROOT, ROOT: NOTHING}))
    with pytest.raises(UnsupportedImageError, match="is one of several files of a Parallels disk; give its folder"):
        open_image(path)


@pytest.mark.corpus
def test_the_public_overlay_over_etc_passwd_is_refused_though_a_passwd_lies_in_another_folder(
    tmp_path: Path, bad_input: Callable[[str], Path]
) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    laid(tmp_path, "passwd", some_bytes(4096))
    path = laid(folder, "disk.qcow2", bad_input("qcow2_backing_etc_passwd.qcow2.xz").read_bytes())
    with pytest.raises(SegmentMissingError, match="needs the backing file '/etc/passwd', and no file of that name lies beside it"):
        open_image(path)


@given(stated=st.text(st.sampled_from("ab./\\:\0"), max_size=12))
def test_no_name_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, stated: str) -> None:
    """Whatever a name is, what is opened lies in the folder of the exhibit's first file or below it."""
    outer = tmp_path_factory.getbasetemp() / "names"
    folder = outer / "a" / "b"
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / "b").mkdir()
        for place in (outer, outer / "a", folder, folder / "b"):
            for name in ("ab", "ba", "aa", "bb"):
                laid(place, name, b"x")
    first = SourceFile(folder / "ab")
    beside = Beside(first)
    for open_one in (beside.open_plain, beside.open_moved, lambda reference: beside.open_known(reference, lambda _: "")):
        try:
            opened = open_one(Reference(by=first, role="parent", names=(stated,)))
        except ImageError:
            continue
        assert opened.path.resolve().is_relative_to(folder.resolve())
    beside.release()
    first.release()
