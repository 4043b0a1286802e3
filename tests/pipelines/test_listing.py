"""Entries as a reader gives them -> rows: names, times that do not fit, and a listing that ends in the middle."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from forensics.errors import Problem, Stage, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, ListingLimits, Recovery, StreamAddress, Times
from forensics.timestamps import OutOfRange
from pipelines.listing import LISTING, write_listing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forensics.filesystems.base import Stream

_LIMITS = ListingLimits(orphans=1, orphan_bytes=1)
_ENTRY = Entry(
    path=b"a",
    stream="",
    address=StreamAddress(5, 128, 1),
    metadata_address=5,
    kind=Kind.FILE,
    link_target=None,
    name_allocated=True,
    metadata_allocated=True,
    recovery=Recovery.ALLOCATED,
    content=Content.READ,
    size=3,
    times=Times(created=10**18 + 100),
    name_times=None,
    owner=0,
    group=0,
    mode=0o644,
    links=1,
    sequence=1,
)


class Given:
    """A reader that gives what it was given, and then fails if asked to."""

    def __init__(self, *entries: Entry | Problem, error: Exception | None = None, filesystem: str = "ntfs") -> None:
        self._entries, self._error, self.filesystem = entries, error, filesystem

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        assert limits is _LIMITS
        yield from self._entries
        if self._error is not None:
            raise self._error

    def open_stream(self, address: StreamAddress) -> Stream:
        raise StreamReadError(str(address))


def _write(path: Path, reader: Given) -> tuple[pa.Table, list[Problem]]:
    rows, problems = write_listing(reader, path, exhibit="E", volume="v01", limits=_LIMITS)
    with pa.OSFile(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    assert table.num_rows == rows
    assert table.schema == LISTING
    return table, problems


def test_each_entry_is_one_row(tmp_path: Path) -> None:
    table, problems = _write(tmp_path / "a", Given(*(replace(_ENTRY, path=b"%d" % n) for n in range(20_001))))
    assert table["path"].to_pylist() == [str(n) for n in range(20_001)]
    assert problems == []


def test_a_listing_that_breaks_off_keeps_what_came_before_and_says_so(tmp_path: Path) -> None:
    """Whatever a parser raises: here a struct.error, a RecursionError and one of ours."""
    import struct

    for error in (struct.error("short"), RecursionError(), StreamReadError("ours")):
        table, problems = _write(tmp_path / "a", Given(_ENTRY, replace(_ENTRY, path=b"b"), error=error))
        assert table["path"].to_pylist() == ["a", "b"]
        assert [p.code for p in problems] == ["listing-ended-early"]
        assert problems[0].volume == "v01"
        assert "2 entries" in problems[0].what


def test_a_name_that_acts_is_text_and_its_bytes_are_kept(tmp_path: Path) -> None:
    names = (b"a\nb", b"\x1b[2J", "\u202egnp.exe".encode(), b"../../etc/passwd", b"\xff\xfe", b"<script>", b"=cmd()", b"plain")
    table, _ = _write(tmp_path / "a", Given(*(replace(_ENTRY, path=name) for name in names)))
    shown = table["path"].to_pylist()
    assert shown == [r"a\x0ab", r"\x1b[2J", r"\u202egnp.exe", "../../etc/passwd", r"\xff\xfe", "<script>", "=cmd()", "plain"]
    kept = table["path_bytes"].to_pylist()
    assert [k if k is not None else s.encode() for k, s in zip(kept, shown, strict=True)] == list(names)


def test_a_time_out_of_range_is_null_and_a_problem_with_its_raw_value(tmp_path: Path) -> None:
    times = Times(created=OutOfRange("FILETIME 1"), modified=1)
    entry = replace(_ENTRY, times=times, name_times=Times(accessed=OutOfRange("FILETIME 2")))
    table, problems = _write(tmp_path / "a", Given(entry))
    assert table["created"].to_pylist() == [None]
    assert table["modified"].cast(pa.int64()).to_pylist() == [1]
    assert {p.code for p in problems} == {"time-out-of-range"}
    said = " ".join(p.what + p.why for p in problems)
    for word in ("created", "FILETIME 1", "name_accessed", "FILETIME 2"):
        assert word in said
    assert all(p.metadata_address == 5 and p.path == "a" for p in problems)


def test_a_readers_problem_gets_its_volume(tmp_path: Path) -> None:
    problem = Problem(stage=Stage.FILESYSTEM, code="c", what="w", why="y")
    table, problems = _write(tmp_path / "a", Given(problem, _ENTRY))
    assert table.num_rows == 1
    assert problems == [replace(problem, volume="v01")]


def test_wall_clock_times_are_never_called_utc(tmp_path: Path) -> None:
    """FAT stores local time without a zone (Microsoft FAT specification, section 7)."""
    basis = {
        name: _write(tmp_path / name, Given(_ENTRY, filesystem=name))[0]["tz_basis"][0].as_py()
        for name in ("ntfs", "ext4", "fat12", "fat32")
    }
    assert basis == {"ntfs": "UTC", "ext4": "UTC", "fat12": "local, unknown zone", "fat32": "local, unknown zone"}


def test_an_empty_listing_is_a_listing(tmp_path: Path) -> None:
    table, problems = _write(tmp_path / "a", Given())
    assert (table.num_rows, problems) == (0, [])
