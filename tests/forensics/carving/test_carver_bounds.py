"""What carving may cost, and what is said where something cannot be read."""

from __future__ import annotations

import gzip
import struct
import zlib

import pytest
from carved_files import noise, whole_files
from test_carver import Space

from forensics.carving.base import Carved
from forensics.carving.carver import iter_carved
from forensics.errors import Problem

_SIZE = 1 << 20
_START = struct.pack("<QQI", 1 << 24, 9, 0)
_GIF = b"GIF89a\1\0\1\0\0\0\0," + bytes(9) + b"\2"
# A stored block that covers what comes before the next beginning's own: each stream goes on through all that follow (RFC 1951, 3.2.4).
_GZIP = b"\x1f\x8b\x08\0" + bytes(6) + b"\0" + struct.pack("<HH", 507, 507 ^ 0xFFFF)
_BEGINNINGS = {
    "7z that ends behind the space": (b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(_START)) + _START).ljust(512, b"\0"),
    "GIF in blocks of one byte": _GIF + b"\1" * (512 - len(_GIF)),
    "gzip that runs through the next": _GZIP.ljust(512, b"a"),
    "PNG of one long chunk": whole_files()["PNG"][1][:33] + struct.pack(">I4s", 900_000, b"IDAT") + bytes(512 - 41),
    **{
        f"{one!r}": one for one in (b"PK\3\4", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", b"%PDF-", b"%PDF-1.", b"From ", b"\x1f\x8b\x08", b"MZ")
    },
    **{
        f"{one!r}": one for one in (b"Received: a\r\n", b"\xff\xfb", b"RIFF", b"\0\0\0\x10ftypisom", b"\x1f\x8b\x08\0", b"GIF89a", b"ID3\3")
    },
}


@pytest.mark.parametrize("alignment", [1, 512])
@pytest.mark.parametrize("name", sorted(_BEGINNINGS))
def test_a_space_of_nothing_but_beginnings_costs_a_bounded_multiple_of_it(name: str, alignment: int) -> None:
    one, size = _BEGINNINGS[name], _SIZE if alignment > 1 else _SIZE >> 2
    space = Space((one * (size // len(one) + 1))[:size])
    found = list(iter_carved(space, alignment=alignment))
    lengths = [carved.length for carved in found if isinstance(carved, Carved)]
    assert space.read <= 12 * size + (16 << 20)
    assert sum(lengths) <= 13 * size + (16 << 20)
    assert sum(isinstance(problem, Problem) for problem in found) <= 1


def test_where_the_bound_bites_a_problem_says_where_and_files_behind_are_carved_still() -> None:
    one, (_, picture) = _BEGINNINGS["7z that ends behind the space"], whole_files()["PNG"]
    found = list(iter_carved(Space(one * 8192 + bytes(2 << 20) + picture)))
    problems = [problem for problem in found if isinstance(problem, Problem)]
    assert [problem.code for problem in problems] == ["carving-bounded"]
    assert problems[0].start_byte is not None
    assert 0 < problems[0].start_byte < problems[0].start_byte + (problems[0].size_bytes or 0) <= 8192 * 512
    assert [(one.offset, one.length) for one in found if isinstance(one, Carved) and one.validated] == [
        ((8192 * 512) + (2 << 20), len(picture))
    ]


def test_a_long_picture_is_read_about_once() -> None:
    """In entropy-coded data a byte 0xFF is followed by a zero (ITU-T T.81, B.1.1.5): the search for markers stops at each."""
    picture = whole_files()["JPEG"][1]
    scan = picture.rindex(b"\xff\xda") + 14
    long = picture[:scan] + b"\xff\0ab" * (1 << 19) + b"\xff\xd9"
    space = Space(long)
    assert [(one.length, one.validated) for one in iter_carved(space) if isinstance(one, Carved)] == [(len(long), True)]
    assert space.read < 3 * len(long)


def test_only_what_cannot_be_read_is_called_so_and_files_on_both_sides_are_carved() -> None:
    picture = whole_files()["PNG"][1]
    padded = picture.ljust(4096, b"\0")
    data = padded + noise(70, (1 << 20) - 4096) + bytes(300_000) + noise(71, (2 << 20) - (1 << 20) - 300_000) + padded
    found = list(iter_carved(Space(data, damaged=(1 << 20, (1 << 20) + 300_000))))
    assert [(one.offset, one.validated) for one in found if isinstance(one, Carved)] == [(0, True), (2 << 20, True)]
    assert [(one.start_byte, one.size_bytes) for one in found if isinstance(one, Problem)] == [(1 << 20, 5 << 16)]


def test_a_file_that_runs_into_what_cannot_be_read_is_carved_up_to_there() -> None:
    whole, behind = gzip.compress(noise(72, 200_000), mtime=0), whole_files()["PNG"][1]
    data = whole.ljust(1 << 18, b"\0") + behind
    found = list(iter_carved(Space(data, damaged=(70_000, 70_100))))
    assert [(one.kind, one.offset, one.length, one.validated) for one in found if isinstance(one, Carved)] == [
        ("gzip", 0, 69_632, False),
        ("png", 1 << 18, len(behind), True),
    ]
    assert [(one.start_byte, one.size_bytes) for one in found if isinstance(one, Problem)] == [(65_536, 65_536)]


def test_a_message_right_behind_what_cannot_be_read_is_carved() -> None:
    """What stands before a message is looked at: it may be a field of the same message."""
    whole = whole_files()["e-mail"][1]
    found = list(iter_carved(Space(bytes(65_536) + whole, damaged=(65_000, 65_536))))
    assert [(one.offset, one.length, one.validated) for one in found if isinstance(one, Carved)] == [(65_536, len(whole), True)]
    assert [one.start_byte for one in found if isinstance(one, Problem)] == [0]
