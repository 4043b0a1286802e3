"""Evidence text -> HTML in which nothing can act and nothing can hide.

Four rules, in this order:
1. What is longer than the limit is cut, and the full length is said.
2. Whatever Python calls not printable (controls, bidi overrides, zero-width and format characters, unusual spaces, private and
   unassigned code points, surrogates) is shown as its code in a marked span. Unicode 16, categories C* and Z* but the plain space.
3. Of combining marks in a row only the first few are drawn, so that a name cannot smear over its neighbours.
4. Everything else is escaped for HTML.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, TypeAlias

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Text that needs no more escaping.
Html: TypeAlias = Markup

TEXT_LIMIT: Final = 300
BYTES_LIMIT: Final = 128
# Vietnamese and Hebrew need two marks on a letter, pointed Biblical text three.
_MARKS_IN_A_ROW: Final = 3
_PRINTABLE_ASCII: Final = frozenset(range(0x20, 0x7F))


def trusted(html: str) -> Markup:
    """The same text as markup. For text that this package itself put together from escaped parts, and for nothing else."""
    return Markup(html)  # noqa: S704 - the one place where text becomes markup


def join(parts: Iterable[Markup], by: str = "") -> Markup:
    """The parts after one another, with `by` (our own markup) between them."""
    return trusted(by.join(parts))


def code_of(character: str) -> str:
    r"""The character's code as text: \xNN, \uNNNN or \UNNNNNNNN."""
    point = ord(character)
    if point <= 0xFF:  # noqa: PLR2004 - two hexadecimal digits
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"  # noqa: PLR2004 - four digits


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """The text cut into (is it drawn as it is, run) pairs; the runs put together are the text."""
    run: list[str] = []
    drawn = True
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        now = character.isprintable() and marks <= _MARKS_IN_A_ROW
        if now is not drawn and run:
            yield drawn, "".join(run)
            run = []
        drawn = now
        run.append(character)
    if run:
        yield drawn, "".join(run)


def visible(text: str) -> str:
    """The text with every hidden character as its code; plain text, still to be escaped for HTML."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(run if drawn else "".join(map(code_of, run)) for drawn, run in _runs(text))


def show(text: str, *, limit: int = TEXT_LIMIT) -> Markup:
    """The text as HTML by the four rules above; `limit` counts characters of the text."""
    head = text[:limit]
    # Nearly all text is plain, and a report shows millions of values.
    shown = escape(head) if head.isascii() and head.isprintable() else join(map(_drawn, _runs(head)))
    if len(text) > limit:
        return shown + trusted(f' <span class="cut">… cut here; {len(text):,} characters in all</span>')
    return shown


def _drawn(run: tuple[bool, str]) -> Markup:
    drawn, text = run
    return escape(text) if drawn else trusted(f'<span class="u">{escape("".join(map(code_of, text)))}</span>')


def show_bytes(data: bytes, *, limit: int = BYTES_LIMIT) -> Markup:
    r"""The bytes as ASCII, all others as \xNN in marked spans."""
    text = "".join(chr(byte) if byte in _PRINTABLE_ASCII else f"\0{byte:02x}" for byte in data[:limit])
    parts = []
    for place, piece in enumerate(text.split("\0")):
        if place:
            parts.append(trusted(f'<span class="u">\\x{piece[:2]}</span>'))
        parts.append(escape(piece[2:] if place else piece))
    if len(data) > limit:
        parts.append(trusted(f' <span class="cut">… cut here; {len(data):,} bytes in all</span>'))
    return join(parts)


def inline(text: str, *, limit: int = TEXT_LIMIT) -> Markup:
    """Evidence inside one of our sentences: set apart, and isolated so that right-to-left letters in it reorder nothing of ours."""
    return trusted(f'<span class="ev" dir="ltr">{show(text, limit=limit)}</span>')
