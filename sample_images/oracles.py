"""What independent tools say about an image, as rows for the expected files. Nothing of Evidex is imported here.

The tools: mmls, mmstat, fsstat, fls, istat and icat of The Sleuth Kit, ewfinfo, ewfverify and ewfexport of libewf, and the
checksums of Python's hashlib (OpenSSL). Two things no tool prints as they are: fls shows control characters in a name as "^",
so odd names come from what was stated; and TSK shows NTFS times before 1970, and those that are not set, as later ones, so those
are stated too.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sample_images.commands import SECTOR, run
from sample_images.istat import istat_columns, time_text
from sample_images.unowned import unowned_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Row = dict[str, Any]

_FLS_LINE = re.compile(
    rb"(?P<name_type>.)/(?P<type>.) (?P<deleted>\* )?(?P<address>\d+)(?:-(?P<attribute>\d+)-(?P<id>\d+))?(?P<realloc>\(realloc\))?:"
    rb"\t(?P<path>.*)\t(?P<modified>[^\t]*)\t(?P<accessed>[^\t]*)\t(?P<metadata_changed>[^\t]*)\t(?P<created>[^\t]*)"
    rb"\t(?P<size>\d+)\t(?P<group>\d+)\t(?P<owner>\d+)"
)
_KINDS = {"r": "file", "d": "directory", "l": "link", "p": "fifo", "s": "socket", "c": "character device", "b": "block device"}
_BAD_CLUSTERS = (8, "$Bad")  # a map of bad clusters as large as the volume, all holes: not content
_OF_CONTENT = ("size", "sha256", "icat")
_TIMES = ("created", "modified", "accessed", "metadata_changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume as mmls lists it: bytes `media[start_byte : start_byte + size_bytes]`."""

    name: str
    slot: str
    start_byte: int
    size_bytes: int
    type: str
    filesystem: str


def sleuthkit_version() -> str:
    """The version that `fls -V` prints, e.g. "TSK 4.11.1"."""
    return "TSK " + run("fls", "-V").decode().strip().rpartition(" ")[2]


def ewf_version() -> str:
    """The first line that `ewfverify -V` prints."""
    return run("ewfverify", "-V").decode().splitlines()[0].strip()


def volumes(image: Path) -> tuple[str, list[Volume]]:
    """The partition scheme as mmstat names it ("none" where it finds none) and the allocated partitions as mmls lists them."""
    scheme = run("mmstat", image, ok=(0, 1)).decode().strip()
    if not scheme:
        return "none", [Volume(name="v01", slot="", start_byte=0, size_bytes=_media_size(image), type="", filesystem=_filesystem(image, 0))]
    lines = (re.fullmatch(r"\d+:  (\S+) +(\d+) +(\d+) +(\d+) +(.*)", line) for line in run("mmls", image).decode().splitlines())
    parts = [line.groups() for line in lines if line and line[1] not in ("Meta", "-------")]
    return scheme, [
        Volume(
            name=f"v{number:02d}",
            slot=slot,
            start_byte=int(start) * SECTOR,
            size_bytes=int(length) * SECTOR,
            type=kind.strip(),
            filesystem=_filesystem(image, int(start)),
        )
        for number, (slot, start, _, length, kind) in enumerate(parts, start=1)
    ]


def volume_rows(image: Path) -> list[Row]:
    """Rows for the table volumes: partitions from mmls, and between them the gaps, which are the rest of the media."""
    scheme, found = volumes(image)
    rows: list[Row] = []
    position = gaps = 0
    for one in [*found, None]:
        start = one.start_byte if one else _media_size(image)
        if start > position:
            gaps += 1
            size = start - position
            rows.append({"volume": f"g{gaps:02d}", "kind": "gap", "start_byte": position, "size_bytes": size, "filesystem": None})
        if one:
            known: Row = {"scheme": scheme, "slot": one.slot, "filesystem": one.filesystem, "status": "read"}
            known["block_size"] = _block_size(image, one)
            typed = {"type": one.type} if one.type else {}
            rows.append({"volume": one.name, "kind": "volume", "start_byte": start, "size_bytes": one.size_bytes, **known, **typed})
            position = start + one.size_bytes
    return rows


def space_rows(image: Path) -> list[Row]:
    """Rows for the table entries of what no file has: `blkls` for the volumes, `img_cat` for the gaps between them."""
    rows: list[Row] = []
    for one in volume_rows(image):
        first, end = one["start_byte"] // SECTOR, (one["start_byte"] + one["size_bytes"]) // SECTOR
        if one["kind"] == "gap":
            content = run("img_cat", *(("-s", str(first)) if first else ()), "-e", str(end - 1), image)
        elif one["filesystem"] == "iso9660":  # which has no map of what is free
            continue
        else:
            content = run("blkls", "-A", "-o", str(first), image)
        if content:
            rows.append({"volume": one["volume"], "recovery": "unallocated", **_size_and_digest(content)})
        clusters = re.search(rb"Total Cluster Range: 0 - (\d+)", run("fsstat", "-o", str(first), image)) if one["filesystem"] == "ntfs" else None
        if clusters and (behind := first + (int(clusters[1]) + 1) * one["block_size"] // SECTOR) < end:
            # Behind the last cluster of NTFS lies the copy of its boot sector.
            rest = run("img_cat", "-s", str(behind), "-e", str(end - 1), image)
            rows.append({"volume": one["volume"], "recovery": "slack", **_size_and_digest(rest)})
    return rows


def unowned_rows_of(image: Path) -> list[Row]:
    """Rows for the table entries of what is in use and no file has, in every volume."""
    return [
        row
        for one in volumes(image)[1]
        for row in unowned_rows(image, volume=one.name, filesystem=one.filesystem, start_byte=one.start_byte, size_bytes=one.size_bytes)
    ]


def _size_and_digest(content: bytes) -> Row:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def entry_rows(image: Path, stated: Mapping[bytes, Row]) -> list[Row]:
    """Rows for the table entries: `fls -r -p -l`, `istat` for the state of the metadata, `icat` for the content.

    Args:
        image: the image.
        stated: by path as bytes, what is taken from the statement instead of from a tool; the key "path_hex" makes it an odd name.
    """
    return [row for volume in volumes(image)[1] for row in _entries_of(image, volume, stated)]


def source_row(image: Path, segments: list[Path]) -> Row:
    """The row for the table sources: sizes, and the digests of the media, which for an E01 ewfexport writes out and ewfverify checks."""
    names = {"segments": [s.name for s in segments], "segment_sizes": [s.stat().st_size for s in segments]}
    if not image.name.endswith(".E01"):
        return names | {"media_size": image.stat().st_size, "digest_match": "not stated"} | _digests(image.read_bytes())
    if b"ewfverify: SUCCESS" not in run("ewfverify", "-q", image):
        message = f"ewfverify does not verify {image}"
        raise SystemExit(message)
    with tempfile.TemporaryDirectory() as folder:  # to a file: on standard output its banner comes first
        run("ewfexport", "-q", "-u", "-f", "raw", "-t", f"{folder}/media", image)
        media = Path(folder, "media.raw").read_bytes()
    told = run("ewfinfo", image).decode()
    found = {f"stated_{name.lower()}": value for name, value in re.findall(r"^\t(MD5|SHA1):\t+(\w+)$", told, re.MULTILINE)}
    return names | {"media_size": len(media), "digest_match": "match"} | _digests(media) | found


def hit_rows(image: Path, entries: list[Row], rules: Path) -> list[Row]:
    """Which rule matches which stream, as the yara program says of what icat writes."""
    starts = {volume.name: str(volume.start_byte // SECTOR) for volume in volumes(image)[1]}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        content = Path(folder, "content")
        for entry in entries:
            if not entry.get("sha256") or not entry["size"]:
                continue
            content.write_bytes(run("icat", "-o", starts[entry["volume"]], image, entry["icat"]))
            matches = _matches(sorted(rules.rglob("*.yar")), content, entry["path"])
            place = {name: entry[name] for name in ("volume", "metadata_address", "path", "stream")}
            rows += [place | {"rule": rule} for rule in sorted(matches)]
    return rows


def yara_version() -> str:
    """What `yara -v` prints."""
    return f"yara {run('yara', '-v').decode().strip()}"


def _matches(rules: list[Path], content: Path, path: str) -> set[str]:
    name = path.rpartition("/")[2]
    extension = name.rpartition(".")[2] if "." in name else ""
    known = {"filename": name, "filepath": path, "extension": extension, "filetype": "", "owner": ""}
    externals = [part for key, value in known.items() for part in ("-d", f"{key}={value}")]
    return {line.split(" ")[0] for line in run("yara", "-w", *externals, *rules, content).decode().splitlines()}


def _digests(media: bytes) -> Row:
    return {name: hashlib.new(name, media).hexdigest() for name in ("md5", "sha1", "sha256")}


def _entries_of(image: Path, volume: Volume, stated: Mapping[bytes, Row]) -> Iterator[Row]:
    start = str(volume.start_byte // SECTOR)
    found_streams: dict[tuple[int, str], dict[str, Row]] = {}
    for line in run("fls", "-r", "-p", "-l", "-z", "UTC", "-o", start, image).splitlines():
        found = _FLS_LINE.fullmatch(line)
        if found is None:
            message = f"fls prints a line that is not understood: {line!r}"
            raise SystemExit(message)
        row = _entry(image, volume, found.groupdict(), stated)
        found_streams.setdefault((row["metadata_address"], row["path"]), {})[row["stream"]] = row
    for streams in found_streams.values():
        if "" not in streams:
            # fls names no default data where there is none; the table has a row for it, so that no entry is without one.
            yield {name: value for name, value in next(iter(streams.values())).items() if name not in _OF_CONTENT} | {"stream": ""}
        yield from streams.values()


def _entry(image: Path, volume: Volume, told: dict[str, bytes | None], stated: Mapping[bytes, Row]) -> Row:
    """One row from one line of fls; what is unknown has no key, so that it is not compared."""
    text = {name: (value or b"").decode("utf-8", "backslashreplace") for name, value in told.items()}
    raw = told["path"] or b""
    address = int(text["address"])
    kind = _KINDS.get(text["type"], "virtual")
    has_content = kind in ("file", "link", "virtual") and text["type"] != "V"
    path, stream = text["path"], ""
    if text["attribute"] and kind != "directory":
        path, _, stream = path.partition(":")
    orphan = path.startswith("$OrphanFiles/")
    recovery = "orphan" if orphan else "deleted name" if text["realloc"] else "deleted metadata" if text["deleted"] else "allocated"
    row: Row = {"volume": volume.name, "metadata_address": address, "stream": stream, "path": path, "kind": kind, "recovery": recovery}
    row |= {name: time_text(text[name]) for name in _TIMES}
    row["name_allocated"] = None if orphan else not text["deleted"]
    if text["type"] != "V":  # TSK makes these folders up; istat knows nothing of them
        told_more = run("istat", "-z", "UTC", "-o", str(volume.start_byte // SECTOR), image, text["address"]).decode(errors="replace")
        row |= istat_columns(told_more, filesystem=volume.filesystem, name=path.rpartition("/")[2])
    if has_content:
        row["size"] = int(text["size"])
        if recovery != "deleted name" and (address, stream) != _BAD_CLUSTERS:
            inode = "-".join(filter(None, (text["address"], text["attribute"], text["id"])))
            row["sha256"] = _content_digest(image, volume, inode)
            row["icat"] = inode
    for name, value in stated.items():
        if re.sub(rb"[\x00-\x1f\x7f]", b"^", name) == raw:
            row |= value
    return row


def _content_digest(image: Path, volume: Volume, inode: str) -> str | None:
    """SHA-256 of what icat writes; None where icat fails, as it does on the FAT of an exFAT volume."""
    try:
        return hashlib.sha256(run("icat", "-o", str(volume.start_byte // SECTOR), image, inode)).hexdigest()
    except SystemExit:
        return None


def _block_size(image: Path, volume: Volume) -> int | None:
    told = run("fsstat", "-o", str(volume.start_byte // SECTOR), image)
    found = re.search(rb"(?:Cluster|Block) Size: (\d+)", told)
    return int(found[1]) if found else None


def _media_size(image: Path) -> int:
    found = re.search(rb"Size in bytes: (\d+)|^Size of data in bytes:\s+(\d+)", run("img_stat", image), re.MULTILINE)
    if found is None:
        message = f"img_stat gives no size of {image}"
        raise SystemExit(message)
    return int(found[1] or found[2])


def _filesystem(image: Path, sector: int) -> str:
    return run("fsstat", "-t", "-o", str(sector), image).decode().strip()
