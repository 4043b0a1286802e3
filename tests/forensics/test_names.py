from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from forensics.names import display_path, escape_text, extension_of

# Unicode 15, property Bidi_Control (PropList.txt), written out so that the test does not ask the code what it escapes.
_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LINES = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@given(st.binary())
def test_a_shown_path_holds_no_character_that_acts(raw: bytes) -> None:
    """Law 9: no control character, no line end and no character that reorders text is left."""
    text, _ = display_path(raw)
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cs") or c in _BIDI]
    assert len(text.splitlines()) <= 1
    text.encode("utf-8")


@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_the_bytes_of_a_path_are_never_lost(raw: bytes) -> None:
    """Either the text is the bytes, or the bytes stand beside it."""
    text, kept = display_path(raw)
    assert (kept if kept is not None else text.encode()) == raw


@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp"))))
def test_an_ordinary_name_is_shown_as_it_is(name: str) -> None:
    assert display_path(name.encode()) == (name, None)


@given(st.text())
def test_escaping_twice_changes_nothing_more(text: str) -> None:
    assert escape_text(escape_text(text)) == escape_text(text)


def test_each_bidirectional_control_and_line_end_is_escaped() -> None:
    for character in _BIDI + _LINES + "\x1b\x7f\x9b\ufeff\u200b":
        code = ord(character)
        assert escape_text(f"a{character}b") == (f"a\\x{code:02x}b" if code < 256 else f"a\\u{code:04x}b")


def test_bytes_that_are_not_utf_8_stand_as_hex() -> None:
    assert display_path(b"caf\xe9/x") == ("caf\\xe9/x", b"caf\xe9/x")


def test_what_looks_like_an_escape_keeps_its_bytes_apart_from_a_real_one() -> None:
    assert display_path(b"a\\x1b") == ("a\\x1b", None)
    assert display_path(b"a\x1b") == ("a\\x1b", b"a\x1b")


def test_tags_that_no_reader_sees_are_escaped() -> None:
    """Unicode tag characters (U+E0000 to U+E007F) are invisible and can hide a second text in a name."""
    assert escape_text("a\U000e0041b") == "a\\U000e0041b"


def test_the_extension_of_a_name() -> None:
    names = {"a.TXT": "txt", "a": "", ".bashrc": "", "a.tar.gz": "gz", "a.": "", "": ""}
    assert {name: extension_of(name) for name in names} == names
