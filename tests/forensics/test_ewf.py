"""E01 images, built here byte by byte after the Expert Witness Compression Format specification of libewf's documentation.

That what is built is an EWF image is checked with ewfverify, where that is installed; that its bytes are the media's, with
dissect.evidence.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from dissect.evidence.ewf.ewf import EWF
from hypothesis import given
from hypothesis import strategies as st

from forensics.digests import digest_media
from forensics.errors import ImageError, ImageReadError, SegmentMissingError
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECTORS_PER_CHUNK = 8
CHUNK = SECTORS_PER_CHUNK * 512
SET_IDENTIFIER = bytes(range(16))


def checked(data: bytes) -> bytes:
    return data + struct.pack("<I", zlib.adler32(data))


@dataclass
class Builder:
    """Builds the segments of one image; every part can be made wrong by a test."""

    media: bytes
    deflated: bool = True
    segments: int = 1
    chunks_per_table: int = 5
    set_identifiers: dict[int, bytes] = field(default_factory=dict)
    end: bool = True
    md5: bytes | None = None
    header2: bytes = b""
    errors: list[tuple[int, int]] = field(default_factory=list)
    chunk_offsets: list[tuple[int, int]] = field(default_factory=list)
    table_offsets: list[int] = field(default_factory=list)
    table2_offsets: list[int] = field(default_factory=list)

    def section(self, file: bytearray, kind: bytes, data: bytes) -> int:
        offset = len(file)
        last = kind in (b"next", b"done")
        following = offset if last else offset + 76 + len(data)
        file += checked(struct.pack("<16sQQ40x", kind, following, 76 + len(data)))
        file += data
        return offset

    def volume(self, number: int) -> bytes:
        chunks = -(-len(self.media) // CHUNK)
        data = struct.pack("<IIIIQ", 1, chunks, SECTORS_PER_CHUNK, 512, len(self.media) // 512).ljust(64, b"\0")
        return checked((data + self.set_identifiers.get(number, SET_IDENTIFIER)).ljust(1048, b"\0"))

    def build(self, folder: Path, name: str = "disk") -> Path:
        chunks = [self.media[at : at + CHUNK] for at in range(0, len(self.media), CHUNK)]
        share = -(-len(chunks) // self.segments)
        for number in range(1, self.segments + 1):
            file = bytearray(b"EVF\x09\x0d\x0a\xff\x00" + struct.pack("<BHH", 1, number, 0))
            if number == 1:
                if self.header2:
                    self.section(file, b"header2", zlib.compress(self.header2))
                self.section(file, b"header", zlib.compress(b"1\r\nmain\r\nc\tn\te\r\ncase 7\titem\x1b\tA. Examiner\r\n\r\n"))
                self.section(file, b"volume", self.volume(1))
            else:
                self.section(file, b"data", self.volume(number))
            mine = chunks[(number - 1) * share : number * share]
            for at in range(0, len(mine), self.chunks_per_table):
                self.add_chunks(file, mine[at : at + self.chunks_per_table])
            if number == self.segments:
                if self.errors:
                    entries = b"".join(struct.pack("<II", *one) for one in self.errors)
                    self.section(file, b"error2", checked(struct.pack("<I512x", len(self.errors))) + checked(entries))
                digest = self.md5 if self.md5 is not None else hashlib.md5(self.media).digest()
                self.section(file, b"hash", checked(digest + bytes(16)))
            if number < self.segments or self.end:
                self.section(file, b"next" if number < self.segments else b"done", b"")
            (folder / f"{name}.E{number:02}").write_bytes(file)
        return folder / f"{name}.E01"

    def add_chunks(self, file: bytearray, chunks: list[bytes]) -> None:
        start, data, entries = len(file) + 76, bytearray(), []
        for chunk in chunks:
            stored = zlib.compress(chunk) if self.deflated else checked(chunk)
            self.chunk_offsets.append((start + len(data), len(stored)))
            entries.append(start + len(data) | (0x8000_0000 if self.deflated else 0))
            data += stored
        self.section(file, b"sectors", bytes(data))
        table = checked(struct.pack("<IIQI", len(entries), 0, 0, 0)) + checked(struct.pack(f"<{len(entries)}I", *entries))
        self.table_offsets.append(self.section(file, b"table", table) + 76)
        self.table2_offsets.append(self.section(file, b"table2", table) + 76)


def some_media(sectors: int, seed: int = 1) -> bytes:
    rng = random.Random(seed)
    return b"".join(rng.randbytes(512) if rng.random() < 0.5 else bytes([rng.randrange(256)]) * 512 for _ in range(sectors))


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def codes(problems: tuple) -> list[str]:
    return [problem.code for problem in problems]


@pytest.mark.parametrize("deflated", [True, False])
@pytest.mark.parametrize("segments", [1, 3])
def test_the_media_comes_back_whole(tmp_path: Path, deflated: bool, segments: int) -> None:
    media = some_media(205)
    with open_image(Builder(media, deflated=deflated, segments=segments).build(tmp_path)) as image:
        assert (image.container, image.size, image.sector_size) == ("ewf", len(media), 512)
        assert [segment.name for segment in image.segments] == [f"disk.E{n:02}" for n in range(1, segments + 1)]
        assert image.read_at(0, image.size + 1) == media
        assert image.stated.md5 == hashlib.md5(media).hexdigest()
        assert image.stated.sha1 is None
        assert image.problems() == ()
        digests = digest_media(image, on_bytes=lambda _: None)
        assert digests.sha256 == hashlib.sha256(media).hexdigest()
        assert (digests.problems, digests.damaged_chunks) == ((), 0)


@pytest.mark.skipif(shutil.which("ewfverify") is None and not os.environ.get("CI"), reason="ewfverify is not installed")
@pytest.mark.parametrize("deflated", [True, False])
def test_ewfverify_takes_what_is_built_here_for_an_intact_image(tmp_path: Path, deflated: bool) -> None:
    path = Builder(some_media(100), deflated=deflated, segments=2).build(tmp_path)
    done = subprocess.run(["ewfverify", "-q", path], capture_output=True, text=True, check=False)
    assert "SUCCESS" in done.stdout


@pytest.mark.parametrize("deflated", [True, False])
def test_dissect_reads_the_same_bytes(tmp_path: Path, deflated: bool) -> None:
    path = Builder(some_media(160), deflated=deflated, segments=2).build(tmp_path)
    other = EWF([path, path.with_suffix(".E02")])
    with open_image(path) as image:
        assert image.read_at(0, image.size) == other.open().read(other.size)
    for number in range(2):
        other.segment(number).fh.close()


@pytest.mark.skipif(shutil.which("ewfacquire") is None and not os.environ.get("CI"), reason="ewfacquire is not installed")
@pytest.mark.parametrize("compression", ["none", "fast", "empty-block"])
@pytest.mark.parametrize(
    "kind", ["ewf", "smart", "ftk", "encase1", "encase2", "encase3", "encase4", "encase5", "encase6", "linen5", "linen6", "ewfx"]
)
def test_every_kind_that_ewfacquire_writes_reads_back(tmp_path: Path, kind: str, compression: str) -> None:
    media = some_media(3000) + bytes(512 * 1000) + some_media(1001, 2)
    (tmp_path / "media.bin").write_bytes(media)
    command = ["ewfacquire", "-q", "-u", "-t", tmp_path / "disk", "-f", kind, "-c", compression, "-S", "1MiB", tmp_path / "media.bin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    (first,) = tmp_path.glob("disk.[EesS]01")
    with open_image(first) as image:
        assert image.read_at(0, image.size) == media
        assert (image.stated.md5, image.problems()) == (hashlib.md5(media).hexdigest(), ()), done.stdout
        assert digest_media(image, on_bytes=lambda _: None).problems == ()


def test_reads_at_random_places_are_slices_of_the_media(tmp_path: Path) -> None:
    media = some_media(301)
    path = Builder(media, segments=3).build(tmp_path)
    with open_image(path) as image:

        @given(offset=st.integers(0, len(media) + 10), length=st.integers(0, 3 * CHUNK))
        def check(offset: int, length: int) -> None:
            """`read_at(o, n)` is `media[o : o + n]`."""
            assert image.read_at(offset, length) == media[offset : offset + length]

        check()


def test_header_values_are_named_and_harmless(tmp_path: Path) -> None:
    with open_image(Builder(some_media(8)).build(tmp_path)) as image:
        assert image.header_values == {"case_number": "case 7", "evidence_number": "item\\x1b", "examiner_name": "A. Examiner"}


def test_the_unicode_header_wins_and_gives_times_in_utc(tmp_path: Path) -> None:
    # 1626967998 is 2021-07-22 15:33:18 UTC, by date(1).
    text = "3\nmain\na\tc\tm\tp\nÜbung\tcase 8\t1626967998\tsecret\n\n"
    with open_image(Builder(some_media(8), header2=text.encode("utf-16")).build(tmp_path)) as image:
        assert image.header_values["case_number"] == "case 8"
        assert image.header_values["description"] == "Übung"
        assert image.header_values["acquiry_date"] == "2021-07-22T15:33:18Z"
        assert "secret" not in image.header_values.values()


@pytest.mark.parametrize("deflated", [True, False])
def test_a_flipped_bit_in_a_chunk_names_its_sectors_and_spares_the_others(tmp_path: Path, deflated: bool) -> None:
    media = some_media(100)
    builder = Builder(media, deflated=deflated)
    path = builder.build(tmp_path)
    for index in (3, 4, 9):
        offset, length = builder.chunk_offsets[index]
        flip(path, offset + length // 2)
    with open_image(path) as image:
        with pytest.raises(ImageReadError, match="sectors 24 to 31 are damaged"):
            image.read_at(3 * CHUNK + 5, 1)
        assert image.read_at(0, 3 * CHUNK) == media[: 3 * CHUNK]
        assert image.read_at(5 * CHUNK, 4 * CHUNK) == media[5 * CHUNK : 9 * CHUNK]
        digests = digest_media(image, on_bytes=lambda _: None)
    assert [(one.code, one.start_byte, one.size_bytes) for one in digests.problems] == [
        ("chunk-checksum", 3 * CHUNK, 2 * CHUNK),
        ("chunk-checksum", 9 * CHUNK, CHUNK),
    ]
    assert "Sectors 24 to 39" in digests.problems[0].what
    assert digests.damaged_chunks == 3
    assert digests.md5 != hashlib.md5(media).hexdigest()


def test_a_damaged_table_is_read_from_its_copy(tmp_path: Path) -> None:
    media = some_media(100)
    builder = Builder(media)
    path = builder.build(tmp_path)
    flip(path, builder.table_offsets[0] + 24 + 6)
    flip(path, builder.table2_offsets[1] + 24 + 6)
    with open_image(path) as image:
        assert image.read_at(0, image.size) == media


def test_a_table_damaged_in_both_copies_costs_its_chunks_only(tmp_path: Path) -> None:
    media = some_media(100)
    builder = Builder(media)
    path = builder.build(tmp_path)
    flip(path, builder.table_offsets[1] + 24 + 6)
    flip(path, builder.table2_offsets[1] + 24 + 6)
    with open_image(path) as image:
        assert image.read_at(0, 5 * CHUNK) == media[: 5 * CHUNK]
        with pytest.raises(ImageReadError, match="sectors 40 to 47 are damaged"):
            image.read_at(5 * CHUNK, 1)
        digests = digest_media(image, on_bytes=lambda _: None)
    assert [(one.start_byte, one.size_bytes) for one in digests.problems] == [(5 * CHUNK, 5 * CHUNK)]


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_missing_segment_is_named(tmp_path: Path, gone: int) -> None:
    path = Builder(some_media(100), segments=3).build(tmp_path)
    path.with_suffix(f".E{gone:02}").unlink()
    with pytest.raises(SegmentMissingError, match=rf"disk\.E{gone:02}\b.* is missing"):
        open_image(path if gone != 1 else path.with_suffix(".E02"))


def test_a_segment_under_a_wrong_number_is_noticed(tmp_path: Path) -> None:
    path = Builder(some_media(100), segments=3).build(tmp_path)
    path.with_suffix(".E03").replace(path.with_suffix(".E02"))
    with pytest.raises(SegmentMissingError, match="says that it is segment 3 and stands in the place of segment 2"):
        open_image(path)


def test_a_segment_of_another_image_is_noticed(tmp_path: Path) -> None:
    path = Builder(some_media(100), segments=2, set_identifiers={2: b"x" * 16}).build(tmp_path)
    with pytest.raises(ImageError, match=r"E02: belongs to another image"):
        open_image(path)


def test_a_segment_that_is_no_ewf_file_is_noticed(tmp_path: Path) -> None:
    path = Builder(some_media(100), segments=2).build(tmp_path)
    path.with_suffix(".E02").write_bytes(b"no segment at all")
    with pytest.raises(ImageError, match=r"disk\.E02: is not an EWF segment"):
        open_image(path)


def test_a_file_behind_the_last_segment_is_not_read_and_said(tmp_path: Path) -> None:
    media = some_media(16)
    path = Builder(media).build(tmp_path)
    path.with_suffix(".E02").write_bytes(path.read_bytes().replace(b"\x01\x01\x00", b"\x01\x02\x00", 1))
    with open_image(path) as image:
        assert image.read_at(0, 10**6) == media
        assert [segment.name for segment in image.segments] == ["disk.E01"]
        assert codes(image.problems()) == ["segment-ignored"]


def test_an_image_cut_off_inside_its_chunks_is_refused(tmp_path: Path) -> None:
    path = Builder(some_media(100)).build(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=r"incomplete EWF image: \d+ of 13 chunks are there; .*cut off"):
        open_image(path)


def test_an_image_cut_off_behind_its_chunks_is_opened_and_says_so(tmp_path: Path) -> None:
    media = some_media(100)
    path = Builder(media, end=False).build(tmp_path)
    with open_image(path) as image:
        assert image.read_at(0, image.size) == media
        assert codes(image.problems()) == ["ewf-incomplete"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("following", "told"),
    [
        (0, "leads back to byte 0"),
        (13, "leads back to byte 13"),
        (13 + 76, "descriptor at byte 89 fails its checksum"),
        (2**63, "runs to byte 9223372036854775808 and the file ends at 589"),
        (2**64 - 1, "runs to byte 18446744073709551615 and the file ends at 589"),
    ],
)
def test_a_chain_that_leads_back_or_away_ends(tmp_path: Path, following: int, told: str) -> None:
    data = b"EVF\x09\x0d\x0a\xff\x00" + struct.pack("<BHH", 1, 1, 0)
    data += checked(struct.pack("<16sQQ40x", b"header", following, 76)) + bytes(500)
    path = tmp_path / "disk.E01"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=f"no section that states the media's size: .*{told}"):
        open_image(path)


@pytest.mark.parametrize("deflated", [True, False])
def test_no_flipped_bit_gives_other_media_without_saying_so(tmp_path: Path, deflated: bool) -> None:
    """Whatever bit of the file is flipped: the media comes back as it was, or an error says that it does not."""
    media = some_media(50)
    path = Builder(media, deflated=deflated).build(tmp_path)
    original, rng = path.read_bytes(), random.Random(11)
    outcomes = set()
    for _ in range(1000):
        data = bytearray(original)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            with open_image(path) as image:
                outcomes.add("same" if image.read_at(0, len(media) + 1) == media else "other")
        except (ImageError, ImageReadError):
            outcomes.add("error")
    assert outcomes == {"same", "error"}


def test_a_flipped_bit_in_a_section_descriptor_is_noticed(tmp_path: Path) -> None:
    path = Builder(some_media(100)).build(tmp_path)
    flip(path, 13 + 20)
    with pytest.raises(ImageError, match="section descriptor at byte 13 fails its checksum"):
        open_image(path)


def test_a_flipped_bit_in_the_volume_section_is_noticed(tmp_path: Path) -> None:
    path = Builder(some_media(100)).build(tmp_path)
    flip(path, path.read_bytes().index(b"volume") + 76 + 8)
    with pytest.raises(ImageError, match="which states the media's size, fails its checksum"):
        open_image(path)


def test_a_stored_digest_of_zeros_counts_as_not_stated(tmp_path: Path) -> None:
    with open_image(Builder(some_media(8), md5=bytes(16)).build(tmp_path)) as image:
        assert image.stated.md5 is None


def test_sectors_that_could_not_be_read_at_the_acquisition_are_problems(tmp_path: Path) -> None:
    with open_image(Builder(some_media(100), errors=[(8, 2), (90, 1)]).build(tmp_path)) as image:
        assert [(one.code, one.start_byte, one.size_bytes) for one in image.problems()] == [
            ("acquisition-read-error", 8 * 512, 1024),
            ("acquisition-read-error", 90 * 512, 512),
        ]


def test_a_chunk_that_inflates_to_more_than_a_chunk_is_damaged(tmp_path: Path) -> None:
    builder = Builder(some_media(16))
    original = builder.add_chunks
    builder.add_chunks = lambda file, chunks: original(file, [chunks[0] + bytes(10**6), *chunks[1:]])  # type: ignore[method-assign]
    with open_image(builder.build(tmp_path)) as image, pytest.raises(ImageReadError, match="sectors 0 to 7 are damaged"):
        image.read_at(0, 512)


def test_more_segments_than_are_held_open_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.image._MAX_OPEN_SEGMENTS", 2)
    media = some_media(100)
    with open_image(Builder(media, segments=5).build(tmp_path)) as image:
        assert image.read_at(0, image.size) == media


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("identifier", "md5", "sha1", "sha256"),
    [
        # ewfverify -d sha1,sha256 (libewf 20140813), "hash calculated over data"
        (
            "ewf-ext2-dfvfs",
            "196066add11fb71c4c49cf1bb50d6d24",
            "4766c63c7acd5175015e3e8b90013a827e63f4ee",
            "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80",
        ),
        (
            "ewf-split-plaso",
            "38ea5af8a80e16e46c095c9110242fc0",
            "34de9912223904d829534a02331a49a9a9241c0d",
            "694da90e9fc6858c6dd77450add177670eb450534c3fecee2633356d6a969b98",
        ),
        (
            "win-open",
            "46e926c6654d4918b8b2c95798ec6403",
            "d14f46b3af2ad0db3a6b7c06fe2c5911267908fa",
            "7516cf0d0f8977d8390e14833e5fd615613a60501c0012401f40d7722b565043",
        ),
    ],
)
def test_public_images_have_the_digests_that_ewfverify_gives(
    corpus_image: Callable[[str], Path], identifier: str, md5: str, sha1: str, sha256: str
) -> None:
    with open_image(corpus_image(identifier)) as image:
        digests = digest_media(image, on_bytes=lambda _: None)
        assert (digests.md5, digests.sha1, digests.sha256) == (md5, sha1, sha256)
        assert image.stated.md5 == md5
        assert image.problems() == ()


@pytest.mark.corpus
def test_header_values_are_those_that_ewfinfo_shows(corpus_image: Callable[[str], Path]) -> None:
    with open_image(corpus_image("ewf-ext2-dfvfs")) as image:
        assert image.header_values == {
            "acquiry_date": "2021-07-22T15:33:18Z",
            "acquiry_operating_system": "Linux",
            "acquiry_software_version": "20140812",
            "case_number": "case",
            "description": "description",
            "evidence_number": "evidence",
            "examiner_name": "examiner",
            "notes": "notes",
            "system_date": "2021-07-22T15:33:18Z",
        }
