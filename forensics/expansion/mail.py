"""Openers of e-mail: single messages (EML, Apple's EMLX, MHTML), whose parts are the members, and MBOX files of messages."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.expansion.base import Member
from forensics.expansion.decoding import read_range
from forensics.expansion.guard import guarded
from forensics.expansion.mail_heads import LONGEST_FROM_LINE, MESSAGE_TYPES, is_mbox, is_message, message_range
from forensics.expansion.member_names import stored_path
from forensics.expansion.mime_parts import Part, iter_parts
from forensics.expansion.transfer_encodings import decoded
from forensics.filesystems.base import Kind, Times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.errors import Problem

_BODY_NAMES = {"text/plain": "body.txt", "text/html": "body.html", "text/rtf": "body.rtf", "text/calendar": "calendar.ics"}
_BLOCK_BYTES = 1 << 20
# A blank line, and "From " with a time of day, which a sentence that begins so has not got (RFC 4155, appendix A); or with nothing, if
# a field follows: so newer Thunderbirds write it.
_SEPARATOR = re.compile(rb"\r?\n(\r?\n)From (?:[^\n]{0,900}\d\d:\d\d[^\n]{0,90}\n|[ \t]{0,8}\r?\n(?=[!-9;-~]{1,200}:))")
# Thunderbird's flags of a message, in hexadecimal; one that is deleted stays in the file until that is compacted.
_MOZILLA_FLAGS = re.compile(rb"^X-Mozilla-Status: ([0-9A-Fa-f]{4})\r?$", re.MULTILINE)
_MOZILLA_EXPUNGED = 0x8
_MOZILLA_HEAD_BYTES = 1024
_BLANK_BYTES = 3


class Eml:
    """Opens a message: its bodies and attachments are the members, decoded; a message attached is one member, opened in turn."""

    name = "eml"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:
        """Whether a content is of this kind."""
        return is_message(head, mime_type, name)

    def iter_members(
        self,
        file: BinaryIO,
        size: int,
        name: str,
        credentials: tuple[Credential, ...],  # noqa: ARG002 - encrypted mail is not decrypted
    ) -> Iterator[Member | Problem]:
        """The parts, in order."""
        file.seek(0)
        start, end = message_range(file.read(16), size)
        for part in iter_parts(file, start, end):
            yield _part(file, part, name)
        if end < size:
            yield _raw(file, end, size, "properties.plist", f"offset {end}")


class Mbox:
    """Opens MBOX files: each message is a member, as it is stored (RFC 4155, and the forms of before with ">From " quoted or not)."""

    name = "mbox"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the signature says it all
        """Whether a content is of this kind."""
        return is_mbox(head)

    def iter_members(
        self,
        file: BinaryIO,
        size: int,
        name: str,  # noqa: ARG002 - no message needs it
        credentials: tuple[Credential, ...],  # noqa: ARG002 - encrypted mail is not decrypted
    ) -> Iterator[Member | Problem]:
        """The messages, in order."""
        for number, (start, end) in enumerate(_messages(file, size), start=1):
            message = _raw(file, start, end, f"message-{number:06}.eml", f"message {number} offset {start}")
            yield replace(message, deleted=_is_expunged(file, start, end))


def _part(file: BinaryIO, part: Part, name: str) -> Member:
    header = part.header
    address = f"part {part.number}"
    blocks = guarded(decoded(read_range(file, part.start, part.end), header.encoding), f"{name}: {address}")
    return Member(
        path=stored_path(_name(part).encode("utf-8", "surrogateescape")),
        kind=Kind.FILE,
        address=address,
        size=None,
        times=Times(),
        blocks=blocks,
        skippable=True,
    )


def _name(part: Part) -> str:
    header = part.header
    if part.is_between:
        return f"between-parts-{part.number}"
    if header.filename:
        return header.filename
    if header.content_type in _BODY_NAMES:
        return _BODY_NAMES[header.content_type]
    subtype = header.content_type.partition("/")[2]
    return f"part-{part.number}.{'eml' if header.content_type in MESSAGE_TYPES else re.sub('[^a-z0-9]+', '-', subtype)[:32]}"


def _raw(file: BinaryIO, start: int, end: int, path: str, address: str) -> Member:
    return Member(
        path=path.encode(),
        kind=Kind.FILE,
        address=address,
        size=end - start,
        times=Times(),
        blocks=read_range(file, start, end),
        skippable=True,
    )


def _is_expunged(file: BinaryIO, start: int, end: int) -> bool:
    file.seek(start)
    flags = _MOZILLA_FLAGS.search(file.read(min(end - start, _MOZILLA_HEAD_BYTES)).partition(b"\n\n")[0])
    return flags is not None and bool(int(flags.group(1), 16) & _MOZILLA_EXPUNGED)


def _messages(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Where each message begins, behind its "From " line, and ends, before the blank line that follows it (RFC 4155, appendix A)."""
    begin: int | None = None
    for message_end, line_end in _from_lines(file, size):
        if begin is not None:
            yield begin, max(message_end, begin)
        begin = line_end
    if begin is not None:
        file.seek(max(begin, size - _BLANK_BYTES))
        tail = file.read(_BLANK_BYTES)
        blank = 2 if tail.endswith(b"\n\r\n") else 1 if tail.endswith(b"\n\n") else 0
        yield begin, max(size - blank, begin)


def _from_lines(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """The "From " lines at the start and behind blank lines: where the message before ends, and where the line ends."""
    file.seek(0)
    yield 0, len(file.readline(LONGEST_FROM_LINE))
    position, done = 0, 0
    while position < size:
        file.seek(position)
        block = file.read(_BLOCK_BYTES)
        for found in _SEPARATOR.finditer(block, done - position):
            done = position + found.end()
            yield position + found.start(1), done
        if len(block) < _BLOCK_BYTES:
            return
        position += len(block) - LONGEST_FROM_LINE
        done = max(done, position)
