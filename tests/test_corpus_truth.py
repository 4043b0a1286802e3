"""Entries of a run over public reference images, held against what independent tools said of the same images.

The truth files lie beside the images; each row says which tool gave it (The Sleuth Kit's fls and icat, as a rule). Rules of the
comparison: only regular files with content and a digest count, no names that the tool makes up, no metadata that belongs to another
file by now; a named stream is `path:stream`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from running import rows_of

from forensics.credentials import passphrase_credential
from forensics.disks import open_disks
from forensics.expansion.bounds import Bounds
from forensics.survey import survey
from pipelines.batch import run_task
from pipelines.batches import cut_batches
from pipelines.profiles import Profile, configure
from pipelines.tasks import ListVolume, RunContext
from pipelines.worker import close_exhibits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Names that TSK makes up, index attributes of NTFS, and the sparse map of bad clusters.
_VIRTUAL = re.compile(r"^\$(MBR|FAT\d|OrphanFiles|BadClus:|Extend/.*:\$)|.*\(Volume Label Entry\)$")
# Every image whose truth names contents.
IMAGES = (
    "ewf-ext2-dfvfs",
    "ewf-split-plaso",
    "splitraw-ext2-dfvfs",
    "raw-tsk-image",
    "raw-be-fat32",
    "raw-pytsk-vs",
    "ntfs-grr",
    "ntfs-colinfinck",
    "ntfs-msu-si-vs-fn",
    "ntfs-dfir-ntfs3",
    "dfir-exfat-win",
    "dfir-fat-deleted-dir",
    "exfat-4n6",
    "exfat-dsoprea",
    "ext4-dsoprea-hierarchy64",
    "ext4view-disk1",
    "dissect-ext4-sparse",
    "hfsplus-dfvfs",
    "iso-dfvfs",
    "win-open",
    "linux-open",
    "ad1-test",
    "qcow2-ext2-dfvfs",
    "qcow2-vss-plaso",
    "vhd-ext2-dfvfs",
    "vhd-dfvfs-image",
    "vhd-dfvfs-differential",
    "hv-fixed-vhdx",
    "vmdk-ext2-dfvfs",
    "vmdk-plaso",
    "fsamples-multiple",
    "xfuse-xfs-4kn",
    "xfuse-xfs-preallocated",
    "dissect-btrfs-subvolume-snapshot",
    "dissect-apfs-encrypted",
    "apfs-dfvfs",
    "dmg-hfsplus-dfvfs",
    "dissect-ffs",
    "dissect-squashfs-xz",
    "dissect-jffs2-zlib",
    "dissect-qnx4",
    "luks2-ext4-derived",
)
# What differs by name alone, by image: a name is excused where it fits the pattern, and the pattern must excuse at least one.
KNOWN = {
    # fls lists a directory's named stream twice, as `dir:x` and as `dir/.:x`; it is one stream and one row.
    "ntfs-grr": re.compile(r"(.*/)?\.:.*"),
    # The name ends with a carriage return; fls writes a control character as ^.
    "hfsplus-dfvfs": re.compile(r"\.HFS\+ Private Directory Data\^"),
    "dmg-hfsplus-dfvfs": re.compile(r"\.HFS\+ Private Directory Data\^"),
    # An encrypted name, so any bytes: fls writes the control characters among them as ^.
    "ext4view-disk1": re.compile(r"encrypted_dir/.*\^.*"),
}
_NOTHING = re.compile(r"(?!)")


def _norm(path: str) -> str:
    return path.replace("\\", "/").strip("/")


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _truth(path: Path) -> tuple[Counter[tuple[str, str]], Counter[str], list[dict[str, Any]]]:
    """Allocated (path, digest) pairs, digests of deleted contents, and all rows that count."""
    rows = []
    for row in _rows(path):
        regular = row.get("sha256") and row.get("size") and row.get("meta_type", "r") == "r" and not row.get("read_error")
        if regular and not _VIRTUAL.match(row["path"]):
            rows.append(row)
    live = Counter((_norm(row["path"]), row["sha256"]) for row in rows if row.get("allocated"))
    dead = Counter(row["sha256"] for row in rows if not row.get("allocated") and not row.get("realloc"))
    return live, dead, rows


@pytest.mark.corpus
@pytest.mark.parametrize("identifier", IMAGES)
def test_entries_hold_what_independent_tools_found(
    corpus: Path, corpus_image: Callable[[str], Path], tmp_path: Path, identifier: str
) -> None:
    truth = corpus / "open" / "truth" / f"{identifier}.jsonl"
    live, dead, rows = _truth(truth)
    entries = _entries(corpus_image(identifier), tmp_path / "run", _password(corpus, identifier))
    names = Counter((_norm(_named(row)), row["sha256"]) for row in entries if row["sha256"])
    contents = Counter(row["sha256"] for row in entries if row["sha256"])

    pattern = KNOWN.get(identifier, _NOTHING)
    found = {_norm(_named(row)) for row in entries}
    stated = {_norm(row["path"]) for row in _rows(truth) if not _VIRTUAL.match(row["path"])}
    assert stated
    assert {name for name in stated - found if not pattern.fullmatch(name)} == set(), "names of any kind"
    assert identifier not in KNOWN or stated - found, "a difference that is gone must leave the list"
    counted = Counter({key: number for key, number in live.items() if key[0] not in stated - found})
    assert not counted - names, "allocated names"
    wanted: Counter[str] = Counter()
    for (_, digest), number in counted.items():
        wanted[digest] += number
    assert not wanted - contents, "allocated contents"
    assert not dead - contents, "deleted contents"

    known = {(_norm(row["path"]), row["sha256"]) for row in rows}
    # A name of which the truth has no digest in one of the volumes (the store of a shadow copy, seen in another) says nothing.
    unknown = {_norm(row["path"]) for row in _rows(truth) if row.get("meta_type") == "r" and row.get("size") and not row["sha256"]}
    paths = {path for path, _ in known} - unknown
    of_files = [(_norm(row["path"]), row["sha256"]) for row in entries if row["kind"] == "file" and row["sha256"] and not row["stream"]]
    false = [(path, digest) for path, digest in of_files if path in paths and (path, digest) not in known]
    assert not false, "contents that nobody else found under that name"


def _password(corpus: Path, identifier: str) -> str | None:
    images = json.loads((corpus / "open" / "MANIFEST.json").read_text(encoding="utf-8"))["images"]
    password: str | None = next(image["password"] for image in images if image["id"] == identifier)
    return password


def _entries(image: Path, folder: Path, password: str | None) -> list[dict[str, Any]]:
    """Lists and reads the image with the run's own tasks, without rules, artifacts, free space and what is inside files."""
    credentials = (passphrase_credential(password),) if password else ()
    (folder / "work" / "spool").mkdir(parents=True)
    with open_disks([image]) as disks:
        nodes = survey(disks, spool=folder / "work" / "spool", credentials=credentials).nodes
        limits = replace(configure(Profile.STANDARD, None, disks.size).limits, slack=False, unallocated=False)
    context = RunContext(
        images=(image,),
        folder=folder,
        work=folder / "work",
        exhibit="KH-1",
        nodes=nodes,
        limits=limits,
        bounds=Bounds(depth=0),
        rules=None,
        read_contents=True,
        credentials=credentials,
    )
    listed = [node.volume for node in nodes if node.found is not None and node.found.reader != "raw"]
    try:
        for volume in listed:
            run_task(context, ListVolume(volume=volume))
        for batch in cut_batches(context.work, read_contents=True)[0]:
            run_task(context, batch)
    finally:
        close_exhibits()
    return rows_of(context.tables, "entries") if listed else []


def _named(row: dict[str, Any]) -> str:
    """The name as Python writes what is not UTF-8, which is how the truth has it; the table keeps the bytes beside the text."""
    path = row["path_bytes"].decode("utf-8", "surrogateescape") if row["path_bytes"] is not None else row["path"]
    return f"{path}:{row['stream']}" if row["stream"] else str(path)
