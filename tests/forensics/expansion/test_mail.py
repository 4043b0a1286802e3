"""E-mail: against Python's own parser, which holds a message in memory and so can be the judge."""

from __future__ import annotations

import email
import mailbox
import os
from contextlib import closing
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opened import damaged, walk

from forensics.expansion.transfer_encodings import decoded

if TYPE_CHECKING:
    from pathlib import Path


def message(number: int = 0) -> EmailMessage:
    """A message with two bodies, an attachment of 300 kB, and an attached message that has an attachment itself."""
    inner = EmailMessage()
    inner["Subject"], inner["From"] = "inner", "x@example.org"
    inner.set_content("inner body\n")
    inner.add_attachment(b"PK", maintype="application", subtype="zip", filename="x.zip")
    outer = EmailMessage()
    outer["From"], outer["Subject"], outer["Date"] = "a@example.org", f"Grüße {number}", "Mon, 1 Jan 2024 00:00:00 +0000"
    outer.set_content("Hallo Wörld\nFrom the start of a line\n")
    outer.add_alternative("<p>hällo</p>\n", subtype="html")
    outer.add_attachment(os.urandom(300_000), maintype="image", subtype="png", filename="dätei.png")
    outer.add_attachment(inner)
    return outer


def leaves(raw: bytes) -> list[bytes]:
    return [part.get_payload(decode=True) for part in email.message_from_bytes(raw).walk() if not part.is_multipart()]


def test_parts_are_those_of_pythons_parser_decoded() -> None:
    raw = bytes(message())
    got, problems = walk(raw, "mail.eml")
    assert problems == []
    assert [one.content for one in got if not one.path.endswith(".eml")] == leaves(raw)
    assert [(one.path, one.item.address) for one in got] == [
        ("body.txt", "eml part 1.1"),
        ("body.html", "eml part 1.2"),
        ("dätei.png", "eml part 2"),
        ("part-3.eml", "eml part 3"),
        ("part-3.eml/body.txt", "eml part 3 > eml part 1"),
        ("part-3.eml/x.zip", "eml part 3 > eml part 2"),
    ]


def test_messages_of_an_mbox_are_those_of_pythons_mailbox(tmp_path: Path) -> None:
    with closing(mailbox.mbox(tmp_path / "box")) as box:
        for number in range(5):
            box.add(message(number))
    got, problems = walk((tmp_path / "box").read_bytes(), "box")
    assert problems == []
    messages = [one.content for one in got if len(one.item.steps) == 1]
    with closing(mailbox.mbox(tmp_path / "box")) as box:
        assert messages == [box.get_bytes(key) for key in box.iterkeys()]


def test_a_message_cut_off_gives_its_parts_and_says_that_base64_ends() -> None:
    raw = bytes(message())
    got, _ = walk(raw[:200_001], "mail.eml")
    assert [one.path for one in got] == ["body.txt", "body.html", "dätei.png"]
    assert leaves(raw)[2].startswith(got[2].content or b"?")


def test_what_lies_behind_the_last_delimiter_is_given() -> None:
    raw = b'From: a@b\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n--x\n\nbody\n--x--\n' + b"hidden text\n" * 50
    got, _ = walk(raw, "mail.eml")
    assert [(one.path, (one.content or b"")[:11]) for one in got] == [("body.txt", b"body"), ("between-parts-2", b"hidden text")]


def test_a_boundary_that_begins_like_another_does_not_end_its_parts() -> None:
    head = b"From: a@b\nMIME-Version: 1.0\n"
    raw = head + (
        b'Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: multipart/mixed; boundary="xy"\n\n'
        b"--xy\n\none\n--xy\n\ntwo\n--xy--\n--x\n\nthree\n--x--\n"
    )
    got, _ = walk(raw, "mail.eml")
    assert [one.content for one in got] == leaves(raw) == [b"one", b"two", b"three"]


def test_delimiters_are_found_wherever_blocks_are_cut() -> None:
    for size in (262_000, 262_100, 262_144, 262_150, 262_200):
        raw = (
            b'From: a@b\nContent-Type: multipart/mixed; boundary="edge"\n\n--edge\n\n'
            + b"a" * size
            + b"\r\n--edge\r\n\r\nlast\r\n--edge--\r\n"
        )
        got, _ = walk(raw, "mail.eml")
        assert [one.content for one in got] == [b"a" * size, b"last"]


def test_an_apple_message_gives_the_message_and_its_property_list() -> None:
    raw = b"From: a@b\nSubject: s\n\nhello\n"
    got, _ = walk(b"%d\n" % len(raw) + raw + b"<plist/>", "1.emlx")
    assert [(one.path, one.content) for one in got] == [("body.txt", b"hello\n"), ("properties.plist", b"<plist/>")]


def test_parts_nested_without_end_are_given_at_some_depth() -> None:
    raw = b"From: a@b\n"
    for number in range(500):
        raw += b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (number, number)
    got, problems = walk(raw + b"\nheart", "mail.eml")
    assert problems == []
    assert len(got) == 1
    assert got[0].content is not None
    assert got[0].content.endswith(b"heart")


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_an_mbox_whose_from_lines_are_empty_is_read_and_shows_what_was_deleted(ending: bytes) -> None:
    """As newer Thunderbirds write it; the flag 0x0008 is that of a message which waits for the folder to be compacted."""
    lines = (
        b"From \nX-Mozilla-Status: 0001\nMessage-ID: <1@x>\n\nFrom \nis no start: no field follows\n\n"
        b"From \nX-Mozilla-Status: 0009\nMessage-ID: <2@x>\n\nX-Mozilla-Status: 0001\n\nFrom here on, prose\n\n"
    )
    got, problems = walk(lines.replace(b"\n", ending), "Inbox")
    assert problems == []
    messages = [one for one in got if len(one.item.steps) == 1]
    assert [(one.path, one.item.member.deleted) for one in messages] == [("message-000001.eml", False), ("message-000002.eml", True)]
    assert [one.content for one in got if len(one.item.steps) > 1] == [
        b"From \nis no start: no field follows\n".replace(b"\n", ending),
        b"X-Mozilla-Status: 0001\n\nFrom here on, prose\n".replace(b"\n", ending),
    ]


FIRST_FIELDS = (
    "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000",
    "Return-Path: <a@example.org>",
    "Delivered-To: a@example.org",
    "X-Mozilla-Status: 0001",
    "From: a@example.org",
    "Date: Mon, 1 Jan 2024 00:00:00 +0000",
    "Message-ID: <1@example.org>",
    "Subject: s",
    "MIME-Version: 1.0",
    "To: b@example.org",
    "DKIM-Signature: v=1; a=rsa-sha256;\n bh=x",
    "\ufefffrom: a@example.org",
)


@pytest.mark.parametrize("first", FIRST_FIELDS)
def test_a_message_is_told_by_its_header_whatever_field_comes_first_and_whatever_its_name(first: str) -> None:
    """libmagic calls half of these plain text."""
    got, problems = walk(f"{first}\nFrom: a@example.org\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nbody\n".encode(), "1700000000.M1P1.host")
    assert problems == []
    assert [(one.path, one.content) for one in got] == [("body.txt", b"body\n")]


@pytest.mark.parametrize(
    "text",
    [
        "Article 1. All are born free: and equal\n\nArticle 2\n",
        "From the beginning it was clear\nthat: this is no mail\n\n",
        "From: here to eternity\nis a film\n",
        "Date: 2002-01-01\nAuthor: x\n\nfixed\n",
        "Package: foo\nFrom: x\nVersion: 1\n\n",
        "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Type: text/html\r\n\r\n",
    ],
)
def test_other_text_is_no_message(text: str) -> None:
    """libmagic calls the first, third and fourth a message."""
    assert walk(text.encode(), "text") == ([], [])


@settings(max_examples=60)
@given(st.binary(max_size=4000), st.integers(min_value=1, max_value=700))
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_decoding_does_not_depend_on_how_the_text_is_cut(encoding: str, content: bytes, cut: int) -> None:
    part = EmailMessage()
    part.set_content(content, maintype="application", subtype="octet-stream", cte=encoding)
    text = bytes(part).partition(b"\n\n")[2]
    pieces = [text[start : start + cut] for start in range(0, len(text), cut)]
    assert b"".join(decoded(iter(pieces), encoding)) == part.get_payload(decode=True)


def test_uuencoded_text_is_decoded() -> None:
    """The example is of POSIX's uuencode: "begin", lines whose first character is their length, "end"."""
    text = b"begin 644 test\n#0V%T\n`\nend\n"
    assert b"".join(decoded(iter([text]), "x-uuencode")) == b"Cat"


def test_damage_gives_problems_and_no_other_exception() -> None:
    raw = bytes(message())[:3000]
    for data in damaged(raw, 17, 60):
        walk(data, "mail.eml")
