"""Runs the outside tools that make the images: formatting, mounting, partition tables. Needs root for mounts."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sample_images.stated import DEFAULT_TIME, StatedFile, filetime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECTOR = 512
MOUNTS = {
    "ntfs": ("ntfs-3g", "-o", "streams_interface=windows"),
    "exfat": ("mount.exfat-fuse",),
    "ext4": ("mount", "-o", "loop"),
    "xfs": ("mount", "-o", "loop"),
    "btrfs": ("mount", "-o", "loop,compress=zstd"),
}


def run(*command: str | Path, stdin: bytes = b"", ok: Sequence[int] = (0,)) -> bytes:
    """Standard output of the command, run in English and UTC with a fixed clock where the tool takes one.

    Raises:
        SystemExit: the command ended with a code that is not in `ok`; its standard error is in the message.
    """
    epoch = str(int(DEFAULT_TIME.timestamp()))
    environment = os.environ | {"LC_ALL": "C.UTF-8", "TZ": "UTC", "SOURCE_DATE_EPOCH": epoch, "E2FSPROGS_FAKE_TIME": epoch}
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, check=False, env=environment)
    if done.returncode not in ok:
        message = f"{' '.join(map(str, command))}: code {done.returncode}: {done.stderr.decode(errors='replace')}"
        raise SystemExit(message)
    return done.stdout


@contextmanager
def mounted(image: Path, kind: str) -> Iterator[Path]:
    """The folder where the filesystem in `image` is mounted for writing until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        program, *options = MOUNTS[kind]
        # exfat-fuse takes block devices only.
        device = run("losetup", "-f", "--show", image).decode().strip() if kind == "exfat" else ""
        try:
            run(program, *options, device or image, folder)
            yield Path(folder)
        finally:
            run("umount", folder, ok=(0, 32))
            if device:
                run("losetup", "-d", device)


def blank(path: Path, size: int) -> Path:
    """The path, now a file of `size` zero bytes."""
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path


def write_all(root: Path, files: Sequence[StatedFile], *, kind: str) -> None:
    """Writes the files under `root` in order, then sets the times of files and folders."""
    for one in files:
        target = os.path.join(os.fsencode(root), one.path)  # noqa: PTH118 - pathlib refuses names that are bytes
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        _write(target, one.content)
        for name, content in one.streams.items():
            _write(target + b":" + name.encode(), content)
    set_times(root, files, kind=kind)


def set_times(root: Path, files: Sequence[StatedFile], *, kind: str) -> None:
    """Sets the stated times of the files, and the default time for every folder."""
    for folder, _, _ in os.walk(os.fsencode(root), topdown=False):
        _set_times(folder, StatedFile(path=b"", content=b""), kind=kind)
    for one in files:
        _set_times(os.path.join(os.fsencode(root), one.path), one, kind=kind)  # noqa: PTH118


def _set_times(target: bytes, one: StatedFile, *, kind: str) -> None:
    seconds = one.modified.timestamp()
    os.utime(target, (seconds, seconds), follow_symlinks=False)
    if kind == "ntfs":
        # ntfs-3g: creation, modification, access and change time, as FILETIME.
        created = filetime(one.created or one.modified)
        os.setxattr(target, "system.ntfs_times", struct.pack("<4Q", created, *(filetime(one.modified),) * 3))


def _write(target: bytes, content: bytes) -> None:
    with open(target, "wb") as file:  # noqa: PTH123 - names may be no text
        file.write(content)


def join_partitions(disk: Path, size: int, script: str, partitions: Sequence[tuple[int, Path]]) -> None:
    """Makes `disk` of `size` bytes with the partition table that the sfdisk script states, and copies the partitions in.

    Args:
        disk: the image to make.
        size: its size in bytes.
        script: input of sfdisk(8).
        partitions: first sector and content of each.
    """
    blank(disk, size)
    run("sfdisk", "-q", disk, stdin=script.encode())
    with disk.open("r+b") as out:
        for sector, part in partitions:
            out.seek(sector * SECTOR)
            out.write(part.read_bytes())


def pack(image: Path, target: Path) -> None:
    """Compresses the image with xz, the same bytes for the same image."""
    target.write_bytes(run("xz", "-9e", "--check=crc64", "-T1", "-c", image))
