"""What independent tools say of the bytes of a volume that no file has and that are not free. Nothing of Evidex is imported here.

blkls says which blocks are allocated, istat which of them the files have that fls lists. Where no tool of The Sleuth Kit reads the
filesystem, the blocks of the files are where their content stands in the image.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from sample_images.commands import SECTOR, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Row = dict[str, Any]

_PLACES = re.compile(rb"^(?:(?:Direct |Indirect )?Blocks|Sectors|Data Fork Blocks|Resource Fork Blocks):\n((?:[\d \n]|0x)+)", re.MULTILINE)


def unowned_rows(image: Path, *, volume: str, filesystem: str, start_byte: int, size_bytes: int) -> list[Row]:
    """Rows for the table entries, one a run; none for NTFS, where every block in use is a file's, and where the tools cannot say."""
    if filesystem == "ntfs":
        return []
    start = str(start_byte // SECTOR)
    told = run("fsstat", "-o", start, image)
    block = int(next(filter(None, re.search(rb"Sector Size: (\d+)|Block Size: (\d+)", told).groups())))  # type: ignore[union-attr]
    cluster = int((re.search(rb"Cluster Size: (\d+)", told) or [0, block])[1])
    found = re.search(rb"Cluster (?:Area|Heap): (\d+)", told)
    first = int(found[1]) * block if found else 0
    units = _units(first, cluster, block, size_bytes)
    if filesystem == "iso9660":  # which has no map of what is free
        used = set(range(size_bytes // block))
    else:
        states = re.findall(rb"^(\d+)\|([af])$", run("blkls", "-e", "-l", "-o", start, image), re.MULTILINE)
        # Before the first block, ext leaves room for a boot loader.
        used = set(range(int(states[0][0]))) | {int(number) for number, state in states if state == b"a"}
    # Of ext, istat prints a hole as block 0.
    owned = {units(number) for number in _owned_blocks(image, start) if number or not filesystem.startswith("ext")}
    left = sorted({unit for number in used if (unit := units(number)) not in owned})
    media = run("img_cat", image)
    return _rows(volume, media[start_byte : start_byte + size_bytes], _joined(left))


def rows_around(media: bytes, contents: Sequence[bytes], block: int) -> list[Row]:
    """The same for a volume that is all of an image, with files whose contents begin at blocks and are padded with zeros."""
    taken: set[int] = set()
    for content in filter(None, contents):
        padded = content + bytes(-len(content) % block)
        places = [place for place in range(0, len(media), block) if media[place : place + len(padded)] == padded]
        if len(places) != 1:
            message = f"a content of {len(content)} bytes stands at {len(places)} places"
            raise SystemExit(message)
        taken |= set(range(places[0], places[0] + len(padded), block))
    return _rows("v01", media, _joined([(place, min(block, len(media) - place)) for place in range(0, len(media), block) if place not in taken]))


def _units(first: int, cluster: int, block: int, size: int) -> Any:
    """By the number of a block: the run of bytes that is allocated with it."""

    def unit(number: int) -> tuple[int, int]:
        place = number * block
        if place < first:
            return place, block
        place -= (place - first) % cluster
        return place, min(cluster, size - place)

    return unit


def _owned_blocks(image: Path, start: str) -> Iterator[int]:
    """The blocks of the root directory and of what fls lists as allocated."""
    root = re.search(rb"^(?:\* )?Root Directory: (\d+)$", run("fsstat", "-o", start, image), re.MULTILINE)
    addresses = {root[1].decode() if root else "0"}
    for line in run("fls", "-r", "-p", "-o", start, image).splitlines():
        kind, rest = line.split(b" ", 1)
        if not rest.startswith(b"*") and kind[2:] != b"V" and b"$OrphanFiles" not in rest:
            addresses.add(rest.split(b":")[0].split(b"-")[0].split(b"(")[0].decode())
    for address in addresses:
        for places in _PLACES.findall(run("istat", "-o", start, image, address)):
            yield from (int(number) for number in places.split())


def _joined(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, size in runs:
        if joined and sum(joined[-1]) == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + size)
        else:
            joined.append((start, size))
    return joined


def _rows(volume: str, media: bytes, runs: Iterable[tuple[int, int]]) -> list[Row]:
    return [
        {
            "volume": volume,
            "recovery": "in no file",
            "start_byte": start,
            "size": size,
            "sha256": hashlib.sha256(media[start : start + size]).hexdigest(),
        }
        for start, size in runs
    ]
