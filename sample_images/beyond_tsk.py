"""Filesystems that The Sleuth Kit does not read, each with the same files: XFS, Btrfs, SquashFS, JFFS2 and UDF.

No independent tool lists them without mounting them, so what is expected is what was put in. The kernel wrote XFS and Btrfs; the others
were made of a folder by the programs that their own projects give out.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sample_images.commands import blank, mounted, pack, run, write_all
from sample_images.stated import letter, noise, stated
from sample_images.unowned import rows_around

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sample_images.stated import StatedFile

Row = dict[str, Any]

FILES = (
    stated("readme.txt", "A volume for Evidex.\n", at="2024-03-07 08:09:10"),
    stated("noise.bin", noise("beyond tsk", 40_000), at="2024-03-05 06:07:08"),
    stated("docs/letter, with Grüße.txt", letter("beyond tsk letter", 30_000)),
    stated("docs/empty.txt", ""),
    stated("a/b/c/d/deep.txt", "Five folders down\n"),
    stated("names/" + "long" * 50, "A name of 200 bytes\n"),
)
LINK = ("names/link to the letter", "../docs/letter, with Grüße.txt")
_XFS_SIZE, _BTRFS_SIZE, _JFFS2_SIZE = 16 << 20, 20 << 20, 128 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledSample:
    """A sample with FILES in one volume over the whole image.

    Attributes:
        NAME: its name.
        filesystem: what a run must call it.
        make: writes the image of the folder of files.
        copies: other paths under which a file must be there again: snapshots.
        has_links: whether the symbolic link went in.
        has_times: whether the times did.
        longest_name: characters of the longest name that it takes.
        block: bytes a block of a file's; 0 where contents do not stand in the image as they are.
    """

    NAME: str
    filesystem: str
    make: Callable[[Path, Path], None]
    copies: Mapping[str, str]
    has_links: bool = True
    has_times: bool = True
    longest_name: int = 255
    block: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing else is in it: a snapshot's volume has more, and attributes of its own."""
        return not self.copies

    def files(self) -> tuple[StatedFile, ...]:
        """What goes in."""
        return tuple(one for one in FILES if len(one.path.rpartition(b"/")[2]) <= self.longest_name)

    def build(self, folder: Path, work: Path) -> None:
        """Makes the sample's image in `folder`."""
        source = work / "source"
        (source / "names").mkdir(parents=True)
        write_all(source, self.files(), kind="")
        if self.has_links:
            os.symlink(LINK[1], source / LINK[0])
        image = work / f"{self.NAME}.dd"
        self.make(source, image)
        pack(image, folder / f"{image.name}.xz")

    def expected(self) -> dict[str, tuple[tuple[str, ...], list[Row]]]:
        """By table, the key and the rows that a run must give."""
        rows = [self._row(one.path.decode(), one) for one in self.files()]
        folders = {parent for row in rows for parent in _above(row["path"])} | {"names"}
        rows += [{"volume": "v01", "path": path, "stream": "", "kind": "directory", "recovery": "allocated"} for path in sorted(folders)]
        by_path = {one.path.decode(): one for one in FILES}
        rows += [self._row(path, by_path[of]) for path, of in self.copies.items()]
        if self.has_links:
            rows.append({"volume": "v01", "path": LINK[0], "stream": "", "kind": "link", "recovery": "allocated", "link_target": LINK[1]})
        return {
            "volumes": (("start_byte",), [{"start_byte": 0, "kind": "volume", "filesystem": self.filesystem, "status": "read"}]),
            "entries": (("volume", "path", "stream"), rows),
        }

    def unowned(self, media: bytes) -> list[Row]:
        """Rows for what no file has: all but the blocks in which the contents stand; of a log, all of it."""
        if not self.block:
            return []
        placed = [] if self.filesystem == "jffs2" else [one.content for one in self.files()]
        return rows_around(media, placed, self.block)

    def _row(self, path: str, one: StatedFile) -> Row:
        row: Row = {"volume": "v01", "path": path, "stream": "", "kind": "file", "recovery": "allocated", "size": len(one.content)}
        row |= {"sha256": hashlib.sha256(one.content).hexdigest(), "scan": "complete"}
        return row | ({"modified": f"{one.modified:%Y-%m-%dT%H:%M:%SZ}"} if self.has_times else {})


def _above(path: str) -> list[str]:
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(1, len(names))]


def _copy_in(source: Path, root: Path) -> None:
    run("cp", "-a", f"{source}/.", root)


def _xfs(source: Path, image: Path) -> None:
    # Below 300 MB mkfs.xfs makes volumes for its own test suite only, which it knows by these variables.
    run("env", "TEST_DIR=1", "TEST_DEV=1", "QA_CHECK_FS=1", "mkfs.xfs", "-q", "-L", "evidex", blank(image, _XFS_SIZE))
    with mounted(image, "xfs") as root:
        _copy_in(source, root)


def _btrfs(source: Path, image: Path) -> None:
    run("mkfs.btrfs", "-q", "-M", "-L", "evidex", "-b", str(_BTRFS_SIZE), blank(image, _BTRFS_SIZE))
    with mounted(image, "btrfs") as root:
        run("btrfs", "property", "set", root, "compression", "zstd")
        _copy_in(source, root)
        run("btrfs", "subvolume", "create", root / "subvolume")
        run("cp", "-a", source / "readme.txt", root / "subvolume")
        run("btrfs", "subvolume", "snapshot", "-r", root / "subvolume", root / "snapshot")
        (root / "subvolume" / "later.txt").write_text("Written after the snapshot\n")


def _squashfs(source: Path, image: Path) -> None:
    # Where SOURCE_DATE_EPOCH is set, no file's time may be later.
    run("env", "-u", "SOURCE_DATE_EPOCH", "mksquashfs", source, image, "-quiet", "-no-progress", "-comp", "zstd", "-all-root",
        "-mkfs-time", "1709285400")  # fmt: skip


def _jffs2(source: Path, image: Path) -> None:
    run("mkfs.jffs2", "-r", source, "-o", image, "-e", "65536", "-l", "-n", f"--pad={_JFFS2_SIZE}", "-U")


def _udf(source: Path, image: Path) -> None:
    run("genisoimage", "-quiet", "-udf", "-allow-limited-size", "-r", "-J", "-joliet-long", "-V", "EVIDEX", "-o", image, source)


XFS = FilledSample(NAME="xfs", filesystem="xfs", make=_xfs, copies={}, block=4096)
BTRFS = FilledSample(
    NAME="btrfs",
    filesystem="btrfs",
    make=_btrfs,
    copies={"subvolume/readme.txt": "readme.txt", "snapshot/readme.txt": "readme.txt"},
)
SQUASHFS = FilledSample(NAME="squashfs", filesystem="squashfs", make=_squashfs, copies={})
JFFS2 = FilledSample(NAME="jffs2", filesystem="jffs2", make=_jffs2, copies={}, block=4096)
# genisoimage leaves symbolic links out of UDF, cuts long names, and writes times in the zone of the machine.
UDF = FilledSample(NAME="udf", filesystem="udf", make=_udf, copies={}, has_links=False, has_times=False, longest_name=100, block=2048)
