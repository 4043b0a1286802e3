"""An image inside an image and the files beside it: what is asked for, and what is said where it cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from virtual_disks import some_bytes, vdi

from forensics.errors import ArchiveError
from forensics.expansion.disk_image import DiskImage
from forensics.segment_sets import companions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Folder:
    """What lies in a folder beside one of its files."""

    def __init__(self, folder: Path, own: str) -> None:
        self.own, self._folder = own, folder

    def sizes(self) -> Mapping[str, int]:
        return {path.name: path.stat().st_size for path in self._folder.iterdir() if path.name != self.own}

    def blocks(self, name: str) -> Iterator[bytes]:
        yield (self._folder / name).read_bytes()


@pytest.mark.parametrize("beside", [True, False], ids=["beside it", "alone"])
def test_a_parent_that_only_an_identifier_tells_is_not_said_to_be_absent(tmp_path: Path, *, beside: bool) -> None:
    """A snapshot and its base as VirtualBox keeps them (VDICore.h)."""
    data = some_bytes(1 << 16)
    own, parent = (bytes([1] * 16), bytes([2] * 16)), (bytes([3] * 16), bytes([4] * 16))
    (tmp_path / "base.vdi").write_bytes(vdi(data, own=parent))
    (tmp_path / "snap.vdi").write_bytes(vdi(bytes(len(data)), kind=4, own=own, parent=parent))
    opener = DiskImage(Folder(tmp_path, "snap.vdi") if beside else None)
    with (tmp_path / "snap.vdi").open("rb") as file, pytest.raises(ArchiveError, match="by that none is looked for here"):
        list(opener.iter_members(file, 0, "snap.vdi", ()))


@pytest.mark.parametrize(
    ("name", "others", "expected"),
    [
        ("a.E01", ("a.E02", "a.E03", "a.S01", "a.EAA", "b.E02", "a.txt"), ("a.E02", "a.E03")),
        ("a.E02", ("a.E01", "a.E02"), ("a.E01",)),
        ("a.E01", ("a.E99", "a.EAA"), ("a.E99", "a.EAA")),
        ("a.001", ("a.002", "a.0002", "a.dd"), ("a.002",)),
        ("a.2023", ("a.2024",), ()),
        ("a.ad1", ("a.ad2", "a.ad10"), ("a.ad10", "a.ad2")),
        ("a.dd", ("a.001", "a.002"), ()),
        (".E01", (".E02",), ()),
    ],
)
def test_segments_are_told_by_their_names(name: str, others: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """Expected are the sets of the EWF specification, "Segment file extensions", and of counted files."""
    assert companions(name, others) == expected
