"""Every broken input of `bad/` that concerns the container: what is said, and that the evidence stays as it was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from open_files import can_be_listed, left_open, open_files

from forensics.digests import Verdict, compare_digests, digest_media
from forensics.errors import ImageError, ImageReadError, SegmentMissingError
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.corpus


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("truncated_half.E01", ImageError, "incomplete EWF image: 0 of 4 chunks are there; section 'sectors' .* it is cut off"),
        ("missing_segment/split.E01", SegmentMissingError, r"segment 2 \(split\.E02\) is missing"),
        ("text_renamed.E01", ImageError, r"is named \.E01 and is not an EWF image"),
        ("zero_length.dd", ImageError, r"is empty \(0 bytes\)"),
        ("zero_length.E01", ImageError, r"is empty \(0 bytes\)"),
        ("qcow2_backing_etc_passwd.qcow2.xz", SegmentMissingError, "needs the backing file '/etc/passwd', and no file of that name"),
        ("vhd_diff_no_parent.vhd.xz", SegmentMissingError, r"needs the parent 'image\.vhd', which does not lie beside it"),
    ],
)
def test_it_is_refused_in_one_clear_line(bad_input: Callable[[str], Path], name: str, error: type[ImageError], told: str) -> None:
    with pytest.raises(error, match=told) as caught:
        open_image(bad_input(name))
    assert str(caught.value).isprintable()


def test_a_flipped_bit_names_the_sectors_and_mismatches(bad_input: Callable[[str], Path]) -> None:
    with open_image(bad_input("bitflip_chunk.E01")) as image:
        digests = digest_media(image, on_bytes=lambda _: None)
        assert [(one.code, one.start_byte, one.size_bytes) for one in digests.problems] == [("chunk-checksum", 64 * 512, 64 * 512)]
        assert "Sectors 64 to 127" in digests.problems[0].what
        assert digests.damaged_chunks == 1
        # what ewfverify of libewf 20140813 finds stored in the file
        assert image.stated.md5 == "3ebb0b7dcd6b5fcd59a0020625d70994"
        assert compare_digests(image.stated, None, digests).verdict is Verdict.MISMATCH
        with pytest.raises(ImageReadError, match="sectors 64 to 127 are damaged"):
            image.read_at(100 * 512, 512)
        assert len(image.read_at(0, 64 * 512)) == 64 * 512


def test_a_wrong_stored_digest_is_a_mismatch_and_the_data_is_readable(bad_input: Callable[[str], Path]) -> None:
    with open_image(bad_input("wrong_stored_md5.E01")) as image:
        digests = digest_media(image, on_bytes=lambda _: None)
        assert digests.problems == ()
        # what ewfverify of libewf 20140813 calculates over the data
        assert digests.md5 == "3ebb0b7dcd6b5fcd59a0020625d70994"
        assert compare_digests(image.stated, None, digests).verdict is Verdict.MISMATCH


def test_an_image_without_its_end_is_not_called_verified(bad_input: Callable[[str], Path]) -> None:
    with open_image(bad_input("truncated_last512.E01")) as image:
        assert [one.code for one in image.problems()] == ["ewf-incomplete"]
        digests = digest_media(image, on_bytes=lambda _: None)
        # what ewfverify calculates over the whole file that this one was cut from
        assert digests.sha256 == "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80"
        assert compare_digests(image.stated, None, digests).verdict is Verdict.NOT_STATED


def test_half_of_a_split_image_is_raw_with_a_problem(bad_input: Callable[[str], Path]) -> None:
    with open_image(bad_input("missing_split_raw/ext2.splitraw.001")) as image:
        assert image.container == "raw"
        assert [one.code for one in image.problems()] == ["segment-alone"]


def test_a_qcow2_cut_in_half_gives_read_errors(bad_input: Callable[[str], Path]) -> None:
    with open_image(bad_input("qcow2_truncated.qcow2.xz")) as image:
        with pytest.raises(ImageReadError, match="bytes 0 to 65535 of the media cannot be read"):
            image.read_at(0, 512)
        digests = digest_media(image, on_bytes=lambda _: None)
        assert [(one.code, one.start_byte, one.size_bytes) for one in digests.problems] == [("media-read", 0, image.size)]


def test_an_archive_is_its_own_media(bad_input: Callable[[str], Path]) -> None:
    path = bad_input("zip_slip.zip")
    with open_image(path) as image:
        assert (image.container, image.read_at(0, image.size)) == ("zip", path.read_bytes())


@pytest.mark.parametrize("name", ["random_1MiB.dd.xz", "all_zero_1MiB.dd.xz", "mbr_past_end.dd.xz", "ext4_bad_superblock.dd.xz"])
def test_what_is_broken_inside_is_an_intact_raw_image(bad_input: Callable[[str], Path], name: str) -> None:
    with open_image(bad_input(name)) as image:
        assert (image.container, image.problems()) == ("raw", ())


def test_no_broken_input_is_changed_by_reading_it(corpus: Path) -> None:
    files = sorted(path for path in (corpus / "bad").rglob("*") if path.is_file())
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    opened = 0
    for path in files:
        try:
            with open_image(path) as image:
                digest_media(image, on_bytes=lambda _: None)
                opened += 1
        except ImageError:
            continue
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before
    assert 0 < opened < len(files)


@can_be_listed
def test_no_input_broken_or_not_leaves_a_file_open(corpus: Path) -> None:
    before = open_files()
    for path in sorted((corpus / "bad").rglob("*.*")) + sorted((corpus / "open" / "images").rglob("*.*")):
        try:
            with open_image(path) as image:
                image.read_at(0, 512)
        except (ImageError, ImageReadError):
            continue
    assert not left_open(before)


def test_an_empty_folder_and_a_fifo_named_like_images_are_refused(tmp_path: Path) -> None:
    """A folder of files is evidence, whatever its name; one that holds nothing is none."""
    (tmp_path / "dir.E01").mkdir()
    os.mkfifo(tmp_path / "fifo.dd")
    with pytest.raises(ImageError, match="nothing to process"):
        open_image(tmp_path / "dir.E01")
    with pytest.raises(ImageError, match="is a FIFO"):
        open_image(tmp_path / "fifo.dd")
    with pytest.raises(ImageError, match="is a character device"):
        open_image(Path(os.devnull))
