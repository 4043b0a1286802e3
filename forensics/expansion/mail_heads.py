"""How e-mail begins: by which bytes a message, or a file of messages, is told from other text.

libmagic calls any text a message that begins with a word such as "Date:" or "Article", and plain text a message that begins with
another of its fields; so the header itself decides.

References: RFC 5322, 2.2 and 3.6 (fields); RFC 4155, appendix A (MBOX).
"""

from __future__ import annotations

import re

FROM_LINE = b"From "
LONGEST_FROM_LINE = 1024
MESSAGE_TYPES = frozenset(("message/rfc822", "message/news"))
_SUFFIXES = (".eml", ".emlx", ".mht", ".mhtml", ".nws", ".mim")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_EMLX_COUNT = re.compile(rb"(\d{1,12})[ \t]*\r?\n")
_FIELD = re.compile(rb"[!-9;-~]{1,200}:[^\x00\n]{0,8192}\n")
_FIELDS = re.compile(rb"(?>[!-9;-~]{1,200}:[^\x00\n]{0,8192}\n(?>[ \t][^\x00\n]{0,8192}\n)*)+")
_FIELD_NAME = re.compile(rb"^([!-9;-~]{1,200}):", re.MULTILINE)
_FROM_FIELDS = (b"From:", b"from:", b"FROM:")
_LONGEST_HEADER = 64 * 1024
_TIME_OF_DAY = re.compile(rb"\d\d:\d\d")
# Fields that other text with "name: value" lines has not got two of.
_KNOWN = frozenset(
    b"arc-seal bcc cc content-transfer-encoding content-type date delivered-to dkim-signature from in-reply-to message-id mime-version"
    b" newsgroups path received references reply-to return-path sender subject to x-mailer x-mozilla-status x-originating-ip".split()
)


def message_range(head: bytes, size: int) -> tuple[int, int]:
    """Where in a file of `size` bytes the message lies, the file beginning with `head`: behind a byte order mark, or as Apple Mail counts.

    Apple's EMLX is the message's length as a line of digits, the message, and a property list.
    """
    counted = _EMLX_COUNT.match(head)
    if counted:
        return counted.end(), min(counted.end() + int(counted.group(1)), size)
    return (len(_BYTE_ORDER_MARK) if head.startswith(_BYTE_ORDER_MARK) else 0), size


def is_message(head: bytes, mime_type: str, name: str) -> bool:
    """Whether a content is a message: its header says so, or its name does and it begins with any field."""
    is_named = name.lower().endswith(_SUFFIXES)
    if not is_named and not mime_type.startswith(("text/", "message/")):
        return False
    start, _ = message_range(head[:16], len(head))
    if _FIELD.match(head, start) is None:
        return False
    if is_named:
        return True
    # The cheap test first: lists of names and values are common.
    if mime_type not in MESSAGE_TYPES and not any(head.find(one, 0, _LONGEST_HEADER) >= 0 for one in _FROM_FIELDS):
        return False
    block = _FIELDS.match(head, start, start + _LONGEST_HEADER)
    fields = {field.lower() for field in _FIELD_NAME.findall(block.group())} & _KNOWN if block else set()
    return len(fields) > 1 and (mime_type in MESSAGE_TYPES or b"from" in fields)


def is_mbox(head: bytes) -> bool:
    """Whether a content begins with a "From " line, which states a time of day or, as newer Thunderbirds write it, nothing."""
    if not head.startswith(FROM_LINE):
        return False
    end = head.find(b"\n", 0, LONGEST_FROM_LINE)
    if end < 0:
        return False
    line = head[len(FROM_LINE) : end].strip()
    return (not line or _TIME_OF_DAY.search(line) is not None) and _FIELD.match(head, end + 1) is not None
