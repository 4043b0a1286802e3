"""Small volumes made by mkfs over a pattern, and what a reader of them lists; for the tests of what is not in plain sight.

Every 16 bytes of the pattern differ, so that bytes from a wrong place are never the right ones by chance.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from forensics.errors import Problem
from forensics.filesystems.base import Entry, ListingLimits
from forensics.filesystems.tsk import TskReader
from forensics.image import open_image
from forensics.sleuthkit import open_filesystem, open_media

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forensics.filesystems.base import StreamAddress

EVERYTHING = ListingLimits(orphans=10**6, orphan_bytes=1 << 40, slack=True, unallocated=True, overwritten=True, attributes=True)
MEBIBYTE = 1 << 20
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def needs(*commands: str) -> pytest.MarkDecorator:
    """Skips where a command is missing, but for machines where CI is set."""
    missing = [command for command in commands if shutil.which(command, path=_PATH) is None]
    return pytest.mark.skipif(bool(missing) and not os.environ.get("CI"), reason=f"not installed: {', '.join(missing)}")


def run(*command: str | int | Path) -> bytes:
    """Standard output of the command."""
    environment = os.environ | {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": _PATH, "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False, env=environment)
    assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
    return done.stdout


def pattern(size: int, seed: int = 0) -> bytes:
    """That many bytes of which every 16 differ."""
    return b"".join(b"%04d%011d\n" % (seed, number) for number in range(-(-size // 16)))[:size]


def patterned(path: Path, size: int, *, pattern_bytes: int | None = None) -> Path:
    """A file of the pattern, with a hole behind its first `pattern_bytes`."""
    with path.open("wb") as file:
        file.write(pattern(size if pattern_bytes is None else pattern_bytes))
        file.truncate(size)
    return path


def source_file(folder: Path, size: int, seed: int) -> Path:
    """A file to copy in, with a pattern of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / f"content-{size}-{seed}"
    path.write_bytes(pattern(size, seed))
    return path


def fat(path: Path, bits: int) -> Path:
    """FAT12, FAT16 or FAT32 over the pattern; FAT32 needs 65525 clusters."""
    size, per_cluster = {12: (2 * MEBIBYTE, 4), 16: (4 * MEBIBYTE, 1), 32: (36 * MEBIBYTE, 1)}[bits]
    patterned(path, size, pattern_bytes=min(size, 3 * MEBIBYTE))
    run("mkfs.fat", "-F", bits, "-s", per_cluster, path)
    return path


def ext(path: Path, *options: str | int, kind: str = "ext4", size: int = 4 * MEBIBYTE) -> Path:
    """An ext filesystem over the pattern."""
    patterned(path, size)
    run(f"mkfs.{kind}", "-q", "-F", "-b", 1024, "-E", "nodiscard,lazy_itable_init=0", *options, path)
    return path


def ntfs(path: Path, size: int = 4 * MEBIBYTE, cluster: int = 2048) -> Path:
    """NTFS over the pattern."""
    patterned(path, size)
    run("mkntfs", "-q", "-Q", "-F", "-s", 512, "-c", cluster, "-p", 0, "-H", 16, "-S", 63, path)
    return path


def exfat(path: Path) -> Path:
    """ExFAT over the pattern."""
    patterned(path, 4 * MEBIBYTE)
    run("mkfs.exfat", "-c", "4K", path)
    return path


@dataclass
class Listed:
    """What a reader lists of one volume, and the reader."""

    reader: TskReader
    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def content(self, address: StreamAddress | None) -> bytes:
        assert address is not None
        stream = self.reader.open_stream(address)
        data = b"".join(stream.read_at(offset, MEBIBYTE) for offset in range(0, stream.size, MEBIBYTE))
        assert len(data) == stream.size
        return data

    def named(self, path: bytes, stream: str = "") -> Entry:
        (found,) = (one for one in self.entries if (one.path, one.stream) == (path, stream))
        return found


@contextmanager
def listed(path: Path, start_byte: int = 0, size_bytes: int | None = None, limits: ListingLimits = EVERYTHING) -> Iterator[Listed]:
    """The volume at that byte of the image, listed, while the image is open."""
    with open_image(path) as image:
        filesystem = open_filesystem(open_media(image), start_byte, size_bytes)
        found = Listed(TskReader(filesystem))
        for one in found.reader.iter_entries(limits):
            if isinstance(one, Problem):
                found.problems.append(one)
            else:
                found.entries.append(one)
        yield found
