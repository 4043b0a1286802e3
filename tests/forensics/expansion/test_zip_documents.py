"""Kinds of document that are ZIP files under another name, as their standards lay them out; and what is none."""

from __future__ import annotations

import io
import os
import struct
import zipfile

import pytest
from opened import contents, walk
from test_walk import zipped

TYPES = b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
DOCUMENTS = {  # ECMA-376 part 2; ODF 1.3 part 2, 3.3 and EPUB OCF 3.3, 4.3: the first member is stored and names the type
    "report.docx": {"[Content_Types].xml": TYPES, "word/document.xml": b"<w:document/>", "word/media/image1.png": b"\x89PNG\r\n\x1a\n"},
    "sheet.xlsx": {"[Content_Types].xml": TYPES, "xl/workbook.xml": b"<workbook/>", "xl/worksheets/sheet1.xml": b"<worksheet/>"},
    "text.odt": {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"<office:document-content/>"},
    "book.epub": {"mimetype": b"application/epub+zip", "META-INF/container.xml": b"<container/>"},
    "a": {"[Content_Types].xml": TYPES, "word/document.xml": b"<w:document/>"},
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_parts_of_a_document_are_members(name: str) -> None:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in DOCUMENTS[name].items():
            archive.writestr(path, content, zipfile.ZIP_STORED if path == "mimetype" else None)
    got, problems = walk(into.getvalue(), name)
    assert problems == []
    assert contents(got) == DOCUMENTS[name]


def test_what_is_embedded_in_a_document_is_opened_in_turn() -> None:
    embedded = zipped({"[Content_Types].xml": TYPES, "xl/workbook.xml": b"<workbook/>"})
    got, problems = walk(zipped({"[Content_Types].xml": TYPES, "word/embeddings/sheet.xlsx": embedded}), "report.docx")
    assert problems == []
    assert contents(got)["word/embeddings/sheet.xlsx/xl/workbook.xml"] == b"<workbook/>"


def test_the_signatures_between_members_and_directory_of_an_android_package_are_no_damage() -> None:
    """APK Signature Scheme v2: a block of pairs before the central directory, its size at both ends and a magic."""
    plain = zipped({"AndroidManifest.xml": b"\3\0\x08\0", "classes.dex": b"dex\n035\0"})
    at = plain.index(b"PK\1\2")
    pair = struct.pack("<QI", 4 + 1000, 0x7109871A) + os.urandom(1000)
    size = struct.pack("<Q", len(pair) + 24)
    block = size + pair + size + b"APK Sig Block 42"
    end = bytearray(plain[at:])
    struct.pack_into("<I", end, len(end) - 6, at + len(block))
    data = plain[:at] + block + bytes(end)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
    got, problems = walk(data, "app.apk")
    assert problems == []
    assert [(one.path, one.content) for one in got] == [("AndroidManifest.xml", b"\3\0\x08\0"), ("classes.dex", b"dex\n035\0")]


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x89PNG\r\n\x1a\n" + bytes(100), b"PK", b"PK\1\2" + bytes(50)])
@pytest.mark.parametrize(
    "name", ["a.zip", "a.docx", "a.7z", "a.rar", "a.tar", "a.gz", "a.pst", "a.msg", "a.mbox", "a.cab", "a.zst", "a.eml"]
)
def test_a_name_alone_makes_no_container(name: str, content: bytes) -> None:
    assert walk(content, name) == ([], [])
