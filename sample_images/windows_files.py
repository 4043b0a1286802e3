"""Small files as Windows and its programs write them: prefetch, shortcut, recycle bin, browser histories.

References:
    J. Metz, "Windows Prefetch File (PF) format" (version 23); MS-SHLLINK 2.1 to 2.4; J. Metz, "Windows Recycler file formats" ($I, 2).
"""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sample_images.stated import filetime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def prefetch(name: str, *, path_hash: int, runs: int, last: datetime, files: Sequence[str], device: str) -> bytes:
    """A prefetch file of Windows 7: the program ran `runs` times, the last time at `last`, and loaded `files`."""
    names = [f"{text}\0".encode("utf-16-le") for text in files]
    offsets = [sum(map(len, names[:i])) for i in range(len(names))]
    metrics = b"".join(
        struct.pack("<IIIIIIQ", 0, 1, 1, offset, len(text) // 2 - 1, 2, 0) for offset, text in zip(offsets, names, strict=True)
    )
    metrics_at = 84 + 156
    chains = struct.pack("<IIBBH", 0xFFFFFFFF, 1, 2, 1, 0)
    chains_at = metrics_at + len(metrics)
    strings, strings_at = b"".join(names), chains_at + len(chains)
    volume_at = (strings_at + len(strings) + 7) // 8 * 8
    volume = _prefetch_volume(device, created=last)
    info = struct.pack("<IIIIIIIII", metrics_at, len(names), chains_at, 1, strings_at, len(strings), volume_at, 1, len(volume))
    info += struct.pack("<II", 0, 0) + struct.pack("<QQQ", filetime(last), 0, 0) + struct.pack("<II", runs, 1) + bytes(80)
    size = volume_at + len(volume)
    head = struct.pack("<I4sII", 23, b"SCCA", 0x11, size) + name.encode("utf-16-le").ljust(60, b"\0") + struct.pack("<II", path_hash, 0)
    return (head + info + metrics + chains + strings).ljust(volume_at, b"\0") + volume


def _prefetch_volume(device: str, *, created: datetime) -> bytes:
    """The section on one volume: its path, no file reference, and one folder."""
    path = f"{device}\0".encode("utf-16-le")
    references_at = (104 + len(path) + 7) // 8 * 8
    references = struct.pack("<IIQ", 3, 0, 0)
    folder = f"{device}\\USERS"
    folders = struct.pack("<H", len(folder)) + f"{folder}\0".encode("utf-16-le")
    folders_at = references_at + len(references)
    head = struct.pack("<IIQI", 104, len(device), filetime(created), 0xE71DE001)
    head += struct.pack("<IIIII", references_at, len(references), folders_at, 1, 0)
    return (head.ljust(104, b"\0") + path).ljust(references_at, b"\0") + references + folders


def shortcut(target: str, *, size: int, when: datetime) -> bytes:
    """A shortcut to a local file of `size` bytes, whose three times are `when`."""
    identifier = bytes.fromhex("0114020000000000c000000000000046")
    times = (filetime(when),) * 3
    # HasLinkInfo, HasRelativePath, IsUnicode
    head = struct.pack("<I16sIIQQQIIIHHII", 0x4C, identifier, 0x02 | 0x08 | 0x80, 0x20, *times, size, 0, 1, 0, 0, 0, 0)
    label = b"EVIDEX\0"
    volume = struct.pack("<IIII", 16 + len(label), 3, 0xE71DE001, 16) + label
    local = target.encode("cp1252") + b"\0"
    base_at = 28 + len(volume)
    info = struct.pack("<IIIIIII", base_at + len(local) + 1, 28, 1, 28, base_at, 0, base_at + len(local)) + volume + local + b"\0"
    relative = "..\\" + target.rpartition("\\")[2]
    return head + info + struct.pack("<H", len(relative)) + relative.encode("utf-16-le") + bytes(4)


def recycled(path: str, *, size: int, when: datetime) -> bytes:
    """An $I file of Windows 10: `path` of `size` bytes was deleted at `when`."""
    return struct.pack("<QQQI", 2, size, filetime(when), len(path) + 1) + f"{path}\0".encode("utf-16-le")


def database(statements: Sequence[tuple[str, tuple[object, ...]]]) -> bytes:
    """An SQLite database made by the statements."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.sqlite")
        with sqlite3.connect(path) as connection:
            for text, values in statements:
                connection.execute(text, values)
        connection.close()
        return path.read_bytes()
