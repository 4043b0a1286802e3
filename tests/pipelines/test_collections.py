"""Files that a tool collected from a Windows system: what its NTFS recorded is read from the metadata that was collected beside them."""

from __future__ import annotations

import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from running import rows_of, run, tables_of, unpack

from forensics.artifacts.functions import Profile

if TYPE_CHECKING:
    from pathlib import Path

_START = 2048  # of the NTFS in the sample, as mmls gives it
_FILETIME = 133_000_000_000_000_000
_AT = (_FILETIME - 116_444_736_000_000_000) * 100  # nanoseconds since 1970: 2022-06-18T04:26:40Z


def _usn_record(usn: int, reason: int, name: str) -> bytes:
    """[MS-FSCC] 2.4.51, USN_RECORD_V2: 60 bytes, then the name, on multiples of 8."""
    stored = name.encode("utf-16-le")
    length = -(-(60 + len(stored)) // 8) * 8
    file, parent = 64 | 1 << 48, 5 | 5 << 48
    fields = struct.pack("<IHHQQQQIIIIHH", length, 2, 0, file, parent, usn, _FILETIME, reason, 0, 0, 0x20, len(stored), 60)
    return (fields + stored).ljust(length, b"\0")


def _icat(image: Path, entry: int) -> bytes:
    return subprocess.run(["icat", "-o", str(_START), image, str(entry)], check=True, capture_output=True).stdout


@pytest.mark.parametrize("journal", ["$Extend/$J", "$Extend/$UsnJrnl:$J", "$Extend/$UsnJrnl$J"])
def test_the_master_file_table_and_the_change_journal_of_a_collection_are_read(tmp_path: Path, journal: str) -> None:
    """The names are those of KAPE, of acquire and Velociraptor, and of KAPE's older targets.

    The files are what tsk_recover and icat give.
    """
    image = unpack("windows", tmp_path / "a.dd")
    drive = tmp_path / "collected" / "C"
    drive.mkdir(parents=True)
    subprocess.run(["tsk_recover", "-a", "-o", str(_START), image, drive], check=True, capture_output=True)
    table = _icat(image, 0)
    (drive / "$MFT").write_bytes(table)
    (drive / "$Boot").write_bytes(_icat(image, 7))
    first = _usn_record(0, 0x100, "secret.docx")
    (drive / journal).parent.mkdir()
    (drive / journal).write_bytes(first + _usn_record(len(first), 0x8000_0200, "secret.docx"))

    tables = tables_of(run(drive.parent, tmp_path / "case", profile=Profile.FULL, rules=()))

    changes = [(row["usn"], row["reason"], row["ts"]) for row in rows_of(tables, "artifact_usnjrnl")]
    assert changes == [(0, "FILE_CREATE", _AT), (len(first), "FILE_DELETE|CLOSE", _AT)]
    records = rows_of(tables, "artifact_mft_records")
    used = {number for number in range(len(table) // 1024) if table[number * 1024 : number * 1024 + 4] == b"FILE"}
    assert {row["segment"] for row in records} <= used
    assert "updater\\svch0st.exe" in {str(row["path"])[-19:] for row in records}
    assert [row["code"] for row in rows_of(tables, "problems") if "usnjrnl" in row["what"] or "mft" in row["what"]] == []
