"""ASIF images, built after the community's specification of the format; no other tool on this system reads them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from virtual_disks import ASIF_CHUNK, ASIF_GROUP, SECTOR, asif, laid, some_bytes

from forensics.errors import ImageError, ImageReadError, UnsupportedImageError
from forensics.image import open_image

if TYPE_CHECKING:
    from pathlib import Path

PER_CHUNK = ASIF_CHUNK // SECTOR


def chunk(number: int) -> bytes:
    return some_bytes(ASIF_CHUNK, number)


@pytest.mark.parametrize("sequences", [(1, 2), (2, 1)])
def test_whole_and_absent_chunks_are_read_through_the_newer_directory(tmp_path: Path, sequences: tuple[int, int]) -> None:
    path = laid(tmp_path, "disk.asif", asif({2: chunk(2), 0: chunk(0)}, 4 * PER_CHUNK - 3, sequences=sequences))
    media = (chunk(0) + bytes(ASIF_CHUNK) + chunk(2) + bytes(ASIF_CHUNK))[: -3 * SECTOR]
    with open_image(path) as image:
        assert (image.container, image.size) == ("asif", len(media))
        assert image.read_at(0, image.size) == media
        assert image.read_at(ASIF_CHUNK * 2 - 700, 3000) == media[ASIF_CHUNK * 2 - 700 :][:3000]


def test_a_chunk_behind_the_first_group_and_one_without_a_table(tmp_path: Path) -> None:
    at = ASIF_GROUP + 5
    sectors = (3 * ASIF_GROUP + 2) * PER_CHUNK  # a table holds three groups
    with open_image(laid(tmp_path, "disk.asif", asif({at: chunk(1)}, sectors))) as image:
        assert image.read_at(at * ASIF_CHUNK - 10, ASIF_CHUNK + 20) == bytes(10) + chunk(1) + bytes(10)
        # "Directory": an entry of 0 means that its whole range is zeros; chunk 0 is the header.
        assert image.read_at(image.size - 5000, 5000) == bytes(5000)


def test_sectors_never_written_are_zeros_whatever_the_chunk_holds(tmp_path: Path) -> None:
    """ "Bitmap Chunk": two bits a sector, the first in the lowest; 00 reads as zeros, 01 as stored."""
    states = bytes(random.Random(1).randrange(2) for _ in range(PER_CHUNK))
    media = b"".join(chunk(3)[n * SECTOR : (n + 1) * SECTOR] if state else bytes(SECTOR) for n, state in enumerate(states))
    with open_image(laid(tmp_path, "disk.asif", asif({1: (chunk(3), states)}, 2 * PER_CHUNK))) as image:
        assert image.read_at(0, image.size) == bytes(ASIF_CHUNK) + media
    image = open_image(laid(tmp_path, "disk.asif", asif({1: (chunk(3), states[:7] + b"\2")}, 2 * PER_CHUNK)))
    with image, pytest.raises(ImageReadError, match="a sector is in the state 2, which is not known"):
        image.read_at(ASIF_CHUNK, 5000)


@pytest.mark.parametrize(("entry", "told"), [(0b10 << 62 | 3, "state 2 at chunk 3"), (3, "state 0 at chunk 3"), (1 << 62, "state 1 at")])
def test_a_state_that_nobody_has_seen_is_an_error(tmp_path: Path, entry: int, told: str) -> None:
    data = bytearray(asif({0: chunk(0)}, PER_CHUNK))
    data[ASIF_CHUNK : ASIF_CHUNK + 8] = entry.to_bytes(8, "big")
    with open_image(laid(tmp_path, "disk.asif", bytes(data))) as image, pytest.raises(ImageReadError, match=told):
        image.read_at(0, 1)


def test_headers_that_cannot_be_are_refused(tmp_path: Path) -> None:
    good = asif({0: chunk(0)}, PER_CHUNK)
    for place, raw, error, told in (
        (4, b"\0\0\0\2", UnsupportedImageError, "is ASIF version 2"),
        (0x40, b"\xff\xff\xff\xff", ImageError, "which cannot be"),
        (0x44, b"\0\1", ImageError, "which cannot be"),
        (0x30, b"\xff" * 8, ImageError, "which cannot be"),
        (0x10, b"\xff" * 8, ImageError, "cut off before its ASIF directories"),
    ):
        with pytest.raises(error, match=told):
            open_image(laid(tmp_path, "disk.asif", good[:place] + raw + good[place + len(raw) :]))
    with pytest.raises(ImageError, match="the ASIF header is cut off"):
        open_image(laid(tmp_path, "disk.asif", good[:40]))


def test_a_file_cut_off_gives_errors_and_never_zeros(tmp_path: Path) -> None:
    with open_image(laid(tmp_path, "disk.asif", asif({0: chunk(0), 1: chunk(1)}, 2 * PER_CHUNK)[:-100])) as image:
        assert image.read_at(0, ASIF_CHUNK) == chunk(0)
        with pytest.raises(ImageReadError, match="cut off or damaged"):
            image.read_at(2 * ASIF_CHUNK - 1, 1)
