"""What nobody should have to see a traceback for: each bad input gives one clear line or a problem row, and the right exit code.

Everything goes through the command line, in a process of its own.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from running import SAMPLES, command, environment, evidex, rows_of, unpack

from chain_of_custody.show import verdict_text
from chain_of_custody.verify import verify_case

if TYPE_CHECKING:
    from collections.abc import Callable

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_EXHIBIT = ("--exhibit", "KH-1", "--examiner", "E", "--workers", "0")


class Ground:
    """A folder of its own for a test, with the state beside the case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.case = folder / "case"

    def process(self, image: Path, *more: str | Path, case: Path | None = None) -> subprocess.CompletedProcess[str]:
        return evidex("process", image, "--case", case or self.case, *_EXHIBIT, *more, state=self.folder / "state")

    def evidex(self, *arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        return evidex(*arguments, state=self.folder / "state", **more)

    def problems(self, run: str = "001-KH-1") -> list[dict[str, Any]]:
        return rows_of(self.tables(run), "problems")

    def codes(self, run: str = "001-KH-1") -> set[str]:
        return {row["code"] for row in self.problems(run)}

    def tables(self, run: str = "001-KH-1") -> Path:
        return self.case / "runs" / run / "tables"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with nothing wrong with it."""
    return unpack("ntfs-mbr", tmp_path_factory.mktemp("good") / "good.dd")


def refused(answer: subprocess.CompletedProcess[str], *words: str, code: int = 1) -> None:
    """Passes when the command ended with the code and its last line on stderr is the one clear line with these words."""
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    lines = answer.stderr.splitlines()
    said = [line for line in lines if line.startswith("evidex: ")]
    assert said == lines[-1:], answer.stderr
    assert not _ACTING.search(answer.stderr)
    for word in words:
        assert word in said[0]


def integrity(case: Path) -> None:
    assert next(iter(verdict_text(verify_case(case)))) == "INTEGRITY     PASS"


def test_no_such_file(ground: Ground) -> None:
    refused(ground.process(ground.folder / "none.dd"), "none.dd")
    assert not ground.case.exists(), "nothing may be made for an image that is not there"


def test_a_name_that_acts_is_escaped_in_the_message(ground: Ground) -> None:
    refused(ground.process(ground.folder / "a\x1b[31m\u202egnp.dd\nevidex: fine"), r"\x1b", r"\u202e")


def test_a_folder_as_image(ground: Ground) -> None:
    (ground.folder / "folder.E01").mkdir()
    refused(ground.process(ground.folder / "folder.E01"), "folder.E01")


def test_a_fifo_as_image_does_not_block(ground: Ground) -> None:
    os.mkfifo(ground.folder / "fifo.dd")
    refused(ground.process(ground.folder / "fifo.dd"), "fifo.dd")


@pytest.mark.parametrize("name", ["empty.dd", "empty.E01"])
def test_an_empty_file(ground: Ground, name: str) -> None:
    (ground.folder / name).touch()
    refused(ground.process(ground.folder / name), name)


def test_random_bytes_are_hashed_and_said_to_hold_nothing_known(ground: Ground) -> None:
    image = ground.folder / "random.dd"
    image.write_bytes(random.Random(7).randbytes(1 << 20))
    answer = ground.process(image)
    assert answer.returncode == 3
    assert "volume-not-read" in ground.codes()
    (covered,) = rows_of(ground.tables(), "coverage")
    assert "no filesystem was recognised" in covered["reason"]
    # Its bytes are one item, with the digest that hashlib gives, and no file is made up.
    assert [(row["recovery"], row["sha256"]) for row in rows_of(ground.tables(), "entries")] == [
        ("unallocated", hashlib.sha256(image.read_bytes()).hexdigest())
    ]
    integrity(ground.case)


def test_text_that_is_named_e01(ground: Ground) -> None:
    image = ground.folder / "text.E01"
    image.write_text("this is no image\n" * 50)
    answer = ground.process(image)
    assert answer.returncode in (1, 3), answer.stderr
    assert "Traceback" not in answer.stderr
    assert "E01" in answer.stderr or "named-like-another" in str(ground.problems()) or "E01" in str(ground.problems())


def _segments(ground: Ground) -> tuple[Path, Path]:
    """The two segments of the sample E01 in a folder of the test."""
    for name in ("ewf-split.E01", "ewf-split.E02"):
        shutil.copyfile(SAMPLES / "ewf-split" / name, ground.folder / name)
    return ground.folder / "ewf-split.E01", ground.folder / "ewf-split.E02"


def test_a_missing_last_segment(ground: Ground) -> None:
    first, second = _segments(ground)
    second.unlink()
    refused(ground.process(first), "segment")


def test_a_missing_middle_segment(ground: Ground) -> None:
    for number in (1, 3):
        (ground.folder / f"disk.00{number}").write_bytes(bytes(1 << 16))
    refused(ground.process(ground.folder / "disk.001"), "disk.002")


def test_a_truncated_e01(ground: Ground) -> None:
    first, second = _segments(ground)
    second.write_bytes(second.read_bytes()[: second.stat().st_size // 2])
    answer = ground.process(first)
    assert answer.returncode in (1, 3)
    assert "Traceback" not in answer.stderr
    if answer.returncode == 3:
        assert ground.codes() & {"image-incomplete", "segment-incomplete", "media-short", "stored-digest-missing"}


class TestFlippedByteInAChunk:
    """libewf's ewfverify calls the same file a failure; the place of the byte is chosen inside the first chunk."""

    def image(self, ground: Ground) -> Path:
        first, _ = _segments(ground)
        data = bytearray(first.read_bytes())
        # EWF: a section's type stands in its first 16 bytes, its descriptor is 76 bytes long; chunks follow the descriptor.
        start = data.index(b"sectors\0") + 76
        data[start + 40] ^= 0x10
        first.write_bytes(data)
        return first

    def test_it_stops_the_run_and_says_which_sectors(self, ground: Ground) -> None:
        answer = ground.process(self.image(ground))
        refused(answer, "md5", "Sectors 0 to 63", "--accept-mismatch")  # EWF: a chunk is 64 sectors
        assert not ground.tables().exists(), "nothing may be processed from media that is not what was stated"

    def test_a_reason_lets_it_go_on_and_is_recorded(self, ground: Ground) -> None:
        reason = "only copy; original destroyed"
        answer = ground.process(self.image(ground), "--accept-mismatch", reason)
        assert answer.returncode == 3, answer.stderr
        assert "chunk-checksum" in ground.codes()
        source = rows_of(ground.tables(), "sources")[0]
        assert (source["digest_match"], source["mismatch_accepted"]) == ("mismatch", reason)
        assert source["damaged_chunks"] == 1
        assert reason in ground.evidex("custody", "show", ground.case, "--json").stdout
        assert reason in (ground.case / "reports" / "001-KH-1" / "index.html").read_text()
        integrity(ground.case)


def test_an_expected_digest_that_differs_stops_the_run(ground: Ground, good: Path) -> None:
    refused(ground.process(good, "--expect-hash", "0" * 64), "sha256", "--accept-mismatch")


def test_an_expected_digest_that_is_none_is_a_usage_error(ground: Ground, good: Path) -> None:
    answer = ground.process(good, "--expect-hash", "xyz")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr


def test_a_partition_past_the_end(ground: Ground) -> None:
    media = bytearray(1 << 20)
    # MBR: 16-byte entries from 446 (status, CHS, type at 4, CHS, first sector at 8, sectors at 12), 55 AA at 510.
    media[446:462] = struct.pack("<B3xB3xII", 0, 0x83, 64, 512)
    media[462:478] = struct.pack("<B3xB3xII", 0, 0x83, 5000, 100_000)
    media[510:512] = b"\x55\xaa"
    image = ground.folder / "mbr.dd"
    image.write_bytes(media)
    assert ground.process(image).returncode == 3
    assert "partition-past-end" in ground.codes()
    assert sum(row["size_bytes"] for row in rows_of(ground.tables(), "coverage")) == 1 << 20


def test_a_corrupt_mft_record_costs_that_record(ground: Ground, good: Path) -> None:
    image = ground.folder / "ntfs.dd"
    data = bytearray(good.read_bytes())
    victim = _record_of_some_file(data)
    data[victim : victim + 1024] = random.Random(1).randbytes(1024)
    image.write_bytes(data)
    answer = ground.process(image)
    assert answer.returncode == 3, answer.stderr
    assert "metadata-damaged" in ground.codes()
    assert len(rows_of(ground.tables(), "entries")) > 40


def _record_of_some_file(data: bytearray) -> int:
    """Where the MFT record of a user's file starts in the sample: the 70th record behind the first, which describes the MFT."""
    first = data.index(b"FILE0")
    for number in range(64, 90):
        start = first + number * 1024
        if data[start : start + 4] == b"FILE" and data[start + 22] & 1 and not data[start + 22] & 2:
            return start
    message = "the sample has no file behind record 64"
    raise AssertionError(message)


@pytest.mark.parametrize("state", ["file", "other"])
def test_a_case_folder_that_is_none(ground: Ground, good: Path, state: str) -> None:
    if state == "file":
        ground.case.write_text("mine")
    else:
        ground.case.mkdir()
        (ground.case / "thesis.txt").write_text("mine")
    refused(ground.process(good), "case")
    kept = ground.case if state == "file" else ground.case / "thesis.txt"
    assert kept.read_text() == "mine"
    assert state == "file" or len(list(ground.case.iterdir())) == 1


def test_a_case_folder_that_cannot_be_made(ground: Ground, good: Path) -> None:
    (ground.folder / "file").touch()
    refused(ground.process(good, case=ground.folder / "file" / "case"), "cannot be written")


def test_a_read_only_case_folder(ground: Ground, good: Path) -> None:
    if Path("/proc/sys").is_dir():
        refused(ground.process(good, case=Path("/proc/sys/case")), "cannot be written")


def test_a_disk_that_fills_up(ground: Ground, good: Path) -> None:
    """RLIMIT_FSIZE makes each file that grows over the limit fail as a full disk does: at a write in the middle of the run."""
    answer = subprocess.run(
        command("process", good, "--case", ground.case, *_EXHIBIT),
        env=environment(ground.folder / "state"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000)),
    )
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stderr.splitlines()[-1].startswith("evidex: ")
    again = ground.process(good, "--resume")
    assert again.returncode in (0, 3), again.stderr
    integrity(ground.case)


def test_a_second_exhibit_in_a_case_is_normal_work(ground: Ground, good: Path) -> None:
    assert ground.process(good).returncode in (0, 3)
    second = evidex(
        "process", good, "--case", ground.case, "--exhibit", "KH-2", "--examiner", "E", "--workers", "0", state=ground.folder / "state"
    )
    assert second.returncode in (0, 3), second.stderr
    assert sorted(path.name for path in (ground.case / "runs").iterdir()) == ["001-KH-1", "002-KH-2"]
    integrity(ground.case)


def test_an_exhibit_number_that_leaves_the_case(ground: Ground, good: Path) -> None:
    answer = evidex("process", good, "--case", ground.case, "--exhibit", "../x", "--examiner", "E", state=ground.folder / "state")
    assert answer.returncode == 2
    assert "Error: exhibit number '../x' cannot be used" in answer.stderr
    assert not ground.case.exists()


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_rule_folder_without_rules(ground: Ground, good: Path, kind: str) -> None:
    folder = ground.folder / "my rules"
    if kind == "empty":
        folder.mkdir()
    refused(ground.process(good, "--rules", folder), "my rules")
    assert not ground.case.exists()


def test_a_bad_rule_file_is_named_and_the_rest_is_kept(ground: Ground, good: Path) -> None:
    folder = ground.folder / "rules"
    folder.mkdir()
    (folder / "bad.yar").write_text("rule broken { condition: ")
    (folder / "good.yar").write_text("rule everything { condition: filesize > 0 }")
    assert ground.process(good, "--rules", folder).returncode == 3
    assert [row["path"] for row in ground.problems() if row["stage"] == "yara"] == ["bad.yar"]
    assert {row["rule"] for row in rows_of(ground.tables(), "hits")} == {"everything"}


def test_a_wrong_passphrase(ground: Ground, good: Path) -> None:
    folder = ground.folder / "identity"
    made = ground.evidex(
        "keys", "new", folder, "--agency", "A", "--name", "E", "--origin", "a.example", changes={"EVIDEX_PASSPHRASE": "right"}
    )
    assert made.returncode == 0, made.stderr
    key = next(folder.glob("*examiner*"))
    arguments = ("process", good, "--case", ground.case, *_EXHIBIT, "--key", key)
    refused(ground.evidex(*arguments, changes={"EVIDEX_PASSPHRASE": "wrong"}), "passphrase")
    refused(ground.evidex(*arguments), "passphrase")
    right = ground.evidex(*arguments, changes={"EVIDEX_PASSPHRASE": "right"})
    assert right.returncode in (0, 3), right.stderr
    integrity(ground.case)


def test_a_case_that_another_process_is_writing(ground: Ground, good: Path) -> None:
    assert ground.process(good).returncode in (0, 3)
    hold = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, ground.case / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        refused(ground.process(good), "another process")
        assert other.stdin is not None
        other.stdin.close()
    assert len(list((ground.case / "runs").iterdir())) == 1
    integrity(ground.case)


@pytest.mark.parametrize("arguments", [("verify",), ("query", "SELECT 1"), ("report",), ("custody", "show")])
def test_a_command_on_a_folder_that_is_no_case(ground: Ground, arguments: tuple[str, ...]) -> None:
    head, tail = (arguments, ()) if arguments[0] != "query" else (arguments[:1], arguments[1:])
    answer = ground.evidex(*head, ground.folder, *tail)
    assert answer.returncode in (1, 4)
    assert "Traceback" not in answer.stderr


# What the corpus's README asks of a good tool, as exit code and the problem codes of which one must be there.
_CORPUS = {
    "all_zero_1MiB.dd.xz": (3, {"volume-not-read"}),
    "bitflip_chunk.E01": (1, set()),
    "ext4_bad_superblock.dd.xz": (3, {"volume-not-read"}),
    "ext4_dirloop.dd.xz": (3, {"directory-loop"}),
    "fat32_loop.raw.xz": (3, None),
    "mbr_past_end.dd.xz": (3, {"partition-past-end"}),
    "ntfs_baad_record.dd.xz": (3, {"metadata-damaged"}),
    "ntfs_mft0_corrupt.dd.xz": (3, None),
    "ntfs_volume_truncated.dd.xz": (3, {"filesystem-cut-off", "partition-past-end"}),
    "random_1MiB.dd.xz": (3, {"volume-not-read"}),
    "wrong_stored_md5.E01": (1, set()),
    "missing_segment/split.E01": (1, set()),
    "missing_split_raw/ext2.splitraw.001": (None, None),
    "truncated_half.E01": (None, None),
    "truncated_last512.E01": (None, None),
    "text_renamed.E01": (None, None),
    "zero_length.E01": (1, set()),
    "zero_length.dd": (1, set()),
    "third_party/exfat_bad_root.img.tar.xz": (3, None),
    "third_party/exfat_loop_chain.img.tar.xz": (None, None),
    "third_party/exfat_file_invalid_clus.img.tar.xz": (None, None),
    "third_party/ext_f_dup.gz": (None, None),
    "third_party/ext_f_rebuild_csum_rootdir.gz": (None, None),
    "third_party/ext_f_badcluster.gz": (None, None),
    "third_party/ext_f_hugedir_blocks.gz": (None, None),
    "third_party/btrfs_sys-chunk-type-bogus.raw.xz": (3, {"volume-not-read"}),
    "third_party/btrfs_bad_item_ptr.raw.xz": (3, None),
    "qcow2_truncated.qcow2.xz": (None, None),
    "qcow2_backing_etc_passwd.qcow2.xz": (1, set()),
    "vhd_diff_no_parent.vhd.xz": (1, set()),
    "zip_slip.zip": (None, None),
}
_MEMORY_BYTES = 6 << 30  # address space, of which libraries map some two gigabytes


@pytest.mark.corpus
@pytest.mark.parametrize("name", _CORPUS)
def test_each_broken_image_ends_with_a_clear_answer(ground: Ground, bad_input: Callable[[str], Path], name: str) -> None:
    code, codes = _CORPUS[name]
    answer = subprocess.run(
        command("process", bad_input(name), "--case", ground.case, *_EXHIBIT),
        env=environment(ground.folder / "state"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES)),
    )
    print(answer.returncode, answer.stderr)  # noqa: T201 - shown when it fails
    assert answer.returncode == code if code is not None else answer.returncode in (0, 1, 3)
    assert "Traceback" not in answer.stderr
    if answer.returncode == 1:
        refused(answer)
        return
    if answer.returncode == 3:
        assert ground.problems()
    assert not codes or codes & ground.codes()
    tiles = rows_of(ground.tables(), "coverage")
    assert sum(row["size_bytes"] for row in tiles) == rows_of(ground.tables(), "sources")[0]["media_size"]
    integrity(ground.case)
