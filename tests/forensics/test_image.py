from __future__ import annotations

import hashlib
import io
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.digests import digest_media
from forensics.errors import ImageError, SegmentMissingError, UnsupportedImageError
from forensics.image import open_image, source_state
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEDIA = bytes(range(256)) * 200
CUTS = (0, 700, 1400, 50_000, len(MEDIA))


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def split(folder: Path, names: tuple[str, ...] = ("d.001", "d.002", "d.003", "d.004")) -> Path:
    for name, start, end in zip(names, CUTS, CUTS[1:], strict=False):
        written(folder / name, MEDIA[start:end])
    return folder / names[0]


def test_one_raw_file_is_read_natively(tmp_path: Path) -> None:
    path = written(tmp_path / "d.dd", MEDIA[:51200])
    with open_image(path) as image:
        assert (image.container, image.size, image.sector_size, image.native_path) == ("raw", 51200, 512, path)
        assert image.read_at(0, 10**9) == MEDIA[:51200]
        assert image.problems() == ()


def test_a_split_raw_image_is_one_media_and_its_segments_are_named(tmp_path: Path) -> None:
    with open_image(split(tmp_path)) as image:
        assert (image.container, image.size, image.native_path) == ("split raw", len(MEDIA), None)
        assert [segment.name for segment in image.segments] == ["d.001", "d.002", "d.003", "d.004"]
        assert [segment.size for segment in image.segments] == [700, 700, 48600, 1200]
        assert image.read_at(0, len(MEDIA)) == MEDIA


def test_segments_of_uneven_size_are_a_problem(tmp_path: Path) -> None:
    with open_image(split(tmp_path)) as image:
        assert [(one.code, one.path) for one in image.problems() if one.code == "segment-size"] == [
            ("segment-size", "d.003"),
            ("segment-size", "d.004"),
        ]


def test_an_image_that_ends_inside_a_sector_says_so(tmp_path: Path) -> None:
    with open_image(written(tmp_path / "d.dd", bytes(1000))) as image:
        assert [(one.code, one.start_byte, one.size_bytes) for one in image.problems()] == [("raw-not-whole-sectors", 512, 488)]
        assert image.read_at(0, 2000) == bytes(1000)


def test_reads_at_random_places_are_slices_of_the_media(tmp_path: Path) -> None:
    with open_image(split(tmp_path)) as image:

        @given(offset=st.integers(0, len(MEDIA) + 10), length=st.integers(0, len(MEDIA) + 10))
        def check(offset: int, length: int) -> None:
            """`read_at(o, n)` is `media[o : o + n]`, across segments."""
            assert image.read_at(offset, length) == MEDIA[offset : offset + length]

        check()


def test_a_stream_behaves_like_a_file(tmp_path: Path) -> None:
    with open_image(split(tmp_path)) as image:

        @given(st.lists(st.tuples(st.integers(0, 2), st.integers(-len(MEDIA), len(MEDIA)), st.integers(-1, 20000)), max_size=8))
        def check(steps: list[tuple[int, int, int]]) -> None:
            """Seeking and reading give what `io.BytesIO` over the media gives."""
            stream, model = SourceStream(image), io.BytesIO(MEDIA)
            for whence, offset, length in steps:
                if whence == os.SEEK_SET and offset < 0:
                    continue
                assert stream.seek(offset, whence) == max(0, model.seek(offset, whence))
                assert stream.read(length) == model.read(length)

        check()


def test_two_streams_do_not_move_each_other(tmp_path: Path) -> None:
    with open_image(split(tmp_path)) as image:
        first, second = SourceStream(image), SourceStream(image)
        first.seek(5000)
        assert second.read(3) == MEDIA[:3]
        assert first.read(3) == MEDIA[5000:5003]


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (5, -1)])
def test_negative_places_are_refused(tmp_path: Path, offset: int, length: int) -> None:
    with open_image(written(tmp_path / "d.dd", MEDIA)) as image, pytest.raises(ValueError, match="negative"):
        image.read_at(offset, length)


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    path = split(tmp_path)
    (tmp_path / "d.003").unlink()
    with pytest.raises(SegmentMissingError, match=r"d\.003 is missing, \.004 is there"):
        open_image(path)


def test_an_empty_segment_is_named(tmp_path: Path) -> None:
    path = split(tmp_path)
    (tmp_path / "d.003").write_bytes(b"")
    with pytest.raises(ImageError, match=r"d\.003: is empty"):
        open_image(path)


def test_an_image_is_not_pickled(tmp_path: Path) -> None:
    with open_image(written(tmp_path / "d.dd", MEDIA)) as image, pytest.raises(TypeError, match="opens it by its path"):
        pickle.dumps(image)


def test_the_state_of_the_source_is_equal_unless_something_writes_and_can_be_pickled(tmp_path: Path) -> None:
    with open_image(split(tmp_path)) as image:
        before = source_state(image)
        image.read_at(0, len(MEDIA))
        assert pickle.loads(pickle.dumps(before)) == source_state(image)
        written(tmp_path / "d.002", MEDIA[:700])
        os.utime(tmp_path / "d.002", ns=(5, 5))
        assert source_state(image) != before


def test_ten_terabytes_of_holes_open_and_are_read_at_their_end(tmp_path: Path) -> None:
    path = tmp_path / "sparse10T.dd"
    size = 10 * 2**40
    with path.open("wb") as file:
        try:
            file.truncate(size)
        except OSError:
            size = 2**40  # what this filesystem allows
            file.truncate(size)
    with open_image(path) as image:
        assert image.size == size
        assert image.read_at(size - 3, 10) == bytes(3)


def zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"aff4 content" if "aff4" in name else b"content")
    return buffer.getvalue()


def tar_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"ADCRYPT\x00", "AD encrypted image"),
        (b"AFF10\x0d\x0a\x00", "AFF"),
        (b"encrcdsa", "encrypted DMG"),
        (b"QED\x00", "QED"),
        (b"ASDF", "ASDF"),
    ],
)
@pytest.mark.parametrize("name", ["d.dd", "d.E01", "d.001"])
def test_what_is_known_and_not_read_is_named_whatever_its_name(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    with pytest.raises(UnsupportedImageError, match=f"{told}.*, which is not read; "):
        open_image(written(tmp_path / name, data.ljust(600, b"\0")))


def checked(section: bytes) -> bytes:
    return section + struct.pack("<I", zlib.adler32(section))


@pytest.mark.parametrize(
    ("data", "container"),
    [
        (
            struct.pack("<8sBBHI16s", b"LEF2\x0d\x0a\x81\x00", 2, 1, 1, 1, b"")
            + checked(struct.pack("<IIQQII16s12x", 15, 0, 0, 0, 64, 0, b"")),
            "l01",
        ),
        (struct.pack("<8sBHH", b"LVF\x09\x0d\x0a\xff\x00", 1, 1, 0) + checked(struct.pack("<16sQQ40x", b"done", 13, 76)), "l01"),
        (struct.pack("<16s4IQI", b"ADSEGMENTEDFILE\x00", 1, 2, 1, 1, 1 << 30, 512).ljust(512, b"\0"), "ad1"),
        (b"MSWIM\x00\x00\x00", "wim"),
        (zip_of("a.txt"), "zip"),
        (tar_of("a.txt"), "tar"),
        (b"\x1f\x8b\x08\x00", "archive"),
        (b"\xfd7zXZ\x00", "archive"),
        (b"BZh91AY&SY", "archive"),
        (b"7z\xbc\xaf\x27\x1c", "archive"),
        (b"Rar!\x1a\x07\x01\x00", "archive"),
        (b"\x28\xb5\x2f\xfd", "archive"),
    ],
)
@pytest.mark.parametrize("name", ["d.dd", "d.E01", "d.001"])
def test_the_media_of_what_holds_files_is_the_file_itself(tmp_path: Path, name: str, data: bytes, container: str) -> None:
    with open_image(written(tmp_path / name, data)) as image:
        assert (image.container, image.size, image.problems(), image.native_path) == (container, len(data), (), None)
        assert image.read_at(0, image.size) == data
        assert digest_media(image, on_bytes=lambda _: None).md5 == hashlib.md5(data).hexdigest()


@pytest.mark.parametrize("name", ["d.E01", "d.e01", "d.s01", "d.Ex01", "d.qcow2", "d.vhd", "d.vhdx", "d.vdi", "d.aff4", "d.ad1", "d.Lx01"])
def test_a_name_that_promises_what_the_file_is_not_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match=rf"is named \.{name[2:]} and is not an? "):
        open_image(written(tmp_path / name, b"A text that somebody renamed.\n"))


@pytest.mark.parametrize("name", ["d.dd", "d.img", "d.raw", "d.bin", "d", "d-flat.vmdk", "d.dmg", "d.iso", "d.zip"])
def test_what_is_not_recognised_is_raw(tmp_path: Path, name: str) -> None:
    with open_image(written(tmp_path / name, MEDIA)) as image:
        assert image.container == "raw"


@pytest.mark.corpus
def test_a_public_split_image_has_the_digest_of_its_parts(corpus_image: Callable[[str], Path]) -> None:
    with open_image(corpus_image("splitraw-ext2-dfvfs")) as image:
        # cat ext2.splitraw.000 ext2.splitraw.001 | wc -c
        assert (image.container, image.size) == ("split raw", 4194304)
        assert [segment.name for segment in image.segments] == ["ext2.splitraw.000", "ext2.splitraw.001"]
        assert image.read_at(0x438, 2) == b"\x53\xef"  # the ext2 superblock's magic number


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("identifier", "container"),
    [("ad1-test", "ad1"), ("aff4-l-dream", "aff4-l"), ("tar-acquire-hash", "tar"), ("wim-basic", "wim")],
)
def test_public_logical_evidence_is_its_own_media(corpus_image: Callable[[str], Path], identifier: str, container: str) -> None:
    path = corpus_image(identifier)
    with open_image(path) as image:
        assert (image.container, image.size) == (container, path.stat().st_size)
        assert digest_media(image, on_bytes=lambda _: None).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
