"""E-mail: header fields, then text up to the closing boundary, or to where the text ends (RFC 5322, RFC 2046 5.1.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]{1,60}):[ \t][^\r\n\0]*(?:\r?\n[ \t][^\r\n\0]*)*\r?\n")
_KNOWN = frozenset(b"from to cc subject date message-id received return-path delivered-to mime-version content-type".split())
_BOUNDARY = re.compile(rb"boundary=\"?([^\s\";]{1,70})", re.IGNORECASE)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MOST_HEADER = 256 << 10
_LEAST_KNOWN = 3


class EmailMessage:
    """Messages as text."""

    name = "e-mail"
    signatures = (
        *(b"Received: ", b"Return-Path: ", b"Delivered-To: ", b"MIME-Version: "),
        *(b"Message-ID: ", b"Message-Id: ", b"X-Mozilla-Status: "),
    )
    signature_offset = 0
    max_bytes = 64 << 20

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The message; valid only when its closing boundary is there."""
        window = Window(source, start, self.max_bytes)
        head = window.read(0, _MOST_HEADER)
        at, known = 0, set()
        while (field := _FIELD.match(head, at)) is not None:
            at = field.end()
            if field[1].lower() in _KNOWN:
                known.add(field[1].lower())
        behind = re.match(rb"\r?\n", head[at : at + 2])
        if len(known) < _LEAST_KNOWN or behind is None:
            return None
        at += behind.end()
        boundary = _BOUNDARY.search(head, 0, at)
        if boundary is not None:
            closing = b"--" + boundary[1] + b"--"
            end = window.find(closing, at)
            if end >= 0:
                line_end = re.match(rb"\r?\n", window.read(end + len(closing), 2))
                length = end + len(closing) + (line_end.end() if line_end else 0)
                return Measured(length=length, validated=True, extension="eml", why="closing boundary")
        return Measured(length=_text_end(window, at), validated=False, extension="eml", why="end of the text")


def _text_end(window: Window, at: int) -> int:
    while at < window.size:
        block = window.read(at, 1 << 16)
        found = _NO_TEXT.search(block)
        if found is not None:
            return at + found.start()
        at += len(block)
    return window.size
