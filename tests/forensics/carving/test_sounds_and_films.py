"""What ends a sound or a film: stated lengths, tags, and boxes."""

from __future__ import annotations

import io
import struct
import wave

import pytest
from carved_files import noise, whole_files
from spaces import carved, first


def media(name: str) -> bytes:
    return whole_files()[name][1]


def frames(count: int) -> bytes:
    """Frames of MPEG 2 layer III, 16 kbit/s, 16 kHz: 72 bytes each (ISO/IEC 13818-3, 2.4.2.3)."""
    return (b"\xff\xf3\x28\xc0" + noise(30, 68)) * count


TAG = b"ID3\x03\0\0\0\0\0\x0a" + bytes(10)


def test_a_sound_cut_off_is_shorter_than_its_stated_frames_and_not_valid() -> None:
    """LAME's first frame states how many follow."""
    sound = media("MP3")
    assert first(sound).validated
    cut = first(sound[: len(sound) // 2])
    assert not cut.validated
    assert cut.length <= len(sound) // 2


def test_frames_that_no_tag_ends_are_not_valid() -> None:
    found = first(TAG + frames(20))
    assert (found.length, found.validated) == (len(TAG) + 20 * 72, False)


def test_a_tag_behind_the_frames_ends_a_sound() -> None:
    sound = TAG + frames(20) + b"TAG".ljust(128, b"\0")
    found = first(sound + noise(31, 1000))
    assert (found.length, found.validated) == (len(sound), True)


def test_a_tag_with_a_footer_is_ten_bytes_longer() -> None:
    """id3.org, ID3v2.4 3.4."""
    sound = b"ID3\x04\0\x10\0\0\0\x0a" + bytes(10) + b"3DI\x04\0\x10\0\0\0\x0a" + frames(20) + b"TAG".ljust(128, b"\0")
    found = first(sound)
    assert (found.length, found.validated) == (len(sound), True)


def test_eleven_frames_are_none() -> None:
    assert carved(frames(11) + bytes(500)) == []


def test_a_sound_of_odd_length_ends_where_it_says() -> None:
    """Python's wave adds no byte behind samples of odd length, and states none."""
    made = io.BytesIO()
    with wave.open(made, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(noise(32, 4001))
    for behind in (b"", noise(33, 700)):
        found = first(made.getvalue() + behind)
        assert (found.length, found.validated) == (len(made.getvalue()), True)


def test_a_film_of_several_parts_is_one() -> None:
    """OpenDML 1.02, "AVI RIFF file": behind the first gigabyte more lists of the form AVIX follow."""
    film = media("AVI") + b"RIFF" + struct.pack("<I4s4sI", 4 + 8 + 6, b"AVIX", b"JUNK", 6) + bytes(6)
    found = first(film + noise(34, 700))
    assert (found.length, found.validated) == (len(film), True)
    assert first(film[:-3]).length == len(media("AVI"))


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


BRANDS = box(b"ftyp", b"isom\0\0\2\0isom")


@pytest.mark.parametrize("cut", [20, 300, 999])
def test_a_film_cut_off_in_a_later_fragment_is_not_valid(cut: int) -> None:
    film = BRANDS + box(b"moov", bytes(100)) + box(b"moof", bytes(50)) + box(b"mdat", bytes(500)) + box(b"moof", bytes(50))
    film += box(b"mdat", bytes(1000))
    assert (first(film).length, first(film).validated) == (len(film), True)
    found = first(film[:-cut])
    assert not found.validated
    assert found.length <= len(film) - cut


def test_a_box_that_reaches_to_the_end_of_the_file_leaves_the_end_open() -> None:
    """ISO/IEC 14496-12, 4.2: size 0."""
    film = BRANDS + box(b"moov", bytes(100)) + box(b"mdat", bytes(9)) + struct.pack(">I4s", 0, b"mdat") + bytes(1000)
    assert not first(film).validated


def test_a_box_with_a_long_size_is_followed() -> None:
    film = BRANDS + struct.pack(">I4sQ", 1, b"mdat", 16 + 100) + bytes(100) + box(b"moov", bytes(20))
    found = first(film + noise(35, 600))
    assert (found.length, found.validated) == (len(film), True)


@pytest.mark.parametrize(
    ("brand", "extension"), [(b"heic", "heic"), (b"mif1", "heic"), (b"hevc", "heic"), (b"M4V ", "m4v"), (b"3gp4", "3gp")]
)
def test_a_film_or_image_is_named_by_its_brand(brand: bytes, extension: str) -> None:
    film = BRANDS.replace(b"isom\0\0\2\0", brand + b"\0\0\2\0") + box(b"meta", bytes(20)) + box(b"mdat", bytes(20))
    assert first(film).extension == extension
