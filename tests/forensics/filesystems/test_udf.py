"""UDF as genisoimage writes it of a folder, and volumes of mkudffs with files laid into them after ECMA-167, which 7-Zip lists alike."""

from __future__ import annotations

import binascii
import hashlib
import os
import random
import struct
from typing import TYPE_CHECKING

import pytest
from laid_tree import BytesSource, Changed, FileBytes, damage, list_image, list_source, reads
from made_volumes import needs, run

from forensics.errors import FilesystemError, StreamReadError
from forensics.filesystems.base import Kind
from forensics.timestamps import OutOfRange

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 2048
_needs_genisoimage = needs("genisoimage")
_needs_mkudffs = needs("mkudffs")


def _contents(folder: Path) -> dict[bytes, str]:
    return {
        os.fsencode(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("udf") / "tree"
    (folder / "folder" / "below" / "it").mkdir(parents=True)
    chance = random.Random(1)
    contents = {"empty": 0, "one.bin": 1, "block": 2048, "big.bin": 300_000, "folder/naïve, 日本.txt": 30, "folder/below/it/deep.txt": 40}
    for name, size in contents.items():
        (folder / name).write_bytes(chance.randbytes(size))
    (folder / ("l" * 100)).write_bytes(b"a long name")
    for number in range(300):
        (folder / "folder" / f"{number:04d}.txt").write_bytes(b"%d" % number)
    for path in folder.rglob("*"):
        os.utime(path, (1_500_000_001, 1_500_000_000))
    return folder


@pytest.fixture(scope="module")
def bridge(folder: Path) -> Path:
    """ISO 9660 and UDF 1.02 over the same contents; genisoimage writes neither owners nor modes there."""
    image = folder.parent / "bridge.img"
    run("genisoimage", "-quiet", "-udf", "-allow-limited-size", "-R", "-J", "-joliet-long", "-o", image, folder)
    return image


@_needs_genisoimage
def test_a_folder_that_genisoimage_wrote_is_the_same(bridge: Path, folder: Path) -> None:
    listed = list_image(bridge)
    files = [entry for entry in listed.entries if entry.kind is Kind.FILE]
    assert {entry.path: hashlib.sha256(listed.read(entry)).hexdigest() for entry in files} == _contents(folder)
    assert {entry.path for entry in listed.entries if entry.kind is Kind.DIRECTORY} == {b"folder", b"folder/below", b"folder/below/it"}
    assert {entry.times.modified for entry in files} == {1_500_000_000 * 10**9}
    assert listed.problems == []


@_needs_genisoimage
def test_damage_never_gives_more_than_an_error(bridge: Path) -> None:
    assert damage(bridge, seed=12, rounds=20)


_SHAPES = {
    "revision 1.02": ("-m", "hd", "-r", "1.02"),
    "revision 2.01": ("-m", "hd", "-r", "2.01"),
    "sparable": ("-m", "dvdrw", "-r", "2.01"),
    "sparable, revision 1.50": ("-m", "cdrw", "-r", "1.50"),
    "sectors of 512 bytes": ("-m", "hd", "-b", "512", "-r", "2.01"),
    "sectors of 4,096 bytes": ("-m", "hd", "-b", "4096", "-r", "2.01"),
}


@_needs_mkudffs
@pytest.mark.parametrize("options", _SHAPES.values(), ids=_SHAPES)
def test_an_empty_volume_of_each_shape_opens_with_its_label(tmp_path: Path, options: tuple[str, ...]) -> None:
    block = () if "-b" in options else ("-b", "2048")
    run("mkudffs", "--utf8", "--new-file", *block, "--label", "Läbel", *options, tmp_path / "a.img", 8192)
    listed = list_image(tmp_path / "a.img")
    assert (listed.label, listed.problems) == ("Läbel", [])
    assert {entry.path for entry in listed.entries} <= {b"Non-Allocatable Space"}


@_needs_mkudffs
def test_a_virtual_partition_is_refused_by_name(tmp_path: Path) -> None:
    run("mkudffs", "--new-file", "-b", "2048", "-m", "bdr", "-r", "2.50", tmp_path / "a.img", 4096)
    with pytest.raises(FilesystemError, match="UDF Virtual Partition"):
        list_image(tmp_path / "a.img")


def _tagged(identifier: int, location: int, body: bytes) -> bytes:
    """A descriptor with its tag (ECMA-167 part 3, 7.2)."""
    tag = bytearray(struct.pack("<HHBxHHHI", identifier, 3, 0, 1, binascii.crc_hqx(body, 0), len(body), location))
    tag[4] = sum(tag) & 0xFF
    return bytes(tag) + body


def _timestamp(year: int = 2024, zone: int = 60) -> bytes:
    """2 minutes past 10 on the 9th of March, 3.040506 seconds, an hour east of Greenwich (part 1, 7.3)."""
    return struct.pack("<Hh8B", 1 << 12 | (zone & 0xFFF), year, 3, 9, 10, 2, 3, 4, 5, 6)


def _entry(
    block: int,
    kind: int,
    size: int,
    descriptors: bytes,
    *,
    form: int = 0,
    permissions: int = 0b00111_00101_00100,
    links: int = 1,
    when: bytes | None = None,
    flags: int = 0,
) -> bytes:
    """An extended file entry (part 4, 14.17)."""
    icb = struct.pack("<IHHHxBIHH", 0, 4, 0, 1, kind, 0, 0, form | flags)
    body = icb + struct.pack("<IIIHBBIQQQ", 501, 502, permissions, links, 0, 0, 0, size, size, 0)
    body += (when or _timestamp()) * 4 + struct.pack("<II", 1, 0) + bytes(32) + bytes(32) + struct.pack("<QII", 77, 0, len(descriptors))
    assert len(body) == 200
    return _tagged(266, block, body + descriptors).ljust(_BLOCK, b"\0")


def _identifier(block: int, target: int, name: bytes, flags: int = 0) -> bytes:
    """A file identifier (part 4, 14.4)."""
    icb = struct.pack("<IIH6x", _BLOCK, target, 0)
    body = struct.pack("<HBB", 1, flags, len(name)) + icb + struct.pack("<H", 0) + name
    return _tagged(257, block, body + bytes(-(16 + len(body)) % 4))


def _short(length: int, block: int, kind: int = 0) -> bytes:
    return struct.pack("<II", kind << 30 | length, block)


def _long(length: int, block: int, kind: int = 0) -> bytes:
    return struct.pack("<IIH6x", kind << 30 | length, block, 0)


_FIRST = 100  # logical blocks from here on are ours; a new volume uses fewer


def _names(block: int, target: dict[bytes, int]) -> bytes:
    return _identifier(block, block, b"", flags=0b1010) + b"".join(_identifier(block, number, name) for name, number in target.items())


def _blocks() -> dict[int, bytes]:
    """Files of every form of descriptors, a link, another name, a deleted one, folders, and one that holds the root."""
    link = bytes((4, 0, 0, 0)) + bytes((5, 6, 0, 0)) + b"\x08there" + bytes((3, 0, 0, 0)) + bytes((5, 5, 0, 0)) + b"\x10\x65\xe5\x67\x2c"
    below = _names(110, {b"\x08deep": 101, b"\x08root": _FIRST})
    names = {
        b"\x08inline": 101,
        b"\x08short": 102,
        b"\x08long": 103,
        b"\x08continued": 104,
        b"\x08link": 105,
        b"\x10\x65\xe5\x67\x2c": 102,
        b"\x08folder": 110,
    }
    root = _names(_FIRST, names) + _identifier(_FIRST, 101, b"\x08deleted", flags=4)
    return {
        _FIRST: _entry(_FIRST, 4, len(root), _short(len(root), 120)),
        101: _entry(101, 5, 6, b"inline", form=3, permissions=0b10111_00101_00100, flags=1 << 6),
        102: _entry(102, 5, 3 * _BLOCK + 5, _short(_BLOCK, 121) + _short(_BLOCK, 0, kind=2) + _short(_BLOCK + 5, 122), links=2),
        103: _entry(103, 5, _BLOCK + 9, _long(_BLOCK, 122) + _long(9, 121), form=1, when=_timestamp(zone=-2047)),
        104: _entry(104, 5, 2 * _BLOCK, _short(_BLOCK, 121) + _short(_BLOCK, 106, kind=3)),
        105: _entry(105, 12, len(link), link, form=3, when=_timestamp(year=0)[:4] + bytes((13,)) + bytes(7)),
        106: _tagged(258, 106, struct.pack("<II", 0, 8) + _short(_BLOCK, 123)).ljust(_BLOCK, b"\0"),
        110: _entry(110, 4, len(below), below, form=3),
        120: root,
        121: b"A" * _BLOCK,
        122: b"B" * _BLOCK,
        123: b"C" * _BLOCK,
    }


def _laid(path: Path, blocks: dict[int, bytes], *options: str) -> bytes:
    """A new volume whose file set leads to our root; the partition's start and the file set are where mkudffs says."""
    run("mkudffs", "--new-file", "-b", "2048", *options, path, 4096)
    image = bytearray(path.read_bytes())
    path.unlink()
    said = run("mkudffs", "--new-file", "--no-write", "-b", "2048", *options, path, 4096).decode()
    (start,) = [int(line.split("start=")[1].split(",")[0]) for line in said.splitlines() if "PSPACE" in line]
    place = next(at for at in range(start * _BLOCK, len(image), _BLOCK) if image[at : at + 2] == struct.pack("<H", 256))
    file_set = bytearray(image[place : place + 512])
    struct.pack_into("<IIH", file_set, 400, _BLOCK, _FIRST, 0)
    location = struct.unpack_from("<I", file_set, 12)[0]
    image[place : place + 512] = _tagged(256, location, bytes(file_set[16:]))
    for number, data in blocks.items():
        image[(start + number) * _BLOCK : (start + number) * _BLOCK + len(data)] = data
    return bytes(image)


_EXPECTED = {
    b"inline": b"inline",
    b"short": b"A" * _BLOCK + bytes(_BLOCK) + b"B" * _BLOCK + b"C" * 5,
    b"long": b"B" * _BLOCK + b"A" * 9,
    b"continued": b"A" * _BLOCK + b"C" * _BLOCK,
    "日本".encode(): b"A" * _BLOCK + bytes(_BLOCK) + b"B" * _BLOCK + b"C" * 5,
    b"folder/deep": b"inline",
}


@_needs_mkudffs
@pytest.mark.parametrize("options", [("-r", "1.02"), ("-r", "2.01"), ("-m", "dvdrw", "-r", "2.01")], ids=" ".join)
def test_every_form_of_descriptors_is_read(tmp_path: Path, options: tuple[str, ...]) -> None:
    listed = list_source(BytesSource(_laid(tmp_path / "a.img", _blocks(), *options)))
    contents = {entry.path: listed.read(entry) for entry in listed.entries if entry.kind is Kind.FILE}
    assert contents == _EXPECTED
    assert {entry.path for entry in listed.entries} - contents.keys() == {b"link", b"folder", b"folder/root"}
    assert [(problem.code, problem.path) for problem in listed.problems] == [("directory-loop", "folder/root")]
    inline, long, link = listed.found(b"inline"), listed.found(b"long"), listed.found(b"link")
    assert (inline.owner, inline.group, inline.mode, listed.found(b"short").links) == (501, 502, 0o4754, 2)
    assert inline.times.modified == 1_709_974_923_040_506_000  # 2024-03-09 09:02:03.040506 UTC
    assert long.times.modified == 1_709_978_523_040_506_000  # no zone is stated: taken as UTC
    assert (link.link_target, type(link.times.modified)) == ("./there/../日本", OutOfRange)


@_needs_mkudffs
@needs("7z")
def test_7_zip_lists_the_same_contents(tmp_path: Path) -> None:
    """Without what 7-Zip refuses a volume for: links, holes, continuations, and our folder."""
    root = _names(_FIRST, {b"\x08inline": 101, b"\x08short": 102, b"\x08long": 103, b"\x08continued": 104, b"\x10\x65\xe5\x67\x2c": 102})
    blocks = {
        **_blocks(),
        102: _entry(102, 5, _BLOCK + 5, _short(_BLOCK, 121) + _short(5, 122)),
        104: _entry(104, 5, 7, _short(7, 123)),
        _FIRST: _entry(_FIRST, 4, len(root), _short(len(root), 120)),
        120: root,
    }
    image = tmp_path / "a.img"
    image.write_bytes(_laid(image, blocks, "-m", "hd", "-r", "2.01"))
    listed = list_image(image)
    files = {entry.path: listed.read(entry) for entry in listed.entries if entry.kind is Kind.FILE}
    assert (len(files), files[b"short"], files[b"long"]) == (5, b"A" * _BLOCK + b"B" * 5, b"B" * _BLOCK + b"A" * 9)
    for name, content in files.items():
        assert run("7z", "e", "-so", "-tudf", image, name.decode()) == content, name


@_needs_mkudffs
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (_entry(101, 5, 1 << 40, _short(_BLOCK, 121)), "extents hold 2048 bytes"),
        (_entry(101, 5, 10, b"short", form=3), "should stand in its file entry"),
        (_entry(101, 5, _BLOCK, _short(_BLOCK, 0xFFFFFFF0)), "does not exist"),
        (_entry(101, 5, _BLOCK, _long(_BLOCK, 5)[:8] + struct.pack("<H", 9) + bytes(6), form=1), "partition 9 does not exist"),
        (_entry(101, 5, _BLOCK, _short(_BLOCK, 101, kind=3)), "continuation"),
        (_entry(101, 5, _BLOCK, b"", form=2), "of form 2"),
    ],
    ids=["too much", "inline", "beyond the end", "no partition", "continuation", "unknown form"],
)
def test_a_file_entry_that_cannot_be_is_an_error_of_its_file(tmp_path: Path, entry: bytes, said: str) -> None:
    listed = list_source(BytesSource(_laid(tmp_path / "a.img", {**_blocks(), 101: entry})))
    assert listed.read(listed.found(b"continued")) == _EXPECTED[b"continued"]
    with pytest.raises(StreamReadError, match=said):
        listed.read(listed.found(b"inline"))


@_needs_mkudffs
def test_a_continuation_that_leads_to_itself_is_an_error(tmp_path: Path) -> None:
    blocks = {**_blocks(), 106: _tagged(258, 106, struct.pack("<II", 0, 8) + _short(_BLOCK, 106, kind=3)).ljust(_BLOCK, b"\0")}
    listed = list_source(BytesSource(_laid(tmp_path / "a.img", blocks)))
    with pytest.raises(StreamReadError, match="continuation"):
        listed.read(listed.found(b"continued"))


@_needs_mkudffs
def test_a_damaged_name_costs_those_behind_it_and_a_huge_directory_is_not_read(tmp_path: Path) -> None:
    image = _laid(tmp_path / "a.img", _blocks())
    place = image.index(b"\x08continued")
    listed = list_source(Changed(BytesSource(image), {place: b"\x07"}))
    assert {entry.path for entry in listed.entries} == {b"inline", b"short", b"long"}
    assert [problem.code for problem in listed.problems] == ["directory-unreadable"]
    blocks = {**_blocks(), 110: _entry(110, 4, 1 << 50, _short(0x3FFFF800, 0, kind=2) * 200)}
    listed = list_source(BytesSource(_laid(tmp_path / "a.img", blocks)))
    assert ("directory-unreadable", "folder") in {(problem.code, problem.path) for problem in listed.problems}


@_needs_mkudffs
def test_damage_to_what_was_laid_never_gives_more_than_an_error(tmp_path: Path) -> None:
    image = tmp_path / "a.img"
    image.write_bytes(_laid(image, _blocks(), "-m", "dvdrw"))
    assert damage(image, seed=13, rounds=60)
    whole = reads(FileBytes(image))
    assert len(whole) == len(_EXPECTED)
