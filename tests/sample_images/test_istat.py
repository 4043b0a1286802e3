"""The reader of istat's words; the texts are what istat of The Sleuth Kit 4.11.1 printed of committed samples."""

from __future__ import annotations

import pytest

from sample_images.istat import istat_columns, time_text

_NTFS = """MFT Entry Header Values:
Entry: 83        Sequence: 1
$LogFile Sequence Number: 0
Allocated File
Links: 2

$STANDARD_INFORMATION Attribute Values:
Flags: Archive
Created:\t2024-03-01 09:30:00.000000000 (UTC)
File Modified:\t2024-03-01 09:30:00.000000000 (UTC)
MFT Modified:\t2026-11-23 19:32:16.128451800 (UTC)
Accessed:\t2024-03-01 09:30:00.000000000 (UTC)

$FILE_NAME Attribute Values:
Name: original.txt
Created:\t2024-03-01 09:30:01.000000000 (UTC)

$FILE_NAME Attribute Values:
Name: second name.txt
Created:\t2024-03-01 09:30:02.000000000 (UTC)

Attributes:
"""


def test_each_name_of_a_hard_link_has_the_times_of_its_own_file_name_attribute() -> None:
    for name, created in (("original.txt", "2024-03-01T09:30:01.000000000Z"), ("second name.txt", "2024-03-01T09:30:02.000000000Z")):
        columns = istat_columns(_NTFS, filesystem="ntfs", name=name)
        assert (columns["name_created"], columns["links"], columns["sequence"]) == (created, 2, 1)
        assert columns["metadata_changed"] == "2026-11-23T19:32:16.128451800Z"
    assert "name_created" not in istat_columns(_NTFS, filesystem="ntfs", name="a third")


def test_an_ext_inode_gives_owner_mode_and_links() -> None:
    told = "inode: 13\nNot Allocated\nuid / gid: 1000 / 7\nmode: rrwsr-x--T\nnum of links: 2\n\nAccessed:\t0000-00-00 00:00:00 (UTC)\n"
    columns = istat_columns(told, filesystem="ext4", name="x")
    assert columns == {"metadata_allocated": False, "accessed": None, "owner": 1000, "group": 7, "mode": 0o5750, "links": 2}


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("2024-03-01 09:30:00 (UTC)", "2024-03-01T09:30:00Z"),
        ("0000-00-00 00:00:00 (UTC)", None),
        ("", None),
        ("2024-03-01 09:30:00 (CET)", None),
    ],
)
def test_a_time_is_taken_only_in_utc(told: str, text: str | None) -> None:
    assert time_text(told) == text
