"""exFAT without a partition table, with clusters larger than a sector (where one engine returns wrong bytes)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sample_images.commands import blank, mounted, pack, run, write_all
from sample_images.stated import letter, noise, stated

if TYPE_CHECKING:
    from pathlib import Path

NAME = "exfat"
_SIZE = 4 << 20
FILES = (
    stated("readme.txt", "An exFAT volume for Evidex.\n"),
    stated("noise.bin", noise("exfat", 40_000), at="2024-03-05 06:07:08"),
    stated("Folder/A long name on exFAT, with Grüße.txt", letter("exfat letter", 15_000)),
    stated("Folder/empty.txt", ""),
    stated("camera/DCIM/IMG_0001.bin", noise("exfat img", 9_000)),
)
FRAGMENTS = ("fragmented.bin", "between.bin")
DELETED = (stated("deleted.txt", letter("exfat deleted", 10_000)),)


def build(folder: Path, work: Path) -> None:
    """Makes the sample's image in `folder`."""
    disk = blank(work / f"{NAME}.dd", _SIZE)
    run("mkfs.exfat", "-c", "4K", "-L", "EVIDEX", disk)
    with mounted(disk, "exfat") as root:
        write_all(root, (*FILES, *DELETED), kind="exfat")
        _write_interleaved(root)
    with mounted(disk, "exfat") as root:
        for gone in DELETED:
            (root / os.fsdecode(gone.path)).unlink()
    pack(disk, folder / f"{disk.name}.xz")


def _write_interleaved(root: Path) -> None:
    """Two files that grow in turns, so that the clusters of each lie apart."""
    for turn in range(4):
        for name in FRAGMENTS:
            with (root / name).open("ab", buffering=0) as file:
                file.write(letter(f"{name} {turn}", 4096))
                os.fsync(file.fileno())
