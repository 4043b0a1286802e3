"""What an Outlook message is made of, whichever file carries it (MSG, PST, OST): properties -> the files that stand for it.

References: MS-OXPROPS for the properties, MS-OXCMSG for what they mean, MS-OXCDATA 2.11.1 for their types.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forensics.errors import ArchiveError
from forensics.expansion.compressed_rtf import decompressed_rtf
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

STRING8, UNICODE, BINARY, TIME = 0x001E, 0x001F, 0x0102, 0x0040
SUBJECT, HEADERS = 0x0037, 0x007D
BODY, RTF, HTML = 0x1000, 0x1009, 0x1013
CREATED, MODIFIED = 0x3007, 0x3008
ATTACH_DATA, ATTACH_NAME, ATTACH_SHORT_NAME, ATTACH_METHOD, DISPLAY_NAME = 0x3701, 0x3707, 0x3704, 0x3705, 0x3001
BY_VALUE, EMBEDDED_MESSAGE, OLE_OBJECT = 1, 5, 6  # MS-OXCMSG 2.2.2.9, PidTagAttachMethod
_STATED = (  # what message.txt states, in this order
    (0x001A, "Message class"),
    (SUBJECT, "Subject"),
    (0x0C1A, "Sender"),
    (0x0C1F, "Sender address"),
    (0x0042, "Sent for"),
    (0x0E04, "To"),
    (0x0E03, "Cc"),
    (0x0E02, "Bcc"),
    (0x0039, "Submitted"),
    (0x0E06, "Delivered"),
    (CREATED, "Created"),
    (MODIFIED, "Modified"),
    (0x1035, "Message identifier"),
)
TEXT_PROPERTIES = frozenset((*(tag for tag, _ in _STATED), HEADERS, BODY, RTF, HTML))


@dataclass(frozen=True, slots=True)
class Property:
    """One property: its type (MS-OXCDATA 2.11.1) and its value as it is stored."""

    kind: int
    value: bytes

    def text(self) -> str:
        r"""The value as text; bytes that do not fit the encoding as `\xNN`. Text in 8 bits is taken as Windows-1252."""
        if self.kind == UNICODE:
            return self.value.decode("utf-16-le", "backslashreplace").rstrip("\0")
        if self.kind == TIME:
            return _time_text(int.from_bytes(self.value[:8], "little"))
        return self.value.decode("cp1252", "backslashreplace").rstrip("\0")

    def filetime(self) -> int:
        """The value as a FILETIME."""
        return int.from_bytes(self.value[:8], "little")


def message_files(properties: Mapping[int, Property]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and content of each file that stands for the message: what it states, and its bodies.

    Text is given in UTF-8, RTF decompressed. The functions raise ArchiveError where a body is damaged.
    """
    yield "message.txt", lambda: _message_text(properties)
    if (body := properties.get(BODY)) is not None:
        yield "body.txt", lambda: body.text().encode("utf-8", "surrogateescape")
    if (html := properties.get(HTML)) is not None:
        yield "body.html", lambda: html.value if html.kind == BINARY else html.text().encode("utf-8", "surrogateescape")
    if (rtf := properties.get(RTF)) is not None:
        yield "body.rtf", lambda: decompressed_rtf(rtf.value)


def name_of(properties: Mapping[int, Property], number: int) -> str:
    """The name of an attachment; "attachment 3" where it has none."""
    for tag in (ATTACH_NAME, ATTACH_SHORT_NAME, DISPLAY_NAME):
        found = properties.get(tag)
        if found is not None and found.text():
            return as_name(found.text())
    return f"attachment {number}"


def as_name(text: str) -> str:
    """A text of the evidence as one name of a path: "/" becomes "_"."""
    return text.replace("/", "_")


def _message_text(properties: Mapping[int, Property]) -> bytes:
    lines = [f"{label}: {properties[tag].text()}" for tag, label in _STATED if tag in properties]
    if HEADERS in properties:
        lines += ["", properties[HEADERS].text()]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _time_text(value: int) -> str:
    found = from_filetime(value)
    if not isinstance(found, int):
        return "never" if found is None else found.raw
    try:
        return datetime.fromtimestamp(found // 1_000_000_000, UTC).isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise ArchiveError(str(error)) from error
