"""The reader of filesystems through The Sleuth Kit: over damage, loops, limits, and names that try to act.

Listings of whole filesystems are held against fls in the sample images and in test_corpus_truth.py.
"""

from __future__ import annotations

import shutil
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import SAMPLES, unpack

from forensics.disks import open_disks
from forensics.errors import FilesystemError, Problem, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, ListingLimits, Recovery, StreamAddress
from forensics.filesystems.orphans import OrphanBudget
from forensics.filesystems.tsk import TskReader
from forensics.survey import survey
from forensics.volume_tree import VolumeTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_NO_LIMITS = ListingLimits(orphans=10**6, orphan_bytes=1 << 40)


def _readers(path: Path) -> Iterator[TskReader]:
    """A reader for each volume in which TSK found a filesystem."""
    with open_disks([path]) as disks:
        nodes = survey(disks, spool=path.parent).nodes
        tree = VolumeTree(disks, (), path.parent, nodes)
        readers = [tree.reader(node.volume) for node in nodes if node.found is not None and node.found.reader == "tsk"]
        for reader in readers:
            assert isinstance(reader, TskReader)
            yield reader


def _list(path: Path, limits: ListingLimits = _NO_LIMITS) -> tuple[list[Entry], list[Problem]]:
    """Entries and problems of all volumes of an image."""
    found = [one for reader in _readers(path) for one in reader.iter_entries(limits)]
    assert found
    return [one for one in found if isinstance(one, Entry)], [one for one in found if isinstance(one, Problem)]


@pytest.fixture(scope="module")
def ntfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack("ntfs-mbr", tmp_path_factory.mktemp("tsk") / "ntfs.dd")


def _chunks(path: Path) -> list[int]:
    """Where each chunk of an EWF segment starts in the file: the table section behind a 76-byte descriptor and a 24-byte header.

    References: Joachim Metz, Expert Witness Compression Format, "Table section" (EnCase 6 and later: with a base offset).
    """
    data = path.read_bytes()
    start = data.index(b"table\0\0\0") + 76
    number, base = struct.unpack_from("<I4xQ", data, start)
    return [base + (entry & 0x7FFFFFFF) for entry in struct.unpack_from(f"<{number}I", data, start + 24)]


def test_a_damaged_chunk_costs_what_lies_in_it_and_nothing_else(tmp_path: Path) -> None:
    """Whatever chunk is damaged, reading gives the same bytes as before or an error that says so; never another exception."""
    names = ("ewf-split.E01", "ewf-split.E02")
    for name in names:
        shutil.copyfile(SAMPLES / "ewf-split" / name, tmp_path / name)
    whole = _contents(tmp_path / names[0])
    assert len(whole) >= 4
    path = tmp_path / names[0]
    data = path.read_bytes()
    lost = 0
    for start in _chunks(path):
        damaged = bytearray(data)
        damaged[start + 30] ^= 0x55
        path.write_bytes(damaged)
        for key, content in _contents(path).items():
            assert isinstance(content, str) or content == whole.get(key, content)
            lost += isinstance(content, str)
    assert lost, "at least one chunk must have held a content"


def _contents(path: Path) -> dict[tuple[bytes, str], bytes | str]:
    """The content of every stream, or why it cannot be read."""
    contents: dict[tuple[bytes, str], bytes | str] = {}
    for reader in _readers(path):
        try:
            listed = [one for one in reader.iter_entries(_NO_LIMITS) if isinstance(one, Entry)]
        except FilesystemError:
            continue
        for entry in listed:
            if entry.content is Content.READ and entry.address is not None:
                try:
                    contents[entry.path, entry.stream] = reader.open_stream(entry.address).read_at(0, 1 << 20)
                except StreamReadError as error:
                    contents[entry.path, entry.stream] = str(error)
    return contents


def test_a_stream_is_read_at_any_offset(ntfs: Path) -> None:
    reader = next(_readers(ntfs))
    entry = next(e for e in reader.iter_entries(_NO_LIMITS) if isinstance(e, Entry) and e.path == b"random.bin")
    assert entry.address is not None
    stream = reader.open_stream(entry.address)
    whole = stream.read_at(0, stream.size)
    assert len(whole) == stream.size == entry.size
    for offset, length in ((1, 10), (4095, 2), (stream.size - 3, 100), (stream.size, 5), (stream.size + 5, 5), (7, 0)):
        assert stream.read_at(offset, length) == whole[offset : offset + length]


@pytest.mark.parametrize(
    "address", [StreamAddress(10**9, 128, 0), StreamAddress(5, 128, 77), StreamAddress(0, 999, 1), StreamAddress(2**40, 128, 0)]
)
def test_an_address_that_is_none_is_an_error_of_the_stream(ntfs: Path, address: StreamAddress) -> None:
    with pytest.raises(StreamReadError):
        next(_readers(ntfs)).open_stream(address)


def test_each_address_of_the_listing_opens(ntfs: Path) -> None:
    reader = next(_readers(ntfs))
    opened = 0
    for entry in reader.iter_entries(_NO_LIMITS):
        if isinstance(entry, Entry) and entry.content is Content.READ:
            assert entry.address is not None
            assert reader.open_stream(entry.address).size == entry.size
            opened += 1
    assert opened > 20


def test_orphans_are_cut_off_at_the_limit_and_counted(ntfs: Path) -> None:
    everything, _ = _list(ntfs)
    assert sum(e.recovery is Recovery.ORPHAN for e in everything) > 2
    entries, problems = _list(ntfs, ListingLimits(orphans=2, orphan_bytes=1 << 40))
    assert len([e for e in entries if e.recovery is Recovery.ORPHAN]) == 2
    assert [p.code for p in problems if p.code.startswith("orphan")] == ["orphan-limit"]


@given(st.lists(st.integers(0, 100)), st.integers(0, 500))
def test_orphan_contents_never_go_over_the_limit_and_each_one_left_out_is_counted(sizes: list[int], limit: int) -> None:
    budget = OrphanBudget(ListingLimits(orphans=10, orphan_bytes=limit))
    taken = [budget.take(size) for size in sizes]
    assert sum(size for size, yes in zip(sizes, taken, strict=True) if yes) <= limit
    said = [p for p in budget.problems() if p.code == "orphan-bytes-limit"]
    assert len(said) == (not all(taken))
    for problem in said:
        assert f" {taken.count(False)} " in problem.what


@pytest.mark.corpus
def test_a_loop_of_directories_ends_and_is_a_problem(bad_input: Callable[[str], Path]) -> None:
    entries, problems = _list(bad_input("ext4_dirloop.dd.xz"))
    loops = [p for p in problems if p.code == "directory-loop"]
    assert [p.path for p in loops] == ["directory1/rootloop"]
    assert sum(e.path == b"directory1/rootloop" for e in entries) == 1
    assert not any(e.path.startswith(b"directory1/rootloop/") for e in entries)


def _sample(name: str, tmp_path: Path) -> Path:
    return unpack(name, tmp_path / f"{name}.dd")


def test_names_that_try_to_act_are_listed_as_bytes(tmp_path: Path) -> None:
    """The sample states them: see sample_images/gpt_fat32_ext4.py; debugfs shows the same bytes."""
    entries, _ = _list(_sample("gpt-fat32-ext4", tmp_path))
    names = b"\n".join(e.path for e in entries)
    for part in (b"\x1b", b"<script>", b"=", "\u202e".encode()):
        assert part in names


def test_each_kind_of_entry_is_told_apart(tmp_path: Path) -> None:
    entries, _ = _list(_sample("gpt-fat32-ext4", tmp_path))
    kinds = {e.kind for e in entries}
    assert {Kind.FILE, Kind.DIRECTORY, Kind.LINK} <= kinds
    links = [e for e in entries if e.kind is Kind.LINK]
    assert all(e.link_target for e in links)


def test_a_listing_can_be_read_twice(ntfs: Path) -> None:
    assert _list(ntfs) == _list(ntfs)


def test_entries_come_in_one_order(ntfs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.bin"
    copy.write_bytes(ntfs.read_bytes())
    assert _list(copy) == _list(ntfs)
