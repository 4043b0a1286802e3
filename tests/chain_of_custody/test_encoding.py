"""Bytes become values in one way only, or not at all."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_of_custody.encoding import MAX_DEPTH, MAX_INTEGER, parse_base64, parse_canonical, parse_json, to_base64, to_canonical
from chain_of_custody.envelope import Signature, parse_line, pre_authentication_encoding, to_line
from chain_of_custody.errors import FormatError

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_canonically_reads_back_equal(value: Any) -> None:
    assert parse_canonical(to_canonical(value)) == value


@given(VALUES)
def test_any_other_form_of_the_same_value_is_refused(value: Any) -> None:
    """RFC 8785: one value has one text."""
    other = json.dumps(value, indent=1).encode()
    assert parse_json(other) == value
    if other != to_canonical(value):
        with pytest.raises(FormatError) as raised:
            parse_canonical(other)
        assert raised.value.code == "E_CANONICAL"


def test_rfc_8785s_own_example_of_sorting() -> None:
    """RFC 8785 section 3.2.3: members sort by UTF-16 code units, so the emoji comes before the Hebrew letter U+FB33."""
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(to_canonical(value)).values()) == [2, 4, 6, 7, 1, 5, 3]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b'{"a":1,"a":1}', "E_DUPLICATE_KEY"),
        (b'{"a":{"b":1,"c":2,"b":3}}', "E_DUPLICATE_KEY"),
        (b'{"\\u0061":1,"a":1}', "E_DUPLICATE_KEY"),
        (b"1.5", "E_NUMBER"),
        (b"1e3", "E_NUMBER"),
        (b"NaN", "E_NUMBER"),
        (b"-Infinity", "E_NUMBER"),
        (b"9007199254740992", "E_NUMBER"),
        (b"1" * 100_000, "E_NUMBER"),
        (b"-0", "E_CANONICAL"),
        (b"\xff", "E_ENCODING"),
        (b"\xef\xbb\xbf{}", "E_ENCODING"),
        (b"", "E_JSON"),
        (b"{}{}", "E_JSON"),
        (b" {}", "E_CANONICAL"),
        (b'"\\ud800"', "E_CANONICAL"),
        (b'"\\/"', "E_CANONICAL"),
        (b"[" * 100_000, "E_DEPTH"),
        (b"[" * 100_000 + b"]" * 100_000, "E_DEPTH"),
        (b'{"a":' * 600 + b"1" + b"}" * 600, "E_DEPTH"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "E_DEPTH"),
    ],
)
def test_ambiguous_or_hostile_json_is_refused_with_its_code(text: bytes, code: str) -> None:
    with pytest.raises(FormatError) as raised:
        parse_canonical(text)
    assert raised.value.code == code


def test_the_deepest_nesting_allowed_is_read_and_brackets_in_strings_do_not_count() -> None:
    parse_canonical(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    text = b'["' + b'[\\"' * 1000 + b'"]'
    assert parse_canonical(text) == ['["' * 1000]


@given(st.binary(max_size=100))
def test_base64_has_one_form(data: bytes) -> None:
    """RFC 4648 section 4, checked against the standard library's encoder."""
    assert to_base64(data) == base64.standard_b64encode(data).decode()
    assert parse_base64(to_base64(data)) == data


@pytest.mark.parametrize("text", ["QQ", "QQ=", "QR==", "Q Q==", "QQ==\n", "QQ===", "_-==", "Q\u00c4==", "=QQ="])
def test_another_form_of_base64_is_refused(text: str) -> None:
    with pytest.raises(FormatError) as raised:
        parse_base64(text)
    assert raised.value.code == "E_BASE64"


def test_the_pre_authentication_encoding_is_that_of_dsses_own_example() -> None:
    """secure-systems-lab/dsse, protocol.md, "Test vectors"."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == expected


@given(st.binary(max_size=60))
def test_a_line_reads_back(body: bytes) -> None:
    line = to_line("t", body, [Signature(keyid="ab" * 32, sig=b"sig")])
    envelope = parse_line(line, "t")
    assert (envelope.body, envelope.signatures[0].sig) == (body, b"sig")
