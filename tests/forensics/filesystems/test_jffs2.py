"""JFFS2 that mkfs.jffs2 made of a folder, beside the folder; logs built node by node, as a used flash has them; and damage."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from laid_tree import BytesSource, damage, differences, lay, list_image, list_source, reads, stated
from made_volumes import needs, run

from forensics.errors import StreamReadError
from forensics.filesystems.base import Kind, Recovery

if TYPE_CHECKING:
    from pathlib import Path

    from laid_tree import Stated

_needs_mkfs = needs("mkfs.jffs2")
_LINK = b"link long"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay(tmp_path_factory.mktemp("jffs2") / "tree", wide=300, attributes=False, owners=False)


@pytest.fixture(scope="module")
def truth(tree: Path) -> dict[bytes, Stated]:
    """JFFS2 keeps whole seconds."""
    return stated(tree, whole_seconds=True)


@_needs_mkfs
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-b",),
        ("-l",),
        ("-m", "none"),
        ("-m", "size"),
        ("-x", "lzo", "-X", "zlib"),
        ("-x", "zlib", "-X", "lzo"),
        ("-x", "zlib"),
        ("-n",),
        ("-p",),
    ],
    ids=lambda options: " ".join(options) or "as it comes",
)
def test_each_way_to_write_the_log_gives_the_folder_back(
    tmp_path: Path, tree: Path, truth: dict[bytes, Stated], options: tuple[str, ...]
) -> None:
    """But for a link of 803 bytes, of which mkfs.jffs2 2.1 writes 254 and states 803."""
    image = tmp_path / "a.jffs2"
    run("mkfs.jffs2", "-r", tree, "-o", image, "-e", "64KiB", *options)
    listed = list_image(image)
    ours = listed.stated()
    assert ours[_LINK].target == "d/" * 127
    assert [(problem.path, problem.code) for problem in listed.problems] == [(_LINK.decode(), "metadata-damaged")]
    assert "803 bytes are stated, and the log holds 254" in listed.problems[0].why
    assert (
        differences({path: one for path, one in truth.items() if path != _LINK}, {path: one for path, one in ours.items() if path != _LINK})
        == []
    )


@_needs_mkfs
@pytest.mark.parametrize("options", [(), ("-m", "none")], ids=["packed", "not packed"])
def test_damage_never_changes_what_is_read(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Every node has checksums, which this reader verifies; a piece that is gone leaves an older one, a hole, or an error."""
    image = tmp_path / "a.jffs2"
    run("mkfs.jffs2", "-r", lay(tmp_path / "tree", wide=20, attributes=False, owners=False), "-o", image, "-e", "64KiB", *options)
    assert damage(image, seed=10, rounds=20)


def _crc(data: bytes) -> int:
    """Linux's crc32(0, …): the usual polynomial without the inversions."""
    return zlib.crc32(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def _node(order: str, kind: int, body: bytes, length: int | None = None) -> bytes:
    """Header and body, padded to four bytes (jffs2_unknown_node); `body` has its own checksums already."""
    head = struct.pack(order + "HHI", 0x1985, kind, 12 + len(body) if length is None else length)
    raw = head + struct.pack(order + "I", _crc(head)) + body
    return raw + b"\xff" * (-len(raw) % 4)


def _name(  # noqa: PLR0917 - in the order of jffs2_raw_dirent
    order: str, parent: int, version: int, inode: int, name: bytes, kind: int = 8
) -> bytes:
    """jffs2_raw_dirent."""
    fixed = struct.pack(order + "IIIIBBxx", parent, version, inode, 1_700_000_000, len(name), kind)
    head = struct.pack(order + "HHI", 0x1985, 0xE001, 40 + len(name))
    head += struct.pack(order + "I", _crc(head))
    return _node(order, 0xE001, fixed + struct.pack(order + "II", _crc((head + fixed)[:32]), _crc(name)) + name)


def _piece(  # noqa: PLR0917 - in the order of jffs2_raw_inode
    order: str,
    inode: int,
    version: int,
    size: int,
    offset: int,
    data: bytes,
    *,
    mode: int = 0o100644,
    kind: int = 0,
    stated: int | None = None,
) -> bytes:
    """jffs2_raw_inode: the file is `size` bytes from now on, and `data` stands at `offset`."""
    unpacked = len(data) if stated is None else stated
    fixed = struct.pack(order + "IIIHHI", inode, version, mode, 500, 501, size)
    fixed += struct.pack(order + "6IBBH", 1_700_000_001, 1_700_000_002, 1_700_000_003, offset, len(data), unpacked, kind, 0, 0)
    head = struct.pack(order + "HHI", 0x1985, 0xE002, 68 + len(data))
    head += struct.pack(order + "I", _crc(head))
    return _node(order, 0xE002, fixed + struct.pack(order + "II", _crc(data), _crc((head + fixed)[:60])) + data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_file_is_what_was_written_last_wherever_its_nodes_stand(order: str) -> None:
    """Written, written over in the middle, cut off, and made longer again: what was cut off is a hole then."""
    nodes = [
        _piece(order, 2, 3, 4096, 1000, b"B" * 500),
        _name(order, 1, 1, 2, b"file"),
        _piece(order, 2, 5, 3000, 0, b""),
        _piece(order, 2, 1, 4096, 0, b"A" * 4096),
        _piece(order, 2, 4, 1200, 0, b""),
        _piece(order, 2, 6, 3000, 2500, b"C" * 100),
        _piece(order, 1, 1, 0, 0, b"", mode=0o40755),
    ]
    listed = list_source(BytesSource(_name(order, 1, 2, 2, b"other name") + b"\xff" * 64 + b"".join(nodes)))
    expected = b"A" * 1000 + b"B" * 200 + bytes(1300) + b"C" * 100 + bytes(400)
    for path in (b"file", b"other name"):
        entry = listed.found(path)
        assert listed.read(entry) == expected
        assert (entry.size, entry.links, entry.owner, entry.group, entry.mode) == (3000, 2, 500, 501, 0o644)
        times = entry.times
        assert (times.accessed, times.modified, times.metadata_changed) == (
            1_700_000_001 * 10**9,
            1_700_000_002 * 10**9,
            1_700_000_003 * 10**9,
        )
    assert listed.problems == []


def test_a_deleted_file_whose_nodes_are_there_is_an_orphan() -> None:
    log = _name("<", 1, 1, 2, b"gone") + _piece("<", 2, 1, 5, 0, b"there") + _name("<", 1, 2, 0, b"gone") + _name("<", 1, 3, 3, b"new")
    listed = list_source(BytesSource(log + _piece("<", 3, 1, 3, 0, b"yes")))
    assert {entry.path: (entry.recovery, listed.read(entry)) for entry in listed.entries} == {
        b"new": (Recovery.ALLOCATED, b"yes"),
        b"$OrphanFiles/OrphanFile-2": (Recovery.ORPHAN, b"there"),
    }


def test_packed_pieces_are_unpacked() -> None:
    """Zlib, runs of zeros, and rtime, whose pairs are a byte and how much of what followed it last follows again (compr_rtime.c)."""
    rtime = bytes((97, 0, 98, 0, 97, 3))
    pieces = {
        b"zlib": _piece("<", 2, 1, 5000, 0, zlib.compress(b"z" * 5000), kind=6, stated=5000),
        b"zero": _piece("<", 3, 1, 4000, 0, b"", kind=1, stated=4000),
        b"rtime": _piece("<", 4, 1, 6, 0, rtime, kind=2, stated=6),
    }
    names = b"".join(_name("<", 1, number, number, name) for number, name in enumerate(pieces, start=2))
    listed = list_source(BytesSource(names + b"".join(pieces.values())))
    contents = {entry.path: listed.read(entry) for entry in listed.entries}
    assert contents == {b"zlib": b"z" * 5000, b"zero": bytes(4000), b"rtime": b"ababab"}


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        (_piece("<", 2, 1, 100, 0, b"x" * 40, kind=9, stated=100), "packed by method 9"),
        (_piece("<", 2, 1, 100, 0, zlib.compress(b"x" * 40), kind=6, stated=100), "unpacks to less"),
        (_piece("<", 2, 1, 1 << 31, 0, b"x", kind=6, stated=1 << 31), "states 2147483648 bytes"),
        (_piece("<", 2, 1, 40, 0, b"x" * 40)[:-4] + b"yyyy", "its checksum is not that of its bytes"),
        (_piece("<", 2, 1, 100, 0, b"\x11" * 40, kind=7, stated=100), "."),
        (_piece("<", 2, 1, 100, 0, b"garbage", kind=6, stated=100), "."),
        (_piece("<", 2, 1, 10, 0, b"", kind=2, stated=10), "less"),
    ],
    ids=["unknown method", "too little", "too much", "damaged", "no LZO", "no zlib", "nothing"],
)
def test_a_piece_that_cannot_be_is_an_error_of_its_file(piece: bytes, said: str) -> None:
    listed = list_source(BytesSource(_name("<", 1, 1, 2, b"bad") + piece + _name("<", 1, 2, 3, b"good") + _piece("<", 3, 1, 4, 0, b"good")))
    assert listed.read(listed.found(b"good")) == b"good"
    with pytest.raises(StreamReadError, match=said):
        listed.read(listed.found(b"bad"))


def test_nodes_of_no_length_or_of_too_much_are_passed_over() -> None:
    good = _name("<", 1, 1, 2, b"good") + _piece("<", 2, 1, 4, 0, b"good")
    bad = b"".join(_node("<", 0xE002, bytes(56), length=length) for length in (0, 4, 0xFFFFFFFF))
    listed = list_source(BytesSource(_node("<", 0x2003, b"") + bad + good))
    assert {entry.path: listed.read(entry) for entry in listed.entries} == {b"good": b"good"}
    assert [problem.code for problem in listed.problems] == ["node-damaged"] * 3


def test_a_folder_that_holds_itself_is_entered_once() -> None:
    log = (
        _name("<", 1, 1, 2, b"folder", 4)
        + _piece("<", 2, 1, 0, 0, b"", mode=0o40755)
        + _name("<", 2, 1, 2, b"again", 4)
        + _name("<", 2, 2, 1, b"root", 4)
    )
    listed = list_source(BytesSource(log + _piece("<", 1, 1, 0, 0, b"", mode=0o40755)))
    assert [entry.path for entry in listed.entries] == [b"folder", b"folder/again", b"folder/root"]
    assert {entry.kind for entry in listed.entries} == {Kind.DIRECTORY}
    assert [problem.code for problem in listed.problems] == ["directory-loop"] * 2


def test_a_log_of_thousands_of_pieces_is_read_without_delay() -> None:
    """Each piece covers the one before in part; the stream is what they leave, and no piece is looked at for each byte."""
    pieces = b"".join(_piece("<", 2, number + 1, 4 * number + 8, 4 * number, struct.pack("<II", number, number)) for number in range(5000))
    listed = list_source(BytesSource(_name("<", 1, 1, 2, b"long") + pieces))
    assert listed.read(listed.found(b"long")) == b"".join(struct.pack("<I", number) for number in range(5000)) + struct.pack("<I", 4999)


def test_what_is_cut_off_is_listed_as_far_as_it_goes() -> None:
    log = b"".join(
        _name("<", 1, number, number, b"%d" % number) + _piece("<", number, 1, 50, 0, b"%d" % number * 25) for number in range(10, 40)
    )
    whole = reads(BytesSource(log))
    for size in range(40, len(log), 37):
        found = reads(BytesSource(log[:size]))
        assert found.items() <= whole.items()
