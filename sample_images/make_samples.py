"""Makes the sample images, or regenerates what independent tools say about them.

    python -m sample_images.make_samples [NAME...]              builds the images (as root: it mounts), then their expected files
    python -m sample_images.make_samples --expected [NAME...]   only the expected files, from the committed images; needs no root
    python -m sample_images.make_samples --expected --into DIR  the same, written under DIR/NAME/expected instead

Needs, on Debian: ntfs-3g dosfstools mtools exfatprogs exfat-fuse e2fsprogs fdisk xorriso xz-utils sleuthkit ewf-tools xfsprogs btrfs-progs
squashfs-tools mtd-utils genisoimage zip p7zip-full zstd bzip2 qemu-utils. The tools put
the current time and random numbers into some filesystems, so a new build differs in bytes from the committed one; the committed
images are what counts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sample_images import beyond_tsk, ewf_split, exfat, gpt_fat32_ext4, iso, linux, nested, ntfs_mbr, oracles, windows, windows_artifacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).parent
RULES = HERE.parent / "rules"
BEYOND_TSK = (beyond_tsk.XFS, beyond_tsk.BTRFS, beyond_tsk.SQUASHFS, beyond_tsk.JFFS2, beyond_tsk.UDF)
SAMPLES: dict[str, Any] = {
    sample.NAME: sample for sample in (ntfs_mbr, gpt_fat32_ext4, ewf_split, exfat, iso, windows, linux, nested, *BEYOND_TSK)
}
ARTIFACTS = {windows.NAME: windows_artifacts.artifacts, linux.NAME: linux.artifacts}
_ENTRY_KEY = ("volume", "metadata_address", "path", "stream")


def unpacked(folder: Path, into: Path) -> list[Path]:
    """The files of the sample's image, in order, with packed ones decompressed into the folder `into`."""
    found = []
    for packed in sorted(p for p in folder.iterdir() if p.suffix in (".xz", ".gz", ".E01", ".E02")):
        if packed.suffix in (".xz", ".gz"):
            opener = lzma.open if packed.suffix == ".xz" else gzip.open
            with opener(packed, "rb") as source:
                (into / packed.stem).write_bytes(source.read())
            found.append(into / packed.stem)
        else:
            found.append(packed)
    return found


def write_expected(
    path: Path, *, table: str, key: Sequence[str], tool: str, version: str, rows: Sequence[Mapping[str, Any]], **more: Any
) -> None:
    """Writes an expected file: a first line that says what it is and which tool gave it, then one line a row."""
    # The table hits has a row for each instance of each string, the yara program is asked for rules only.
    what = {"table": table, "key": list(key), "complete": True, "distinct": table == "hits", "tool": tool, "version": version}
    head = {**what, **more}
    lines = [{"expected": head}, *rows]
    path.write_text("".join(json.dumps(line, ensure_ascii=True) + "\n" for line in lines))


def regenerate(name: str, target: Path) -> None:
    """Writes the expected files of one sample under `target` from what the tools say about the committed image."""
    target.mkdir(parents=True, exist_ok=True)
    tsk = oracles.sleuthkit_version()
    sample: Any = SAMPLES[name]
    stated = getattr(sample, "STATED_ROWS", {})
    with tempfile.TemporaryDirectory() as folder:
        files = unpacked(HERE / name, Path(folder))
        image = files[0]
        ewf = image.suffix == ".E01"
        write_expected(
            target / "sources.jsonl",
            table="sources",
            key=("segments",),
            tool="ewfverify, ewfinfo, ewfexport | hashlib" if ewf else "stat, hashlib (OpenSSL)",
            version=oracles.ewf_version() if ewf else "",
            rows=[oracles.source_row(image, files)],
        )
        if hasattr(sample, "expected"):
            _write_stated(target, sample, image)
            return
        write_expected(
            target / "volumes.jsonl",
            table="volumes",
            key=("start_byte",),
            tool="mmstat, mmls, fsstat",
            version=tsk,
            rows=oracles.volume_rows(image),
        )
        if space := oracles.space_rows(image):
            write_expected(
                target / "space.jsonl",
                table="entries",
                key=("volume", "recovery"),
                tool="blkls, img_cat",
                version=tsk,
                rows=space,
                complete=False,
            )
        if unowned := oracles.unowned_rows_of(image):
            _write_unowned(target, "blkls, istat, fls", tsk, unowned)
        entries = oracles.entry_rows(image, stated)
        hits = oracles.hit_rows(image, entries, RULES)
    for entry in entries:
        entry.pop("icat", None)
    write_expected(
        target / "entries.jsonl",
        table="entries",
        key=_ENTRY_KEY,
        tool="fls, istat, icat (odd names and times as stated)",
        version=tsk,
        rows=entries,
        leaves_out={"recovery": ["slack", "unallocated", "in no file", "carved", "archive member"]},  # fls lists none of these
    )
    write_expected(
        target / "hits.jsonl",
        table="hits",
        key=(*_ENTRY_KEY, "rule"),
        tool="icat, yara",
        version=f"{tsk}, {oracles.yara_version()}",
        rows=hits,
    )
    for table, (key, rows) in ARTIFACTS.get(name, dict)().items():
        full = f"artifact_{table}"
        write_expected(target / f"{full}.jsonl", table=full, key=key, tool="statement in sample_images", version="", rows=rows)


def _write_unowned(target: Path, tool: str, version: str, rows: Sequence[Mapping[str, Any]]) -> None:
    path, key = target / "in_no_file.jsonl", ("volume", "recovery", "start_byte")
    write_expected(path, table="entries", key=key, tool=tool, version=version, rows=rows, complete=False)


def _write_stated(target: Path, sample: Any, image: Path) -> None:
    """What was put in, where no tool lists what is in the image: one volume over all of it."""
    for table, (key, rows) in sample.expected().items():
        of_all = [{**row, "size_bytes": image.stat().st_size} for row in rows] if table == "volumes" else rows
        complete = table == "volumes" or getattr(sample, "is_complete", False)
        # What was put in says nothing of what the filesystem made for itself.
        left_out = {"leaves_out": {"recovery": ["in no file"]}} if complete and table == "entries" else {}
        path = target / f"{table}.jsonl"
        write_expected(path, table=table, key=key, tool="statement in sample_images", version="", rows=of_all, complete=complete, **left_out)
    if unowned := getattr(sample, "unowned", lambda _: [])(image.read_bytes()):
        _write_unowned(target, "statement in sample_images, found in the image", "", unowned)


def main() -> None:
    """Builds or regenerates the samples that the command line names, all without a name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(SAMPLES)}")
    parser.add_argument("--expected", action="store_true", help="leave the images alone")
    parser.add_argument("--into", type=Path, default=HERE, help="folder under which NAME/expected is written")
    options = parser.parse_args()
    unknown = set(options.names) - set(SAMPLES)
    if unknown:
        parser.error(f"no sample {', '.join(sorted(unknown))}")
    for name in options.names or SAMPLES:
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        if not options.expected:
            with tempfile.TemporaryDirectory() as work:
                SAMPLES[name].build(folder, Path(work))
        regenerate(name, options.into / name / "expected")
        print(f"{name}: {sum(p.stat().st_size for p in folder.rglob('*') if p.is_file())} bytes")


if __name__ == "__main__":
    main()
