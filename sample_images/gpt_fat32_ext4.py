"""FAT32 and ext4 in a GPT: long names, links, deleted entries, and on ext4 names that try to act on whoever reads them."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from sample_images.commands import blank, join_partitions, mounted, pack, run, set_times, write_all
from sample_images.stated import DEFAULT_TIME, StatedFile, letter, noise, stated

if TYPE_CHECKING:
    from pathlib import Path

NAME = "gpt-fat32-ext4"
_FAT_START, _FAT_SIZE = 128, 34 << 20
_EXT_START, _EXT_SIZE = _FAT_START + (34 << 11) + 64, 8 << 20
_DISK = (_EXT_START + 64) * 512 + _EXT_SIZE

FAT_FILES: tuple[StatedFile, ...] = (
    stated("README.TXT", "A FAT32 volume for Evidex.\r\n"),
    stated("lower.txt", "a short name in lower case\r\n", at="2024-03-01 10:00:02"),
    stated("A name that is far longer than eight and three.text", letter("long name", 5_000), at="2024-03-01 10:00:04"),
    stated("FOLDER/Sub Folder/Grüße.txt", "Umlaute on FAT\r\n"),
    stated("FOLDER/noise.bin", noise("fat", 12_345)),
)
FAT_DELETED: tuple[StatedFile, ...] = (
    stated("gone.txt", letter("fat gone", 4_000)),
    stated("FOLDER/Gone with a long name.txt", letter("fat gone, long name", 2_500)),
)
# Each name as the filesystem stores it, and as it may be shown: acting characters and bytes that are not UTF-8 escaped.
HOSTILE_NAMES: tuple[tuple[bytes, str], ...] = (
    (b"two\nlines.txt", r"two\x0alines.txt"),  # splits a log line or a CSV row
    (b"escape\x1b[2J\x1b[31m.txt", r"escape\x1b[2J\x1b[31m.txt"),  # clears and colours a terminal
    (b"invoice\xe2\x80\xaefdp.exe", r"invoice\u202efdp.exe"),  # a bidirectional override makes .exe look like .pdf
    (b"latin1-\xe9\xff.txt", r"latin1-\xe9\xff.txt"),  # not UTF-8
    (b"<script>alert(1)<_script>.html", "<script>alert(1)<_script>.html"),
    (b"=cmd('calc')!A0", "=cmd('calc')!A0"),  # a formula in a spreadsheet
    (b"..%2f..%2fetc%2fpasswd", "..%2f..%2fetc%2fpasswd"),  # a path traversal for whoever decodes it
    (b"-rf", "-rf"),
    (b"tab\there.txt", r"tab\x09here.txt"),  # splits a TSV row
    (b" leading and trailing ", " leading and trailing "),
    (b"c1-\xc2\x9b31m.txt", r"c1-\x9b31m.txt"),  # CSI as one C1 control character
    (b"\\x41 literal.txt", r"\x41 literal.txt"),  # looks like an escape and is none
)
EXT_FILES: tuple[StatedFile, ...] = (
    stated("etc/notes.txt", letter("ext notes", 6_000), at="2024-03-02 11:12:13"),
    stated("home/alice/photo.bin", noise("ext photo", 30_000)),
    stated("home/alice/empty", ""),
    *(stated(b"hostile/" + name, b"content of a file whose name is " + repr(name).encode()) for name, _ in HOSTILE_NAMES),
)
EXT_DELETED = (stated("home/alice/removed.txt", letter("ext removed", 8_000)),)
LINKS: tuple[tuple[str, str], ...] = (
    ("home/alice/short link", "photo.bin"),
    ("home/alice/long link", "../../" + "a-long-way/" * 8 + "target"),  # over 59 bytes: stored in a block, not in the inode
    ("home/alice/dangling", "/nowhere/at/all"),
)
# The content of a link is its target; icat gives zeros for one that is kept in the inode.
STATED_ROWS = {
    name.encode(): {"link_target": target, "sha256": hashlib.sha256(target.encode()).hexdigest()} for name, target in LINKS
} | {
    b"hostile/" + raw: {"path": f"hostile/{shown}", "path_bytes": {"hex": (b"hostile/" + raw).hex()} if raw != shown.encode() else None}
    for raw, shown in HOSTILE_NAMES
}


def build(folder: Path, work: Path) -> None:
    """Makes the sample's image in `folder`."""
    fat, ext = _build_fat(work), _build_ext(work)
    script = (
        "label: gpt\nlabel-id: 0E71DE00-0000-4000-8000-000000000001\nfirst-lba: 34\n"
        f"start={_FAT_START}, size={_FAT_SIZE // 512}, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, "
        'uuid=0E71DE00-0000-4000-8000-000000000002, name="fat volume"\n'
        f"start={_EXT_START}, size={_EXT_SIZE // 512}, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, "
        'uuid=0E71DE00-0000-4000-8000-000000000003, name="ext volume"\n'
    )
    disk = work / f"{NAME}.dd"
    join_partitions(disk, _DISK, script, [(_FAT_START, fat), (_EXT_START, ext)])
    pack(disk, folder / f"{disk.name}.xz")


def _build_fat(work: Path) -> Path:
    """A FAT32 volume filled by mtools, which need no mount."""
    part = blank(work / "fat.dd", _FAT_SIZE)
    run("mkfs.vfat", "-F", "32", "-s", "1", "-i", "E71DE001", "-n", "EVIDEX", part)
    source = work / "fat-source"
    write_all(source, (*FAT_FILES, *FAT_DELETED), kind="fat")
    for top in sorted(source.iterdir()):
        run("mcopy", "-s", "-m", "-i", part, top, "::/")
    for gone in FAT_DELETED:
        run("mdel", "-i", part, f"::/{gone.path.decode()}")
    return part


def _build_ext(work: Path) -> Path:
    part = blank(work / "ext.dd", _EXT_SIZE)
    features = ("-t", "ext4", "-b", "1024", "-N", "128", "-J", "size=1", "-m", "0", "-L", "evidex")
    seed = "0e71de00-0000-4000-8000-000000000005"
    run("mke2fs", "-q", *features, "-U", "0e71de00-0000-4000-8000-000000000004", "-E", f"hash_seed={seed},lazy_itable_init=0", part)
    with mounted(part, "ext4") as root:
        write_all(root, (*EXT_FILES, *EXT_DELETED), kind="ext4")
        for name, target in LINKS:
            (root / name).symlink_to(target)
        os.link(root / "etc/notes.txt", root / "etc/second name.txt")
        os.mkfifo(root / "etc/pipe")
        with (root / "sparse.bin").open("wb") as file:
            file.truncate(100_000)
            file.seek(50_000)
            file.write(b"an island in a hole")
        set_times(root, EXT_FILES, kind="ext4")
        seconds = DEFAULT_TIME.timestamp()
        for name, _ in LINKS:
            os.utime(root / name, (seconds, seconds), follow_symlinks=False)
    with mounted(part, "ext4") as root:
        for gone in EXT_DELETED:
            (root / os.fsdecode(gone.path)).unlink()
    return part
