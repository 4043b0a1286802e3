"""NTFS in an MBR: deleted files, named streams, sparse file, hard link, Unicode names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sample_images.commands import blank, join_partitions, mounted, pack, run, set_times, write_all
from sample_images.stated import NEVER_SET, StatedFile, letter, noise, stated

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ntfs-mbr"
START_SECTOR = 128
_PARTITION = 6 << 20
_DISK = _PARTITION + (START_SECTOR + 64) * 512
_ZONE = "[ZoneTransfer]\r\nZoneId=3\r\nReferrerUrl=http://downloads.example/\r\nHostUrl=http://downloads.example/setup.zip\r\n"

KEPT: tuple[StatedFile, ...] = (
    stated("readme.txt", "A small NTFS volume for Evidex.\n", at="2024-03-01 08:00:00", born="2024-02-28 17:45:12"),
    stated("empty.txt", ""),
    stated("resident.txt", "Short enough to stay inside its MFT entry.\n"),
    stated("cases/2024/march/notes.txt", letter("notes", 20_000), at="2024-03-02 10:11:12"),
    stated("cases/2024/march/deeper/still deeper/bottom.txt", "the bottom of the tree\n"),
    stated("downloads/setup.zip", b"PK\x05\x06" + bytes(18), **{"Zone.Identifier": _ZONE}),
    stated("downloads/report.pdf", "%PDF-1.4\n%%EOF\n", **{"Zone.Identifier": _ZONE, "hidden.txt": "text in a named stream\n" * 200}),
    stated("pictures/Grüße aus Köln.txt", "Umlaute\n"),
    stated("pictures/日本語のファイル.txt", "Japanese\n"),
    stated("pictures/Ελληνικά.txt", "Greek\n"),
    stated("pictures/emoji 🔍.txt", "a character outside the basic plane\n"),
    stated("links/original.txt", "one content, two names\n"),
    stated("random.bin", noise("ntfs-mbr random", 70_001)),
    stated("before 1970.txt", "older than Unix\n", at="1969-07-20 20:17:40"),
)
DELETED: tuple[StatedFile, ...] = (
    stated("deleted/resident secret.txt", "Deleted, and still in its MFT entry.\n", at="2024-03-03 12:00:00"),
    stated("deleted/letter.txt", letter("deleted letter", 30_000), at="2024-03-03 12:01:00"),
    stated("deleted/with stream.txt", "default data\n", secret="the named stream of a deleted file\n"),
    stated("deleted/folder/in a deleted folder.txt", letter("in a deleted folder", 9_000)),
)
OVERWRITTEN = stated("deleted/overwritten.txt", letter("to be overwritten", 50_000))
_BEFORE_1970 = ("created", "modified", "accessed", "name_created", "name_modified", "name_accessed")
STATED_ROWS = NEVER_SET | {b"before 1970.txt": dict.fromkeys(_BEFORE_1970, "1969-07-20T20:17:40Z")}
# A placeholder whose MFT entry the filler takes, so that the entry of the overwritten file stays as it was deleted.
_PLACEHOLDER = stated("deleted/placeholder", "x")
SPARSE = "sparse.bin"
SPARSE_SIZE = 3 << 20


def build(folder: Path, work: Path) -> None:
    """Makes the sample's image in `folder`."""
    part = blank(work / "ntfs.dd", _PARTITION)
    run("mkntfs", "-q", "-F", "-s", "512", "-c", "4096", "-p", str(START_SECTOR), "-H", "16", "-S", "63", "-L", "EVIDEX", part)
    with mounted(part, "ntfs") as root:
        write_all(root, (*KEPT, _PLACEHOLDER, OVERWRITTEN, *DELETED), kind="ntfs")
        os.link(root / "links/original.txt", root / "links/second name.txt")
        _write_sparse(root)
    with mounted(part, "ntfs") as root:
        for gone in (_PLACEHOLDER, OVERWRITTEN):
            (root / os.fsdecode(gone.path)).unlink()
    with mounted(part, "ntfs") as root:
        _fill(root)
        for gone in DELETED:
            (root / os.fsdecode(gone.path)).unlink()
        (root / "deleted/folder").rmdir()
        set_times(root, KEPT, kind="ntfs")
    script = f"label: dos\nlabel-id: 0xe71de001\nstart={START_SECTOR}, size={_PARTITION // 512}, type=7\n"
    disk = work / f"{NAME}.dd"
    join_partitions(disk, _DISK, script, [(START_SECTOR, part)])
    pack(disk, folder / f"{disk.name}.xz")


def _write_sparse(root: Path) -> None:
    with (root / SPARSE).open("wb") as file:
        file.write(b"start")
        file.seek(SPARSE_SIZE - 3)
        file.write(b"end")


def _fill(root: Path) -> None:
    """Takes all free clusters with one file, so that the content of the overwritten file is gone."""
    line = b"this text lies where another file was\n"
    with (root / "filler.txt").open("wb", buffering=0) as file:
        try:
            while file.write(line * 100):
                pass
        except OSError:  # the volume is full, which is what was wanted
            return
