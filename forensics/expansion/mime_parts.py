"""The parts of an e-mail message as ranges of its file, at any size, without holding the message in memory.

Only headers are parsed by Python's e-mail package; parts are found by their delimiter lines, so that a message of any size and any
number of parts takes a few blocks of memory.

References: RFC 2045 (encodings), RFC 2046 5.1 (multipart), RFC 5322 2.2 (header fields).
"""

from __future__ import annotations

import email.header
import email.parser
import email.policy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.boundary import attempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message
    from typing import BinaryIO

_BLOCK_BYTES = 256 * 1024
_LONGEST_HEADER = 1 << 20
_DEEPEST = 50
_LONGEST_BOUNDARY = 1000  # RFC 2046 allows 70
_AROUND_BOUNDARY = 80
_WHITESPACE = b" \t\r\n"
# What lies before the first and behind the last delimiter is shown to nobody; more than the usual remark to old programs is worth a look.
_LONGEST_REMARK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a part's header states, as far as it could be read.

    Attributes:
        content_type: in lower case; "text/plain" where none is stated (RFC 2045, 5.2).
        boundary: of a multipart, what its delimiters are made of; empty where none is stated.
        encoding: content transfer encoding in lower case; "" if none.
        filename: name of the attachment; "" if none.
        subject: its subject; "" if none.
    """

    content_type: str = "text/plain"
    boundary: bytes = b""
    encoding: str = ""
    filename: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part without parts of its own: its content is `file[start:end]`, encoded as the header says.

    Attributes:
        number: its place, e.g. "1.2" for the second part of the first; "1" where the message has no parts.
        header: its header; of what lies between parts, an empty one.
        start, end: its body, without the line end that belongs to the next delimiter.
        is_between: whether it lies before the first or behind the last delimiter of a multipart, where nothing should be.
    """

    number: str
    header: Header
    start: int
    end: int
    is_between: bool = False


def iter_parts(file: BinaryIO, start: int, end: int) -> Iterator[Part]:
    """The parts of the message `file[start:end]`, in order."""
    yield from _parts(file, start, end, "", 0)


def read_header(file: BinaryIO, start: int, end: int) -> tuple[Header, int]:
    """What the header of `file[start:end]` states, and where the body begins."""
    file.seek(start)
    head = file.read(min(end - start, _LONGEST_HEADER))
    ends = [(at, at + len(mark)) for mark in (b"\n\n", b"\n\r\n") if (at := head.find(mark)) >= 0]
    if head.startswith((b"\n", b"\r\n")):  # a part may have no header at all
        return Header(), start + head.index(b"\n") + 1
    header_end, body = min(ends) if ends else (len(head), len(head))
    return parse_header(head[:header_end]), start + body


def parse_header(raw: bytes) -> Header:
    """What the header states; of one that no parser bears, nothing."""
    got: list[Header] = []
    error = attempt(lambda: got.append(_parsed(raw)))
    return got[0] if error is None else Header()


def _parsed(raw: bytes) -> Header:
    message: Message[str, str] = email.parser.BytesHeaderParser(policy=email.policy.compat32).parsebytes(raw)
    boundary = message.get_boundary("")
    return Header(
        content_type=message.get_content_type(),
        boundary=boundary.encode("utf-8", "surrogateescape")[:_LONGEST_BOUNDARY],
        encoding=str(message.get("content-transfer-encoding", "")).strip().lower(),
        filename=_decoded(message.get_filename("")),
        subject=_decoded(str(message.get("subject", ""))),
    )


def _decoded(text: str) -> str:
    """The text with its encoded words (RFC 2047) decoded; as it stands where they cannot be."""
    got: list[str] = []
    error = attempt(lambda: got.append(str(email.header.make_header(email.header.decode_header(text)))))
    return got[0] if error is None else text


def _parts(file: BinaryIO, start: int, end: int, number: str, depth: int) -> Iterator[Part]:
    header, body = read_header(file, start, end)
    if not header.content_type.startswith("multipart/") or not header.boundary or depth >= _DEEPEST:
        yield Part(number=number or "1", header=header, start=body, end=end)
        return
    before, count = body, 0
    prefix = f"{number}." if number else ""
    for line_start, next_start, closes in _delimiters(file, body, end, header.boundary):
        if count:
            yield from _parts(file, before, max(line_start, before), f"{prefix}{count}", depth + 1)
        elif line_start - before > _LONGEST_REMARK:
            yield _between(f"{prefix}0", before, line_start)
        before, count = next_start, count + 1
        if closes:
            if _is_worth_a_look(file, before, end):
                yield _between(f"{prefix}{count}", before, end)
            return
    if not count:  # no delimiter at all: what there is, is the content
        yield Part(number=number or "1", header=header, start=body, end=end)
    elif before < end:  # cut off before the last delimiter
        yield from _parts(file, before, end, f"{prefix}{count}", depth + 1)


def _between(number: str, start: int, end: int) -> Part:
    return Part(number=number, header=Header(content_type="application/octet-stream"), start=start, end=end, is_between=True)


def _is_worth_a_look(file: BinaryIO, start: int, end: int) -> bool:
    file.seek(start)
    return end - start > _LONGEST_REMARK and bool(file.read(min(end - start, _BLOCK_BYTES)).strip(_WHITESPACE))


def _delimiters(file: BinaryIO, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
    """The delimiter lines: where the content before ends, where the line ends, and whether it is the last (RFC 2046, 5.1.1).

    The line end before a delimiter belongs to it.
    """
    line = rb"--" + re.escape(boundary) + rb"(--)?[ \t]{0,64}(\r?\n|\Z)"
    first, others = re.compile(line), re.compile(rb"\r?\n" + line)
    overlap = len(boundary) + _AROUND_BOUNDARY
    position, done = start, start
    while position < end:
        file.seek(position)
        block = file.read(min(_BLOCK_BYTES, end - position))
        is_last = position + len(block) >= end or len(block) <= overlap
        found = first.match(block) if position == start else None
        found = found or others.search(block, done - position)
        while found is not None and (is_last or found.group(2)):
            done = position + found.end() - len(found.group(2)[-1:])  # the line end may be that before the next delimiter, too
            yield position + found.start(), position + found.end(), found.group(1) is not None
            found = others.search(block, done - position)
        if is_last:
            return
        position += len(block) - overlap
        done = max(done, position)
