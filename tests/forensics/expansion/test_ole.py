"""Compound files: written by libgsf, Outlook messages checked by msgconvert, encrypted documents by msoffcrypto-tool."""

from __future__ import annotations

import email
import io
import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import msoffcrypto.format.ooxml
import pytest
from opened import contents, damaged, walk
from test_walk import zipped

from forensics.expansion.compressed_rtf import decompressed_rtf
from forensics.expansion.ole import Ole
from forensics.filesystems.base import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEEDS_GSF = pytest.mark.skipif(shutil.which("gsf") is None and not os.environ.get("CI"), reason="gsf (libgsf-bin) is not installed")
NEEDS_MSGCONVERT = pytest.mark.skipif(
    shutil.which("msgconvert") is None and not os.environ.get("CI"), reason="msgconvert (libemail-outlook-message-perl) is not installed"
)
CREATED = 130_000_000_000_000_000  # FILETIME of 2012-12-14 23:06:40 UTC


@pytest.fixture
def compound(tmp_path: Path) -> Callable[[dict[str, bytes]], bytes]:
    """Makes a compound file of streams, by gsf."""

    def make(streams: dict[str, bytes]) -> bytes:
        folder = tmp_path / "streams"
        for name, content in streams.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        top = sorted(path.name for path in folder.iterdir())
        subprocess.run(["gsf", "createole", "../out.ole", *top], cwd=folder, check=True, capture_output=True)
        return (tmp_path / "out.ole").read_bytes()

    return make


@NEEDS_GSF
def test_streams_large_and_small_come_out_right(compound: Callable[[dict[str, bytes]], bytes]) -> None:
    streams = {
        "small": b"small",
        "Storage/mini": os.urandom(4095),
        "Storage/large": os.urandom(300_000),
        "Storage/Inner/edge": os.urandom(4096),
    }
    got, problems = walk(compound(streams))
    assert problems == []
    assert contents([one for one in got if one.item.member.kind is Kind.FILE]) == streams
    assert {one.path for one in got if one.item.member.kind is Kind.DIRECTORY} == {"Storage", "Storage/Inner"}


@NEEDS_GSF
def test_an_embedded_package_comes_out_as_the_file_that_was_embedded(compound: Callable[[dict[str, bytes]], bytes]) -> None:
    """MS-OLEDS 2.3.6, and what is written there in practice: label, path, temporary path, data."""
    data = zipped({"inside.txt": b"found"})
    temporary = b"C:\\Temp\\payload.zip\0"
    names = b"\2\0payload.zip\0C:\\payload.zip\0" + struct.pack("<HHI", 0, 3, len(temporary)) + temporary
    body = names + struct.pack("<I", len(data)) + data
    got, problems = walk(compound({"ObjectPool/\1Ole10Native": struct.pack("<I", len(body)) + body}))
    assert problems == []
    assert contents(got)["ObjectPool/payload.zip"] == data
    assert contents(got)["ObjectPool/payload.zip/inside.txt"] == b"found"


def properties(head: int) -> bytes:
    """A property stream (MS-OXMSG 2.4) with a time of creation."""
    return bytes(head) + struct.pack("<HHIQ", 0x40, 0x3007, 6, CREATED) + struct.pack("<HHIQ", 3, 0x3705, 6, 1)


def text(value: str) -> bytes:
    return value.encode("utf-16-le")


MESSAGE = {
    "__properties_version1.0": properties(32),
    "__nameid_version1.0/__substg1.0_00020102": b"",
    "__nameid_version1.0/__substg1.0_00030102": b"",
    "__nameid_version1.0/__substg1.0_00040102": b"",
    "__substg1.0_001A001F": text("IPM.Note"),
    "__substg1.0_0037001F": text("Grüße"),
    "__substg1.0_0C1A001F": text("Alice"),
    "__substg1.0_0C1F001F": text("alice@example.org"),
    "__substg1.0_1000001F": text("Hallo Wörld\r\n"),
    "__attach_version1.0_#00000000/__properties_version1.0": properties(8),
    "__attach_version1.0_#00000000/__substg1.0_3707001F": text("report.bin"),
    "__attach_version1.0_#00000000/__substg1.0_37010102": bytes(range(256)) * 100,
    "__attach_version1.0_#00000001/__properties_version1.0": properties(8),
    "__attach_version1.0_#00000001/__substg1.0_3001001F": text("attached message"),
    "__attach_version1.0_#00000001/__substg1.0_3701000D/__properties_version1.0": properties(24),
    "__attach_version1.0_#00000001/__substg1.0_3701000D/__substg1.0_0037001F": text("inner"),
    "__attach_version1.0_#00000001/__substg1.0_3701000D/__substg1.0_1000001F": text("inner body"),
}


@NEEDS_GSF
def test_an_outlook_message_gives_its_text_bodies_and_attachments(compound: Callable[[dict[str, bytes]], bytes]) -> None:
    got, problems = walk(compound(MESSAGE), "mail.msg")
    assert problems == []
    found = contents(got)
    assert set(found) == {
        "message.txt",
        "body.txt",
        "attachments/001 report.bin",
        "attachments/002 attached message/message.txt",
        "attachments/002 attached message/body.txt",
    }
    assert "Subject: Grüße\n" in (found["message.txt"] or b"").decode()
    assert (found["message.txt"] or b"").decode().splitlines()[-1] == "Created: 2012-12-14T23:06:40+00:00"
    assert found["body.txt"] == "Hallo Wörld\r\n".encode()
    assert found["attachments/001 report.bin"] == bytes(range(256)) * 100
    assert found["attachments/002 attached message/body.txt"] == b"inner body"


@NEEDS_GSF
@NEEDS_MSGCONVERT
def test_an_outlook_message_is_read_as_msgconvert_reads_it(compound: Callable[[dict[str, bytes]], bytes], tmp_path: Path) -> None:
    without_inner = {name: content for name, content in MESSAGE.items() if "#00000001" not in name}
    without_inner["__substg1.0_0037001F"] = text("Greetings")
    data = compound(without_inner)
    (tmp_path / "mail.msg").write_bytes(data)
    subprocess.run(["msgconvert", "--outfile", "mail.eml", "mail.msg"], cwd=tmp_path, check=True, capture_output=True)
    parsed = email.message_from_bytes((tmp_path / "mail.eml").read_bytes(), policy=email.policy.default)
    found = contents(walk(data)[0])
    body = parsed.get_body(("plain",))
    assert body is not None
    assert body.get_content().rstrip() == (found["body.txt"] or b"").decode().rstrip()
    assert [part.get_payload(decode=True) for part in parsed.iter_attachments()] == [found["attachments/001 report.bin"]]
    assert f"Subject: {parsed['subject']}\n" in (found["message.txt"] or b"").decode()


def test_compressed_rtf_comes_out_as_in_the_specification() -> None:
    """MS-OXRTFCP 4.1.1 and 4.1.2: a simple text, and a reference into what it writes itself."""
    simple = b"-\0\0\0+\0\0\0LZFu\xf1\xc5\xc7\xa7\x03\0\n\0rcpg125B2\n\xf3 hel\t\0 bw\x05\xb0ld}\n\x80\x0f\xa0"
    assert decompressed_rtf(simple) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    crossing = b"\x1a\0\0\0\x1c\0\0\0LZFu\xe2\xd4KQA\0\x04 WXYZ\rn}\x01\x0e\xb0"
    assert decompressed_rtf(crossing) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"


def test_an_encrypted_office_document_is_decrypted_by_the_right_passphrase() -> None:
    document = zipped(
        {
            "[Content_Types].xml": b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "word/document.xml": b"<secret/>",
            "word/media/image1.png": os.urandom(5000),  # the library writes packages of less than 4096 bytes wrongly
        }
    )
    into = io.BytesIO()
    msoffcrypto.format.ooxml.OOXMLFile(io.BytesIO(document)).encrypt("secret", into)
    got, problems = walk(into.getvalue(), passphrases=("wrong", "secret"))
    assert problems == []
    assert contents(got)["decrypted"] == document
    assert contents(got)["decrypted/word/document.xml"] == b"<secret/>"
    assert got[0].item.member.unlocked_with == "passphrase"
    got, problems = walk(into.getvalue(), passphrases=("wrong",))
    assert [problem.code for problem in problems] == ["member-encrypted"]
    assert "decrypted" in contents(got)


@NEEDS_GSF
def test_a_key_that_takes_hours_to_make_is_not_made(compound: Callable[[dict[str, bytes]], bytes]) -> None:
    streams = {"EncryptionInfo": b'<keyEncryptors spinCount="4000000000"/>', "EncryptedPackage": bytes(100)}
    got, problems = walk(compound(streams), passphrases=("secret",))
    assert "decrypted" in contents(got)
    assert [problem.code for problem in problems] == ["member-encrypted"]
    assert "4000000000 rounds" in problems[0].why


@NEEDS_GSF
def test_damage_gives_problems_and_no_other_exception(compound: Callable[[dict[str, bytes]], bytes]) -> None:
    whole = compound(MESSAGE)
    for data in damaged(whole, 19, 80):
        if Ole().recognises(data[:8], "", ""):
            walk(data)


@NEEDS_GSF
def test_a_chain_of_sectors_that_runs_in_a_circle_ends(compound: Callable[[dict[str, bytes]], bytes]) -> None:
    data = bytearray(compound({"large": bytes(100_000)}))
    shift = struct.unpack_from("<H", data, 30)[0]
    fat_at = (struct.unpack_from("<I", data, 76)[0] + 1) << shift
    table = list(struct.unpack_from("<128I", data, fat_at))
    long_chain = next(number for number, following in enumerate(table) if following == number + 1)
    struct.pack_into("<I", data, fat_at + 4 * (long_chain + 5), long_chain)
    got, _ = walk(bytes(data))
    assert len(got) <= 1
