"""Disks over the disks they stand on, beside what qemu-img and 7-Zip make of them, and built after the formats' documents."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_disks import (
    CLUSTER,
    FIRST_STATE,
    GRAIN,
    MIB,
    SECTOR,
    UNMAPPED,
    VDI_BLOCK,
    ZEROED,
    cowd,
    descriptor,
    holed,
    laid,
    qcow2,
    sesparse,
    some_bytes,
    vdi,
    vhd_dynamic,
    vhdx,
)

from forensics.digests import digest_media
from forensics.errors import ImageError, ImageReadError, SegmentMissingError, UnsupportedImageError
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

needs_qemu = pytest.mark.skipif(shutil.which("qemu-io") is None and not os.environ.get("CI"), reason="qemu-utils is not installed")
needs_7zip = pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7-Zip is not installed")
PARENT, CHILD = bytes(range(16)), bytes(range(16, 32))


def as_qemu_reads(path: Path) -> bytes:
    subprocess.run(["qemu-img", "convert", "-O", "raw", path.name, path.with_suffix(".out")], check=True, cwd=path.parent)
    return path.with_suffix(".out").read_bytes()


def written(path: Path, *commands: str) -> None:
    words = [word for command in commands for word in ("-c", command)]
    # QEMU looks for a data file from the folder where it runs.
    subprocess.run(["qemu-io", *words, path.name], check=True, stdout=subprocess.DEVNULL, cwd=path.parent)


def created(path: Path, kind: str, backing: Path, backing_format: str, *options: str) -> None:
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", kind, "-b", backing.name, "-F", backing_format, *options], check=True, cwd=path.parent
    )


def assert_reads(path: Path, media: bytes, *names: str, problems: Collection[str] = ()) -> None:
    """The image has that media, at random places too, and is made of that file and those of these names."""
    with open_image(path) as image:
        assert image.size == len(media)
        assert image.read_at(0, image.size) == media
        rng = random.Random(3)
        for offset in (rng.randrange(len(media)) for _ in range(20)):
            assert image.read_at(offset, 300_000) == media[offset : offset + 300_000]
        assert [segment.name for segment in image.segments] == [path.name, *names]
        assert [problem.code for problem in image.problems()] == list(problems)
        assert digest_media(image, on_bytes=lambda _: None).problems == ()


def over(base: bytes, parts: Mapping[int, bytes], size: int) -> bytes:
    """The base with some of its parts of that size replaced."""
    media = bytearray(base)
    for index, part in parts.items():
        media[index * size : (index + 1) * size] = part
    return bytes(media[: len(base)])


@needs_qemu
@pytest.mark.parametrize("kind", ["raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi", "parallels"])
def test_an_overlay_larger_than_its_backing_file_of_each_format(tmp_path: Path, kind: str) -> None:
    source, base, path = laid(tmp_path, "media.raw", some_bytes(2 * MIB + 3 * SECTOR)), tmp_path / f"base.{kind}", tmp_path / "over.qcow2"
    options = {"vpc": ["-o", "force_size=on"], "vhdx": ["-o", "block_size=1M"]}.get(kind, [])
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, *options, source, base], check=True)
    created(path, "qcow2", base, kind, path.name, "4M")
    written(path, "write -P 65 100k 200k", "write -P 66 3M 70k", "write -z 1M 128k")
    assert_reads(path, as_qemu_reads(path), base.name)


@needs_qemu
@pytest.mark.parametrize("options", [["-o", "compat=0.10"], ["-o", "compat=1.1"], ["-o", "cluster_size=512"]])
def test_a_chain_of_three_qcow2(tmp_path: Path, options: list[str]) -> None:
    base, middle, path = laid(tmp_path, "base.raw", some_bytes(MIB)), tmp_path / "middle.qcow2", tmp_path / "top.qcow2"
    created(middle, "qcow2", base, "raw", *options, middle.name)
    written(middle, "write -P 65 100k 200k")
    created(path, "qcow2", middle, "qcow2", *options, path.name)
    written(path, "write -P 66 250k 100k")
    assert_reads(path, as_qemu_reads(path), "middle.qcow2", "base.raw")


@needs_qemu
@pytest.mark.parametrize("options", ["data_file=data.bin", "data_file=data.bin,data_file_raw=on"])
def test_a_qcow2_with_its_data_in_another_file(tmp_path: Path, options: str) -> None:
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path.name, "2M"], check=True, cwd=tmp_path)
    written(path, "write -P 67 1M 100k")
    assert_reads(path, as_qemu_reads(path), "data.bin")


@needs_qemu
@pytest.mark.parametrize("below", ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "streamOptimized"])
@pytest.mark.parametrize("above", ["monolithicSparse", "twoGbMaxExtentSparse"])
def test_a_vmdk_snapshot_over_each_subformat(tmp_path: Path, below: str, above: str) -> None:
    source, base, path = laid(tmp_path, "media.raw", holed(2 * MIB + 5 * SECTOR)), tmp_path / "base.vmdk", tmp_path / "snap.vmdk"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={below}", source, base], check=True)
    created(path, "vmdk", base, "vmdk", "-o", f"subformat={above}", path.name)
    written(path, "write -P 65 100k 200k", "write -P 66 1900k 140k")
    extents = [one.name for one in sorted(tmp_path.glob("snap-*.vmdk"))]
    assert_reads(path, as_qemu_reads(path), *extents, "base.vmdk", *(one.name for one in sorted(tmp_path.glob("base-*.vmdk"))))


@needs_qemu
def test_a_split_vmdk_and_its_snapshot_across_the_extents_border(tmp_path: Path) -> None:
    border = 2047 * MIB  # QEMU's split; the last extent's capacity is no multiple of its grain
    base, path = tmp_path / "base.vmdk", tmp_path / "snap.vmdk"
    options = ["-o", "subformat=twoGbMaxExtentSparse", base, str(border + MIB + SECTOR)]
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", *options], check=True)
    written(base, f"write -P 65 {border - MIB} {2 * MIB + SECTOR}")
    created(path, "vmdk", base, "vmdk", "-o", "subformat=twoGbMaxExtentSparse", path.name)
    written(path, f"write -P 66 {border - SECTOR} {2 * SECTOR}")
    with open_image(path) as image:
        assert len(image.segments) == 6
        assert image.size == border + MIB + SECTOR
        part = image.read_at(border - 2 * MIB, 4 * MIB)
        assert part == bytes(MIB) + b"A" * (MIB - SECTOR) + b"B" * 2 * SECTOR + b"A" * MIB


@needs_qemu
def test_esxi_deltas_in_both_formats_over_a_flat_disk(tmp_path: Path) -> None:
    """An unmapped SESparse grain is zeros, as QEMU reads it, and not what the parent holds there."""
    count, base = 20, some_bytes(20 * GRAIN)
    laid(tmp_path, "vm-flat.vmdk", base)
    laid(tmp_path, "vm.vmdk", descriptor(f'RW {count * 8} VMFS "vm-flat.vmdk"', content="0badcafe"))
    older = {index: some_bytes(GRAIN, 100 + index) for index in (0, 3, 4, count - 1)}
    laid(tmp_path, "vm-1-delta.vmdk", cowd(older, count))
    text = descriptor(f'RW {count * 8} VMFSSPARSE "vm-1-delta.vmdk"', parent="0badcafe", hint="vm.vmdk", content="11111111")
    path = laid(tmp_path, "vm-1.vmdk", text)
    media = over(base, older, GRAIN)
    assert as_qemu_reads(path) == media
    assert_reads(path, media, "vm-1-delta.vmdk", "vm.vmdk", "vm-flat.vmdk")
    newer = {1: some_bytes(GRAIN, 201), 2: UNMAPPED, 3: UNMAPPED, 5: ZEROED, count - 2: some_bytes(GRAIN, 202)}
    laid(tmp_path, "vm-2-sesparse.vmdk", sesparse(newer, count))
    text = descriptor(f'RW {count * 8} SESPARSE "vm-2-sesparse.vmdk"', parent="11111111", hint="vm-1.vmdk", content="22222222")
    path = laid(tmp_path, "vm-2.vmdk", text)
    media = over(media, {index: bytes(GRAIN) if isinstance(grain, int) else grain for index, grain in newer.items()}, GRAIN)
    assert as_qemu_reads(path) == media
    assert_reads(path, media, "vm-2-sesparse.vmdk", "vm-1.vmdk", "vm-1-delta.vmdk", "vm.vmdk", "vm-flat.vmdk")


def test_an_sesparse_extent_with_a_journal_to_replay_is_refused(tmp_path: Path) -> None:
    laid(tmp_path, "vm-sesparse.vmdk", sesparse({}, 4, replay=1))
    with pytest.raises(UnsupportedImageError, match="its journal is not replayed here"):
        open_image(laid(tmp_path, "vm.vmdk", descriptor('RW 32 SESPARSE "vm-sesparse.vmdk"')))


def test_a_vmdk_parent_in_another_state_is_read_with_a_problem_and_another_disk_is_refused(tmp_path: Path) -> None:
    media = some_bytes(SECTOR)
    laid(tmp_path, "flat.bin", media)
    laid(tmp_path, "base.vmdk", descriptor('RW 1 FLAT "flat.bin" 0', content="0badcaff"))
    snapshot = descriptor('RW 8 SESPARSE "delta.vmdk"', parent="0badcafe", hint="C:\\VMs\\vm\\base.vmdk")
    laid(tmp_path, "delta.vmdk", sesparse({}, 1))
    with pytest.raises(ImageError, match=r"base\.vmdk beside it is another disk: it has 512 bytes where the snapshot has 4096"):
        open_image(laid(tmp_path, "snap.vmdk", snapshot))
    laid(tmp_path, "flat.bin", some_bytes(GRAIN))
    laid(tmp_path, "base.vmdk", descriptor('RW 8 FLAT "flat.bin" 0', content="0badcaff"))
    assert_reads(tmp_path / "snap.vmdk", some_bytes(GRAIN), "delta.vmdk", "base.vmdk", "flat.bin", problems=["parent-changed"])


def test_a_vmdk_of_virtualbox_finds_its_parent_by_the_identifier(tmp_path: Path) -> None:
    own, other = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"
    laid(tmp_path, "flat.bin", some_bytes(SECTOR))
    for name, identifier in (("a.vmdk", other), ("b.vmdk", own)):
        laid(tmp_path, name, descriptor('RW 1 FLAT "flat.bin" 0', lines=(f'ddb.uuid.image="{identifier}"',)))
    snapshot = descriptor("RW 1 ZERO", parent="12345678", lines=(f'ddb.uuid.parent="{own}"',))
    assert_reads(laid(tmp_path, "snap.vmdk", snapshot), bytes(SECTOR), "b.vmdk", "flat.bin")
    (tmp_path / "b.vmdk").unlink()
    with pytest.raises(SegmentMissingError, match=f"needs the parent with the identifier '{own}', which does not lie beside it"):
        open_image(tmp_path / "snap.vmdk")


def test_a_name_in_the_code_page_of_windows_is_found(tmp_path: Path) -> None:
    media = some_bytes(SECTOR)
    laid(tmp_path, "Büro-flat.vmdk", media)
    text = descriptor('RW 1 FLAT "Büro-flat.vmdk" 0').decode().replace("version=1", 'version=1\nencoding="windows-1252"')
    assert_reads(laid(tmp_path, "disk.vmdk", text.encode("cp1252")), media, "Büro-flat.vmdk")


@pytest.mark.parametrize("line", ["RW 9999999999999999999999 ZERO", "RW x ZERO", "RW 0 ZERO", "RW 9999999999999999 ZERO"])
def test_an_extent_line_that_cannot_be_read_is_never_left_out(tmp_path: Path, line: str) -> None:
    with pytest.raises(ImageError, match="states an extent that cannot be"):
        open_image(laid(tmp_path, "disk.vmdk", descriptor("RW 1 ZERO", line)))


def vhd_pair(folder: Path, size: int, own: Collection[int]) -> tuple[Path, bytes]:
    """A differencing VHD over a dynamic one, and its media."""
    base, top = some_bytes(size, 1), some_bytes(size, 2)
    laid(folder, "base.vhd", vhd_dynamic(base, identifier=PARENT))
    child = vhd_dynamic(top, identifier=CHILD, parent=(PARENT, "base.vhd"), own=own)
    parts = {sector: top[sector * SECTOR : (sector + 1) * SECTOR] for sector in own}
    return laid(folder, "child.vhd", child), over(base, parts, SECTOR)


@given(own=st.sets(st.integers(0, 40)), size=st.integers(1, 41))
@settings(max_examples=30)
def test_each_sector_of_a_differencing_vhd_comes_from_where_its_bit_says(
    tmp_path_factory: pytest.TempPathFactory, own: set[int], size: int
) -> None:
    """VHD format specification 1.0, "Data blocks": 1 in the bitmap is a sector of this disk, 0 one of the parent."""
    path, media = vhd_pair(tmp_path_factory.mktemp("vhd"), size * SECTOR, {sector for sector in own if sector < size})
    with open_image(path) as image:
        assert image.read_at(0, image.size) == media
        assert image.read_at(700, 9000) == media[700:9700]


@needs_7zip
def test_a_chain_of_three_vhd_reads_as_7_zip_reads_it(tmp_path: Path) -> None:
    size = 99 * 1024 + SECTOR
    rng = random.Random(5)
    path, media = vhd_pair(tmp_path, size, {sector for sector in range(size // SECTOR) if rng.random() < 0.5})
    own, top = {sector for sector in range(size // SECTOR) if rng.random() < 0.2}, some_bytes(size, 3)
    path = laid(tmp_path, "top.vhd", vhd_dynamic(top, identifier=b"t" * 16, parent=(CHILD, "child.vhd"), own=own))
    media = over(media, {sector: top[sector * SECTOR : (sector + 1) * SECTOR] for sector in own}, SECTOR)
    told = subprocess.run(["7z", "e", "-tvhd", "-so", path], check=True, capture_output=True)
    assert told.stdout == media
    assert_reads(path, media, "child.vhd", "base.vhd")


def test_a_vhd_parent_is_recognised_by_its_identifier_under_any_stated_path(tmp_path: Path) -> None:
    media = some_bytes(8192)
    laid(tmp_path, "Base.vhd", vhd_dynamic(media, identifier=PARENT))
    locators = {b"W2ru": "..\\gone\\other.vhd", b"W2ku": "D:\\VMs\\BASE.VHD"}
    child = vhd_dynamic(bytes(8192), parent=(PARENT, "elsewhere.vhd"), locators=locators)
    assert_reads(laid(tmp_path, "child.vhd", child), media, "Base.vhd")


def test_a_vhd_and_its_parent_of_another_size(tmp_path: Path) -> None:
    laid(tmp_path, "base.vhd", vhd_dynamic(some_bytes(4096), identifier=PARENT))
    child = vhd_dynamic(bytes(8192), parent=(PARENT, "base.vhd"))
    assert_reads(laid(tmp_path, "child.vhd", child), some_bytes(4096) + bytes(4096), "base.vhd", problems=["parent-size"])


@pytest.mark.corpus
def test_the_public_differencing_vhd_is_read_with_its_parent(corpus_image: Callable[[str], Path]) -> None:
    path = corpus_image("vhd-dfvfs-differential").with_name("image-differential.vhd")
    with open_image(path) as image:
        # What libvhdi gives, with its parent; qemu-img 7 reads no differencing VHD.
        assert digest_media(image, on_bytes=lambda _: None).md5 == "221a58695f266d7ce045f2e54926e6e2"
        assert [segment.name for segment in image.segments] == ["image-differential.vhd", "image.vhd"]


def locator(state: UUID, **paths: str) -> dict[str, str]:
    return {"parent_linkage": f"{{{state}}}", **paths}


def test_a_differencing_vhdx_with_sectors_of_both(tmp_path: Path) -> None:
    """The same file read by libvhdi 20210425 with its parent set gives the same bytes."""
    size, rng = 3 * MIB + 5 * SECTOR, random.Random(5)
    base, top = some_bytes(size, 1), some_bytes(size, 2)
    own = {sector for sector in range(size // SECTOR) if rng.random() < 0.5 and not 2048 <= sector < 4096}
    laid(tmp_path, "base.vhdx", vhdx(base))
    child = vhdx(top, own=own, data_write=UUID(int=2), locator=locator(FIRST_STATE, relative_path="..\\x\\base.vhdx"))
    media = over(base, {sector: top[sector * SECTOR : (sector + 1) * SECTOR] for sector in own}, SECTOR)
    assert_reads(laid(tmp_path, "child.vhdx", child), media, "base.vhdx")
    grandchild = vhdx(bytes(size), own=(), locator=locator(UUID(int=2), absolute_win32_path="\\\\?\\C:\\VMs\\child.vhdx"))
    assert_reads(laid(tmp_path, "grandchild.avhdx", grandchild), media, "child.vhdx", "base.vhdx")


@pytest.mark.parametrize("state", [1, 2, 3])
def test_a_block_stated_to_be_zeros_hides_the_parents(tmp_path: Path, state: int) -> None:
    """[MS-VHDX] 2.5.1.1: in these states the parent is not asked."""
    laid(tmp_path, "base.vhdx", vhdx(some_bytes(2 * MIB)))
    child = vhdx(bytes(2 * MIB), own=(), states={0: state}, locator=locator(FIRST_STATE, relative_path="base.vhdx"))
    assert_reads(laid(tmp_path, "child.vhdx", child), bytes(MIB) + some_bytes(2 * MIB)[MIB:], "base.vhdx")


@pytest.mark.parametrize("state", [4, 5, 7])
def test_a_block_in_a_state_that_cannot_be_is_an_error(tmp_path: Path, state: int) -> None:
    image = open_image(laid(tmp_path, "disk.vhdx", vhdx(some_bytes(MIB), states={0: state})))
    with image, pytest.raises(ImageReadError, match=f"block 0 is in the state {state}"):
        image.read_at(0, 1)


def test_a_differencing_vdi_is_read_over_the_disk_with_the_stated_identifier(tmp_path: Path) -> None:
    base, top = some_bytes(100 * 1024, 1), bytearray(some_bytes(100 * 1024, 2))
    free = range(0, 25, 3)
    for index in free:
        top[index * VDI_BLOCK : (index + 1) * VDI_BLOCK] = bytes(VDI_BLOCK)
    laid(tmp_path, "another.vdi", vdi(bytes(100 * 1024), own=(CHILD, CHILD)))
    laid(tmp_path, "base.vdi", vdi(base, own=(PARENT, PARENT)))
    media = over(bytes(top), {index: base[index * VDI_BLOCK : (index + 1) * VDI_BLOCK] for index in free if index != 3}, VDI_BLOCK)
    child = vdi(bytes(top), kind=4, own=(b"c" * 16, b"c" * 16), parent=(PARENT, PARENT), zeroed=(3,))
    assert_reads(laid(tmp_path, "child.vdi", child), media, "base.vdi")
    later = vdi(bytes(top), kind=4, own=(b"c" * 16, b"c" * 16), parent=(PARENT, CHILD), zeroed=(3,))
    assert_reads(laid(tmp_path, "child.vdi", later), media, "base.vdi", problems=["parent-changed"])
    (tmp_path / "base.vdi").unlink()
    with pytest.raises(SegmentMissingError, match="needs the parent with the identifier '03020100-0504-0706-0809-0a0b0c0d0e0f'"):
        open_image(tmp_path / "child.vdi")


def test_a_raw_backing_file_that_looks_like_qcow2_is_read_raw(tmp_path: Path) -> None:
    """A guest can write any header to the first bytes of its raw disk, and name a file in it."""
    base = qcow2(bytes(CLUSTER), backing=b"/etc/passwd")
    laid(tmp_path, "base.raw", base)
    path = laid(tmp_path, "disk.qcow2", qcow2(bytes(len(base)), backing=b"base.raw", backing_format=b"raw"))
    assert_reads(path, base, "base.raw")


def test_a_backing_file_of_another_format_than_stated_is_refused(tmp_path: Path) -> None:
    laid(tmp_path, "base", some_bytes(CLUSTER))
    with pytest.raises(ImageError, match="states that its backing file base is qcow2, and it is raw"):
        open_image(laid(tmp_path, "a.qcow2", qcow2(bytes(CLUSTER), backing=b"base", backing_format=b"qcow2")))
    with pytest.raises(UnsupportedImageError, match=r"of the format 'x\\x1b'"):
        open_image(laid(tmp_path, "b.qcow2", qcow2(bytes(CLUSTER), backing=b"base", backing_format=b"x\x1b")))


def test_what_the_parent_cannot_give_is_an_error_that_names_it(tmp_path: Path) -> None:
    laid(tmp_path, "base.qcow2", qcow2(some_bytes(4 * CLUSTER))[:-100])
    path = laid(tmp_path, "disk.qcow2", qcow2(bytes(4 * CLUSTER), backing=b"base.qcow2", backing_format=b"qcow2"))
    with open_image(path) as image:
        with pytest.raises(ImageReadError, match=r"in its parent base\.qcow2, bytes 0 to 511 of the media cannot be read"):
            image.read_at(0, 1)
        assert image.read_at(CLUSTER, 3 * CLUSTER) == some_bytes(4 * CLUSTER)[CLUSTER:]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("disk.vhd", vhd_dynamic(some_bytes(8192), parent=(PARENT, "base"), own=range(0, 16, 2), locators={b"W2ru": "base"})),
        ("disk.vhdx", vhdx(some_bytes(MIB), own=range(0, 2048, 3), locator=locator(FIRST_STATE, relative_path="base"))),
        ("disk.vdi", vdi(holed(60000), kind=4, parent=(PARENT, PARENT))),
        ("disk.qcow2", qcow2(holed(20000), backing=b"base", data_file=b"base")),
        ("disk.vmdk", descriptor('RW 32 VMFSSPARSE "delta"', parent="0badcafe", hint="base")),
        ("delta", cowd({1: some_bytes(GRAIN)}, 4)),
        ("delta", sesparse({1: some_bytes(GRAIN), 2: UNMAPPED}, 4)),
    ],
    ids=["vhd", "vhdx", "vdi", "qcow2", "vmdk", "cowd", "sesparse"],
)
def test_damage_gives_our_errors_and_no_others(tmp_path: Path, name: str, data: bytes) -> None:
    rng = random.Random(11)
    bases = {
        "disk.vhd": vhd_dynamic(some_bytes(8192), identifier=PARENT),
        "disk.vhdx": vhdx(some_bytes(MIB)),
        "disk.vdi": vdi(some_bytes(60000), own=(PARENT, PARENT)),
        "disk.qcow2": some_bytes(20000),
    }
    laid(tmp_path, "delta", cowd({1: some_bytes(GRAIN)}, 4))
    laid(tmp_path, "base", bases.get(name, descriptor("RW 32 ZERO", content="0badcafe")))
    outer = laid(tmp_path, "outer.vmdk", descriptor(f'RW 32 {"SESPARSE" if data[0] == 0xBE else "VMFSSPARSE"} "delta"'))
    # VHDX keeps its tables at fixed places, far from the start.
    places = [64 << 10, 192 << 10, 2 * MIB, 2 * MIB + (64 << 10), 3 * MIB] if name == "disk.vhdx" else [0]
    outcomes = set()
    for _ in range(150 if name != "disk.vhdx" else 40):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[min(len(data) - 1, rng.choice(places) + rng.randrange(min(600, len(data))))] = rng.randrange(256)
        path = laid(tmp_path, name, bytes(damaged[: rng.randrange(len(data) // 2, 2 * len(data))]))
        try:
            with open_image(outer if name == "delta" else path) as image:
                outcomes.add("opened")
                image.read_at(rng.randrange(image.size), 100_000)
        except (ImageError, ImageReadError) as error:
            outcomes.add("refused" if str(error).isprintable() else str(error))
    assert outcomes <= {"opened", "refused"}
    assert "refused" in outcomes
