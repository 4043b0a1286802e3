"""Names as evidence stores them -> text that can do no harm where it is shown.

A name is bytes. `path` in the tables is UTF-8 with everything escaped that is not UTF-8 or that acts on a reader: control
characters (a newline, ESC), line separators, and the characters that reorder text (Unicode bidirectional controls). Where the
text differs from the bytes, `path_bytes` keeps the bytes.
"""

from __future__ import annotations

import re

# C0 and C1 controls and DEL; soft hyphen; zero-width, invisible and bidirectional controls (UAX #9, table 4); line and paragraph
# separator; BOM and interlinear annotation; tag characters, which nobody sees and which can hide a second text; surrogates.
_ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]|[\ud800-\udfff]"
)


def escape_text(text: str) -> str:
    r"""The text with acting characters as `\xNN`, `\uNNNN` or `\UNNNNNNNN`; unchanged when there are none."""
    return _ACTING.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code > 0xFFFF:  # noqa: PLR2004 - more than four digits
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - one byte


def display_path(raw: bytes) -> tuple[str, bytes | None]:
    r"""The path as text, and its bytes where these differ from the text in UTF-8.

    Bytes that are not UTF-8 stand as `\xNN`.
    """
    text = escape_text(raw.decode("utf-8", "backslashreplace"))
    return text, None if text.encode("utf-8") == raw else raw


def extension_of(name: str) -> str:
    """The extension of a file name in lower case without its dot; empty if it has none."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""
