"""The ledger: what became of every byte range, volume and stream, and that its sums add up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forensics.filesystems.found import FoundFilesystem
from forensics.found_volume import FoundVolume
from forensics.layers.base import Derived
from forensics.schema import COVERAGE, ENTRIES, VOLUMES, check_rows
from forensics.volume_tree import VolumeNode
from forensics.volumes import Extent
from pipelines.coverage import Streams, count_streams, coverage_rows, volume_rows
from pipelines.tables import write_rows

if TYPE_CHECKING:
    from pathlib import Path

_READ = Streams(entries=7, listed=5, read=3, skipped=1, failed=1, bytes_listed=50, bytes_read=30, bytes_skipped=10, bytes_failed=10)


def _found(volume: str, *, filesystem: str | None = None, encrypted: bool = False, reader: str = "", reason: str = "") -> FoundVolume:
    is_gap = volume.startswith("g")
    found = FoundFilesystem(reader=reader, filesystem=filesystem or "raw") if reader else None
    node = VolumeNode(volume=volume, disk=0, start_byte=0, size_bytes=10, found=found)
    tile = Extent(volume=volume, is_gap=is_gap, scheme="dos", slot="", start_byte=0, size_bytes=10, origin_byte=0, own_bytes=10, type="x")
    return FoundVolume(node=node, tile=tile, disk_start=0, filesystem=filesystem, encrypted=encrypted, reason=reason)


def _derived(volume: str, parent: str) -> FoundVolume:
    found = FoundFilesystem(reader="tsk", filesystem="ext4")
    derived = Derived(layer="luks", parents=(parent,), key="", name="", what="LUKS volume", size=8, unlocked_with="passphrase")
    node = VolumeNode(volume=volume, disk=0, start_byte=0, size_bytes=8, derived=derived, found=found)
    return FoundVolume(node=node, tile=None, disk_start=0, filesystem="ext4")


_ALL = [
    _found("g01", reader="raw", reason="outside every volume"),
    _found("v01", filesystem="ntfs", reader="tsk"),
    _found("v02", filesystem="BitLocker", encrypted=True, reason="BitLocker: no credential was given"),
    _found("v03", filesystem="APFS", reason="APFS: not read"),
    _found("v04"),
    _found("v05", filesystem="ext4", reader="tsk"),
    replace(_found("v06", filesystem="LUKS2", reason="what it holds is listed as v06.1"), holds=("v06.1",)),
    _derived("v06.1", "v06"),
    _found("v07", reader="raw", reason="no filesystem was recognised"),
]


def test_rows_fit_their_tables() -> None:
    check_rows(volume_rows("E", _ALL), VOLUMES.schema)
    check_rows(coverage_rows("E", _ALL, {}, reads=True), COVERAGE.schema)


def test_each_range_has_one_state_and_a_reason_unless_it_was_processed() -> None:
    rows = coverage_rows("E", _ALL, {"v01": _READ, "g01": replace(_READ, read=5, failed=0), "v07": _READ, "v06.1": _READ}, reads=True)
    assert {row["volume"]: row["state"] for row in rows} == {
        "g01": "processed",
        "v01": "processed",
        "v02": "skipped",
        "v03": "skipped",
        "v04": "failed",
        "v05": "failed",  # it was opened, and not one entry was listed
        "v06": "processed",  # as the volume in it
        "v06.1": "processed",
        "v07": "failed",  # a part of its raw space was not read
    }
    assert all(row["reason"] for row in rows if row["state"] != "processed")
    assert [
        (row["streams"], row["streams_read"], row["streams_skipped"], row["streams_failed"]) for row in rows if row["volume"] == "v01"
    ] == [(5, 3, 1, 1)]


def _outcome(volume: FoundVolume, counted: Streams, *, reads: bool = True) -> tuple[str, str]:
    (row,) = coverage_rows("E", [volume], {volume.volume: counted}, reads=reads)
    return row["state"], row["reason"]


def test_a_filesystem_of_whose_contents_nothing_could_be_read_is_not_processed() -> None:
    counted = Streams(entries=4, listed=3, read=1, failed=2, bytes_listed=50, bytes_failed=50)  # one is empty, and so read whole
    expected = ("failed", "2 of its 3 streams, 50 bytes, could not be read whole")
    assert _outcome(_found("v01", filesystem="ext4", reader="tsk"), counted) == expected


def test_what_of_a_filesystem_was_not_read_is_said_with_its_size() -> None:
    state, reason = _outcome(_found("v01", filesystem="ext4", reader="tsk"), _READ)
    assert state == "processed"
    assert reason == "1 of its 5 streams, 10 bytes, could not be read whole; 1 of its 5 streams, 10 bytes, were left out"


def test_a_filesystem_whose_contents_the_profile_leaves_out_is_skipped_and_says_so() -> None:
    counted = Streams(entries=2, listed=1, skipped=1, bytes_listed=9, bytes_skipped=9)
    expected = ("skipped", "its files are listed; the profile reads no contents")
    assert _outcome(_found("v01", filesystem="ext4", reader="tsk"), counted, reads=False) == expected


def test_a_filesystem_that_holds_only_folders_was_listed() -> None:
    assert _outcome(_found("v01", filesystem="ext4", reader="tsk"), Streams(entries=1)) == ("processed", "")


def test_a_volume_that_only_holds_others_becomes_what_they_became() -> None:
    holder = replace(_found("v06", filesystem="LUKS2", reason="what it holds is listed as v06.1"), holds=("v06.1",))
    volumes = [holder, _derived("v06.1", "v06")]
    for counted, reads, state in ((_READ, True, "processed"), (Streams(), True, "failed"), (_READ, False, "skipped")):
        rows = coverage_rows("E", volumes, {"v06.1": counted}, reads=reads)
        assert [row["state"] for row in rows] == [state, state]


def test_raw_space_is_skipped_where_the_profile_reads_no_contents() -> None:
    rows = coverage_rows("E", _ALL, {"v01": _READ}, reads=False)
    assert {row["volume"] for row in rows if row["state"] == "skipped" and "reads no contents" in row["reason"]} == {"g01", "v01", "v07"}


def test_derived_volumes_take_no_room_on_the_image_and_stand_behind_the_tile_that_holds_them() -> None:
    rows = coverage_rows("E", _ALL, {}, reads=True)
    derived = next(row for row in rows if row["volume"] == "v06.1")
    assert (derived["start_byte"], derived["size_bytes"], derived["volume_bytes"]) == (None, 0, 8)
    assert derived["tile"] == next(row["tile"] for row in rows if row["volume"] == "v06")
    assert sum(row["size_bytes"] for row in rows) == 10 * len([one for one in _ALL if one.tile])


def test_streams_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    def entry(number: int, **values: Any) -> dict[str, Any]:
        stated = {"exhibit": "E", "volume": "v01", "stream": "", "kind": "file", "recovery": "allocated", "tz_basis": "UTC"}
        return {**dict.fromkeys(ENTRIES.schema.names), **stated, "metadata_address": number, **values}

    rows = [
        entry(1, scan="complete", size=10, bytes_read=10),
        entry(2, scan="partial", size=10, bytes_read=4),
        entry(3, scan="failed", size=10, bytes_read=0),
        entry(4, scan="skipped", size=10),
        entry(8, scan="complete", size=7, bytes_read=7, recovery="archive member"),
        entry(9, scan="complete", size=7, bytes_read=7, recovery="carved"),
        entry(11, scan="failed", bytes_read=0, recovery="archive member"),
        entry(12, scan="partial", size=9, bytes_read=5, recovery="archive member"),
        entry(13, scan="skipped", size=9, recovery="archive member"),  # a limit was met
        entry(14, kind="directory", recovery="archive member"),
        entry(10, scan="complete", size=20, bytes_read=20, recovery="unallocated"),
        entry(5, kind="directory"),
        entry(6, scan="complete", size=0, bytes_read=0),
        entry(7, scan="complete", size=1, bytes_read=1, volume="v02"),
    ]
    write_rows(tmp_path, ENTRIES, "0", rows)
    counted = count_streams(tmp_path)
    # The bytes of what lies in a container or in unallocated space are counted there.
    assert counted == {
        "v01": Streams(
            entries=13,
            listed=6,
            read=3,
            skipped=1,
            failed=2,
            bytes_listed=60,
            bytes_read=34,
            bytes_skipped=10,
            bytes_failed=16,
            unallocated_bytes=20,
            inside=5,
            inside_read=2,
            inside_skipped=1,
            inside_failed=2,
        ),
        "v02": Streams(entries=1, listed=1, read=1, bytes_listed=1, bytes_read=1),
    }
    for one in counted.values():
        assert one.listed == one.read + one.skipped + one.failed
        assert one.inside == one.inside_read + one.inside_skipped + one.inside_failed
        assert one.bytes_listed == one.bytes_read + one.bytes_skipped + one.bytes_failed
