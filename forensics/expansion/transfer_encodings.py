"""The encodings in which e-mail carries bytes: blocks in, decoded blocks out, lenient as mail programs are.

References: RFC 2045 6.7 (quoted-printable) and 6.8 (base64); POSIX.1-2017, uuencode.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from forensics.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET))
_LONGEST_LINE = 1 << 20


def decoded(source: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The content, decoded; as it stands where the encoding is none or unknown.

    Raises:
        ArchiveError: base64 or uuencoded data are damaged; what came before has been given.
    """
    decoder = _DECODERS.get(encoding)
    return source if decoder is None else decoder(source)


def _base64(source: Iterator[bytes]) -> Iterator[bytes]:
    """Characters outside the alphabet are passed over (6.8); the first padding ends the data."""
    rest = b""
    for block in source:
        rest += block.translate(None, _NOT_BASE64)
        data, padding, _ = rest.partition(b"=")
        if padding:
            rest = data
            break
        whole = len(data) // 4 * 4
        rest = data[whole:]
        if whole:
            yield binascii.a2b_base64(data[:whole])
    if len(rest) % 4 == 1:
        yield binascii.a2b_base64(rest[:-1])
        message = "the base64 data are cut off"
        raise ArchiveError(message)
    if rest:
        yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4))


def _quoted_printable(source: Iterator[bytes]) -> Iterator[bytes]:
    for lines in _whole_lines(source):
        yield binascii.a2b_qp(lines)


def _uuencoded(source: Iterator[bytes]) -> Iterator[bytes]:
    is_inside = False
    for lines in _whole_lines(source):
        for line in lines.splitlines():
            if not is_inside:
                is_inside = line.startswith(b"begin ")
            elif line.strip() in (b"end", b"`", b""):
                return
            else:
                try:
                    yield binascii.a2b_uu(line)
                except binascii.Error as error:
                    message = f"the uuencoded data are damaged: {error}"
                    raise ArchiveError(message) from error


def _whole_lines(source: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut behind line ends; a line too long for that is cut where it does no harm."""
    rest = b""
    for block in source:
        rest += block
        cut = rest.rfind(b"\n") + 1
        if not cut and len(rest) > _LONGEST_LINE:
            cut = len(rest) - 3  # an escape is "=" and two digits
            cut = at if (at := rest.find(b"=", cut)) >= 0 else len(rest)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


_DECODERS: dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    "base64": _base64,
    "quoted-printable": _quoted_printable,
    "x-uuencode": _uuencoded,
    "uuencode": _uuencoded,
    "x-uue": _uuencoded,
}
