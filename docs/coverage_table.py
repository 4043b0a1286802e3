"""Writes docs/coverage.md: every public reference image, opened by which reader, held against what independent tools say of it.

    make coverage CORPUS=…, or: python docs/coverage_table.py CORPUS docs/coverage.md [IMAGE…]

CORPUS is the folder of reference images (its README says what they are and whose the truth is). Each image is unpacked, processed as an
examiner would process it, and compared; nothing of it is kept.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import lzma
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rules
from forensics.credentials import passphrase_credential
from pipelines.exhibits import exhibits_of
from pipelines.progress import Silent
from pipelines.run import ERRORS, ProcessRequest, Signer, process
from pipelines.tables import read_table

_OPENERS = {"gz": gzip.open, "xz": lzma.open, "none": open}
_ROOT = Path(__file__).resolve().parent
# Names that TSK makes up, and streams of which the truth is not kept, as the corpus's own check leaves them out.
_VIRTUAL = re.compile(r"^\$(MBR|FAT\d|OrphanFiles|BadClus:|Extend/.*:\$)|.*\(Volume Label Entry\)$")
# fls lists a named stream of a folder twice, as folder:stream and as folder/.:stream; it is one stream and one row.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TWICE = re.compile(r"(.*/)?\.:.*")

_VOLUME_COLUMNS = ["volume", "kind", "filesystem", "unlocked_with", "encrypted", "status", "reader"]


@dataclass(frozen=True, slots=True)
class Row:
    """One image: what it is, what read it, and how that compares."""

    image: str
    container: str
    readers: str
    entries: str
    names: str
    allocated: str
    deleted: str
    problems: str


def main() -> None:
    """Processes the images and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("images", nargs="*")
    asked = parser.parse_args()
    manifest = json.loads((asked.corpus / "open" / "MANIFEST.json").read_text(encoding="utf-8"))
    rows = []
    for image in manifest["images"]:
        if asked.images and image["id"] not in asked.images:
            continue
        with tempfile.TemporaryDirectory(prefix="evidex-coverage-") as folder:
            rows.append(_row(asked.corpus / "open", image, Path(folder)))
        sys.stderr.write(f"{rows[-1]}\n")
    asked.target.write_text(_page(rows), encoding="utf-8")


def _row(corpus: Path, image: dict[str, Any], work: Path) -> Row:
    files = [_unpacked(corpus / file["stored"], work / "image" / file["name"], file["packing"]) for file in image["files"]]
    is_array = image["format"] == "raw-multi"
    paths = exhibits_of(tuple(files) if is_array else tuple(files[:1])).images[0]
    credentials = (passphrase_credential(image["password"]),) if image.get("password") else ()
    request = ProcessRequest(
        images=paths,
        case=work / "case",
        exhibit="X",
        examiner="coverage table",
        rules=(Path(str(rules.__file__)).parent,),
        signer=Signer(state=work / "state"),
        workers=0,
        credentials=credentials,
    )
    try:
        result = process(request, Silent())
    except ERRORS as error:
        why = " ".join(str(error).replace(str(work), "").split())
        return Row(image["id"], image["format"], "not opened", "", "", "", "", f"error: {why}")
    tables = result.case / "runs" / result.run / "tables"
    volumes = read_table(tables, "volumes", _VOLUME_COLUMNS).to_pylist()
    entries = read_table(tables, "entries", ["path", "path_bytes", "stream", "sha256", "recovery"]).to_pylist()
    problems = collections.Counter(read_table(tables, "problems", ["code"])["code"].to_pylist())
    container = read_table(tables, "sources", ["container"])["container"].to_pylist()[0]
    names, allocated, deleted = _compared(corpus / "truth" / f"{image['id']}.jsonl", entries)
    counts = collections.Counter(entry["recovery"] for entry in entries)
    return Row(
        image["id"],
        container,
        ", ".join(_reader(volume) for volume in volumes if volume["kind"] != "gap"),
        ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())),
        names,
        allocated,
        deleted,
        ", ".join(f"{code} ({number})" if number > 1 else code for code, number in sorted(problems.items())) or "none",
    )


def _reader(volume: dict[str, Any]) -> str:
    name = volume["filesystem"] or "unknown"
    unlocked = f", unlocked with {volume['unlocked_with']}" if volume["unlocked_with"] else ""
    state = "locked" if volume["encrypted"] and volume["status"] != "raw" else volume["status"]
    return f"{volume['volume']} {name} by {volume['reader']}{unlocked}" if state == "read" else f"{volume['volume']} {name}: {state}"


def _compared(truth: Path, entries: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Of the truth: names that are listed, and contents of allocated and of deleted files that are there with the right SHA-256."""
    if not truth.is_file():
        return "no truth", "no truth", "no truth"
    rows = [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if not _VIRTUAL.match(row["path"]) and not _TWICE.fullmatch(row["path"])]
    listed = collections.Counter(map(_named, entries))
    names = collections.Counter(_plain(row["path"]) for row in rows)
    have = collections.Counter(entry["sha256"] for entry in entries if entry["sha256"])
    wanted: dict[bool, collections.Counter[str]] = {True: collections.Counter(), False: collections.Counter()}
    for row in rows:
        has_content = row.get("sha256") and row.get("size") and row.get("meta_type", "r") == "r" and not row.get("read_error")
        if has_content and (row.get("allocated") or not row.get("realloc")):
            wanted[bool(row.get("allocated"))][row["sha256"]] += 1
    return _share(names, listed), _share(wanted[True], have), _share(wanted[False], have)


def _named(entry: dict[str, Any]) -> str:
    path = entry["path_bytes"].decode("utf-8", "surrogateescape") if entry["path_bytes"] is not None else entry["path"]
    return _plain(f"{path}:{entry['stream']}" if entry["stream"] else path)


def _plain(path: str) -> str:
    """The path as fls prints it: a control character as ^."""
    return _CONTROL.sub("^", path.replace("\\", "/").strip("/"))


def _share(wanted: collections.Counter[str], have: collections.Counter[str]) -> str:
    total = wanted.total()
    there = sum(min(number, have[digest]) for digest, number in wanted.items())
    return f"{there}/{total}" + (f" ({100 * there / total:.0f} %)" if total else "")


def _unpacked(stored: Path, target: Path, packing: str) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with _OPENERS[packing](stored, "rb") as source, target.open("wb") as file:
        while block := source.read(1 << 16):
            if any(block):
                file.write(block)
            else:
                file.seek(len(block), os.SEEK_CUR)
        file.truncate()
    shutil.copystat(stored, target)
    return target


def _page(rows: list[Row]) -> str:
    head = (_ROOT / "coverage_head.md").read_text(encoding="utf-8")
    lines = [
        "| image | container | volumes: reader | entries | names listed | allocated contents equal | deleted contents equal | problems |"
    ]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        cells = (row.image, row.container, row.readers, row.entries, row.names, row.allocated, row.deleted, row.problems)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
