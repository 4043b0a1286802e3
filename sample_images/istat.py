"""What istat prints of the metadata of one entry, as columns of the table entries. Text in, values out."""

from __future__ import annotations

import re
from typing import Any

_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{9})?) \(UTC\)")
_NTFS_TIMES = {"Created": "created", "File Modified": "modified", "MFT Modified": "metadata_changed", "Accessed": "accessed"}
_EXT_TIMES = {
    "File Created": "created",
    "File Modified": "modified",
    "Inode Modified": "metadata_changed",
    "Accessed": "accessed",
}


def istat_columns(told: str, *, filesystem: str, name: str) -> dict[str, Any]:
    """The columns that istat's words give for an entry of that name; fewer for FAT and ISO 9660, which store less."""
    columns: dict[str, Any] = {"metadata_allocated": re.search(r"^(Not Allocated|Unallocated)", told, re.MULTILINE) is None}
    if filesystem == "ntfs":
        columns |= _ntfs_columns(told, name)
    elif filesystem.startswith("ext"):
        columns |= _ext_columns(told)
    elif filesystem == "exfat" and (found := re.search(r"^Accessed:\t(.*)$", told, re.MULTILINE)):
        # fls drops the time of day of an access, which exFAT has and FAT has not.
        columns["accessed"] = time_text(found[1])
    return columns


def time_text(told: str) -> str | None:
    """A time such as "2024-03-01 09:30:00 (UTC)" as "2024-03-01T09:30:00Z", decimals kept; None where the tools write none."""
    found = _TIME.fullmatch(told)
    return f"{found[1]}T{found[2]}Z" if found and not told.startswith("0000") else None


def _ntfs_columns(told: str, name: str) -> dict[str, Any]:
    blocks = told.split("\n\n")
    standard = next((block for block in blocks if block.startswith("$STANDARD_INFORMATION")), "")
    names = [block for block in blocks if block.startswith("$FILE_NAME")]
    own = [block for block in names if f"\nName: {name}\n" in block]
    columns: dict[str, Any] = dict(_times(standard, _NTFS_TIMES))
    if len(own or names) == 1:
        columns |= {f"name_{column}": value for column, value in _times((own or names)[0], _NTFS_TIMES).items()}
    for column, pattern in (("links", r"^Links: (\d+)"), ("sequence", r"^Entry: \d+ +Sequence: (\d+)")):
        if found := re.search(pattern, told, re.MULTILINE):
            columns[column] = int(found[1])
    return columns


def _ext_columns(told: str) -> dict[str, Any]:
    columns: dict[str, Any] = dict(_times(told, _EXT_TIMES))
    if found := re.search(r"^uid / gid: (\d+) / (\d+)\nmode: .(.{9})$", told, re.MULTILINE):
        columns |= {"owner": int(found[1]), "group": int(found[2]), "mode": _mode(found[3])}
    if found := re.search(r"^num of links: (\d+)", told, re.MULTILINE):
        columns["links"] = int(found[1])
    return columns


def _times(block: str, names: dict[str, str]) -> dict[str, str | None]:
    lines = (line.partition(":\t") for line in block.splitlines())
    return {names[label]: time_text(value) for label, separator, value in lines if separator and label in names}


def _mode(letters: str) -> int:
    """Letters such as "rwxr-x---" as 0o750; s and t stand for the bits of chmod(2) as in ls(1)."""
    bits = 0
    for position, letter in enumerate(letters):
        bits |= (letter in "rwxst") << (8 - position)
        bits |= (letter in "sStT") << (11 - position // 3)
    return bits
