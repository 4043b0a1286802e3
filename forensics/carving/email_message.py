"""E-mail: header fields, then text up to the closing boundary, or to where the text ends (RFC 5322, RFC 2046 5.1.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window
from forensics.errors import ImageReadError

if TYPE_CHECKING:
    from forensics.source import ByteSource

_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]{1,60}):[^\r\n\0]*(?:\r?\n[ \t][^\r\n\0]*)*\r?\n")
_SEPARATOR = re.compile(rb"From [^\r\n\0]{1,200}\r?\n")  # what stands before each message in a folder (RFC 4155)
_KNOWN = frozenset(b"from to cc subject date message-id received return-path delivered-to mime-version content-type".split())
_BOUNDARY = re.compile(rb"boundary=(?:\"([^\"\r\n\0]{1,70})\"|([^\s\";]{1,70}))", re.IGNORECASE)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_FIRST_HEADER, _MOST_HEADER = 4 << 10, 256 << 10
_LEAST_KNOWN = 3
_LONGEST_LINE = 1000  # RFC 5322, 2.1.1: 998 characters and the line's end


class EmailMessage:
    """Messages as text."""

    name = "e-mail"
    signatures = (
        *(b"Received: ", b"Return-Path: ", b"Delivered-To: ", b"MIME-Version: ", b"Mime-Version: ", b"DKIM-Signature: "),
        *(b"Message-ID: ", b"Message-Id: ", b"X-Mozilla-Status: ", b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Content-Type: "),
        *(b"Authentication-Results: ", b"ARC-Seal: ", b"X-Original-To: ", b"From "),
    )
    signature_offset = 0
    max_bytes = 64 << 20

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The message; valid only when its closing boundary is there."""
        if _is_inside_header(source, start):
            return None
        window = Window(source, start, self.max_bytes)
        head = window.read(0, _FIRST_HEADER)
        at, known = _behind_fields(head)
        if known and at > len(head) - _LONGEST_LINE:
            head = window.read(0, _MOST_HEADER)
            at, known = _behind_fields(head)
        behind = re.match(rb"\r?\n", head[at : at + 2])
        if known < _LEAST_KNOWN or behind is None:
            return None
        body = at + behind.end()
        end = _text_end(window, body)
        boundary = _BOUNDARY.search(head, 0, at)
        if boundary is not None:
            closing = b"\n--" + (boundary[1] or boundary[2]) + b"--"
            found = window.find(closing, body - 1, end)
            if found >= 0:
                line_end = re.match(rb"\r?\n", window.read(found + len(closing), 2))
                length = found + len(closing) + (line_end.end() if line_end else 0)
                return Measured(length=length, validated=True, extension="eml", why="closing boundary")
        return Measured(length=end, validated=False, extension="eml", why="end of the text")


def _behind_fields(head: bytes) -> tuple[int, int]:
    """Where the fields end, and how many different ones of them every reader knows."""
    separator = _SEPARATOR.match(head)
    at, known = separator.end() if separator else 0, set()
    while (field := _FIELD.match(head, at)) is not None:
        at = field.end()
        known.add(field[1].lower())
    return at, len(known & _KNOWN)


def _is_inside_header(source: ByteSource, start: int) -> bool:
    """Whether the line before is a field too, so that the message begins farther up: every field's name looks like a beginning."""
    try:
        before = source.read_at(max(0, start - _LONGEST_LINE), min(start, _LONGEST_LINE))
    except ImageReadError:
        return False  # a problem of its own, and no reason to leave out the message
    return before.endswith(b"\n") and _FIELD.fullmatch(before[before.rfind(b"\n", 0, len(before) - 1) + 1 :]) is not None


def _text_end(window: Window, at: int) -> int:
    while at < window.size:
        block = window.read(at, 1 << 16)
        found = _NO_TEXT.search(block)
        if found is not None:
            return at + found.start()
        at += len(block)
    return window.size
