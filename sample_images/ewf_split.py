"""An ext4 volume without a partition table in an E01 of two segments, with the hashes that ewfacquire stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sample_images.commands import blank, mounted, run, write_all
from sample_images.stated import letter, noise, stated

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ewf-split"
_SIZE = 2 << 20
# A segment is at least 1 MiB, so the content must not compress, and there must be more of it than that.
FILES = (
    stated("noise.bin", noise("ewf", 1_250_000), at="2024-03-04 05:06:07"),
    stated("docs/letter.txt", letter("ewf letter", 20_000)),
    stated("docs/short.txt", "An ext4 volume in an E01 of two segments.\n"),
)


def build(folder: Path, work: Path) -> None:
    """Makes the sample's segments in `folder`."""
    part = blank(work / "ewf.dd", _SIZE)
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-b", "1024", "-N", "64", "-m", "0",
        "-U", "0e71de00-0000-4000-8000-000000000006", "-L", "ewf", part)  # fmt: skip
    with mounted(part, "ext4") as root:
        write_all(root, FILES, kind="ext4")
    for old in folder.glob(f"{NAME}.E*"):
        old.unlink()
    run(
        "ewfacquire", "-u", "-f", "encase6", "-c", "deflate:best", "-S", "1048576", "-b", "64", "-d", "sha1", "-m", "fixed", "-M",
        "logical", "-C", "EVX-2024-001", "-D", "Evidex sample", "-E", "S-003", "-e", "A. Examiner", "-N", "made from stated content",
        "-t", folder / NAME, part,
    )  # fmt: skip
