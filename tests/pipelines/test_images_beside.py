"""Images inside an exhibit that need files beside them: snapshots, extents, segments. qemu-img and ewfacquire's forms make them.

Expected are the digests that icat gave of the disk that was put into them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from running import SAMPLES, rows_of, run, tables_of, unpack
from test_extract import extracted

from forensics.errors import UnsupportedImageError
from forensics.image import open_image

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not (shutil.which("qemu-img") and shutil.which("mke2fs")) and not os.environ.get("CI"), reason="qemu-img and mke2fs are not installed"
)
_GIB = 1 << 30
_SECTOR = 512


def truth() -> dict[str, str]:
    """By path inside its volume, the digest of each allocated file of the disk."""
    rows = map(json.loads, (SAMPLES / "ntfs-mbr" / "expected" / "entries.jsonl").read_text().splitlines()[1:])
    return {
        row["path"]: row["sha256"]
        for row in rows
        if row["recovery"] == "allocated" and row["kind"] == "file" and not row["stream"] and row.get("sha256")
    }


def qemu_img(*arguments: str | Path, cwd: Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], cwd=cwd, check=True, capture_output=True)


def in_ext4(folder: Path, image: Path) -> Path:
    """An ext4 filesystem of the folder's files."""
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(folder), str(image)], check=True, capture_output=True)
    return image


def large_disk(folder: Path) -> Path:
    """The sample's disk, and a second partition with the same filesystem behind its first 4 GiB; 5 GiB, nearly all a hole."""
    disk = unpack("ntfs-mbr", folder / "large.dd")
    data = bytearray(disk.read_bytes())
    entry = data[446:462]
    start, count = (int.from_bytes(entry[at : at + 4], "little") * _SECTOR for at in (8, 12))
    volume = bytes(data[start : start + count])
    second = bytearray(entry)
    second[8:12] = (4 * _GIB // _SECTOR).to_bytes(4, "little")
    data[462:478] = second
    with disk.open("wb") as file:
        file.write(data)
        file.seek(4 * _GIB)
        file.write(volume)
        file.truncate(5 * _GIB)
    return disk


def processed(exhibit: Path, case: Path) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    tables = tables_of(run(exhibit, case, rules=()))
    entries = {row["path"]: row for row in rows_of(tables, "entries") if not row["stream"]}
    return entries, rows_of(tables, "problems")


def found(entries: dict[str, dict[str, Any]], image: str, volume: str) -> dict[str, str]:
    """The digests of the files of `truth`, by their paths, of a volume of an image inside."""
    prefix = f"{image}//{volume}/"
    return {path: entries[prefix + path]["sha256"] for path in truth() if prefix + path in entries}


def test_a_snapshot_is_read_over_the_base_that_lies_beside_it_and_its_files_come_out_again(tmp_path: Path) -> None:
    files = tmp_path / "files" / "machine"
    files.mkdir(parents=True)
    disk = unpack("ntfs-mbr", tmp_path / "disk.dd")
    data = disk.read_bytes()
    half = tmp_path / "half.dd"
    half.write_bytes(data[: len(data) // 2 // 65536 * 65536].ljust(len(data), b"\0"))
    qemu_img("convert", "-O", "qcow2", half, "base.qcow2", cwd=files)
    qemu_img("convert", "-O", "qcow2", "-B", "base.qcow2", "-F", "qcow2", disk, "snap.qcow2", cwd=files)
    exhibit = in_ext4(tmp_path / "files", tmp_path / "exhibit.dd")
    entries, problems = processed(exhibit, tmp_path / "case")
    assert len(truth()) > 10
    assert found(entries, "machine/snap.qcow2", "v01") == truth()
    assert not [row for row in problems if row["code"] == "container-unreadable"]
    path, wanted = next((path, digest) for path, digest in sorted(truth().items()) if entries[f"machine/snap.qcow2//v01/{path}"]["size"])
    _, lines = extracted(tmp_path / "case", f"path:machine/snap.qcow2//v01/{path}", tmp_path / "out", exhibit)
    assert [(line["written_sha256"], line["problem"]) for line in lines] == [(wanted, "")]


def test_the_extents_of_a_disk_are_joined_by_their_descriptor_and_are_no_disks_by_themselves(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    qemu_img("convert", "-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", large_disk(tmp_path), "vm.vmdk", cwd=files)
    assert {path.name for path in files.iterdir()} == {"vm.vmdk", "vm-s001.vmdk", "vm-s002.vmdk", "vm-s003.vmdk"}
    entries, problems = processed(in_ext4(files, tmp_path / "exhibit.dd"), tmp_path / "case")
    assert found(entries, "vm.vmdk", "v01") == truth()
    assert found(entries, "vm.vmdk", "v02") == truth(), "it lies in the third extent"
    assert not [path for path in entries if path.startswith("vm-s00") and "//" in path]
    assert not [row for row in problems if (row["path"] or "").startswith("vm-s00")]


def test_the_flat_extent_of_a_disk_is_read_once_and_without_its_descriptor_by_itself(tmp_path: Path) -> None:
    disk = unpack("ntfs-mbr", tmp_path / "disk.dd")
    for name in ("both", "alone"):
        (tmp_path / "files" / name).mkdir(parents=True)
        qemu_img("convert", "-O", "vmdk", "-o", "subformat=monolithicFlat", disk, "vm.vmdk", cwd=tmp_path / "files" / name)
    (tmp_path / "files" / "alone" / "vm.vmdk").unlink()
    entries, _ = processed(in_ext4(tmp_path / "files", tmp_path / "exhibit.dd"), tmp_path / "case")
    assert found(entries, "both/vm.vmdk", "v01") == truth()
    assert found(entries, "both/vm-flat.vmdk", "v01") == {}
    assert found(entries, "alone/vm-flat.vmdk", "v01") == truth()


def test_segments_are_one_image_whose_files_come_once(tmp_path: Path) -> None:
    """The E01 set of the samples, in a folder."""
    files = tmp_path / "files"
    files.mkdir()
    for path in sorted((SAMPLES / "ewf-split").glob("*.E0*")):
        shutil.copyfile(path, files / path.name)
    names = sorted(path.name for path in files.iterdir())
    assert len(names) > 1
    entries, problems = processed(in_ext4(files, tmp_path / "exhibit.dd"), tmp_path / "case")
    rows = map(json.loads, (SAMPLES / "ewf-split" / "expected" / "entries.jsonl").read_text().splitlines()[1:])
    wanted = {row["sha256"] for row in rows if row["recovery"] == "allocated" and row["kind"] == "file" and row.get("sha256")}
    assert wanted <= {row["sha256"] for path, row in entries.items() if path.startswith(f"{names[0]}//")}
    assert not [path for path in entries if path.startswith(tuple(f"{name}//" for name in names[1:]))]
    assert not [row for row in problems if row["code"] == "container-unreadable"]


def test_what_does_not_lie_beside_a_snapshot_is_said_and_nothing_else_is_opened(tmp_path: Path) -> None:
    """A base of another folder, one of this machine, and one that is a symbolic link in the evidence."""
    files = tmp_path / "files"
    (files / "elsewhere").mkdir(parents=True)
    disk = unpack("ntfs-mbr", tmp_path / "disk.dd")
    shutil.copyfile(disk, tmp_path / "outside.raw")
    qemu_img("convert", "-O", "qcow2", disk, "elsewhere/base.qcow2", cwd=files)
    (files / "linked.raw").symlink_to(tmp_path / "outside.raw")
    for name, base in (("a", "base.qcow2"), ("b", str(tmp_path / "outside.raw")), ("c", "linked.raw")):
        kind = "raw" if base.endswith("raw") else "qcow2"
        qemu_img("create", "-f", "qcow2", "-u", "-b", base, "-F", kind, f"{name}.qcow2", str(disk.stat().st_size), cwd=files)
    entries, problems = processed(in_ext4(files, tmp_path / "exhibit.dd"), tmp_path / "case")
    assert not [path for path in entries if path.startswith(("a.qcow2//", "b.qcow2//", "c.qcow2//"))]
    told = {row["path"]: row["why"] for row in problems if row["code"] == "container-unreadable"}
    assert set(told) == {"a.qcow2", "b.qcow2", "c.qcow2"}
    assert "'base.qcow2', which does not lie beside it in the evidence" in told["a.qcow2"]
    assert f"'{tmp_path / 'outside.raw'}', which does not lie beside it in the evidence" in told["b.qcow2"]
    assert "extract both into one folder" in told["c.qcow2"]


@pytest.mark.parametrize("beside", [True, False])
def test_an_extent_given_as_an_exhibit_is_refused_and_the_descriptor_named(tmp_path: Path, beside: bool) -> None:
    qemu_img("convert", "-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", large_disk(tmp_path), "vm.vmdk", cwd=tmp_path)
    if not beside:
        (tmp_path / "vm.vmdk").unlink()
    with pytest.raises(UnsupportedImageError, match="is one extent of a larger VMDK") as caught:
        open_image(tmp_path / "vm-s001.vmdk")
    assert ("the descriptor file that lists it: vm.vmdk" in str(caught.value)) is beside
