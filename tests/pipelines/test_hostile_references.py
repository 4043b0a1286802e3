"""What an image names outside its own folder is never opened: whole runs, in a process of their own, with a bait to be left alone."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from running import SAMPLES, evidex, rows_of, unpack

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

_BAIT = b"Bx7-bait-Qm4-not-to-be-read "
_SIZE = 64 * 512
_EXHIBIT = ("--exhibit", "KH-1", "--examiner", "E", "--workers", "0")


def qcow2(backing: str) -> bytes:
    """A QCOW2 image (QEMU docs/interop/qcow2.rst, version 2) that holds nothing itself: all comes from the backing file."""
    name = backing.encode()
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 72, len(name), 16, _SIZE, 0, 1, 1 << 16, 2 << 16, 1, 0, 0)
    return (header + name).ljust(4 << 16, b"\0")


def vmdk(extent: str) -> bytes:
    """A VMDK descriptor (VMware Virtual Disk Format 1.1, "The descriptor") with one flat extent."""
    head = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=monolithicFlat\n"
    return f'{head}RW {_SIZE // 512} FLAT "{extent}" 0\n'.encode()


def vhd(parent: str) -> bytes:
    """A differencing VHD (format specification 1.0) without a block of its own, and the parent in its header and a locator."""
    footer = struct.pack(">8sIIQIIIIQQII", b"conectix", 2, 0x10000, 512, 0, 0, 0, 0, _SIZE, _SIZE, 0, 4)
    footer = (footer + struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)).ljust(512, b"\0")
    text = parent.encode("utf-16-le")
    header = struct.pack(">8sQQIII", b"cxsparse", 2**64 - 1, 2048, 0x10000, 1, 2 << 20) + bytes(4) + bytes(range(16)) + bytes(8)
    header += parent.encode("utf-16-be").ljust(512, b"\0") + struct.pack(">4sIIIQ", b"W2ku", 512, len(text), 0, 1536)
    header = header[:36] + struct.pack(">I", ~sum(header) & 0xFFFFFFFF) + header[40:]
    return footer + header.ljust(1024, b"\0") + text.ljust(512, b"\0") + b"\xff" * 512 + footer


class Ground:
    """A bait outside the exhibit's folder, and the exhibit's folder."""

    def __init__(self, folder: Path) -> None:
        self.case, self.state, self.evidence = folder / "case", folder / "state", folder / "evidence"
        self.evidence.mkdir()
        self.bait = folder / "bait.raw"
        self.bait.write_bytes((_BAIT * 2000)[:_SIZE])

    def process(self, name: str, data: bytes) -> subprocess.CompletedProcess[str]:
        image = self.evidence / name
        image.write_bytes(data)
        return evidex("process", image, "--case", self.case, *_EXHIBIT, state=self.state)

    def is_untouched(self, answer: subprocess.CompletedProcess[str], *secrets: bytes) -> None:
        """Passes when no byte that was written or said is of the bait."""
        said = (answer.stdout + answer.stderr).encode("utf-8", "surrogateescape")
        written = [path.read_bytes() for folder in (self.case, self.state) for path in folder.rglob("*") if path.is_file()]
        for secret in (_BAIT, *secrets):
            assert secret not in said
            assert not [data for data in written if secret in data]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.mark.parametrize("name", ["disk.qcow2", "disk.vmdk", "disk.vhd"])
def test_the_formats_are_such_that_what_lies_beside_them_is_read(ground: Ground, name: str) -> None:
    """Else the others would prove nothing; a VHD's parent is told by its identifier, which this one does not have."""
    (ground.evidence / "beside.raw").write_bytes(ground.bait.read_bytes())
    answer = ground.process(name, {"disk.qcow2": qcow2, "disk.vmdk": vmdk, "disk.vhd": vhd}[name]("beside.raw"))
    if name == "disk.vhd":
        assert answer.returncode == 1
        assert "beside.raw beside it is not that one" in answer.stderr
        return
    assert answer.returncode in (0, 3), answer.stderr
    (item,) = rows_of(ground.case / "runs" / "001-KH-1" / "tables", "entries")
    assert item["bytes_read"] == _SIZE


@pytest.mark.parametrize(
    ("name", "make", "stated"),
    [
        ("disk.qcow2", qcow2, "/etc/passwd"),
        ("disk.qcow2", qcow2, "../bait.raw"),
        ("disk.qcow2", qcow2, "{bait}"),
        ("disk.vmdk", vmdk, "{bait}"),
        ("disk.vmdk", vmdk, "link.raw"),
        ("disk.vhd", vhd, "{bait}"),
        ("disk.vhd", vhd, "..\\bait.raw"),
    ],
)
def test_a_reference_that_leads_out_ends_the_run_and_is_named(ground: Ground, name: str, make: Callable[[str], bytes], stated: str) -> None:
    (ground.evidence / "link.raw").symlink_to(ground.bait)
    stated = stated.format(bait=ground.bait)
    answer = ground.process(name, make(stated))
    assert answer.returncode == 1, answer.stdout
    assert "Traceback" not in answer.stderr
    (told,) = (line for line in answer.stderr.splitlines() if line.startswith("evidex: "))
    assert stated in told
    assert name in told
    assert not ground.case.exists(), "nothing is begun for an exhibit that cannot be opened"
    ground.is_untouched(answer, b"root:x:0:0")


@pytest.mark.parametrize(
    ("first", "link"), [("disk.001", "disk.002"), ("disk.aa", "disk.ab"), ("disk.E01", "disk.E02"), ("disk.ad1", "disk.ad2")]
)
def test_a_segment_that_is_a_symbolic_link_is_refused_and_named(ground: Ground, first: str, link: str) -> None:
    """Who made the folder may have put the link there; where it leads, the exhibit does not lie."""
    (ground.evidence / link).symlink_to(ground.bait)
    data = {"E01": (SAMPLES / "ewf-split" / "ewf-split.E01").read_bytes(), "ad1": b"ADSEGMENTEDFILE\0".ljust(1024, b"\0")}
    answer = ground.process(first, data.get(first.partition(".")[2], bytes(_SIZE)))
    assert answer.returncode == 1, answer.stdout
    (told,) = (line for line in answer.stderr.splitlines() if line.startswith("evidex: "))
    assert f"{link}: is a symbolic link" in told
    assert not ground.case.exists()
    ground.is_untouched(answer)


def test_a_folder_of_segments_that_are_symbolic_links_opens_none_of_them(ground: Ground) -> None:
    (ground.evidence / "disk.001").write_bytes(bytes(_SIZE))
    (ground.evidence / "disk.002").symlink_to(ground.bait)
    answer = evidex("process", ground.evidence, "--case", ground.case, *_EXHIBIT, state=ground.state)
    assert answer.returncode == 1, answer.stdout
    assert "disk.002: is a symbolic link" in answer.stderr
    ground.is_untouched(answer)


def test_a_link_that_the_examiner_names_is_followed(ground: Ground) -> None:
    image = unpack("exfat", ground.bait.with_name("elsewhere.dd"))
    (ground.evidence / "disk.001").symlink_to(image)
    answer = evidex("process", ground.evidence / "disk.001", "--case", ground.case, *_EXHIBIT, state=ground.state)
    assert answer.returncode in (0, 3), answer.stderr
    assert rows_of(ground.case / "runs" / "001-KH-1" / "tables", "sources")[0]["media_size"] == image.stat().st_size


def test_a_stated_path_means_the_file_of_that_name_beside_it_and_a_problem_says_so(ground: Ground) -> None:
    unpack("exfat", ground.evidence / "bait.raw")
    answer = ground.process("disk.qcow2", qcow2(str(ground.bait)))
    assert answer.returncode == 3, answer.stderr
    tables = ground.case / "runs" / "001-KH-1" / "tables"
    assert "reference-moved" in {row["code"] for row in rows_of(tables, "problems")}
    assert rows_of(tables, "sources")[0]["segments"] == ["disk.qcow2", "bait.raw"]
    ground.is_untouched(answer)


def test_an_image_inside_a_file_finds_nothing_beside_its_copy(ground: Ground) -> None:
    """It is opened from a folder that holds nothing else, whatever it names."""
    names = ("disk.qcow2", "disk2.qcow2")
    for name, stated in zip(names, (str(ground.bait), "../listing.arrow"), strict=True):
        (ground.evidence / name).write_bytes(qcow2(stated))
    (ground.evidence / "note.txt").write_text("a collection, and no folder of images")
    (ground.evidence / "program").write_bytes(b"\x7fELF")
    answer = evidex("process", ground.evidence, "--folder-as", "files", "--case", ground.case, *_EXHIBIT, state=ground.state)
    assert answer.returncode == 3, answer.stderr
    tables = ground.case / "runs" / "001-KH-1" / "tables"
    problems = [row for row in rows_of(tables, "problems") if row["stage"] == "content"]
    assert [(row["code"], row["path"]) for row in problems] == [("container-unreadable", name) for name in names]
    assert str(ground.bait) in problems[0]["why"]
    assert not [row for row in rows_of(tables, "entries") if row["recovery"] == "archive member"]
    ground.is_untouched(answer)
