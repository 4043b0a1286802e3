"""QNX4 built block by block after Linux's qnx4_fs.h: no tool of today makes one. A public image is in test_corpus_truth.py."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import pytest
from laid_tree import BytesSource, list_image, list_source, reads

from forensics.errors import FilesystemError, StreamReadError
from forensics.filesystems.base import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BLOCK = 512
_USED, _LINK = 1, 8


def _inode(
    name: bytes, size: int, first: int, blocks: int, *, mode: int = 0o100644, extents: int = 1, chain: int = 0, status: int = _USED
) -> bytes:
    """qnx4_inode_entry, of 64 bytes; blocks are counted from 1."""
    times = (1_000_000_001, 1_000_000_002, 1_000_000_003, 1_000_000_004)
    fixed = struct.pack("<16sIIIIIIIIHHHHH", name, size, first, blocks, chain, *times, extents, mode, 10, 20, 1)
    return fixed + bytes(5) + bytes([status])


def _link(name: bytes, block: int, number: int, long_name: int = 0) -> bytes:
    """qnx4_link_info."""
    return struct.pack("<48sIBI6xB", name, block, number, long_name, _LINK)


def _chain(following: int, extents: list[tuple[int, int]], count: int | None = None) -> bytes:
    """qnx4_xblk."""
    listed = b"".join(struct.pack("<II", *one) for one in extents).ljust(480, b"\0")
    return struct.pack("<IIB3xI", following, 0, len(extents) if count is None else count, 0) + listed + b"IamXblk\0"


def _volume(entries: list[bytes], blocks: dict[int, bytes], *, total: int = 40) -> bytes:
    """The root directory is block 3 on, of 8 blocks; its own entry begins the second block."""
    image = bytearray(total * _BLOCK)
    image[_BLOCK : _BLOCK + 64] = _inode(b"/", 8 * _BLOCK, 3, 8, mode=0o40755)
    directory = b"".join(entries)
    image[2 * _BLOCK : 2 * _BLOCK + len(directory)] = directory
    for number, data in blocks.items():
        image[(number - 1) * _BLOCK : (number - 1) * _BLOCK + len(data)] = data
    return bytes(image)


def _standard() -> bytes:
    dots = [_inode(b".", 8 * _BLOCK, 3, 8, mode=0o40755), _inode(b"..", 8 * _BLOCK, 3, 8, mode=0o40755)]
    entries = [
        *dots,
        _inode(b"small", 5, 12, 1),
        _inode(b"pieces", 2000, 13, 1, extents=3, chain=14),
        _inode(b"sixteen letters!", 0, 0, 0, extents=0),
        _inode(b"folder", _BLOCK, 18, 1, mode=0o40700),
        _inode(b"deleted", 5, 12, 1, status=0),
        _inode(b"to small", 5, 20, 1, mode=0o120777),
        _link(b"a name of more than sixteen letters", 22, 3),
        _link(b"cut off", 22, 4, long_name=23),
    ]
    blocks = {
        12: b"small",
        13: b"A" * _BLOCK,
        14: _chain(0, [(15, 2), (17, 1)]),
        15: b"B" * 2 * _BLOCK,
        17: b"C" * _BLOCK,
        18: _inode(b"inside", 3, 19, 1) + _inode(b"..", 8 * _BLOCK, 3, 8, mode=0o40755),
        19: b"in!",
        20: b"small",
        22: bytes(3 * 64) + _inode(b"", 4, 24, 1) + _inode(b"", 4, 25, 1),
        23: bytes(6) + b"n" * 300,
        24: b"four",
        25: b"five",
    }
    return _volume(entries, blocks)


def test_all_kinds_of_entries_are_listed() -> None:
    listed = list_source(BytesSource(_standard()))
    contents = {entry.path: listed.read(entry) for entry in listed.entries if entry.kind is Kind.FILE}
    assert contents == {
        b"small": b"small",
        b"pieces": (b"A" * _BLOCK + b"B" * 2 * _BLOCK + b"C" * _BLOCK)[:2000],
        b"sixteen letters!": b"",
        b"folder/inside": b"in!",
        b"a name of more than sixteen letters": b"four",
        b"n" * 300: b"five",
    }
    assert listed.problems == []
    assert {entry.path for entry in listed.entries} - contents.keys() == {b"folder", b"to small"}
    small = listed.found(b"small")
    times = small.times
    seconds = [when for when in (times.created, times.modified, times.accessed, times.metadata_changed) if isinstance(when, int)]
    assert [when // 10**9 for when in seconds] == [1_000_000_001, 1_000_000_002, 1_000_000_003, 1_000_000_004]
    assert (small.owner, small.group, small.mode, small.links, listed.found(b"to small").link_target) == (10, 20, 0o644, 1, "small")


def test_names_that_lead_back_end() -> None:
    """A folder that holds the root's own block under another name: its entries are other inodes by place, and each is entered once."""
    loop = _link(b"again", 2, 0)
    listed = list_source(BytesSource(_volume([_inode(b"file", 5, 12, 1), loop], {12: b"small"})))
    assert [entry.path for entry in listed.entries] == [b"file", b"again"]
    assert [(problem.code, problem.path) for problem in listed.problems] == [("directory-loop", "again")]


@pytest.mark.parametrize(
    "chain",
    [
        _chain(14, [(15, 1)]),
        _chain(0, [(15, 1)]),
        _chain(0, [], count=0),
        _chain(0, [(15, 1)], count=255),
        bytes(_BLOCK),
        _chain(1 << 31, [(15, 1)]),
    ],
    ids=["itself", "too few", "none", "too many", "no chain", "beyond the end"],
)
def test_a_chain_that_cannot_be_is_an_error_of_its_file(chain: bytes) -> None:
    listed = list_source(
        BytesSource(_volume([_inode(b"pieces", 9000, 13, 1, extents=9, chain=14), _inode(b"good", 5, 12, 1)], {12: b"small", 14: chain}))
    )
    assert listed.read(listed.found(b"good")) == b"small"
    with pytest.raises(StreamReadError, match="chain of its extents"):
        listed.read(listed.found(b"pieces"))


def test_numbers_without_end_are_errors() -> None:
    entries = [
        _inode(b"far", 100, 0xFFFFFFFF, 1),
        _inode(b"long", 100, 12, 0xFFFFFFFF),
        _inode(b"short", 0xFFFFFFFF, 12, 1),
        _inode(b"folder", 0xFFFFFFFF, 12, 0xFFFFFFFF, mode=0o40755),
        _link(b"nowhere", 0xFFFFFFFF, 255),
        _link(b"no block", 0, 1),
    ]
    listed = list_source(BytesSource(_volume(entries, {12: b"small"})))
    with pytest.raises(StreamReadError, match="which ends at"):
        listed.read(listed.found(b"far"))
    assert listed.read(listed.found(b"long"))[:5] == b"small"
    with pytest.raises(StreamReadError, match="stated"):
        listed.read(listed.found(b"short"))
    assert {problem.code for problem in listed.problems} == {"metadata-damaged", "directory-unreadable"}


def test_damage_never_gives_more_than_an_error() -> None:
    image, chance = _standard(), random.Random(11)
    for _ in range(120):
        changed = bytearray(image)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(_BLOCK + 16, len(image))] = chance.randrange(256)
        reads(BytesSource(bytes(changed)))
        reads(BytesSource(image[: chance.randrange(len(image))]))


def test_a_root_that_is_no_directory_is_an_error() -> None:
    image = bytearray(_standard())
    image[_BLOCK : _BLOCK + 64] = _inode(b"/", 8 * _BLOCK, 3, 8)
    with pytest.raises(FilesystemError, match="no directory"):
        list_source(BytesSource(bytes(image)))


@pytest.mark.corpus
def test_a_public_image_is_listed_whole(corpus_image: Callable[[str], Path]) -> None:
    listed = list_image(corpus_image("dissect-qnx4"))
    assert listed.problems == []
    assert len(listed.entries) >= 10
    for entry in listed.entries:
        if entry.kind is Kind.FILE:
            assert len(listed.read(entry)) == entry.size
