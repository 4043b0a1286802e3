"""Which reader lists a volume, what a forced one says that cannot, and volumes that are cut off or lie."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import pytest
from made_volumes import EVERYTHING, MEBIBYTE, ext, fat, needs, ntfs, patterned
from running import unpack

from forensics.disks import open_disks
from forensics.errors import FilesystemError, ImageReadError, Problem, StreamReadError
from forensics.filesystems.base import Content, Entry
from forensics.filesystems.found import FoundFilesystem
from forensics.filesystems.readers import find_filesystems, open_reader
from forensics.filesystems.tsk import TskReader
from forensics.filesystems.unallocated import VOLUME_SLACK
from forensics.image import open_image
from forensics.signatures import HEAD_BYTES
from forensics.sleuthkit import open_media
from forensics.source import SourceSlice
from forensics.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MOST_ENTRIES = 200_000


def _find(path: Path, *, forced: str = "", start: int = 0, size: int | None = None) -> tuple[tuple[FoundFilesystem, ...], str]:
    with open_image(path) as image:
        source = SourceSlice(image, start, image.size - start if size is None else size)
        return find_filesystems(
            source,
            source.read_at(0, HEAD_BYTES),
            volume="v01",
            tsk_media=lambda: (open_media(image), start),
            image=image,
            credentials=(),
            forced=forced,
        )


def test_tsk_is_chosen_for_what_it_reads(tmp_path: Path) -> None:
    for name, start, filesystem in (("ntfs-mbr", 65536, "ntfs"), ("exfat", 0, "exfat"), ("gpt-fat32-ext4", 35749888, "ext4")):
        (found,), why = _find(unpack(name, tmp_path / f"{name}.dd"), start=start)
        assert (found.reader, found.filesystem, found.reason, why) == ("tsk", filesystem, "", "")
        assert found.total_bytes is not None


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("identifier", "reader", "filesystem"),
    [
        ("xfuse-xfs-4kn", "evidex", "xfs"),
        ("hfsplus-dfvfs", "tsk", "hfs+"),
        ("dissect-ffs", "tsk", "ufs2"),
        ("dissect-squashfs-xz", "dissect", "squashfs"),
    ],
)
def test_the_reader_is_chosen_by_what_was_found(corpus_image: Callable[[str], Path], identifier: str, reader: str, filesystem: str) -> None:
    (found,), _ = _find(corpus_image(identifier))
    assert (found.reader, found.filesystem) == (reader, filesystem)


@pytest.mark.corpus
def test_a_reader_that_cannot_read_what_it_is_forced_on_says_so_in_a_problem(corpus_image: Callable[[str], Path], tmp_path: Path) -> None:
    path = corpus_image("xfuse-xfs-preallocated")
    assert _find(path, forced="tsk")[0] == ()
    assert "Cannot determine file system type" in _find(path, forced="tsk")[1]
    with open_disks([path]) as disks:
        found = survey(disks, spool=tmp_path, forced=(("v01", "tsk"), ("v77", "dissect")))
    assert [(v.volume, v.reader) for v in found.volumes] == [("v01", "raw")]
    assert {p.code for p in found.problems} == {"volume-not-read", "reader-not-used"}


def test_dissect_forced_on_what_it_does_not_know_says_so(tmp_path: Path) -> None:
    found, why = _find(unpack("exfat", tmp_path / "exfat.dd"), forced="dissect")
    assert found == ()
    assert "dissect recognises no filesystem" in why


def test_raw_space_may_be_asked_for(tmp_path: Path) -> None:
    path = unpack("exfat", tmp_path / "exfat.dd")
    assert _find(path, forced="raw") == ((), "the examiner asked for it to be read as raw space")
    with open_disks([path]) as disks:
        assert [v.reader for v in survey(disks, spool=tmp_path, forced=(("v01", "raw"),)).volumes] == ["raw"]


@needs("mkntfs")
def test_ntfs_whose_file_table_is_destroyed_is_read_as_raw_space(tmp_path: Path) -> None:
    """Only the table's own record is left; the boot sector gives its cluster (byte 48) and says 2048 bytes a cluster."""
    path = ntfs(tmp_path / "disk.dd")
    with path.open("r+b") as file:
        boot = file.read(512)
        file.seek(struct.unpack_from("<Q", boot, 48)[0] * 2048 + 1024)
        file.write(bytes(63 * 1024))
    (found,), _ = _find(path)
    assert "root directory cannot be read" in found.reason
    with open_disks([path]) as disks:
        surveyed = survey(disks, spool=tmp_path)
    assert [v.reader for v in surveyed.volumes] == ["raw"]
    assert [p.code for p in surveyed.problems] == ["volume-not-read"]


@needs("mkntfs")
def test_a_reader_knows_where_its_volume_ends(tmp_path: Path) -> None:
    """Bytes of the next volume are no volume slack of this one, and what lies behind the filesystem is."""
    volume = ntfs(tmp_path / "disk.dd")
    size = volume.stat().st_size
    with volume.open("ab") as file:
        file.write(b"a gap" * 1000 + b"the next volume" * 1000)
    with open_image(volume) as image:
        source = SourceSlice(image, 0, size + 5000)
        reader = open_reader(
            source,
            FoundFilesystem(reader="tsk", filesystem="ntfs"),
            volume="v01",
            tsk_media=lambda: (open_media(image), 0),
            image=image,
            credentials=(),
            spool=tmp_path,
        )
        (slack,) = (e for e in reader.iter_entries(EVERYTHING) if isinstance(e, Entry) and e.path.startswith(VOLUME_SLACK))
        assert slack.address is not None
        stream = reader.open_stream(slack.address)
        assert stream.read_at(0, stream.size).endswith(b"a gap" * 1000)


def _read_all(path: Path, tmp_path: Path) -> tuple[int, list[Problem], list[str]]:
    """Lists each volume that TSK reads and reads each content; gives how many entries, the problems, the errors."""
    entries, problems, errors = 0, [], []
    with open_disks([path]) as disks:
        found = survey(disks, spool=tmp_path)
        problems += list(found.problems)
        for node in found.nodes:
            if node.found is None or node.found.reader != "tsk":
                continue
            source = SourceSlice(disks.images[0], node.start_byte, node.size_bytes)
            media = open_media(disks.images[0])
            try:
                reader = open_reader(
                    source,
                    node.found,
                    volume=node.volume,
                    tsk_media=lambda media=media, start=node.start_byte: (media, start),
                    image=disks.images[0],
                    credentials=(),
                    spool=tmp_path,
                )
                assert isinstance(reader, TskReader)
                for one in reader.iter_entries(EVERYTHING):
                    if isinstance(one, Problem):
                        problems.append(one)
                        continue
                    entries += 1
                    assert entries < _MOST_ENTRIES
                    if one.content is Content.READ and one.address is not None and (one.size or 0) < 64 * MEBIBYTE:
                        try:
                            reader.open_stream(one.address).read_at(0, MEBIBYTE)
                        except StreamReadError as error:
                            errors.append(str(error))
            except (FilesystemError, ImageReadError) as error:
                errors.append(str(error))
    return entries, problems, errors


@needs("mkntfs", "mkfs.fat", "mkfs.ext4")
@pytest.mark.parametrize("kind", ["ntfs", "fat16", "fat32", "ext4"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_volume_that_is_cut_off_is_a_problem_and_ends(tmp_path: Path, kind: str, share: float) -> None:
    volume = tmp_path / "cut.dd"
    {"ntfs": lambda: ntfs(volume), "fat16": lambda: fat(volume, 16), "fat32": lambda: fat(volume, 32), "ext4": lambda: ext(volume)}[kind]()
    whole = volume.stat().st_size
    with volume.open("r+b") as file:
        file.truncate(int(whole * share) // 4096 * 4096)
    _, problems, errors = _read_all(volume, tmp_path)
    codes = {p.code for p in problems}
    assert codes & {"filesystem-cut-off", "volume-not-read"} or errors


# Where a boot sector states how large its volume is, and as how many bytes.
_SIZES = {"ntfs": (0x28, 8), "fat": (32, 4), "exfat": (72, 8), "ext": (1024 + 4, 4)}


@needs("mkntfs", "mkfs.fat", "mkfs.ext4")
@pytest.mark.parametrize("kind", ["ntfs", "fat", "exfat", "ext"])
def test_a_boot_sector_that_states_2_to_60_is_a_problem_and_ends(tmp_path: Path, kind: str) -> None:
    volume = tmp_path / "huge.dd"
    makers: dict[str, Callable[[], Path]] = {
        "ntfs": lambda: ntfs(volume),
        "fat": lambda: fat(volume, 16),
        "exfat": lambda: unpack("exfat", volume),
        "ext": lambda: ext(volume, "-O", "^metadata_csum"),
    }
    data = bytearray(makers[kind]().read_bytes())
    offset, width = _SIZES[kind]
    if kind == "fat":
        data[19:21] = bytes(2)  # the size of 16 bits, which goes before
    data[offset : offset + width] = ((1 << 60) if width == 8 else 0xFFFFFFF0).to_bytes(width, "little")
    if kind == "exfat":
        data[92:96] = (0xFFFFFFF0).to_bytes(4, "little")
    volume.write_bytes(data)
    _, problems, errors = _read_all(volume, tmp_path)
    assert {p.code for p in problems} & {"filesystem-cut-off", "volume-not-read", "allocation-unreadable", "allocation-not-known"} or errors


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["ext4_dirloop.dd.xz", "fat32_loop.raw.xz", "ntfs_mft0_corrupt.dd.xz", "ntfs_volume_truncated.dd.xz"])
def test_broken_volumes_end_in_problems(bad_input: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    _, problems, errors = _read_all(bad_input(name), tmp_path)
    assert problems or errors


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["exfat", "ntfs-mbr"])
def test_flipped_bytes_are_problems_or_errors_and_never_another_exception(tmp_path: Path, name: str, seed: int) -> None:
    path = unpack(name, tmp_path / "flipped.dd")
    data = bytearray(path.read_bytes())
    chance = random.Random(seed)
    start = 65536 if name == "ntfs-mbr" else 0
    for _ in range(60):
        data[start + chance.randrange(512, 600_000)] = chance.randrange(256)
    path.write_bytes(data)
    _read_all(path, tmp_path)


def test_a_volume_of_zeros_and_one_of_noise_hold_no_filesystem(tmp_path: Path) -> None:
    for content in (bytes(MEBIBYTE), patterned(tmp_path / "p", MEBIBYTE).read_bytes(), struct.pack("<H", 0xAA55) * 4096):
        path = tmp_path / "volume.dd"
        path.write_bytes(content)
        found, why = _find(path)
        assert found == ()
        assert why
