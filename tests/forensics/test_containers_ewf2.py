"""Ex01: the public image, and images built here after the EWF 2 specification, beside what libewf reads of them."""

from __future__ import annotations

import bz2
import contextlib
import hashlib
import random
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyewf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.digests import digest_media
from forensics.errors import ForensicsError, ImageError, ImageReadError, SegmentMissingError, UnsupportedImageError
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from forensics.image import Image

SECTOR, PER_CHUNK = 512, 8
CHUNK = SECTOR * PER_CHUNK
DEVICE, CASE, SECTORS, TABLE, ERRORS, MD5, SHA1, KEYS, NEXT, DONE = 1, 2, 3, 4, 5, 8, 9, 11, 13, 15
COMPRESSED, CHECKSUMED, PATTERN = 1, 2, 4
DEFLATE, BZIP2 = 1, 2
MEDIA = b"".join(
    (
        b"text %d\n" % 7 * 600,
        random.Random(2).randbytes(2 * CHUNK),
        b"ABCDEFGH" * (CHUNK // 8),
        bytes(CHUNK),
    )
)
MEDIA = MEDIA[: len(MEDIA) // SECTOR * SECTOR]


@dataclass
class Stored:
    """One chunk as it is stored: its bytes, or the pattern in place of its offset."""

    flags: int
    data: bytes
    pattern: int = 0


def chunks_of(media: bytes, method: int = DEFLATE, *, plain: bool = False) -> list[Stored]:
    found = []
    for start in range(0, len(media), CHUNK):
        chunk = media[start : start + CHUNK]
        packed = zlib.compress(chunk) if method == DEFLATE else bz2.compress(chunk)
        if not plain and len(chunk) == CHUNK and chunk == chunk[:8] * (CHUNK // 8):
            found.append(Stored(COMPRESSED | PATTERN, b"", int.from_bytes(chunk[:8], "little")))
        elif plain or len(packed) >= len(chunk):
            found.append(Stored(CHECKSUMED, chunk + struct.pack("<I", zlib.adler32(chunk))))
        else:
            found.append(Stored(COMPRESSED, packed))
    return found


class Segment:
    """A segment file, section by section."""

    def __init__(self, number: int = 1, *, method: int = DEFLATE, identifier: bytes = b"i" * 16, version: int = 2) -> None:
        self.data = bytearray(struct.pack("<8sBBHI16s", b"EVF2\x0d\x0a\x81\x00", version, 1, method, number, identifier))
        self._previous, self._method = 0, method

    def add(self, kind: int, data: bytes = b"", *, flags: int = 0, md5: bytes | None = None) -> Segment:
        padding = -len(data) % 16
        data += bytes(padding)
        self.data += data
        digest = hashlib.md5(data).digest() if data and md5 is None else md5 or bytes(16)
        at = len(self.data)
        head = struct.pack("<IIQQII16s12x", kind, flags | (1 if data else 0), self._previous, len(data), 64, padding, digest)
        self.data += head + struct.pack("<I", zlib.adler32(head))
        self._previous = at
        return self

    def text(self, kind: int, text: str) -> Segment:
        raw = ("\ufeff" + text).encode("utf-16-le")
        return self.add(kind, zlib.compress(raw) if self._method == DEFLATE else bz2.compress(raw))

    def about(self, media: bytes) -> Segment:
        device = ("b", "sn", "md", "lb", "ts", "hs", "dc", "dt", "pid", "rs", "ls", "bp", "ph")
        values = ("", "S-1", "Model", "", str(len(media) // SECTOR), "", "", "f", "", "", "", str(SECTOR), "1")
        self.text(DEVICE, "1\nmain\n" + "\t".join(device[1:]) + "\n" + "\t".join(values[1:]) + "\n\n")
        tags = ("nm", "cn", "en", "ex", "nt", "av", "os", "tt", "at", "tb", "cp", "sb", "gr", "wb")
        case = (
            "name",
            "case 7",
            "e1",
            "examiner",
            "notes\x1b[2J",
            "v",
            "os",
            "1600000000",
            "1600000001",
            "9",
            "1",
            str(PER_CHUNK),
            "64",
            "",
        )
        return self.text(CASE, "1\nmain\n" + "\t".join(tags) + "\n" + "\t".join(case) + "\n\n")

    def chunks(self, first: int, chunks: Sequence[Stored]) -> Segment:
        start, data, entries = len(self.data), b"", b""
        for one in chunks:
            if one.flags & PATTERN:
                entries += struct.pack("<QII", one.pattern, 0, one.flags)
                continue
            entries += struct.pack("<QII", start + len(data), len(one.data), one.flags)
            data += one.data
            data += bytes(-len(data) % 16)
        self.add(SECTORS, data)
        head = struct.pack("<QI4x", first, len(chunks))
        table = head + struct.pack("<I12x", zlib.adler32(head)) + entries + struct.pack("<I", zlib.adler32(entries))
        return self.add(TABLE, table)

    def digests(self, media: bytes) -> Segment:
        for kind, digest in ((MD5, hashlib.md5(media).digest()), (SHA1, hashlib.sha1(media).digest())):
            self.add(kind, digest + struct.pack("<I", zlib.adler32(digest)))
        return self


def ex01(media: bytes = MEDIA, chunks: Sequence[Stored] | None = None, *, method: int = DEFLATE) -> Segment:
    chunks = chunks_of(media, method) if chunks is None else chunks
    return Segment(method=method).about(media).chunks(0, chunks).digests(media).add(DONE)


def segments(media: bytes = MEDIA) -> list[Segment]:
    chunks = chunks_of(media)
    return [
        Segment(1).about(media).chunks(0, chunks[:2]).add(NEXT),
        Segment(2).about(media).chunks(2, chunks[2:3]).add(NEXT),
        Segment(3).about(media).chunks(3, chunks[3:]).digests(media).add(DONE),
    ]


def laid(folder: Path, *files: Segment, data: bytes | None = None) -> Path:
    for number, file in enumerate(files, start=1):
        (folder / f"case.Ex{number:02}").write_bytes(file.data if data is None else data)
    return folder / "case.Ex01"


def opened(folder: Path, *files: Segment) -> Image:
    return open_image(laid(folder, *files))


def by_libewf(path: Path) -> bytes:
    handle = pyewf.handle()
    handle.open(pyewf.glob(str(path)))
    try:
        return handle.read(handle.get_media_size())
    finally:
        handle.close()


@pytest.mark.parametrize("method", [DEFLATE, BZIP2], ids=["deflate", "bzip2"])
@pytest.mark.parametrize("plain", [False, True])
def test_chunks_of_every_kind_are_read(tmp_path: Path, method: int, *, plain: bool) -> None:
    with opened(tmp_path, ex01(chunks=chunks_of(MEDIA, method, plain=plain), method=method)) as image:
        assert (image.container, image.size, image.sector_size, image.problems()) == ("ewf2", len(MEDIA), SECTOR, ())
        assert (image.stated.md5, image.stated.sha1) == (hashlib.md5(MEDIA).hexdigest(), hashlib.sha1(MEDIA).hexdigest())
        assert digest_media(image, on_bytes=lambda _: None).problems == ()

        @given(offset=st.integers(0, len(MEDIA) + 10), length=st.integers(0, 9000))
        def check(offset: int, length: int) -> None:
            """`read_at(o, n)` is `media[o : o + n]`."""
            assert image.read_at(offset, length) == MEDIA[offset : offset + length]

        check()


def test_libewf_reads_the_same(tmp_path: Path) -> None:
    path = laid(tmp_path, ex01())
    with open_image(path) as image:
        assert image.read_at(0, image.size) == by_libewf(path) == MEDIA


def test_libewf_reads_the_same_of_several_segments(tmp_path: Path) -> None:
    path = laid(tmp_path, *segments())
    with open_image(path) as image:
        assert [segment.name for segment in image.segments] == ["case.Ex01", "case.Ex02", "case.Ex03"]
        assert image.read_at(0, image.size) == by_libewf(path) == MEDIA


def test_what_the_image_says_of_its_acquisition_is_shown(tmp_path: Path) -> None:
    with opened(tmp_path, ex01()) as image:
        values = image.header_values
    assert {name: values[name] for name in ("case_number", "evidence_number", "model", "serial_number", "acquiry_date", "notes")} == {
        "case_number": "case 7",
        "evidence_number": "e1",
        "model": "Model",
        "serial_number": "S-1",
        "acquiry_date": "2020-09-13T12:26:40Z",
        "notes": r"notes\x1b[2J",
    }


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_segment_that_is_missing_is_named(tmp_path: Path, missing: int) -> None:
    laid(tmp_path, *segments())
    (tmp_path / f"case.Ex0{missing}").unlink()
    with pytest.raises(SegmentMissingError, match=rf"case\.Ex0{missing}"):
        open_image(tmp_path / ("case.Ex02" if missing == 1 else "case.Ex01"))


def test_segments_of_two_images_do_not_make_one(tmp_path: Path) -> None:
    parts = segments()
    foreign = Segment(2, identifier=b"j" * 16).about(MEDIA).chunks(2, chunks_of(MEDIA)[2:3]).add(NEXT)
    with pytest.raises(ImageError, match=r"case\.Ex02: belongs to another image"):
        opened(tmp_path, parts[0], foreign, parts[2])


def test_a_segment_behind_the_last_is_ignored_and_said(tmp_path: Path) -> None:
    with opened(tmp_path, ex01(), Segment(2).add(DONE)) as image:
        assert [problem.code for problem in image.problems()] == ["segment-ignored"]


@pytest.mark.parametrize("index", [0, 1])
def test_a_damaged_chunk_is_an_error_and_the_others_are_read(tmp_path: Path, index: int) -> None:
    chunks = chunks_of(MEDIA)
    damaged = bytearray(chunks[index].data)
    damaged[len(damaged) // 2] ^= 1
    chunks[index].data = bytes(damaged)
    with opened(tmp_path, ex01(chunks=chunks)) as image:
        with pytest.raises(ImageReadError, match=rf"sectors? {index * PER_CHUNK}"):
            image.read_at(index * CHUNK, 1)
        assert image.read_at((index + 1) * CHUNK, CHUNK) == MEDIA[(index + 1) * CHUNK : (index + 2) * CHUNK]
        problems = digest_media(image, on_bytes=lambda _: None).problems
        assert [(one.code, one.start_byte, one.size_bytes) for one in problems] == [("chunk-checksum", index * CHUNK, CHUNK)]


def test_sectors_that_could_not_be_read_are_said(tmp_path: Path) -> None:
    head = struct.pack("<I12x", 1)
    entries = struct.pack("<QI4x", 5, 2)
    errors = head + struct.pack("<I12x", zlib.adler32(head)) + entries + struct.pack("<I", zlib.adler32(entries))
    file = Segment().about(MEDIA).chunks(0, chunks_of(MEDIA)).add(ERRORS, errors).add(DONE)
    with opened(tmp_path, file) as image:
        assert [(one.code, one.start_byte, one.size_bytes) for one in image.problems()] == [
            ("acquisition-read-error", 5 * SECTOR, 2 * SECTOR)
        ]


def test_a_stored_digest_that_fails_its_checksum_is_not_taken(tmp_path: Path) -> None:
    file = Segment().about(MEDIA).chunks(0, chunks_of(MEDIA)).add(MD5, bytes(range(20))).add(DONE)
    with opened(tmp_path, file) as image:
        assert image.stated.md5 is None
        assert [problem.code for problem in image.problems()] == ["ewf-section-checksum"]


@pytest.mark.parametrize("cut", [1, 64, 100, 1000])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(ImageError, match=r"cut off|incomplete|checksum"):
        open_image(laid(tmp_path, ex01(), data=bytes(ex01().data[:-cut])))


@pytest.mark.parametrize(
    ("file", "error", "message"),
    [
        (Segment().about(MEDIA).chunks(0, chunks_of(MEDIA)[:-1]).add(DONE), ImageError, "incomplete EWF 2 image"),
        (Segment().about(MEDIA).chunks(1, chunks_of(MEDIA)).add(DONE), ImageError, "begins with chunk 1 where chunk 0 is expected"),
        (Segment().chunks(0, chunks_of(MEDIA)).add(DONE), ImageError, "has no section device"),
        (Segment().about(MEDIA).chunks(0, chunks_of(MEDIA)).add(99), ImageError, "it ends in a section of type 99"),
        (Segment().about(MEDIA).add(KEYS, b"k").chunks(0, chunks_of(MEDIA)).add(DONE), UnsupportedImageError, "is encrypted"),
        (Segment().about(MEDIA).add(SECTORS, b"s", flags=2).add(DONE), UnsupportedImageError, "is encrypted"),
        (Segment(version=3).about(MEDIA).add(DONE), UnsupportedImageError, "EWF version 3.1"),
        (Segment().about(b"").add(DONE), ImageError, "states 0 sectors"),
        (Segment().about(MEDIA).add(TABLE, struct.pack("<QI4xI12x", 0, 1 << 31, 0)).add(DONE), ImageError, "fails its checksum"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, file: Segment, error: type[ImageError], message: str) -> None:
    with pytest.raises(error, match=message):
        opened(tmp_path, file)


def test_a_table_of_more_chunks_than_its_section_holds_is_refused(tmp_path: Path) -> None:
    head = struct.pack("<QI4x", 0, 0xFFFFFFFF)
    file = Segment().about(MEDIA).add(TABLE, head + struct.pack("<I12x", zlib.adler32(head))).add(DONE)
    with pytest.raises(ImageError, match="states 4294967295 chunks, more than its section holds"):
        opened(tmp_path, file)


@pytest.mark.parametrize("place", [(1 << 63, 100), (0, 0xFFFFFFFF), (10_000_000, 5)])
def test_a_chunk_outside_the_file_is_an_error(tmp_path: Path, place: tuple[int, int]) -> None:
    file = Segment().about(MEDIA).chunks(0, chunks_of(MEDIA)).add(DONE)
    at = file.data.index(struct.pack("<QI4xI", 0, len(chunks_of(MEDIA)), zlib.adler32(struct.pack("<QI4x", 0, len(chunks_of(MEDIA)))))) + 32
    count = len(chunks_of(MEDIA))
    struct.pack_into("<QI", file.data, at, *place)
    struct.pack_into("<I", file.data, at + 16 * count, zlib.adler32(file.data[at : at + 16 * count]))
    with opened(tmp_path, file) as image:
        with pytest.raises(ImageReadError, match="where they are not"):
            image.read_at(0, 1)
        assert image.read_at(CHUNK, CHUNK) == MEDIA[CHUNK : 2 * CHUNK]


@pytest.mark.corpus
def test_the_public_image_has_its_published_digest(corpus_image: Callable[[str], Path]) -> None:
    path = corpus_image("ex01-zeros-compressed")
    with open_image(path) as image:
        digests = digest_media(image, on_bytes=lambda _: None)
        # README of SecurityRonin/ewf-forensic
        assert (image.size, digests.md5, image.stated.md5) == (
            65536,
            "fcd6bcb56c1689fcef28b57c22475bad",
            "fcd6bcb56c1689fcef28b57c22475bad",
        )
        assert (image.problems(), digests.problems) == ((), ())
        assert image.read_at(0, image.size) == by_libewf(path)


def test_damaged_images_give_errors_of_ours_only(tmp_path: Path) -> None:
    data, choose = ex01().data, random.Random(11)
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(choose.randrange(1, 5)):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        with contextlib.suppress(ForensicsError), open_image(laid(tmp_path, ex01(), data=bytes(changed))) as image:
            assert sum(len(block.data) for block in image.iter_blocks()) == image.size
            image.read_at(0, image.size)
