"""Strict JSON, canonical JSON (RFC 8785), base64 and hashes: the only ways in which bytes become values here.

Rules, each with its finding code:
    E_ENCODING       UTF-8 without a byte order mark
    E_DUPLICATE_KEY  no object has a member twice
    E_NUMBER         no floats, NaN or infinities; integers within 2^53-1
    E_DEPTH          at most MAX_DEPTH nested arrays and objects
    E_JSON           anything else that is no JSON text
    E_CANONICAL      serialising the value again gives the same bytes
    E_BASE64         standard alphabet, padded, no spare bits: encoding again gives the same text
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, NoReturn

import rfc8785

from chain_of_custody.errors import FormatError

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
# Below this many opening brackets no parser's stack is in danger, so the exact depth is counted on the parsed value.
_BRACKETS_WITHOUT_RISK = 500
_MAX_INTEGER_DIGITS = 17
HEX_SHA256 = 64


def parse_json(data: bytes) -> Any:
    """The value of a JSON text, without any of JSON's ambiguities.

    Raises:
        FormatError: with the code of the rule broken.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(code="E_ENCODING", why=f"not UTF-8 at byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise FormatError(code="E_ENCODING", why="begins with a byte order mark")
    if text.count("[") + text.count("{") > _BRACKETS_WITHOUT_RISK:
        _check_text_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise FormatError(code="E_JSON", why=f"not a JSON text: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise FormatError(code="E_DEPTH", why=f"nested more than {MAX_DEPTH} deep") from error
    _check_depth(value, MAX_DEPTH)
    return value


def parse_canonical(data: bytes) -> Any:
    """The value of a JSON text that is in canonical form (RFC 8785), byte for byte.

    Raises:
        FormatError: with the code of the rule broken; E_CANONICAL if only the form is wrong.
    """
    value = parse_json(data)
    if to_canonical(value) != data:
        raise FormatError(code="E_CANONICAL", why="not in canonical form: serialising its value again gives other bytes")
    return value


def to_canonical(value: Any) -> bytes:
    """The canonical JSON text of a value (RFC 8785), UTF-8.

    Raises:
        FormatError: E_CANONICAL if JSON cannot hold the value, e.g. a lone surrogate.
    """
    try:
        return bytes(rfc8785.dumps(value))
    except ValueError as error:  # its own CanonicalizationError, and UnicodeEncodeError for a member's name
        raise FormatError(code="E_CANONICAL", why=f"cannot be written as canonical JSON: {error}") from error


def to_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def parse_base64(text: str) -> bytes:
    """The bytes of a standard, padded base64 text whose spare bits are zero.

    Raises:
        FormatError: E_BASE64.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(code="E_BASE64", why=f"not base64: {error}") from error
    if to_base64(data) != text:
        raise FormatError(code="E_BASE64", why="base64 with spare bits set or without its padding")
    return data


def is_hex(value: object, digits: int = HEX_SHA256) -> bool:
    """Whether a value is a string of that many lower-case hexadecimal digits."""
    return isinstance(value, str) and len(value) == digits and all(c in "0123456789abcdef" for c in value)


def sha256_hex(data: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def _pairs_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise FormatError(code="E_DUPLICATE_KEY", why="an object has the same member twice")
    return members


def _refuse_float(text: str) -> NoReturn:
    raise FormatError(code="E_NUMBER", why=f"a number that is no integer: {text[:40]}")


def _integer(text: str) -> int:
    # Checked before int(): converting a million digits takes quadratic time.
    if len(text) > _MAX_INTEGER_DIGITS or not -MAX_INTEGER <= int(text) <= MAX_INTEGER:
        raise FormatError(code="E_NUMBER", why=f"an integer beyond 2^53-1: {text[:40]}")
    return int(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs_once, parse_float=_refuse_float, parse_constant=_refuse_float, parse_int=_integer)


def _check_text_depth(text: str) -> None:
    depth = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise FormatError(code="E_DEPTH", why=f"nested more than {MAX_DEPTH} deep")
        elif character in "]}":
            depth -= 1


def _check_depth(value: Any, left: int) -> None:
    if not isinstance(value, dict | list):
        return
    if left == 0:
        raise FormatError(code="E_DEPTH", why=f"nested more than {MAX_DEPTH} deep")
    for child in value.values() if isinstance(value, dict) else value:
        if isinstance(child, dict | list):
            _check_depth(child, left - 1)
