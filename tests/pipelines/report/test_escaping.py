from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.escaping import code_of, inline, show, show_bytes, visible


def test_markup_characters_are_escaped() -> None:
    assert show("<b a='1' c=\"2\">&") == "&lt;b a=&#39;1&#39; c=&#34;2&#34;&gt;&amp;"


@pytest.mark.parametrize(
    ("character", "code"),
    [
        ("\x1b", r"\x1b"),
        ("\n", r"\x0a"),
        ("\u202e", r"\u202e"),
        ("\u2066", r"\u2066"),
        ("\u200b", r"\u200b"),
        ("\ufeff", r"\ufeff"),
        ("\xa0", r"\xa0"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_hidden_character_is_shown_as_its_code_in_a_marked_span(character: str, code: str) -> None:
    assert show(f"a{character}b") == f'a<span class="u">{code}</span>b'
    assert visible(f"a{character}b") == f"a{code}b"


def test_long_text_is_cut_and_its_length_said() -> None:
    shown = show("x" * 5000, limit=300)
    assert shown.startswith("x" * 300 + " <span")
    assert "x" * 301 not in shown
    assert "5,000 characters in all" in shown


def test_text_at_the_limit_is_not_cut() -> None:
    assert show("x" * 300, limit=300) == "x" * 300


def test_combining_marks_stop_after_three() -> None:
    shown = show("a" + "\u0301" * 10 + "b")
    assert shown.startswith("a\u0301\u0301\u0301<span")
    assert shown.count(r"\u0301") == 7


def test_letters_of_any_script_stay_as_they_are() -> None:
    assert show("Łódź 東京 שלום é😀") == "Łódź 東京 שלום é😀"


def test_bytes_that_are_no_printable_ascii_become_codes() -> None:
    assert show_bytes(b"a<\x00\xff~") == 'a&lt;<span class="u">\\x00</span><span class="u">\\xff</span>~'


def test_bytes_are_cut_and_their_length_said() -> None:
    assert "200 bytes in all" in show_bytes(b"a" * 200)


def test_inline_text_is_isolated_from_the_sentence_around_it() -> None:
    assert inline("שלום") == '<span class="ev" dir="ltr">שלום</span>'


@given(st.text(max_size=200))
def test_nothing_of_the_text_is_lost_or_added(text: str) -> None:
    """Tags taken off and references resolved, what is left is the text with its hidden characters as codes."""
    assert html.unescape(re.sub(r"<[^>]*>", "", show(text))) == visible(text)


@given(st.text(max_size=200))
def test_no_control_or_format_character_gets_through(text: str) -> None:
    """Unicode general categories C and Z: only the plain space is left."""
    assert all(unicodedata.category(one)[0] not in "CZ" or one == " " for one in show(text))


@given(st.characters())
def test_code_reads_back_as_the_character(character: str) -> None:
    """The codes are Python's own escapes, so anybody can turn them back."""
    assert code_of(character).encode("ascii").decode("unicode_escape") == character


@given(st.binary(max_size=100))
def test_bytes_can_be_read_back(data: bytes) -> None:
    r"""Where the data holds no backslash, the shown codes give the bytes again."""
    data = data.replace(b"\\", b"/")
    text = html.unescape(re.sub(r"<[^>]*>", "", show_bytes(data)))
    assert text.encode("ascii").decode("unicode_escape").encode("latin-1") == data
