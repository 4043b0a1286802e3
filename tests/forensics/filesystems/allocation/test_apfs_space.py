"""The free blocks of APFS containers, by the space manager's own counts, and with its structures built as Apple's reference has them."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from laid_tree import EVERYTHING, Changed, FileBytes

import forensics.filesystems.dissect_fs as beyond_tsk
from forensics.errors import Problem, StreamReadError
from forensics.filesystems.allocation.apfs_space import ApfsSpace
from forensics.filesystems.base import Entry, Recovery
from forensics.signatures import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from forensics.source import ByteSource

_LIMITS = replace(EVERYTHING, unallocated=True)
_BLOCK = 4096


@pytest.fixture
def plain(corpus_image: Callable[[str], Path]) -> FileBytes:
    """A container that macOS made."""
    return FileBytes(corpus_image("apfs-dfvfs"))


def _listed(source: ByteSource) -> Iterator[Entry | Problem]:
    (found, *_) = beyond_tsk.find_filesystems(source, source.read_at(0, HEAD_BYTES), volume="v01", credentials=())
    return beyond_tsk.open_reader(source, found, volume="v01", credentials=()).iter_entries(_LIMITS)


@pytest.mark.corpus
def test_as_many_blocks_are_listed_as_the_space_manager_counts_as_free(plain: FileBytes) -> None:
    """sm_dev[0].sm_free_count, at byte 72 of the newest space manager (spaceman_phys_t)."""
    data = plain.read_at(0, plain.size)
    managers = [data[at : at + _BLOCK] for at in range(0, plain.size, _BLOCK) if struct.unpack_from("<I", data, at + 24)[0] == 0x80000005]
    newest = max(managers, key=lambda one: struct.unpack_from("<Q", one, 16)[0])
    items = [one for one in _listed(plain) if isinstance(one, Entry) and one.recovery is Recovery.UNALLOCATED]
    assert sum(one.size or 0 for one in items) == struct.unpack_from("<Q", newest, 72)[0] * _BLOCK


@pytest.mark.corpus
def test_what_is_written_into_a_free_block_is_read_there(plain: FileBytes) -> None:
    marked = Changed(plain, {plain.size - 600: b"nobody should find this"})
    (found, *_) = beyond_tsk.find_filesystems(marked, marked.read_at(0, HEAD_BYTES), volume="v01", credentials=())
    reader = beyond_tsk.open_reader(marked, found, volume="v01", credentials=())
    items = [one for one in reader.iter_entries(_LIMITS) if isinstance(one, Entry) and one.recovery is Recovery.UNALLOCATED]
    holding = []
    for one in items:
        assert one.address is not None
        stream = reader.open_stream(one.address)
        if b"nobody should find this" in stream.read_at(0, stream.size):
            holding.append(one)
    assert len(holding) == 1


@pytest.mark.corpus
def test_a_space_manager_that_is_damaged_is_a_problem_and_the_files_are_listed(plain: FileBytes) -> None:
    data = plain.read_at(0, plain.size)
    places = [at for at in range(0, plain.size, _BLOCK) if struct.unpack_from("<I", data, at + 24)[0] == 0x80000005]
    found = list(_listed(Changed(plain, {at + 90: b"\xff" for at in places})))
    assert [one.code for one in found if isinstance(one, Problem)] == ["allocation-not-known"]
    assert sum(isinstance(one, Entry) for one in found) > 5


class _Container:
    """The structures of a space manager over 3 chunks of 64 blocks, as the reference lays them out, in blocks of 4,096 bytes."""

    block_size, size = _BLOCK, 170 * _BLOCK

    def __init__(self, *, address_blocks: bool, free_of_last: int = 42) -> None:
        superblock = bytearray(_BLOCK)
        struct.pack_into("<II", superblock, 104, 8, 8)
        struct.pack_into("<Q", superblock, 112, 1)
        struct.pack_into("<II", superblock, 136, 7, 2)  # the ring of 8 blocks from block 1 on: the map lies in its last, block 8
        struct.pack_into("<Q", superblock, 152, 1024)
        self.superblock = bytes(superblock)
        maps = bytes(36) + struct.pack("<I", 2) + struct.pack("<IIIIQQQ", 5, 0, _BLOCK, 0, 0, 77, 90)
        maps += struct.pack("<IIIIQQQ", 5, 0, _BLOCK, 0, 0, 1024, 20)
        manager = bytes(32) + struct.pack("<IIIIQQIIQI", _BLOCK, 64, 2, 1, 170, 3, 2, 2 if address_blocks else 0, 0, 2000)
        manager = manager.ljust(2000, b"\0") + (struct.pack("<QQ", 41, 42) if address_blocks else struct.pack("<QQ", 31, 32))
        full, none = struct.pack("<QQIIQ", 1, 0, 64, 0, 51), struct.pack("<QQIIQ", 1, 1, 64, 64, 0)
        last = struct.pack("<QQIIQ", 1, 2, 42, free_of_last, 0 if free_of_last != 1 else 52)
        self._objects = {
            (8, 0x0C): maps,
            (20, 0x05): manager,
            (31, 0x07): bytes(32) + struct.pack("<II", 0, 2) + full + none,
            (32, 0x07): bytes(32) + struct.pack("<II", 1, 1) + last,
            (41, 0x06): bytes(32) + struct.pack("<IIQ", 0, 1, 31),
            (42, 0x06): bytes(32) + struct.pack("<IIQ", 1, 1, 32),
        }

    def object_at(self, block: int, count: int, kind: int) -> bytes:
        if (block, kind) not in self._objects:
            message = f"no object of type {kind} at block {block}"
            raise StreamReadError(message)
        return self._objects[block, kind].ljust(count * _BLOCK, b"\0")

    def block_at(self, block: int) -> bytes:
        bitmaps = {51: bytes([0xFF, 0x0F]) + b"\xff" * 6, 52: b"\xff" * 5 + b"\x01"}
        return bitmaps[block].ljust(_BLOCK, b"\0")


@pytest.mark.parametrize("address_blocks", [False, True])
def test_chunks_are_found_through_one_level_of_addresses_and_through_two(*, address_blocks: bool) -> None:
    space = ApfsSpace(_Container(address_blocks=address_blocks))
    free = [number for number, used in enumerate(space.allocated(0, 170)) if not used]
    assert free == [12, 13, 14, 15, *range(64, 170)]
    assert list(space.allocated(8, 16)) == [True] * 4 + [False] * 4 + [True] * 8
    one_left = ApfsSpace(_Container(address_blocks=address_blocks, free_of_last=1))
    assert [number for number, used in enumerate(one_left.allocated(0, 170)) if not used][-2:] == [127, 169]


def test_a_chunk_without_a_bitmap_that_is_not_all_free_is_an_error() -> None:
    with pytest.raises(StreamReadError, match="chunk 2 of the container has no bitmap"):
        ApfsSpace(_Container(address_blocks=False, free_of_last=7)).allocated(0, 170)
