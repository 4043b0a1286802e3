"""Files laid into noise come out at their place, with their length; what is cut off says so; what is none does not come out."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from carved_files import noise, whole_files

from forensics.carving.base import Carved
from forensics.carving.carver import iter_carved
from forensics.errors import ImageReadError, Problem

NAMES = sorted(whole_files())
# Kinds whose file has no end of its own: the last frame of a sound ends it.
_WITHOUT_END = {"MP3"}


class Space:
    """A byte source that counts what is read of it; `damaged` is a half-open range that cannot be read."""

    def __init__(self, data: bytes, damaged: tuple[int, int] = (0, 0)) -> None:
        self._data, self._damaged = data, damaged
        self.size, self.read = len(data), 0

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        first, end = self._damaged
        if offset < end and first < offset + length:
            message = f"bytes {first} to {end - 1} are damaged"
            raise ImageReadError(message)
        self.read += len(self._data[offset : offset + length])
        return self._data[offset : offset + length]


def carved(data: bytes, alignment: int = 512) -> list[Carved]:
    return [one for one in iter_carved(Space(data), alignment=alignment) if isinstance(one, Carved)]


def test_every_kind_has_a_sample() -> None:
    from forensics.carving.kinds import ALL_KINDS

    assert {kind for kind, _ in whole_files().values()} >= {kind.name for kind in ALL_KINDS} - ({"7z"} if not shutil.which("7z") else set())
    assert shutil.which("7z") or not os.environ.get("CI")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("place", "alignment"), [(3 * 512, 512), (0, 512), (777, 1)])
def test_a_file_in_noise_comes_out_whole(name: str, place: int, alignment: int) -> None:
    kind, content = whole_files()[name]
    data = noise(10, place) + content + noise(11, 5000)
    found = [one for one in carved(data, alignment) if one.validated]
    assert [(one.kind, one.offset, one.length) for one in found] == [(kind, place, len(content))], found[0].why if found else "nothing"


@pytest.mark.parametrize("name", sorted(set(NAMES) - _WITHOUT_END))
def test_a_file_that_is_cut_off_is_never_called_valid(name: str) -> None:
    _, content = whole_files()[name]
    for share in (0.3, 0.9):
        data = content[: int(len(content) * share)]
        for one in carved(data):
            assert not one.validated or one.offset > 0, (share, one)
            assert 0 < one.length <= len(data) - one.offset


@pytest.mark.parametrize("name", NAMES)
def test_two_files_one_behind_the_other_are_two(name: str) -> None:
    kind, content = whole_files()[name]
    padded = content + bytes(-len(content) % 512)
    found = [(one.kind, one.offset, one.length) for one in carved(padded + content) if one.validated]
    assert found == [(kind, 0, len(content)), (kind, len(padded), len(content))]


def test_noise_holds_no_valid_file() -> None:
    for seed in range(8):
        assert [one for one in carved(noise(seed, 1 << 20), alignment=1) if one.validated] == []


@pytest.mark.parametrize("name", NAMES)
def test_damage_gives_no_exception_and_no_length_beyond_the_space(name: str) -> None:
    _, content = whole_files()[name]
    chance = random.Random(name)
    for _ in range(12):
        data = bytearray(content[:200_000])
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data) if chance.random() < 0.3 else min(len(data), 600))] = chance.randrange(256)
        for one in carved(bytes(data)):
            assert 0 < one.length <= len(data) - one.offset


@pytest.mark.parametrize(
    "signature",
    [
        *(b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(16) + b"\5\0\0\0name1", b"%PDF-1.4", b"\xff\xd8\xff\xe0\0\x04ab\xff\xda\0\x04ab", b"MZ"),
        *(b"\x1f\x8b\x08\0", b"RIFF\xff\xff\xff\x7fWAVE", b"Received: a\r\nFrom: b\r\nTo: c\r\nSubject: d\r\n\r\n", b"GIF89a", b"ID3\x03"),
        *(b"\0\0\0\x10ftypisom", b"SQLite format 3\0", b"\x7fELF\x02\x01\x01", b"Rar!\x1a\x07\0", bytes.fromhex("d0cf11e0a1b11ae1")),
    ],
)
def test_a_space_full_of_beginnings_is_read_a_bounded_number_of_times(signature: bytes) -> None:
    """16 times, or 256 MiB where that is more, and 64 KiB a place behind that bound."""
    size = 20 << 20
    space = Space(signature.ljust(512, b"\1") * (size // 512))
    found = list(iter_carved(space))
    assert space.read < 16 * size + (256 << 20) + 2 * (64 << 10) * (size // 512)
    assert all(one.length <= size - one.offset for one in found if isinstance(one, Carved))


def test_what_cannot_be_read_is_a_problem_and_the_rest_is_carved() -> None:
    _, content = whole_files()["PNG"]
    data = noise(20, 1 << 20) + content + bytes(-len(content) % 512) + noise(21, 9 << 20)
    found = list(iter_carved(Space(data, damaged=(0, 4096))))
    assert [(one.kind, one.offset) for one in found if isinstance(one, Carved) and one.validated] == [("png", 1 << 20)]
    problems = [one for one in found if isinstance(one, Problem)]
    assert [(one.code, one.start_byte) for one in problems] == [("carving-unreadable", 0)]
    assert "damaged" in problems[0].why


def test_documents_are_named_by_what_they_hold() -> None:
    extensions = {name: carved(whole_files()[name][1])[0].extension for name in NAMES}
    expected = {"DOCX": "docx", "ZIP": "zip", "OLE": "doc", "HEIC": "heic", "MOV": "mov", "WAV": "wav", "AVI": "avi", "WebP": "webp"}
    assert {name: extensions[name] for name in expected} == expected
