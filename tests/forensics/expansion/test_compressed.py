"""Compressed files with one content: against Python's and Debian's programs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess

import pytest
from opened import damaged, walk

from forensics.expansion.zstandard import zstd

CONTENT = bytes(range(256)) * 3000
PACKED = {
    "gzip": (gzip.compress(CONTENT, mtime=1_000_000_000), "a.txt.gz"),
    "bzip2": (bz2.compress(CONTENT), "a.txt.bz2"),
    "xz": (lzma.compress(CONTENT), "a.txt.xz"),
    "lzma": (lzma.compress(CONTENT, lzma.FORMAT_ALONE), "a.txt.lzma"),
    "zstd": (zstd.compress(CONTENT), "a.txt.zst"),
}
PROGRAMS = {"gzip": "a.gz", "bzip2": "a.bz2", "xz": "a.xz", "zstd": "a.zst", "lz4": "a.lz4", "lzip": "a.lz", "compress": "a.Z"}


@pytest.mark.parametrize("kind", PACKED)
def test_the_content_comes_out_under_the_name_without_suffix(kind: str) -> None:
    got, problems = walk(*PACKED[kind])
    assert problems == []
    assert [(one.path, one.content, one.failure, one.item.steps[0].opener) for one in got] == [("a.txt", CONTENT, "", kind)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_program_packed_comes_out_right(program: str) -> None:
    if shutil.which(program) is None and not os.environ.get("CI"):
        pytest.skip(f"{program} is not installed")
    packed = subprocess.run([program, "-c"], input=CONTENT, capture_output=True, check=True).stdout
    got, problems = walk(packed, PROGRAMS[program])
    assert problems == []
    assert [(one.path, one.content, one.failure) for one in got] == [("a", CONTENT, "")]


@pytest.mark.parametrize("head", [b"\x1f\x9d", b"\x1f\x9d\x08aa", b"\x1f\x9d\x91aa", b"\x1f\x9d\xb0aa", b"\x1f\x9d\x90aa"])
def test_two_bytes_alone_make_no_file_of_compress(head: bytes) -> None:
    """The third byte states the longest code, 9 to 16 bits, and has reserved bits; the first code is a byte, its ninth bit clear."""
    assert walk(head + bytes(100), "a") == ([], [])


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_streams_one_behind_the_other_are_one_content(kind: str) -> None:
    packed, name = PACKED[kind]
    got, problems = walk(packed + packed + bytes(512), name)
    assert problems == []
    assert [one.content for one in got] == [CONTENT + CONTENT]


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_what_follows_the_compressed_data_is_a_problem_that_says_where(kind: str) -> None:
    packed, name = PACKED[kind]
    got, problems = walk(packed + b"hidden behind", name)
    assert [one.content for one in got] == [CONTENT]
    assert [(problem.code, problem.start_byte, problem.size_bytes) for problem in problems] == [("trailing-data", len(packed), 13)]


@pytest.mark.parametrize("kind", PACKED)
def test_a_cut_stream_gives_its_beginning_and_says_that_it_ends(kind: str) -> None:
    packed, name = PACKED[kind]
    got, _ = walk(packed[:-10], name)
    assert got[0].failure
    assert CONTENT.startswith(got[0].content or b"")


def test_gzip_states_name_and_time() -> None:
    into = io.BytesIO()
    with gzip.GzipFile("/tmp/Report 1.doc", "wb", fileobj=into, mtime=1_000_000_000) as file:
        file.write(b"x")
    got, _ = walk(into.getvalue(), "other.gz")
    assert got[0].path == "Report 1.doc"
    assert got[0].item.member.times.modified == 10**18


def test_a_tgz_holds_a_tar() -> None:
    got, _ = walk(gzip.compress(b"no tar", mtime=0), "backup.tgz")
    assert [one.path for one in got] == ["backup.tar"]


def test_an_xz_that_asks_for_more_memory_than_there_is_to_give_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    packed = bytearray(lzma.compress(b"x" * 100, lzma.FORMAT_RAW, filters=filters))
    whole = bytearray(lzma.compress(b"x" * 100, lzma.FORMAT_XZ, filters=filters))
    assert packed
    at = whole.index(b"\x21\x01", 12) + 2  # the block header's filter: LZMA2, one byte of properties (xz 5.3.1)
    whole[at] = 39  # 3 GiB
    block = bytes(whole[12 : 12 + (whole[12] + 1) * 4 - 4])
    whole[12 + len(block) : 16 + len(block)] = lzma_crc(block)
    got, _ = walk(bytes(whole))
    assert got[0].content == b""
    assert "Memory usage limit" in got[0].failure


def lzma_crc(data: bytes) -> bytes:
    import zlib

    return zlib.crc32(data).to_bytes(4, "little")


@pytest.mark.parametrize("kind", PACKED)
def test_damage_gives_an_error_and_no_other_exception(kind: str) -> None:
    packed, name = PACKED[kind]
    for data in damaged(packed, 3, 40):
        walk(data, name)
