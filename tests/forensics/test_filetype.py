from __future__ import annotations

import sqlite3
import struct
import subprocess
import sys
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.filetype import HEAD_BYTES, detect, extension_mismatch, libmagic_version, magic

ROOT = Path(__file__).resolve().parents[2]


def _png() -> bytes:
    """A PNG of one pixel (PNG specification, section 5)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def _sqlite() -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (a)")
        return database.serialize()


def test_the_type_is_that_of_the_bytes() -> None:
    found = detect(_png())
    assert found.mime_type == "image/png"
    assert "1 x 1" in found.description


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
        (b"#!/bin/sh\necho\n", "text/x-shellscript"),
        (_sqlite(), "application/vnd.sqlite3"),
        (b"", "application/x-empty"),
    ],
)
def test_known_types(data: bytes, mime: str) -> None:
    assert detect(data).mime_type == mime


def test_a_memory_view_is_taken_too() -> None:
    assert detect(memoryview(bytearray(_png()))) == detect(_png())


def test_the_head_is_as_far_as_libmagic_looks() -> None:
    """The content behind the head changes nothing."""
    data = b"\0" * HEAD_BYTES
    assert detect(data + _png()) == detect(data)


def test_an_extension_that_contradicts_the_content_is_seen() -> None:
    assert extension_mismatch("image/png", "txt") is True
    assert extension_mismatch("image/jpeg", "jpg") is False


@pytest.mark.parametrize(("mime", "extension"), [("image/png", ""), ("text/plain", "exe"), ("application/zip", "docx")])
def test_no_opinion_is_null(mime: str, extension: str) -> None:
    assert extension_mismatch(mime, extension) is None


def test_the_type_database_is_the_packages_own() -> None:
    """MAGIC in the environment, which libmagic reads by default, must not change what a run says."""
    code = "from forensics.filetype import detect; print(detect(b'%PDF-1.7').mime_type)"
    answer = subprocess.run([sys.executable, "-c", code], env={"MAGIC": "/dev/null"}, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "application/pdf"


def test_the_version_is_a_number() -> None:
    major, _, minor = libmagic_version().partition(".")
    assert int(major) >= 5
    assert len(minor) == 2


_TEXTS = st.one_of(
    st.text(min_size=1), st.text(alphabet=st.characters(codec="latin-1"), min_size=1), st.text(alphabet="ab \r\n\t\x1b\x08", min_size=1)
)


@given(_TEXTS)
def test_the_quick_way_for_text_gives_the_mime_type_that_all_patterns_give(text: str) -> None:
    """Leaving libmagic's patterns out where none of them matched changes no answer."""
    data = text.encode("utf-8", "surrogatepass")
    assert detect(data).mime_type == magic.Magic(mime=True).from_buffer(data)


def test_the_quick_way_for_text_agrees_on_the_files_of_this_repository() -> None:
    whole = magic.Magic(mime=True)
    files = [path for path in ROOT.rglob("*") if path.is_file() and path.suffix in {".py", ".md", ".yar", ".toml", ".txt", ".html", ".css"}]
    files = [path for path in files if ".venv" not in path.parts][:400]
    assert len(files) > 100
    assert [path for path in files if detect(path.read_bytes()).mime_type != whole.from_buffer(path.read_bytes())] == []
