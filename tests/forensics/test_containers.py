"""Virtual disks: small ones built here after the formats' documents, public ones beside what qemu-img makes of them."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_disks import CLUSTER, descriptor, holed, laid, qcow2, some_bytes, vdi, vhd_dynamic, vhd_footer

from forensics.digests import digest_media
from forensics.errors import ImageError, ImageReadError, UnsupportedImageError
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "media", "build"),
    [
        ("disk.qcow2", holed(30 * 1024 + 512), qcow2),
        ("disk.vdi", holed(100 * 1024), vdi),
        ("disk.vhd", holed(99 * 1024 + 512), vhd_dynamic),
        ("disk.vhd", some_bytes(10 * 1024 + 512), lambda media: media + vhd_footer(len(media), 2, 2**64 - 1)),
    ],
    ids=["qcow2", "vdi", "vhd dynamic", "vhd fixed"],
)
def test_reads_at_random_places_are_slices_of_the_media(tmp_path: Path, name: str, media: bytes, build: Callable[[bytes], bytes]) -> None:
    with open_image(laid(tmp_path, name, build(media))) as image:
        assert image.container == name.rsplit(".", 1)[1]
        assert image.size == len(media)
        assert image.read_at(0, len(media)) == media

        @given(offset=st.integers(0, len(media) + 10), length=st.integers(0, 40000))
        def check(offset: int, length: int) -> None:
            """`read_at(o, n)` is `media[o : o + n]`, across blocks that do not lie in order."""
            assert image.read_at(offset, length) == media[offset : offset + length]

        check()
        assert image.problems() == ()


def test_compressed_clusters_are_read(tmp_path: Path) -> None:
    media = b"".join(bytes([index]) * 256 + some_bytes(256, index) for index in range(20))
    with open_image(laid(tmp_path, "disk.qcow2", qcow2(media, compressed=(0, 7, 19)))) as image:
        assert image.read_at(0, len(media)) == media


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("identifier", "container", "sha256"),
    [
        # qemu-img convert -O raw IMAGE OUT; sha256sum OUT
        ("qcow2-ext2-dfvfs", "qcow2", "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80"),
        ("qcow2-vss-plaso", "qcow2", "5cba558cfac0916cae697d2231dc1e17874aa262f2890f5236fb9c90b9610d0a"),
        ("linux-open", "qcow2", "337373a9504e521cb79f2c6101bca98ef7f61d3b07c29edba6545cbcc46f0bcb"),
        ("vhd-ext2-dfvfs", "vhd", "870be7ae16c1fa8faab05c6eb9205dc9a7ae35c5f552c5cf8a267c0bc6a5cb99"),
        ("vmdk-ext2-dfvfs", "vmdk", "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80"),
        ("vmdk-plaso", "vmdk", "854c3db1c4a07a241e2ed9fbd8892adf2adc662c7862a75deed26f3483f414c9"),
        ("vmdk-stream-opt", "vmdk", "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"),
        ("hv-fixed-vhdx", "vhdx", "bc0be4623b15aa84216fb31ba24e3b621ec7f1c72d198c990ac0eced222d9f62"),
    ],
)
def test_public_virtual_disks_have_the_digest_of_what_qemu_img_gives(
    corpus_image: Callable[[str], Path], identifier: str, container: str, sha256: str
) -> None:
    with open_image(corpus_image(identifier)) as image:
        digests = digest_media(image, on_bytes=lambda _: None)
        assert (image.container, digests.sha256) == (container, sha256)
        assert (image.problems(), digests.problems) == ((), ())


@pytest.mark.skipif(shutil.which("qemu-img") is None and not os.environ.get("CI"), reason="qemu-img is not installed")
@pytest.mark.parametrize(
    ("extension", "options"),
    [
        ("vhdx", ["-O", "vhdx", "-o", "subformat=dynamic,block_size=1M"]),
        ("vdi", ["-O", "vdi"]),
        ("vhd", ["-O", "vpc", "-o", "force_size=on"]),
        ("qcow2", ["-O", "qcow2", "-c"]),
        ("qcow2", ["-O", "qcow2", "-o", "compat=0.10"]),
        ("qcow2", ["-O", "qcow2", "-c", "-o", "compat=0.10"]),
        ("qcow2", ["-O", "qcow2", "-c", "-o", "compression_type=zstd"]),
        ("qcow2", ["-O", "qcow2", "-o", "cluster_size=2M"]),
        ("vmdk", ["-O", "vmdk", "-o", "subformat=streamOptimized"]),
        ("vmdk", ["-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"]),
        ("vmdk", ["-O", "vmdk", "-o", "subformat=monolithicFlat"]),
    ],
)
def test_a_disk_that_qemu_img_wrote_reads_back(tmp_path: Path, extension: str, options: list[str]) -> None:
    media = some_bytes(2 << 20) + bytes(2 << 20) + some_bytes((1 << 20) + 5 * 512, 2)
    source, target = laid(tmp_path, "media.bin", media), tmp_path / f"disk.{extension}"
    subprocess.run(["qemu-img", "convert", "-f", "raw", *options, source, target], check=True)
    with open_image(target) as image:
        assert image.read_at(0, image.size) == media
        rng = random.Random(4)
        for offset in (rng.randrange(len(media)) for _ in range(50)):
            assert image.read_at(offset, 1_500_000) == media[offset : offset + 1_500_000]


@pytest.mark.skipif(shutil.which("qemu-img") is None and not os.environ.get("CI"), reason="qemu-img is not installed")
@pytest.mark.parametrize(
    ("extension", "options", "block"),
    [
        ("vhdx", ["vhdx", "-o", "block_size=1M"], 1 << 20),
        ("qcow2", ["qcow2"], 1 << 16),
        ("vmdk", ["vmdk"], 1 << 16),
        ("vdi", ["vdi"], 1 << 20),
    ],
)
def test_a_disk_cut_off_gives_errors_and_never_zeros(tmp_path: Path, extension: str, options: list[str], block: int) -> None:
    media = some_bytes(3 << 20)
    target = tmp_path / f"disk.{extension}"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", *options, laid(tmp_path, "media.bin", media), target], check=True)
    os.truncate(target, target.stat().st_size - (1 << 20) - 1000)
    with open_image(target) as image:
        with pytest.raises(ImageReadError, match=r"bytes \d+ to \d+ of the media cannot be read"):
            image.read_at(image.size - 5000, 5000)
        digests = digest_media(image, on_bytes=lambda _: None)
        assert {problem.code for problem in digests.problems} == {"media-read"}
        lost = sum(problem.size_bytes or 0 for problem in digests.problems)
        assert 0 < lost <= (1 << 20) + 1000 + block
        kept = len(media) - lost
        assert image.read_at(0, kept) == media[:kept]


def test_a_qcow2_cut_off_inside_a_cluster_gives_an_error(tmp_path: Path) -> None:
    media = some_bytes(10 * CLUSTER)
    with open_image(laid(tmp_path, "disk.qcow2", qcow2(media)[:-100])) as image:
        with pytest.raises(ImageReadError, match="cut off or damaged"):
            image.read_at(0, 1)  # stored last
        assert image.read_at(CLUSTER, 9 * CLUSTER) == media[CLUSTER:]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (qcow2(bytes(CLUSTER), features=1 << 2), "keeps its data in another file and does not name it"),
        (qcow2(bytes(CLUSTER), crypt=2), "is encrypted"),
        (qcow2(bytes(CLUSTER), features=1 << 4), "subclusters"),
        (qcow2(bytes(CLUSTER), features=1 << 40), "features that are not known"),
        (qcow2(bytes(CLUSTER), version=1), "QCOW version 1"),
    ],
)
def test_qcow2_of_kinds_that_are_not_read_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(UnsupportedImageError, match=told):
        open_image(laid(tmp_path, "disk.qcow2", data))


def test_qcow2_marked_corrupt_or_with_snapshots_says_so(tmp_path: Path) -> None:
    with open_image(laid(tmp_path, "disk.qcow2", qcow2(bytes(CLUSTER), features=2, snapshots=3))) as image:
        assert [problem.code for problem in image.problems()] == ["qcow2-marked-corrupt", "snapshots-not-read"]


def test_a_qcow2_whose_tables_cannot_hold_its_disk_is_refused(tmp_path: Path) -> None:
    data = bytearray(qcow2(bytes(CLUSTER)))
    data[24:32] = struct.pack(">Q", 1 << 50)
    with pytest.raises(ImageError, match="do not fit"):
        open_image(laid(tmp_path, "disk.qcow2", bytes(data)))


def test_a_vhd_that_lost_its_footer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cut off: a VHD ends in a footer"):
        open_image(laid(tmp_path, "disk.vhd", vhd_dynamic(some_bytes(8192))[:-1000]))
    with pytest.raises(ImageError, match="is not a VHD image"):
        open_image(laid(tmp_path, "fixed.vhd", some_bytes(8192)))


def test_a_vhd_footer_with_a_flipped_bit_is_a_problem(tmp_path: Path) -> None:
    footer = bytearray(vhd_footer(8192, 2, 2**64 - 1))
    footer[100] ^= 1
    with open_image(laid(tmp_path, "disk.vhd", bytes(8192) + footer)) as image:
        assert [problem.code for problem in image.problems()] == ["vhd-footer-checksum"]


@pytest.mark.corpus
def test_a_public_vhd_that_qemu_img_refuses_for_its_checksum_is_read_with_a_problem(corpus_image: Callable[[str], Path]) -> None:
    """qemu-img 7: "Could not open 'image.vhd': Incorrect header checksum"."""
    with open_image(corpus_image("vhd-dfvfs-image")) as image:
        assert [problem.code for problem in image.problems()] == ["vhd-footer-checksum"]
        assert len(image.read_at(0, image.size)) == image.size


def test_flat_extents_are_joined_from_where_they_start(tmp_path: Path) -> None:
    first, second = some_bytes(2048, 1), some_bytes(4096, 2)
    laid(tmp_path, "disk-f001.vmdk", first)
    laid(tmp_path, "disk-f002.vmdk", second)
    text = descriptor('RW 4 FLAT "disk-f001.vmdk" 0', "RW 2 ZERO", 'RW 3 FLAT "disk-f002.vmdk" 5')
    media = first + bytes(1024) + second[5 * 512 : 8 * 512]
    with open_image(laid(tmp_path, "disk.vmdk", text)) as image:
        assert image.read_at(0, image.size) == media
        assert image.read_at(2000, 2000) == media[2000:4000]
        assert [segment.name for segment in image.segments] == ["disk.vmdk", "disk-f001.vmdk", "disk-f002.vmdk"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.bin", "sub/extent.bin", "C:\\\\secret.bin", "..", ""])
def test_an_extent_outside_the_folder_is_never_opened(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "case"
    (folder / "sub").mkdir(parents=True)
    for path in (tmp_path / "secret.bin", folder / "sub" / "extent.bin", folder / "secret.bin"):
        path.write_bytes(bytes(512))
    with pytest.raises(UnsupportedImageError, match="nothing outside its folder is opened"):
        open_image(laid(folder, "disk.vmdk", descriptor(f'RW 1 FLAT "{name}" 0')))


def test_an_extent_that_is_a_symbolic_link_is_never_opened(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    laid(tmp_path, "secret.bin", bytes(512))
    (folder / "extent.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(UnsupportedImageError, match="which is a symbolic link"):
        open_image(laid(folder, "disk.vmdk", descriptor('RW 1 FLAT "extent.bin" 0')))


def test_a_missing_or_short_extent_is_named(tmp_path: Path) -> None:
    path = laid(tmp_path, "disk.vmdk", descriptor('RW 2 FLAT "extent.bin" 0'))
    with pytest.raises(ImageError, match=r"needs the extent 'extent\.bin', which does not lie beside it"):
        open_image(path)
    laid(tmp_path, "extent.bin", bytes(1000))
    with pytest.raises(ImageError, match=r"extent\.bin: is cut off"):
        open_image(path)


@pytest.mark.corpus
def test_a_vhdx_that_was_not_closed_cleanly_is_refused(tmp_path: Path, corpus_image: Callable[[str], Path]) -> None:
    data = bytearray(corpus_image("hv-fixed-vhdx").read_bytes())
    for header in (64 << 10, 128 << 10):
        data[header + 48 : header + 64] = b"\1" * 16  # [MS-VHDX] 2.2.2: LogGuid
    with pytest.raises(UnsupportedImageError, match="was not closed cleanly"):
        open_image(laid(tmp_path, "disk.vhdx", bytes(data)))


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("identifier", "damage"), [("qcow2-ext2-dfvfs", 200), ("vhd-ext2-dfvfs", 200), ("vmdk-plaso", 200), ("vmdk-stream-opt", 200)]
)
def test_random_damage_gives_our_errors_and_no_others(
    tmp_path: Path, corpus_image: Callable[[str], Path], identifier: str, damage: int
) -> None:
    source = corpus_image(identifier)
    original, rng = source.read_bytes(), random.Random(7)
    outcomes = set()
    for _ in range(damage):
        data = bytearray(original)
        for _ in range(4):
            data[rng.randrange(min(4096, len(data)))] = rng.randrange(256)
        try:
            with open_image(laid(tmp_path, source.name, bytes(data[: rng.randrange(1, 2 * len(data))]))) as image:
                outcomes.add("opened")
                image.read_at(rng.randrange(image.size), 100_000)
        except (ImageError, ImageReadError) as error:
            outcomes.add("refused" if str(error).isprintable() else str(error))
    assert outcomes == {"opened", "refused"}
