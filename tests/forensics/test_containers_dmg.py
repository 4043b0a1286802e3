"""DMG: images built here chunk by chunk, beside what 7z makes of them; the public image beside TSK's listing of it.

The LZFSE streams were made with Apple's reference encoder (github.com/lzfse/lzfse), the ADC stream by hand.
"""

from __future__ import annotations

import base64
import bz2
import contextlib
import lzma
import os
import plistlib
import random
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.containers.dmg_chunks import ADC, LZFSE, unpack_chunk
from forensics.digests import digest_media
from forensics.errors import ForensicsError, ImageError, ImageReadError, SegmentMissingError
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from forensics.image import Image

SECTOR = 512
ZERO, RAW, IGNORE, COMMENT, END = 0, 1, 2, 0x7FFFFFFE, 0xFFFFFFFF
ZLIB, BZIP2, LZMA = 0x80000005, 0x80000006, 0x80000008
KOLY = struct.Struct(">4sIII QQQQQ II 16s II 128s QQ 120s II 128s IQ 12s")
MISH = struct.Struct(">4sIQQQII24sII128sI")
CHUNK = struct.Struct(">IIQQQQ")
needs_7z = pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7z is not installed")
needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None and not os.environ.get("CI"), reason="qemu-img is not installed")

FOX = (b"The quick brown fox jumps over the lazy dog. " * 12)[:SECTOR]
FOX_LZVN = bytes.fromhex(
    "6276786e0002000040000000e01054686520717569636b2062726f776e20666f78206a756d7073206f7665722074001fea6c617a7920646f672e20382df0fff0a8e2"
    "2066060000000000000062767824"
)
SQUARES = (b"".join(b"%d squared is %d\n" % (n, n * n) for n in range(300))[:1200] * 4)[: 9 * SECTOR]
SQUARES_LZFSE = base64.b85decode(
    "Vs>~k01^NIJOSVc08Rj44Jm_v`+5KXoB#j-KPX@Y^B_GrzYzdHKwtv^`wci0$m>u5=mvHvY~F-pI4<{_761SM00000H~|3QO#uJ^007_$0002^7v73b;(z!tK82s+{"
    "t@^T00000000000DwXZ6aZ*XC;$Ke0000000000000000000000000000000000000000003Z{{FDolvh0B2_t`$7ZoU4G#T`w+)#}A$RUZs=NxkMxbZ(+{VWvp+("
    "o{S80C)+iF4&bKgV*n}_Bd<vZtV2j7Fb9%xBaQNYvJ<*z$QT1N5;)afc)pI?Ty`1xLg<dKig3wH0E6jk4EmOP#q81FgBIJx(%VX#$W|gBxii5eV*s9e=dI>E^Yt-00"
    "00000000+$`X<!vB5FUp}&}`L{>|Jy4`?jqcnWbx{0QViVE{a*7W1bzyu3xFA~NS+l!@ITefw{AWJy^t}r=dAn=bZn51huGfZu3^C1+2*-F6Y+-#fG|X?VaN0P(Wx"
    "HxQADQ7<=h4&vnq&lv$+D0DVs>~W"
)
# "abcabcabcabc", then 500 times "x": a literal, a copy of two bytes' form, a literal, copies of three bytes' form that overlap themselves.
COPIES = b"abcabcabcabc" + b"x" * 500
COPIES_ADC = b"\x82abc" + bytes([(9 - 3) << 2, 2]) + b"\x80x" + b"".join(bytes([0x40 | (n - 4), 0, 0]) for n in (67,) * 7 + (30,))
RANDOM = random.Random(7).randbytes(3 * SECTOR)


@dataclass
class Part:
    """Some sectors as one chunk: their content, the chunk's type, the bytes stored."""

    content: bytes
    type: int
    stored: bytes = b""
    length: int | None = None
    at: int | None = None


def zlibbed(content: bytes) -> Part:
    return Part(content, ZLIB, zlib.compress(content))


def raw(content: bytes) -> Part:
    return Part(content, RAW, content)


def zeros(sectors: int, kind: int = ZERO) -> Part:
    return Part(bytes(sectors * SECTOR), kind)


ALL = (
    raw(RANDOM),
    zlibbed(FOX * 3),
    zeros(2),
    Part(SQUARES, LZFSE, SQUARES_LZFSE),
    Part(FOX, LZFSE, FOX_LZVN),
    Part(COPIES, ADC, COPIES_ADC),
    Part(RANDOM[::-1], BZIP2, bz2.compress(RANDOM[::-1])),
    zeros(3, IGNORE),
    Part(FOX * 4, LZMA, lzma.compress(FOX * 4)),
    Part(FOX + RANDOM, LZFSE, b"bvx-" + struct.pack("<I", 4 * SECTOR) + FOX + RANDOM + b"bvx$"),
)


def media_of(parts: Sequence[Part]) -> bytes:
    return b"".join(part.content for part in parts)


def table(
    parts: Sequence[Part], first: int, data_at: int, *, crc: int | None = None, end: bool = True, begin: int = 0
) -> tuple[bytes, bytes]:
    """A table of these parts from sector `first` on, and what is stored of them, whose first byte is number `data_at` of the data."""
    rows, stored, sector = [], b"", 0
    for part in parts:
        count = len(part.content) // SECTOR
        at = data_at + len(stored) if part.at is None else part.at
        rows.append(CHUNK.pack(part.type, 0, sector, count, at - begin, len(part.stored) if part.length is None else part.length))
        stored += part.stored
        sector += count
        if part.type == RAW:
            rows.append(CHUNK.pack(COMMENT, 0, sector, 0, 0, 0))
    if end:
        rows.append(CHUNK.pack(END, 0, sector, 0, 0, 0))
    if crc is None:
        crc = zlib.crc32(b"".join(part.content for part in parts if part.type != IGNORE))
    return MISH.pack(b"mish", 1, first, sector, begin, 2056, 0, b"", 2, 32, crc.to_bytes(4, "big"), len(rows)) + b"".join(rows), stored


def dmg(tables: Sequence[bytes], stored: bytes, sectors: int, *, segments: int = 1, plist: bytes | None = None) -> bytes:
    rows = [{"Attributes": "0x0050", "Data": one, "ID": str(index), "Name": f"part {index}"} for index, one in enumerate(tables)]
    text = plist if plist is not None else plistlib.dumps({"resource-fork": {"blkx": rows}})
    return stored + text + koly(len(stored), len(text), sectors, segments=segments)


def koly(at: int, length: int, sectors: int, *, segments: int = 1, size: int | None = None) -> bytes:
    return KOLY.pack(
        *(b"koly", 4, 512, 1, 0, 0, at if size is None else size, 0, 0, 1, segments, bytes(16), 0, 0, b"", at, length, b""),
        *(0, 0, b"", 1, sectors, b""),
    )


def dmg_of(parts: Sequence[Part], **options: bool | int) -> bytes:
    one, stored = table(parts, 0, 0, **options)
    return dmg([one], stored, len(media_of(parts)) // SECTOR)


def opened(folder: Path, data: bytes) -> Image:
    path = folder / "disk.dmg"
    path.write_bytes(data)
    return open_image(path)


def test_chunks_of_every_kind_are_read(tmp_path: Path) -> None:
    media = media_of(ALL)
    with opened(tmp_path, dmg_of(ALL)) as image:
        assert (image.container, image.size, image.problems()) == ("dmg", len(media), ())
        assert digest_media(image, on_bytes=lambda _: None).problems == ()

        @given(offset=st.integers(0, len(media) + 10), length=st.integers(0, 5000))
        def check(offset: int, length: int) -> None:
            """`read_at(o, n)` is `media[o : o + n]`."""
            assert image.read_at(offset, length) == media[offset : offset + length]

        check()


@needs_7z
def test_7z_unpacks_the_same(tmp_path: Path) -> None:
    parts = ALL[:-1]  # of the last one it gives the same bytes and an error: it knows no plain block without a compressed one
    with opened(tmp_path, dmg_of(parts)) as image:
        found = subprocess.run(["7z", "x", "-so", "-tdmg", "disk.dmg"], cwd=tmp_path, check=True, capture_output=True).stdout
        assert image.read_at(0, image.size) == found == media_of(parts)


@needs_7z
def test_a_table_may_say_where_its_data_begin(tmp_path: Path) -> None:
    one, stored = table((raw(RANDOM), zlibbed(FOX)), 0, 100, begin=100)
    with opened(tmp_path, dmg([one], bytes(100) + stored, 4)) as image:
        found = subprocess.run(["7z", "x", "-so", "-tdmg", "disk.dmg"], cwd=tmp_path, check=True, capture_output=True).stdout
        assert image.read_at(0, image.size) == found == RANDOM + FOX


@needs_qemu
def test_qemu_img_unpacks_the_same(tmp_path: Path) -> None:
    parts = (raw(RANDOM), zlibbed(FOX * 3), zeros(4), raw(FOX))
    with opened(tmp_path, dmg_of(parts)) as image:
        subprocess.run(["qemu-img", "convert", "-f", "dmg", "-O", "raw", "disk.dmg", "out"], cwd=tmp_path, check=True)
        assert image.read_at(0, image.size) == (tmp_path / "out").read_bytes()


def test_several_tables_follow_each_other_whatever_their_order(tmp_path: Path) -> None:
    first, stored = table((raw(RANDOM), zlibbed(FOX)), 0, 0)
    second, more = table((zlibbed(FOX * 2), zeros(3, IGNORE), raw(FOX)), 4, len(stored))
    with opened(tmp_path, dmg([second, first], stored + more, 10)) as image:
        assert image.read_at(0, image.size) == RANDOM + FOX * 3 + bytes(3 * SECTOR) + FOX
        assert (image.problems(), digest_media(image, on_bytes=lambda _: None).problems) == ((), ())


def test_a_range_that_no_table_has_is_said(tmp_path: Path) -> None:
    first, stored = table((raw(FOX),), 0, 0)
    second, more = table((zlibbed(FOX),), 5, len(stored))
    with opened(tmp_path, dmg([first, second], stored + more, 10)) as image:
        assert [(one.code, one.start_byte, one.size_bytes) for one in image.problems()] == [
            ("dmg-range-not-listed", SECTOR, 4 * SECTOR),
            ("dmg-range-not-listed", 6 * SECTOR, 4 * SECTOR),
        ]
        assert image.read_at(0, image.size) == FOX + bytes(4 * SECTOR) + FOX + bytes(4 * SECTOR)


def test_a_checksum_that_does_not_hold_names_its_range(tmp_path: Path) -> None:
    with opened(tmp_path, dmg_of((raw(RANDOM), zlibbed(FOX)), crc=1)) as image:
        assert [(one.code, one.start_byte, one.size_bytes) for one in digest_media(image, on_bytes=lambda _: None).problems] == [
            ("chunk-checksum", 0, 4 * SECTOR)
        ]


@pytest.mark.parametrize("part", [zlibbed(RANDOM), ALL[3], ALL[6], ALL[8]], ids=["zlib", "lzfse", "bzip2", "lzma"])
@pytest.mark.parametrize("place", [0.3, 0.6, 0.999])
def test_a_damaged_chunk_is_an_error_and_its_neighbours_are_read(tmp_path: Path, part: Part, place: float) -> None:
    stored = bytearray(part.stored)
    stored[int(place * len(stored))] ^= 0x10
    broken = Part(part.content, part.type, bytes(stored))
    with opened(tmp_path, dmg_of((raw(FOX), broken, raw(FOX)))) as image:
        end = SECTOR + len(part.content)
        assert image.read_at(0, SECTOR) == image.read_at(end, SECTOR) == FOX
        codes = {problem.code for problem in digest_media(image, on_bytes=lambda _: None).problems}
        if part.type == LZFSE and codes == {"chunk-checksum"}:
            return  # LZFSE has no checksum of its own; the table's says it
        assert codes == {"media-read"}
        for _ in range(2):
            with pytest.raises(ImageReadError, match=rf"bytes {SECTOR} to {end - 1} of the media cannot be read: the chunk is damaged"):
                image.read_at(SECTOR, 1)


@pytest.mark.parametrize("change", [SECTOR, -SECTOR])
@pytest.mark.parametrize("pack", [zlib.compress, bz2.compress, lzma.compress], ids=["zlib", "bzip2", "lzma"])
def test_a_chunk_that_unpacks_to_more_or_less_is_an_error(tmp_path: Path, pack: Callable[[bytes], bytes], change: int) -> None:
    kind = {zlib.compress: ZLIB, bz2.compress: BZIP2, lzma.compress: LZMA}[pack]
    content = RANDOM[:SECTOR] * 3
    part = Part(content, kind, pack((content * 2)[: len(content) + change]))
    with opened(tmp_path, dmg_of((part,))) as image, pytest.raises(ImageReadError, match="the chunk is damaged"):
        image.read_at(0, 1)


@pytest.mark.parametrize("part", [Part(FOX, RAW, b"", 512, 1 << 40), Part(FOX, ZLIB, b"", 100, 1 << 62)], ids=["raw", "zlib"])
def test_a_chunk_behind_the_end_of_the_file_is_an_error(tmp_path: Path, part: Part) -> None:
    with opened(tmp_path, dmg_of((raw(FOX), part))) as image:
        assert image.read_at(0, SECTOR) == FOX
        with pytest.raises(ImageReadError, match=r"behind the end of the file|the file ends in it"):
            image.read_at(SECTOR, SECTOR)


def test_a_table_without_its_end_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    one, stored = table((raw(FOX), zlibbed(FOX)), 0, 0, end=False)
    with opened(tmp_path, dmg([one], stored, 2)) as image:
        assert image.read_at(0, image.size) == FOX * 2
    lacking = MISH.pack(*(*MISH.unpack_from(one)[:11], 1)) + one[MISH.size : MISH.size + CHUNK.size]
    with opened(tmp_path, dmg([lacking], stored, 2)) as image:
        assert image.read_at(0, SECTOR) == FOX
        with pytest.raises(ImageReadError, match="bytes 512 to 1023 of the media are in no chunk"):
            image.read_at(SECTOR, 1)
        assert {problem.code for problem in digest_media(image, on_bytes=lambda _: None).problems} == {"media-read"}


def changed_table(index: int, value: int) -> bytes:
    one, stored = table((raw(FOX), zlibbed(FOX)), 0, 0)
    values = list(MISH.unpack_from(one))
    values[index] = value
    return dmg([MISH.pack(*values) + one[MISH.size :]], stored, 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed_table(11, 0xFFFFFFFF), "states 4294967295 chunks and is too short"),
        (changed_table(2, 1 << 63), "lies over another one or behind the end"),
        (changed_table(3, 1 << 63), "lies over another one or behind the end"),
        (changed_table(3, 1), "lies outside its table"),
        (dmg_of((Part(FOX, 0x80000004 + 99),)), "is of type 0x80000067"),
        (dmg_of((Part(FOX, ZLIB, b"", 1 << 63),)), "is compressed to 9223372036854775808 bytes"),
        (dmg_of((Part(FOX, RAW, b"", 100),)), "is stored raw in 100 bytes"),
        (dmg([], b"", 0), "states 0 sectors"),
        (dmg([], b"", 1 << 63), "states 9223372036854775808 sectors"),
        (koly(1 << 63, 1 << 63, 10), "which cannot be"),
        (dmg([b"mish"], b"", 1), "a table of the DMG is cut off"),
        (dmg([], b"", 1, plist=b"<plist><dict>"), "the property list of the DMG cannot be read"),
        (dmg([], b"", 1, plist=b"<!DOCTYPE x [<!ENTITY a 'b'>]><plist><dict/></plist>"), "the property list of the DMG cannot be read"),
        (dmg([], b"", 1, plist=plistlib.dumps({"resource-fork": []})), "the property list of the DMG cannot be read"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        opened(tmp_path, data.ljust(SECTOR, b"\0"))


def test_chunks_over_each_other_are_refused(tmp_path: Path) -> None:
    one, stored = table((raw(FOX), raw(FOX)), 0, 0)
    with pytest.raises(ImageError, match="lies over another one"):
        opened(tmp_path, dmg([one, one], stored, 2))


def test_a_compressed_chunk_larger_than_any_is_refused(tmp_path: Path) -> None:
    row = CHUNK.pack(ZLIB, 0, 0, 1 << 20, 0, 100)
    one = MISH.pack(b"mish", 1, 0, 1 << 20, 0, 0, 0, b"", 0, 0, b"", 1) + row
    with pytest.raises(ImageError, match="is larger than a compressed chunk is"):
        opened(tmp_path, dmg([one], b"", 1 << 20))


def test_a_segment_of_several_is_refused(tmp_path: Path) -> None:
    one, stored = table((raw(FOX),), 0, 0)
    with pytest.raises(SegmentMissingError, match="is segment 1 of 3 of a DMG"):
        opened(tmp_path, dmg([one], stored, 1, segments=3))


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"bvx$",
        b"bvx-\xff\xff\xff\xff" + FOX,
        b"bvx-\0\2\0\0" + FOX,
        b"bvx1" + bytes(800) + b"bvx$",
        # LZVN: a literal, then matches that would make 135 times as much of it
        b"bvxn" + struct.pack("<II", SECTOR, 4000) + b"\xe1a" + b"\x08\1" + b"\xf0\xff" * 1998 + b"bvx$",
        b"bvxn" + struct.pack("<II", 1 << 30, 1 << 30) + b"\xe1a",
        # a block of 2^20 - 1 matches
        b"bvx2" + struct.pack("<I3Q", SECTOR, 0xFFFFF << 40, 0, 32) + b"bvx$",
        b"bvx2" + struct.pack("<I3Q", SECTOR, 0, 0, 0) + b"bvx$",
    ],
)
def test_lzfse_blocks_that_no_encoder_writes_are_errors(tmp_path: Path, stored: bytes) -> None:
    with opened(tmp_path, dmg_of((Part(FOX, LZFSE, stored),))) as image, pytest.raises(ImageReadError, match="the chunk is damaged"):
        image.read_at(0, 1)


@given(data=st.binary(max_size=300))
def test_adc_gives_the_stated_size_or_an_error(data: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):
        assert len(unpack_chunk(ADC, data, 100)) == 100


@pytest.mark.corpus
def test_the_public_image_holds_its_checksums(corpus_image: Callable[[str], Path]) -> None:
    with open_image(corpus_image("dmg-hfsplus-dfvfs")) as image:
        digests = digest_media(image, on_bytes=lambda _: None)
        assert (image.problems(), digests.problems) == ((), ())


@needs_7z
@pytest.mark.corpus
def test_the_public_image_is_what_7z_unpacks(corpus_image: Callable[[str], Path]) -> None:
    path = corpus_image("dmg-hfsplus-dfvfs")
    with open_image(path) as image:
        assert image.read_at(0, image.size) == subprocess.run(["7z", "x", "-so", "-tdmg", path], check=True, capture_output=True).stdout


def test_damaged_images_give_errors_of_ours_only(tmp_path: Path) -> None:
    data, choose, opened_ones = dmg_of(ALL), random.Random(3), 0
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(choose.randrange(1, 6)):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        try:
            with opened(tmp_path, bytes(changed)) as image:
                if image.container == "dmg" and image.size <= 1 << 20:
                    opened_ones += 1
                    assert sum(len(block.data) for block in image.iter_blocks()) == image.size
        except ForensicsError:
            pass
    assert opened_ones > 20
