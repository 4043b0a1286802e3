"""ISO 9660 with Joliet and Rock Ridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sample_images.commands import run, write_all
from sample_images.stated import letter, stated

if TYPE_CHECKING:
    from pathlib import Path

NAME = "iso9660"
FILES = (
    stated("readme.txt", "A disc for Evidex.\n", at="2024-03-06 07:08:09"),
    stated("Folder with a long name/letter with a long name.txt", letter("iso letter", 10_000)),
    stated("Folder with a long name/Grüße.txt", "Umlaute on a disc\n"),
)


def build(folder: Path, work: Path) -> None:
    """Makes the sample's image in `folder`."""
    source = work / "iso-source"
    write_all(source, FILES, kind="iso")
    disk = work / f"{NAME}.iso"
    run(
        "xorriso", "-as", "mkisofs", "-quiet", "-J", "-R", "-V", "EVIDEX", "--modification-date=2024030109300000", "-o", disk, source,
    )  # fmt: skip
    (folder / f"{disk.name}.gz").write_bytes(run("gzip", "-9", "-n", "-c", disk))
