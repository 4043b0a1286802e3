"""What ends a document: revisions, directories, allocation tables and boundaries."""

from __future__ import annotations

import email.message
import io
import mailbox
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from carved_files import noise, updated_pdf, zipped
from msoffcrypto.format.ooxml import OOXMLFile
from spaces import carved, first

if TYPE_CHECKING:
    from pathlib import Path


_TYPES = b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'


def pdf(stream: bytes = b"") -> bytes:
    """A document of two objects (ISO 32000-1, 7.5)."""
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate((b"<< /Type /Catalog >>", b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream)), 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    table = b"xref\n0 3\n0000000000 65535 f \n" + rows + b"trailer\n<< /Size 3 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return out + table % len(out)


def found_of(data: bytes) -> list[tuple[int, int, bool]]:
    return [(one.offset, one.length, one.validated) for one in carved(data)]


def test_a_document_with_two_updates_is_one() -> None:
    whole = updated_pdf(updated_pdf(pdf()))
    assert found_of(whole + noise(40, 2000)) == [(0, len(whole), True)]


def test_a_document_that_holds_another_uncompressed_is_one() -> None:
    whole = pdf(pdf(b"inner"))
    assert found_of(whole) == [(0, len(whole), True)]
    updated = updated_pdf(whole) + b"9 0 obj\n" + pdf() + b"endobj\n"
    table = len(updated)
    updated += b"xref\n0 1\ntrailer\n<< >>\nstartxref\n%d\n%%%%EOF\n" % table
    assert found_of(updated) == [(0, len(updated), True)]


def test_equal_documents_one_behind_the_other_are_two() -> None:
    """The reference of the second, counted from the first, leads to a table too: the first's."""
    one = pdf(b"x" * 100)
    padded = one + bytes(-len(one) % 512)
    assert found_of(padded + one) == [(0, len(one), True), (len(padded), len(one), True)]


def test_a_linearized_document_ends_at_its_second_end_marker() -> None:
    """ISO 32000-1, annex F: the first part's reference is 0 or leads nowhere, the last leads back to the first part."""
    table = b"xref\n0 1\n0000000000 65535 f \ntrailer\n<< >>\nstartxref\n0\n%%EOF\n"
    whole = b"%PDF-1.4\n" + table + b"1 0 obj\n<< >>\nendobj\nstartxref\n9\n%%EOF\n"
    assert found_of(whole + noise(41, 900)) == [(0, len(whole), True)]


def test_a_document_cut_off_before_another_is_not_taken_to_the_end_of_that_one() -> None:
    whole = pdf(noise(42, 3000))
    assert found_of(whole[:2048] + whole) == [(2048, len(whole), True)]


def test_an_archive_with_long_fields_is_whole() -> None:
    """APPNOTE 4.3.14: behind 65535 entries count, size and place stand in a record of their own."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for number in range(65_537):
            archive.writestr(zipfile.ZipInfo(f"{number:x}", (2024, 3, 1, 9, 30, 0)), b"")
    whole = made.getvalue()
    assert found_of(whole + noise(43, 600)) == [(0, len(whole), True)]


def test_an_archive_in_an_archive_is_part_of_it() -> None:
    inner = zipped({"a.txt": noise(44, 500)})
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("inner.zip", inner)
        archive.comment = b"a comment"
    assert found_of(made.getvalue() + noise(45, 600)) == [(0, len(made.getvalue()), True)]


def test_an_archive_whose_middle_is_of_another_file_is_not_valid() -> None:
    """Each entry of the directory must lead to a member."""
    whole = bytearray(zipped({f"{number}.bin": noise(number, 700) for number in range(5)}))
    whole[512:2048] = noise(46, 1536)
    found = first(bytes(whole))
    assert (found.length, found.validated) == (len(whole), False)


def test_a_compound_file_by_another_writer_is_whole() -> None:
    """msoffcrypto-tool writes an encrypted document as a compound file."""
    source = io.BytesIO(zipped({"[Content_Types].xml": _TYPES, "word/document.xml": noise(47, 200_000)}))
    made = io.BytesIO()
    OOXMLFile(source).encrypt("a passphrase", made)
    whole = made.getvalue()
    assert found_of(whole + noise(48, 600)) == [(0, len(whole), True)]
    assert not first(whole[:-5000]).validated


def compound(sectors: int, *, marked: bool = True) -> bytes:
    """A compound file of 512-byte sectors whose first sectors are its allocation table, then its directory ([MS-CFB] 2.2 to 2.6)."""
    tables = -(-sectors // 128)
    in_header, beyond = min(tables, 109), max(0, tables - 109)
    lists = -(-beyond // 127)
    numbers = [*range(tables)]
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIII", 0, tables, tables + lists, 0, 4096, 0xFFFFFFFE, 0, tables if lists else 0xFFFFFFFE, lists)
    head += struct.pack("<109I", *numbers[:in_header], *[0xFFFFFFFF] * (109 - in_header))
    entries = [0xFFFFFFFD if marked else 0xFFFFFFFE] * tables + [0xFFFFFFFC] * lists + [0xFFFFFFFE] * (sectors - tables - lists)
    out = head + struct.pack(f"<{tables * 128}I", *entries, *[0xFFFFFFFF] * (tables * 128 - sectors))
    for index in range(lists):
        some = numbers[109 + index * 127 : 109 + (index + 1) * 127]
        following = tables + index + 1 if index + 1 < lists else 0xFFFFFFFE
        out += struct.pack("<127II", *some, *[0xFFFFFFFF] * (127 - len(some)), following)
    name = "Root Entry".encode("utf-16-le")
    out += name.ljust(64, b"\0") + struct.pack("<HBB", len(name) + 2, 5, 1) + b"\xff" * 12 + bytes(48) + bytes(384)
    return out + b"\1" * ((sectors + 1) * 512 - len(out))


def test_a_compound_file_with_a_list_of_tables_of_its_own_is_whole_or_not_valid() -> None:
    whole = compound(128 * 120)
    assert found_of(whole)[0] == (0, len(whole), True)
    for length in (whole.index(b"\1" * 512), 110 * 512, 100 * 512):
        assert not first(whole[:length]).validated


def test_a_compound_file_whose_table_does_not_hold_itself_is_not_valid() -> None:
    """[MS-CFB] 2.3: sectors of the table are marked as such in it."""
    assert first(compound(200)).validated
    assert [one for one in carved(compound(200, marked=False)) if one.validated] == []


def message(*, parts: bool) -> bytes:
    made = email.message.EmailMessage()
    made["Subject"], made["From"], made["To"] = "Carved", "a@example.org", "b@example.org"
    made["Date"] = "Fri, 01 Mar 2024 09:30:00 +0000"
    made.set_content("Words\n" * 5)
    if parts:
        made.add_attachment(noise(49, 500), maintype="application", subtype="octet-stream", filename="a.bin")
        made.set_boundary("with space and ?")
    return made.as_bytes()


def test_a_message_that_begins_with_its_subject_and_quotes_its_boundary_is_whole() -> None:
    whole = message(parts=True)
    assert found_of(whole + noise(50, 500)) == [(0, len(whole), True)]


def test_a_message_of_text_ends_where_the_text_does_and_is_not_valid() -> None:
    whole = message(parts=False)
    for alignment in (1, 512):
        found = [(one.offset, one.length, one.validated) for one in carved(whole + bytes(-len(whole) % 512) + noise(51, 512), alignment)]
        assert found == [(0, len(whole), False)]


def test_a_boundary_behind_the_end_of_the_text_is_not_the_messages() -> None:
    whole = message(parts=True)
    start, closing = whole.index(b"\n\n") + 2, b"\n--with space and ?--\n"
    data = whole[: start + 200] + bytes(1000) + closing
    assert [(one.length, one.validated) for one in carved(data)] == [(start + 200, False)]


def test_messages_in_a_folder_of_mbox_are_found_one_by_one(tmp_path: Path) -> None:
    folder = mailbox.mbox(tmp_path / "mbox")
    folder.add(message(parts=True))
    folder.add(message(parts=True))
    folder.close()
    whole = (tmp_path / "mbox").read_bytes()
    found = carved(whole, alignment=1)
    assert [(one.offset, one.validated) for one in found] == [(0, True), (whole.index(b"From ", 1), True)]


@pytest.mark.parametrize("text", [b"From: a\nTo: b\n\nwords", b"Subject: only\n\nwords", b"From here on\nnothing is a message\n\n"])
def test_text_with_fewer_than_three_known_fields_is_no_message(text: bytes) -> None:
    assert carved(text) == []
