"""Exhibits of several disks: arrays that the Linux kernel wrote, put together once, every byte of every disk in the ledger."""

from __future__ import annotations

import hashlib
import json
import lzma
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from running import digests, evidex, request, rows_of, tables_of, unpack

from pipelines.progress import Silent
from pipelines.run import process

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.run import RunResult

_MADE = Path(__file__).resolve().parents[1] / "forensics" / "layers" / "md_arrays.json.xz"  # layer_members.py beside it says how


@cache
def array(name: str) -> dict[str, Any]:
    """The disks of an array, and SHA-256 and size that the kernel's block device had."""
    stored: dict[str, Any] = json.loads(lzma.decompress(_MADE.read_bytes()))[name]
    return {**stored, "disks": [disk(one) for one in stored["disks"]]}


def disk(stored: list[str | list[int]]) -> bytes:
    """A stored disk's bytes: a text is a sector in hex without the zeros at its end; a list counts sectors of one repeated number."""
    parts = []
    for item in stored:
        if isinstance(item, str):
            parts.append(bytes.fromhex(item).ljust(512, b"\0"))
        else:
            first, step, count = item
            parts.extend((first + step * index).to_bytes(8, "little") * 64 for index in range(count))
    return b"".join(parts)


def laid(folder: Path, name: str) -> tuple[Path, ...]:
    """The disks of the array as files."""
    paths = []
    for number, content in enumerate(array(name)["disks"], start=1):
        paths.append(folder / f"disk{number}.dd")
        paths[-1].write_bytes(content)
    return tuple(paths)


def run_of(images: tuple[Path, ...], case: Path, **changes: Any) -> RunResult:
    """The main job over several images."""
    return process(replace(request(images[0], case, **{"rules": (), **changes}), images=images), Silent())


def ledger(tables: Path, images: tuple[Path, ...]) -> None:
    """Passes when the sources are the images in order and the ranges of volumes and ledger are all their bytes, once each."""
    sizes = [path.stat().st_size for path in images]
    sources = rows_of(tables, "sources")
    assert [row["disk"] for row in sources] == list(range(1, len(images) + 1))
    assert [row["segments"] for row in sources] == [[path.name] for path in images]
    assert [row["media_size"] for row in sources] == sizes
    assert [row["disk_start"] for row in sources] == [sum(sizes[:number]) for number in range(len(sizes))]
    assert [row["sha256"] for row in sources] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in images]
    for table in ("volumes", "coverage"):
        position = 0
        for row in rows_of(tables, table):
            if row["start_byte"] is not None:
                assert row["start_byte"] == position
                position += row["size_bytes"]
            else:
                assert row["size_bytes"] == 0
        assert position == sum(sizes)


def assembled(tables: Path) -> dict[str, Any]:
    """The one array; beside it there are parts of disks that are in none."""
    (derived,) = (row for row in rows_of(tables, "volumes") if row["type"].endswith(" array") and not row["type"].startswith("bytes"))
    return derived


@pytest.mark.parametrize("name", ["raid0", "raid1", "raid1-090", "raid5-bitmap", "raid10-n2", "linear"])
def test_an_array_is_one_volume_with_the_bytes_that_the_kernel_showed(tmp_path: Path, name: str) -> None:
    images = laid(tmp_path, name)
    tables = tables_of(run_of(images, tmp_path / "case"))
    ledger(tables, images)
    volumes = rows_of(tables, "volumes")
    derived = assembled(tables)
    assert derived["volume_bytes"] == array(name)["size"]
    members = [row for row in volumes if row["status"] == "unfolded"]
    assert [row["disk"] for row in members] == list(range(1, len(images) + 1))
    assert derived["parents"] == [row["volume"] for row in members]
    (item,) = (row for row in rows_of(tables, "entries") if row["volume"] == derived["volume"])
    assert (item["recovery"], item["bytes_read"], item["sha256"]) == ("unallocated", array(name)["size"], array(name)["sha256"])
    (covered,) = (row for row in rows_of(tables, "coverage") if row["volume"] == derived["volume"])
    assert (covered["state"], covered["bytes_read"]) == ("processed", array(name)["size"])


def test_the_order_in_which_the_disks_are_given_changes_nothing_in_the_array(tmp_path: Path) -> None:
    images = laid(tmp_path, "raid5-bitmap")[::-1]
    tables = tables_of(run_of(images, tmp_path / "case"))
    ledger(tables, images)
    (item,) = (row for row in rows_of(tables, "entries") if row["volume"] == assembled(tables)["volume"])
    assert item["sha256"] == array("raid5-bitmap")["sha256"]


def test_a_disk_that_may_be_missing_is_said_and_the_array_is_read(tmp_path: Path) -> None:
    images = laid(tmp_path, "raid5-bitmap")[1:]
    tables = tables_of(run_of(images, tmp_path / "case"))
    ledger(tables, images)
    (item,) = (row for row in rows_of(tables, "entries") if row["volume"] == assembled(tables)["volume"])
    assert item["sha256"] == array("raid5-bitmap")["sha256"]
    assert [row for row in rows_of(tables, "problems") if "1 of 3 disks" in row["what"] + row["why"]]


def test_an_array_with_too_few_disks_is_a_problem_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Beside the lone member of a striped array, whose bytes are searched, there is a disk that has nothing to do with it."""
    member = laid(tmp_path, "raid0")[0]
    other = unpack("exfat", tmp_path / "other.dd")
    tables = tables_of(run_of((member, other), tmp_path / "case"))
    ledger(tables, (member, other))
    (problem,) = (row for row in rows_of(tables, "problems") if row["code"] == "volume-incomplete")
    assert "1 of 3 disks" in problem["why"]
    first, *_, last = rows_of(tables, "volumes")
    assert (first["status"], last["disk"]) == ("raw", 2)
    assert [row for row in rows_of(tables, "entries") if row["recovery"] == "allocated" and row["kind"] == "file"]
    covered = rows_of(tables, "coverage")[0]
    assert covered["state"] == "processed"
    assert covered["reason"]


def test_what_is_on_a_disk_beside_the_array_and_on_one_that_it_does_without_is_searched(tmp_path: Path) -> None:
    """The second disk was failed, and the array written to after that; the kernel's block device shows nothing of either text."""
    images = laid(tmp_path, "raid5-stale")
    first, second = images[0].read_bytes(), images[1].read_bytes()
    start = int.from_bytes(first[4096 + 128 : 4096 + 136], "little") * 512  # md, "superblock 1.x": data_offset at byte 128, in sectors
    assert not any(first[start - 512 : start])
    images[0].write_bytes(first[: start - 512] + b"beside the array".ljust(512, b"\0") + first[start:])
    images[1].write_bytes(second[:-512] + b"on the failed disk".ljust(512, b"\0"))
    rule = tmp_path / "r.yar"
    rule.write_text('rule found { strings: $a = "beside the array" $b = "on the failed disk" condition: any of them }', encoding="utf-8")
    tables = tables_of(run_of(images, tmp_path / "case", rules=(rule,)))
    ledger(tables, images)
    volumes = {row["volume"]: row for row in rows_of(tables, "volumes")}
    hits = {row["volume"] for row in rows_of(tables, "hits")}
    assert {volumes[name]["parents"][0] for name in hits} == {"v01", "v02"}
    (item,) = (row for row in rows_of(tables, "entries") if row["volume"] == assembled(tables)["volume"])
    assert item["sha256"] == array("raid5-stale")["sha256"]
    assert not [row for row in volumes.values() if "holds nothing" in (row["reason"] or "")]
    assert {row["state"] for row in rows_of(tables, "coverage")} == {"processed"}


def test_two_workers_give_the_same_tables(tmp_path: Path) -> None:
    images = laid(tmp_path, "raid1")
    one, two = run_of(images, tmp_path / "one"), run_of(images, tmp_path / "two", workers=2)
    assert digests(tables_of(one)) == digests(tables_of(two))


@pytest.mark.corpus
def test_the_public_mirror_of_two_disks_is_put_together_once(tmp_path: Path, corpus_image: Callable[[str], Path]) -> None:
    first = corpus_image("md-raid1-dissect")
    images = (first, first.with_name("md-raid1-2.bin"))
    arguments = ("--case", tmp_path / "case", "--exhibit", "KH-1", "--examiner", "E", "--workers", "0")
    answer = evidex("process", *images, *arguments, state=tmp_path / "state")
    assert answer.returncode in (0, 3), answer.stderr
    tables = tmp_path / "case" / "runs" / "001-KH-1" / "tables"
    ledger(tables, images)
    derived = assembled(tables)
    assert len(derived["parents"]) == 2
    # Both halves of a mirror hold its data at the same place; md, "superblock 1.x": data_offset at byte 128, in sectors.
    media = first.read_bytes()
    assert media[4096:4100] == b"\xfc\x4e\x2b\xa9"
    start = int.from_bytes(media[4096 + 128 : 4096 + 136], "little") * 512
    content = media[start : start + derived["volume_bytes"]]
    assert content == images[1].read_bytes()[start : start + derived["volume_bytes"]]
    (item,) = (row for row in rows_of(tables, "entries") if row["volume"] == derived["volume"] and row["recovery"] == "unallocated")
    assert item["sha256"] == hashlib.sha256(content).hexdigest()
