"""AFF4 disks: the public image beside the digests that it states; volumes built here after the AFF4 Standard 1.0."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from dissect.util.compression import lz4
from hypothesis import given
from hypothesis import strategies as st

from forensics.containers.aff4_streams import open_stream_of
from forensics.containers.aff4_volume import Aff4Volume, Literal, parse_turtle
from forensics.digests import digest_media
from forensics.errors import FilesystemError, ForensicsError, ImageError, ImageReadError, UnsupportedImageError
from forensics.exhibit import SourceFile
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from forensics.image import Image

VOLUME, DISK, MAP, STREAM = (f"aff4://{name}" for name in ("volume", "disk", "map", "stream"))
AFF4 = "http://aff4.org/Schema#"
CHUNK, IN_BEVY = 1024, 4
PREFIXES = f"@prefix aff4: <{AFF4}> .\n@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
TEXT = b"AFF4 chunks are compressed one by one. " * 400
SNAPPY, LZ4, ZLIB, DEFLATE = (
    "http://code.google.com/p/snappy/",
    "https://code.google.com/p/lz4/",
    "https://www.ietf.org/rfc/rfc1950.txt",
    "https://tools.ietf.org/html/rfc1951",
)


def some_bytes(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


MEDIA = TEXT[: 3 * CHUNK] + some_bytes(4 * CHUNK) + bytes(2 * CHUNK) + TEXT[:512]


def snappy(data: bytes) -> bytes:
    """One literal (format_description.txt, section 2.1)."""
    length = bytes([len(data) & 0x7F | 0x80, len(data) >> 7])
    return length + b"\xf4" + struct.pack("<H", len(data) - 1) + data


def lz4_block(data: bytes) -> bytes:
    """One sequence of literals (lz4_Block_format.md)."""
    rest = len(data) - 15
    return b"\xf0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + data


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {SNAPPY: snappy, LZ4: lz4_block, ZLIB: zlib.compress, DEFLATE: deflated, AFF4 + "NullCompressor": lambda data: data}


def zipped(members: Mapping[str, bytes], *, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = VOLUME.encode()
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return buffer.getvalue()


def bevies(media: bytes, method: str, prefix: str = "stream") -> dict[str, bytes]:
    members = {}
    chunks = [media[start : start + CHUNK].ljust(CHUNK, b"\0") for start in range(0, len(media), CHUNK)]
    for number in range(-(-len(chunks) // IN_BEVY)):
        bevy, index = b"", b""
        for chunk in chunks[number * IN_BEVY : (number + 1) * IN_BEVY]:
            packed = PACKERS[method](chunk)
            packed = packed if len(packed) < CHUNK else chunk
            index += struct.pack("<QI", len(bevy), len(packed))
            bevy += packed
        members[f"{prefix}/{number:08d}"], members[f"{prefix}/{number:08d}.index"] = bevy, index
    return members


def turtle(**changes: str) -> str:
    facts = {
        "disk": f"<{DISK}> a aff4:DiskImage ; aff4:dataStream <{MAP}> ; aff4:size {len(MEDIA)} .",
        "map": f"<{MAP}> a aff4:Map ; aff4:size {len(MEDIA)} .",
        "stream": (
            f"<{STREAM}> a aff4:ImageStream ; aff4:chunkSize {CHUNK} ; aff4:chunksInSegment {IN_BEVY} ; "
            f"aff4:compressionMethod <{ZLIB}> ; aff4:size {len(MEDIA)} ."
        ),
    } | changes
    return PREFIXES + "\n".join(facts.values())


def points(*ranges: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("<QQQI", *one) for one in ranges)


def members_of(media: bytes = MEDIA, method: str = ZLIB, **changes: str) -> dict[str, bytes]:
    text = turtle(**changes).replace(f"<{ZLIB}>", f"<{method}>")
    return {
        "container.description": VOLUME.encode(),
        **bevies(media, method, "aff4%3A//stream"),
        "aff4%3A//map/map": points((0, len(media), 0, 0)),
        "aff4%3A//map/idx": STREAM.encode(),
        "information.turtle": text.encode(),
    }


def opened(folder: Path, members: Mapping[str, bytes]) -> Image:
    path = folder / "disk.aff4"
    path.write_bytes(zipped(members))
    return open_image(path)


@pytest.mark.parametrize("method", PACKERS)
def test_chunks_of_every_compression_are_read(tmp_path: Path, method: str) -> None:
    with opened(tmp_path, members_of(method=method)) as image:
        assert (image.container, image.size, image.problems()) == ("aff4", len(MEDIA), ())

        @given(offset=st.integers(0, len(MEDIA) + 10), length=st.integers(0, 5000))
        def check(offset: int, length: int) -> None:
            """`read_at(o, n)` is `media[o : o + n]`."""
            assert image.read_at(offset, length) == MEDIA[offset : offset + length]

        check()


def test_a_map_joins_ranges_in_any_order_with_symbolic_streams(tmp_path: Path) -> None:
    members = members_of(
        disk=f"<{DISK}> a aff4:DiskImage ; aff4:dataStream <{MAP}> ; aff4:size 8192 .",
        map=f"<{MAP}> a aff4:Map ; aff4:size 8192 ; aff4:mapGapDefaultStream aff4:SymbolicStream20 .",
    )
    members["aff4%3A//map/idx"] = f"{STREAM}\n{AFF4}Zero\n{AFF4}SymbolicStreamA5\n".encode()
    members["aff4%3A//map/map"] = points((4096, 1000, 0, 2), (0, 1024, 3072, 0), (1024, 1024, 0, 1), (6000, 100, 50, 0))
    with opened(tmp_path, members) as image:
        assert image.read_at(0, 8192) == (
            MEDIA[3072:4096] + bytes(1024) + b" " * 2048 + b"\xa5" * 1000 + b" " * 904 + MEDIA[50:150] + b" " * 2092
        )


def test_what_was_unreadable_is_named_to_the_sector_and_the_rest_is_read(tmp_path: Path) -> None:
    members = members_of()
    members["aff4%3A//map/idx"] = f"{STREAM}\n{AFF4}UnreadableData".encode()
    members["aff4%3A//map/map"] = points((0, 2048, 0, 0), (2048, 1024, 0, 1), (3072, len(MEDIA) - 3072, 3072, 0))
    with opened(tmp_path, members) as image:
        with pytest.raises(ImageReadError, match=r"not read when the image was made \(UnreadableData\)"):
            image.read_at(2000, 100)
        blocks = list(image.iter_blocks())
        assert b"".join(block.data for block in blocks) == MEDIA[:2048] + bytes(1024) + MEDIA[3072:]
        assert [(one.start_byte, one.size_bytes) for block in blocks for one in block.damage] == [(2048, 1024)]


@pytest.mark.parametrize("method", [SNAPPY, LZ4, ZLIB, DEFLATE])
def test_a_damaged_chunk_is_an_error_or_has_other_bytes_never_more(tmp_path: Path, method: str) -> None:
    members = members_of(method=method)
    choose = random.Random(5)
    for _ in range(40):
        bevy = bytearray(members["aff4%3A//stream/00000000"])
        bevy[choose.randrange(len(bevy))] ^= 1 << choose.randrange(8)
        with opened(tmp_path, {**members, "aff4%3A//stream/00000000": bytes(bevy)}) as image, contextlib.suppress(ImageReadError):
            assert len(image.read_at(0, CHUNK)) == CHUNK


def test_a_flipped_bit_in_the_checksum_of_a_zlib_chunk_is_an_error(tmp_path: Path) -> None:
    members = members_of()
    length = struct.unpack_from("<QI", members["aff4%3A//stream/00000000.index"])[1]
    bevy = bytearray(members["aff4%3A//stream/00000000"])
    bevy[length - 1] ^= 1
    with opened(tmp_path, {**members, "aff4%3A//stream/00000000": bytes(bevy)}) as image:
        with pytest.raises(ImageReadError, match="chunk 0 of the AFF4 stream aff4://stream is damaged"):
            image.read_at(0, 10)
        assert image.read_at(CHUNK, CHUNK) == MEDIA[CHUNK : 2 * CHUNK]


@pytest.mark.parametrize("packed", [zlib.compress(bytes(64 << 20), 9), b"\xff\xff\xff\xff\x0f" + b"\xfe\1\0" * 900], ids=["zlib", "snappy"])
def test_a_chunk_that_becomes_more_than_a_chunk_is_an_error(tmp_path: Path, packed: bytes) -> None:
    members = members_of(method=SNAPPY if packed.startswith(b"\xff") else ZLIB)
    packed = packed[: 2 * CHUNK]
    members["aff4%3A//stream/00000000"] = packed
    members["aff4%3A//stream/00000000.index"] = struct.pack("<QI", 0, len(packed)) * 4
    with opened(tmp_path, members) as image, pytest.raises(ImageReadError, match="chunk 0 of the AFF4 stream"):
        image.read_at(0, 10)


@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        ("aff4%3A//stream/00000000.index", b"", "is not in the index of its bevy"),
        ("aff4%3A//stream/00000000.index", struct.pack("<QI", 1 << 63, 100), "is placed outside its bevy"),
        ("aff4%3A//stream/00000000.index", struct.pack("<QI", 0, 0xFFFFFFFF), "is placed outside its bevy"),
        ("aff4%3A//stream/00000000", b"", "is placed outside its bevy"),
        ("aff4%3A//map/idx", b"aff4://nowhere", "has no member 'aff4://nowhere'"),
        ("aff4%3A//map/idx", b"", "has no member ''"),
        ("aff4%3A//map/idx", b"file:///etc/passwd", "has no member 'file:///etc/passwd'"),
        ("aff4%3A//map/idx", b"../../../../../../etc/passwd", "has no member '../../../../../../etc/passwd'"),
        ("aff4%3A//map/idx", b"/etc/passwd", "has no member '/etc/passwd'"),
        ("aff4%3A//map/idx", MAP.encode(), "lead from one to the other more than 8 times"),
        ("aff4%3A//map/map", points((0, 1 << 62, 1 << 63, 0)), "leads behind the end"),
        ("aff4%3A//map/map", points((0, len(MEDIA), 0, 0xFFFFFFFF)), "has no member ''"),
    ],
)
def test_what_leads_nowhere_is_an_error_where_it_is_read(tmp_path: Path, member: str, data: bytes, message: str) -> None:
    with opened(tmp_path, {**members_of(), member: data}) as image, pytest.raises(ImageReadError, match=message):
        image.read_at(0, 100)


@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        ("aff4%3A//map/map", points((0, 100, 0, 0), (50, 100, 0, 0)), "lie over each other at byte 50"),
        ("aff4%3A//map/map", points((0, len(MEDIA), 0, 0))[:-1], "is cut off"),
        ("information.turtle", b"<aff4://x> a", "holds no disk image|cannot be read"),
        ("information.turtle", b"\xff\xfe\0", "cannot be read from character 0"),
        ("information.turtle", PREFIXES.encode(), "no disk image"),
        ("information.turtle", turtle(disk=f"<{DISK}> a aff4:DiskImage ; aff4:dataStream <{DISK}> .").encode(), "more than 8 times"),
        ("information.turtle", turtle(more="<aff4://two> a aff4:DiskImage ; aff4:dataStream <aff4://map> .").encode(), "holds 2 images"),
        (
            "information.turtle",
            turtle(disk=f"<{DISK}> a aff4:DiskImage ; aff4:dataStream <{MAP}> ; aff4:size {1 << 63} .").encode(),
            "states",
        ),
    ],
)
def test_a_volume_that_cannot_be_is_refused(tmp_path: Path, member: str, data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        opened(tmp_path, {**members_of(), member: data})


@pytest.mark.parametrize(
    "stated",
    [
        f"aff4:chunkSize {1 << 63} ;",
        "aff4:chunkSize 0 ;",
        "aff4:chunkSize -1 ;",
        'aff4:chunkSize "x" ;',
        "aff4:chunkSize 99999999999999999999999 ;",
    ],
)
def test_chunks_of_a_size_that_cannot_be_are_refused(tmp_path: Path, stated: str) -> None:
    members = members_of()
    members["information.turtle"] = members["information.turtle"].replace(f"aff4:chunkSize {CHUNK} ;".encode(), stated.encode())
    members["information.turtle"] = members["information.turtle"].replace(
        f"<{MAP}> ; aff4:size".encode(), f"<{STREAM}> ; aff4:size".encode()
    )
    with pytest.raises(ImageError, match="the AFF4 stream aff4://stream states size"):
        opened(tmp_path, members)


def test_names_from_the_image_cannot_act_in_messages(tmp_path: Path) -> None:
    members = {**members_of(), "aff4%3A//map/idx": f"{AFF4}\x1b[2Jnothing".encode()}
    with opened(tmp_path, members) as image, pytest.raises(ImageReadError, match=r"\\x1b\[2Jnothing"):
        image.read_at(0, 100)


def test_a_turtle_with_too_many_words_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.containers.aff4_volume._MAX_TOKENS", 1000)
    with pytest.raises(ImageError, match="holds more than 1000 words"):
        parse_turtle("; " * 2000, "x")


def test_turtle_is_read_as_the_recommendation_says() -> None:
    graph = parse_turtle(
        '@prefix : <urn:own#> . @prefix x: <urn:x#> .\n# a comment\n<urn:s> a x:Kind , :Other ; x:p "a \\"b\\"\\n"^^x:t ; x:q 12 , -3 ; '
        'x:long """two\nlines "quoted" """ .\n:s x:p "ü"@de .',
        "x",
    )
    facts = graph["urn:s"]
    assert facts["http://www.w3.org/1999/02/22-rdf-syntax-ns#type"] == ["urn:x#Kind", "urn:own#Other"]
    assert facts["urn:x#p"] == ['a "b"\n']
    assert isinstance(facts["urn:x#p"][0], Literal)
    assert facts["urn:x#p"][0].datatype == "urn:x#t"
    assert (facts["urn:x#q"], facts["urn:x#long"]) == (["12", "-3"], ['two\nlines "quoted" '])
    assert graph["urn:own#s"] == {"urn:x#p": ["ü"]}


@given(text=st.text(alphabet='<>"\\ .;,:a@prefix#\n1x', max_size=80))
def test_any_text_is_a_graph_or_an_error(text: str) -> None:
    with contextlib.suppress(ImageError):
        parse_turtle(text, "x")


def test_lz4_stops_at_the_chunk_whatever_the_block_states() -> None:
    with pytest.raises(Exception, match=r".*"):
        lz4.decompress(b"\x1fa\1\0" + b"\xff" * 100_000 + b"\0", 1024)


@pytest.mark.corpus
def test_the_public_disk_has_the_digest_that_its_stream_states(corpus_image: Callable[[str], Path]) -> None:
    file = SourceFile(corpus_image("aff4-readerror"))
    volume = Aff4Volume(file, "x")
    (urn,) = volume.subjects("ImageStream")
    stream = open_stream_of(volume, file, urn)
    # MANIFEST.json, aff4_hashes
    assert hashlib.sha1(stream.read_at(0, stream.size)).hexdigest() == "ac152b5b8598aef49f21e6e23e8fdc40d2946a6e"
    assert volume.digests(urn) == {"md5": "b2a8abd1ba56975967aa618b430991d7", "sha1": "ac152b5b8598aef49f21e6e23e8fdc40d2946a6e"}


@pytest.mark.corpus
def test_the_unreadable_sectors_of_the_public_disk_are_those_of_its_map(corpus_image: Callable[[str], Path]) -> None:
    path = corpus_image("aff4-readerror")
    with zipfile.ZipFile(path) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("/map"))
        targets = archive.read(name.replace("/map", "/idx")).decode().split()
        ranges = sorted(struct.iter_unpack("<QQQI", archive.read(name)))
    lost = [(start, length) for start, length, _, target in ranges if targets[target].endswith(("UnreadableData", "UnknownData"))]
    assert lost
    with open_image(path) as image:
        problems = digest_media(image, on_bytes=lambda _: None).problems
        assert sum(problem.size_bytes or 0 for problem in problems) == sum(length for _, length in lost)
        assert problems[0].start_byte == lost[0][0]


def test_a_volume_with_another_reader_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises((UnsupportedImageError, FilesystemError), match="no disk image"):
        opened(tmp_path, {"information.turtle": PREFIXES.encode(), "container.description": VOLUME.encode()})


def test_damaged_volumes_give_errors_of_ours_only(tmp_path: Path) -> None:
    data, choose = zipped(members_of()), random.Random(9)
    for _ in range(120):
        changed = bytearray(data)
        for _ in range(choose.randrange(1, 8)):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        path = tmp_path / "d.aff4"
        path.write_bytes(changed if choose.random() < 0.7 else changed[: choose.randrange(1, len(changed))])
        with contextlib.suppress(ForensicsError), open_image(path) as image:
            image.read_at(0, 100_000)
