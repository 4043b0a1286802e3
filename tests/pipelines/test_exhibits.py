"""What a path on the command line means: one image, the disks of one exhibit, a folder of images, a collection of files."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from running import SAMPLES, evidex, rows_of, unpack

from forensics.errors import ImageError
from pipelines.errors import RunError
from pipelines.exhibits import Exhibits, FolderAs, exhibits_of, parse_readers
from pipelines.image_folder import ImageFolder, read_image_folder

if TYPE_CHECKING:
    from pathlib import Path

_SEGMENTS = ("ewf-split.E01", "ewf-split.E02")


def boot(path: Path, size: int = 4096) -> Path:
    """A raw image: an MBR without partitions (55 AA at 510), and nothing."""
    path.write_bytes((bytes(510) + b"\x55\xaa").ljust(size, b"\0"))
    return path


def ewf(folder: Path) -> Path:
    """The sample E01 of two segments."""
    for name in _SEGMENTS:
        shutil.copyfile(SAMPLES / "ewf-split" / name, folder / name)
    return folder / _SEGMENTS[0]


def names(found: Exhibits) -> list[list[str]]:
    return [[path.name for path in images] for images in found.images]


def test_one_image_is_one_exhibit_and_keeps_its_number(tmp_path: Path) -> None:
    image = boot(tmp_path / "a.dd")
    assert exhibits_of((image,)) == Exhibits(images=((image,),))


def test_several_images_are_the_disks_of_one_exhibit_in_the_order_given(tmp_path: Path) -> None:
    disks = boot(tmp_path / "b.dd"), boot(tmp_path / "a.dd")
    assert exhibits_of(disks) == Exhibits(images=(disks,))


def test_a_path_that_is_not_there_is_left_to_the_one_who_opens_it(tmp_path: Path) -> None:
    assert names(exhibits_of((tmp_path / "none.dd",))) == [["none.dd"]]


def test_a_folder_of_images_is_an_exhibit_an_image_by_name(tmp_path: Path) -> None:
    ewf(tmp_path)
    for name in ("z.raw", "b.img", "a.dd"):
        boot(tmp_path / name)
    assert names(exhibits_of((tmp_path,))) == [
        ["a.dd"],
        ["b.img"],
        ["ewf-split.E01"],
        ["z.raw"],
    ]


def test_a_folder_of_one_image_is_one_exhibit_and_keeps_its_number(tmp_path: Path) -> None:
    ewf(tmp_path)
    assert names(exhibits_of((tmp_path,))) == [["ewf-split.E01"]]


@pytest.mark.parametrize("extensions", [("001", "002", "003"), ("000", "001"), ("aa", "ab")])
def test_a_split_raw_set_is_one_image(tmp_path: Path, extensions: tuple[str, ...]) -> None:
    for number, extension in enumerate(extensions):
        # Only the first segment begins like a disk.
        boot(tmp_path / f"disk.{extension}") if not number else (tmp_path / f"disk.{extension}").write_bytes(bytes(4096))
    assert names(exhibits_of((tmp_path,))) == [[f"disk.{extensions[0]}"]]


def test_notes_of_the_acquisition_beside_images_are_no_exhibits(tmp_path: Path) -> None:
    image = boot(tmp_path / "disk.dd")
    for name in ("disk.log", "disk.dd.md5", "README.TXT", "hashes.sha256", "notes.pdf", ".DS_Store"):
        (tmp_path / name).write_text("acquired by A. Examiner\n")
    assert names(exhibits_of((tmp_path,))) == [[image.name]]


@pytest.mark.parametrize("other", ["label-photo.jpg", "letter.docx", "program", "empty", "folder", "broken.E01", "files.zip"])
def test_a_folder_of_images_and_something_else_is_not_guessed_at(tmp_path: Path, other: str) -> None:
    """Taken for files, the segments of an E01 in it were unreadable containers, each by itself."""
    image = ewf(tmp_path)
    if other == "folder":
        (tmp_path / other).mkdir()
    else:
        (tmp_path / other).write_bytes({"empty": b"", "files.zip": b"PK\5\6" + bytes(18)}.get(other, b"some text"))
    with pytest.raises(RunError, match=rf"disk images \({image.name}\) and something else \({other}\); say --folder-as images"):
        exhibits_of((tmp_path,))
    found = exhibits_of((tmp_path,), FolderAs.IMAGES)
    assert names(found) == [[image.name]]
    assert [path.name for path in found.left_out] == [other]
    assert names(exhibits_of((tmp_path,), FolderAs.FILES)) == [[tmp_path.name]]


def test_a_folder_without_an_image_is_a_collection(tmp_path: Path) -> None:
    (tmp_path / "files.zip").write_bytes(b"PK\5\6" + bytes(18))
    (tmp_path / "letter.docx").write_bytes(b"some text")
    (tmp_path / "folder").mkdir()
    assert exhibits_of((tmp_path,)) == Exhibits(images=((tmp_path,),))


def test_a_link_to_an_image_is_not_taken_for_one(tmp_path: Path) -> None:
    """Nothing outside the folder is an exhibit because something in it points there."""
    folder = tmp_path / "folder"
    folder.mkdir()
    boot(folder / "a.dd")
    (folder / "b.dd").symlink_to(boot(tmp_path / "elsewhere.dd"))
    with pytest.raises(RunError, match=r"something else \(b\.dd\)"):
        exhibits_of((folder,))
    assert names(exhibits_of((folder,), FolderAs.IMAGES)) == [["a.dd"]]


def test_a_link_that_the_examiner_names_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    boot(folder / "a.dd")
    (tmp_path / "link").symlink_to(folder)
    assert names(exhibits_of((tmp_path / "link",))) == [["a.dd"]]


def test_a_folder_of_images_can_be_taken_for_files(tmp_path: Path) -> None:
    boot(tmp_path / "a.dd")
    assert names(exhibits_of((tmp_path,), FolderAs.FILES)) == [[tmp_path.name]]


def test_a_folder_without_an_image_cannot_be_taken_for_images(tmp_path: Path) -> None:
    (tmp_path / "letter.docx").write_bytes(b"x")
    with pytest.raises(RunError, match="holds no disk image"):
        exhibits_of((tmp_path,), FolderAs.IMAGES)


def test_a_folder_beside_something_else_is_refused(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    with pytest.raises(RunError, match=r"one is a folder; give a folder alone"):
        exhibits_of(folders)
    with pytest.raises(RunError, match=r"two is a folder"):
        exhibits_of((boot(tmp_path / "a.dd"), folders[1]))


def test_a_disk_folder_of_parallels_is_one_image(tmp_path: Path) -> None:
    disk = tmp_path / "machine.hdd"
    disk.mkdir()
    (disk / "DiskDescriptor.xml").write_text("<Parallels_disk_image/>")
    assert names(exhibits_of((disk,))) == [["machine.hdd"]]
    boot(tmp_path / "a.dd")
    assert names(exhibits_of((tmp_path,))) == [["a.dd"], ["machine.hdd"]]
    assert exhibits_of((disk, tmp_path / "a.dd")).images == ((disk, tmp_path / "a.dd"),)


def test_an_image_of_which_a_segment_is_missing_is_one_exhibit(tmp_path: Path) -> None:
    """What is missing is said when it is opened; its later segments are no exhibits of their own."""
    boot(tmp_path / "disk.001")
    for number in (3, 4):
        (tmp_path / f"disk.{number:03}").write_bytes(bytes(4096))
    ewf(tmp_path)
    (tmp_path / "ewf-split.E01").rename(tmp_path / "ewf-split.E03")
    boot(tmp_path / "other.dd")
    assert names(exhibits_of((tmp_path,))) == [["disk.001"], ["ewf-split.E02"], ["other.dd"]]


def test_the_extents_of_a_virtual_disk_are_no_exhibits_of_their_own(tmp_path: Path) -> None:
    extent = boot(tmp_path / "vm-flat.vmdk")
    text = f'# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 8 FLAT "{extent.name}" 0\n'
    (tmp_path / "vm.vmdk").write_text(text)
    boot(tmp_path / "z.dd")
    assert names(exhibits_of((tmp_path,))) == [["vm.vmdk"], ["z.dd"]]


def test_a_descriptor_does_not_hide_an_image_that_it_does_not_read_whole(tmp_path: Path) -> None:
    """Whoever owned the machine wrote the descriptor."""
    boot(tmp_path / "disk.dd", 8192)
    text = (
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\nRW 1 FLAT "disk.dd" 0\nRW 1 FLAT "../x" 0\nRW 1 FLAT ".." 0\n'
    )
    (tmp_path / "vm.vmdk").write_text(text)
    assert names(exhibits_of((tmp_path,))) == [["disk.dd"], ["vm.vmdk"]]


@pytest.mark.skipif(shutil.which("qemu-img") is None and not os.environ.get("CI"), reason="qemu-img is not installed")
@pytest.mark.parametrize("kind", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "monolithicSparse"])
def test_a_virtual_disk_of_qemu_is_one_exhibit(tmp_path: Path, kind: str) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-o", f"subformat={kind}", tmp_path / "vm.vmdk", "3G"], check=True)
    assert names(exhibits_of((tmp_path,))) == [["vm.vmdk"]]


@pytest.mark.parametrize(
    ("name", "head", "offset"),
    [("noname", b"\x53\xef", 0x438), ("disc", b"CD001", 0x8001), ("volume", b"\x55\xaa", 510), ("locked", b"LUKS\xba\xbe\0\2", 0)],
)
def test_a_raw_image_without_an_extension_is_known_by_what_it_holds(tmp_path: Path, name: str, head: bytes, offset: int) -> None:
    media = bytearray(1 << 17)
    media[offset : offset + len(head)] = head
    (tmp_path / name).write_bytes(media)
    assert read_image_folder(tmp_path) == ImageFolder(images=(tmp_path / name,), others=())


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be listed"):
        read_image_folder(tmp_path / "none")


def test_readers_are_parsed() -> None:
    assert parse_readers(("v01=tsk", "v02.1=dissect")) == (("v01", "tsk"), ("v02.1", "dissect"))
    assert parse_readers(()) == ()


@pytest.mark.parametrize("stated", ["v01", "=tsk", "v01=", "v01=ext4", "v01=tsk=raw"])
def test_what_names_no_volume_or_no_reader_is_refused(stated: str) -> None:
    with pytest.raises(RunError, match="write VOLUME=READER"):
        parse_readers((stated,))


def test_a_folder_of_images_gives_a_run_each_and_the_rest_goes_on_where_one_fails(tmp_path: Path) -> None:
    folder = tmp_path / "seized"
    folder.mkdir()
    unpack("exfat", folder / "a.dd")
    (folder / "b.001").write_bytes(struct.pack("<510xH", 0xAA55))
    (folder / "b.003").write_bytes(bytes(512))
    unpack("exfat", folder / "c.dd")
    arguments = ("process", folder, "--case", tmp_path / "case", "--exhibit", "KH-1", "--examiner", "E")
    answer = evidex(*arguments, "--workers", "0", "--profile", "triage", state=tmp_path / "state")
    assert answer.returncode == 1, answer.stderr
    told = [line for line in answer.stdout.splitlines() if line.startswith("exhibit ")]
    assert [line.split(":")[0] for line in told] == ["exhibit KH-1.1 (a.dd)", "exhibit KH-1.2 (b.001)", "exhibit KH-1.3 (c.dd)"]
    assert "FAILED" in told[1]
    assert "b.002" in told[1]
    runs = sorted(path.name for path in (tmp_path / "case" / "runs").iterdir())
    assert [run.partition("-")[2] for run in runs] == ["KH-1.1", "KH-1.3"]
    for run in runs:
        (source,) = rows_of(tmp_path / "case" / "runs" / run / "tables", "sources")
        assert source["segments"] == ["a.dd" if run.endswith(".1") else "c.dd"]
