"""File slack: what `icat -s` prints behind what `icat` prints, and nothing that is not a file's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from made_volumes import exfat, ext, fat, listed, needs, ntfs, pattern, run, source_file
from running import unpack

from forensics.errors import StreamReadError
from forensics.filesystems.base import Content, Kind, Recovery, StreamAddress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from made_volumes import Listed

_SECRET = b"what was here before"


def _icat(found: Listed, path: Path, start_byte: int, address: StreamAddress) -> tuple[bytes, bytes]:
    """A stream and its slack, as icat prints them."""
    numbers = [address.metadata_address, address.attribute_type, address.attribute_id]
    spec = "-".join(map(str, numbers if found.reader.filesystem in ("ntfs", "hfs+") else numbers[:1]))
    content = run("icat", "-o", start_byte // 512, path, spec)
    return content, run("icat", "-s", "-o", start_byte // 512, path, spec)[len(content) :]


def _assert_is_what_icat_gives(path: Path, start_byte: int = 0) -> int:
    """Looks at every allocated stream with content; gives how many have slack that is not all zero."""
    with listed(path, start_byte) as found:
        slacks = {e.address: e for e in found.entries if e.address and e.address.slack}
        looked_at = 0
        for entry in found.entries:
            if entry.recovery is not Recovery.ALLOCATED or entry.content is not Content.READ or entry.kind is Kind.LINK:
                continue
            address = entry.address
            assert address is not None
            if address.attribute_type < 0:  # extended attributes of ext, which icat does not know
                continue
            content, expected = _icat(found, path, start_byte, address)
            behind = StreamAddress(address.metadata_address, address.attribute_type, address.attribute_id, slack=True)
            assert found.content(address) == content
            if not expected.strip(b"\0"):
                assert behind not in slacks
                continue
            slack = slacks.pop(behind)
            looked_at += 1
            assert found.content(behind) == expected
            assert (slack.recovery, slack.size, slack.path) == (Recovery.SLACK, len(expected), entry.path)
            assert slack.stream == (f"{entry.stream}:slack" if entry.stream else "slack")
            runs = found.reader.runs_of(behind)
            assert sum(size for _, size in runs) == len(expected)
            media = path.read_bytes()
            assert b"".join(media[start_byte + at : start_byte + at + size] for at, size in runs) == expected
        assert not slacks, "slack is listed for streams of which icat has none"
        return looked_at


def _plant(volume: Path, block_bytes: int, last_block: int, size: int) -> None:
    """Writes behind the end of a file whose last block istat names."""
    with volume.open("r+b") as file:
        file.seek(last_block * block_bytes + size % block_bytes)
        file.write(_SECRET)


def _blocks(volume: Path, address: str) -> list[int]:
    """The blocks that istat lists last: those of the content."""
    lines = run("istat", volume, address).decode().splitlines()
    numbers = [line for line in lines if re.fullmatch(r"\d[\d ]*", line)]
    return [int(number) for line in numbers for number in line.split() if number != "0"]


def _address(volume: Path, name: str) -> str:
    told = run("fls", "-rp", volume).decode()
    found = re.search(rf"^r/r (\S+):\t{re.escape(name)}$", told, re.MULTILINE)
    assert found is not None, told
    return found[1]


@needs("icat", "mkfs.fat", "mcopy")
@pytest.mark.parametrize("bits", [12, 16, 32])
def test_fat(tmp_path: Path, bits: int) -> None:
    volume = fat(tmp_path / "fat.dd", bits)
    for size in (1, 511, 512, 2048, 5000, 9001):
        run("mcopy", "-i", volume, source_file(tmp_path / "src", size, size), f"::/{size}.bin")
    # mtools leaves what the last sector had behind the end; a file that fills its clusters has no slack.
    assert _assert_is_what_icat_gives(volume) >= 3


@needs("icat", "mkntfs", "ntfscp", "fls", "istat")
def test_ntfs_resident_files_have_none(tmp_path: Path) -> None:
    volume = ntfs(tmp_path / "ntfs.dd", cluster=2048)
    for size in (10, 300, 2048, 3000, 9000):
        run("ntfscp", "-f", volume, source_file(tmp_path / "src", size, size), f"/{size}.bin")
    run("ntfscp", "-f", "-N", "named", volume, source_file(tmp_path / "src", 2500, 7), "/300.bin")
    for size in (3000, 9000):
        _plant(volume, 2048, _blocks(volume, _address(volume, f"{size}.bin"))[-1], size)
    _plant(volume, 2048, _blocks(volume, _address(volume, "300.bin:named"))[-1], 2500)
    assert _assert_is_what_icat_gives(volume) >= 3  # a file of NTFS itself has some, too: it was formatted quickly
    with listed(volume) as found:
        resident = found.named(b"10.bin").address
        assert resident is not None
        with pytest.raises(StreamReadError, match="no slack"):
            found.reader.open_stream(StreamAddress(resident.metadata_address, resident.attribute_type, resident.attribute_id, slack=True))
        assert found.named(b"300.bin", "named:slack").recovery is Recovery.SLACK


@needs("icat", "mkfs.ext4", "debugfs", "fls", "istat")
@pytest.mark.parametrize("kind", ["ext2", "ext4"])
def test_ext(tmp_path: Path, kind: str) -> None:
    """The slack ends with the last block that the size needs; the rest of the twelve direct ones is none of the file's."""
    volume = ext(tmp_path / "ext.dd", kind=kind)
    for size in (1, 1024, 3000, 20_000):
        run("debugfs", "-w", "-R", f"write {source_file(tmp_path / 'src', size, size)} {size}.bin", volume)
        if size % 1024:
            _plant(volume, 1024, _blocks(volume, _address(volume, f"{size}.bin"))[(size - 1) // 1024], size)
    (tmp_path / "hole").write_bytes(b"begin" + bytes(10_000 - 5))
    run("debugfs", "-w", "-R", f"write {tmp_path / 'hole'} hole", volume)
    with listed(volume) as found:
        for size in (1, 3000):
            slack = found.named(b"%d.bin" % size, "slack")
            assert found.content(slack.address) == _SECRET.ljust(-size % 1024, b"\0")
            assert slack.start_byte == _blocks(volume, _address(volume, f"{size}.bin"))[-1] * 1024 + size % 1024
    assert _assert_is_what_icat_gives(volume) == 3


@needs("icat", "fls", "istat", "mkfs.exfat")
def test_slack_of_an_empty_volume_is_none(tmp_path: Path) -> None:
    assert _assert_is_what_icat_gives(exfat(tmp_path / "exfat.dd")) == 0


@needs("icat")
@pytest.mark.parametrize(("sample", "start_byte"), [("ntfs-mbr", 65536), ("exfat", 0), ("gpt-fat32-ext4", 65536)])
def test_zero_slack_is_counted_and_not_listed(tmp_path: Path, sample: str, start_byte: int) -> None:
    path = unpack(sample, tmp_path / "sample.dd")
    assert _assert_is_what_icat_gives(path, start_byte) == 0
    with listed(path, start_byte) as found:
        assert found.reader.slack.zero_slacks > 0
        assert found.reader.slack.zero_bytes > found.reader.slack.zero_slacks


@pytest.mark.corpus
@needs("icat")
@pytest.mark.parametrize(
    ("identifier", "start_byte"),
    [("hfsplus-dfvfs", 0), ("exfat-dsoprea", 0), ("ntfs-colinfinck", 0), ("raw-be-fat32", 512), ("dissect-ffs", 0)],
)
def test_public_images(corpus_image: Callable[[str], Path], identifier: str, start_byte: int) -> None:
    _assert_is_what_icat_gives(corpus_image(identifier), start_byte)


@pytest.mark.corpus
@needs("icat", "istat")
def test_hfs(corpus_image: Callable[[str], Path], tmp_path: Path) -> None:
    """Written behind the end of a content, in the block that istat names."""
    volume = tmp_path / "hfs.dd"
    volume.write_bytes(corpus_image("hfsplus-dfvfs").read_bytes())
    with listed(volume) as found:
        address = found.named(b"passwords.txt").address
        size = found.named(b"passwords.txt").size
    assert address is not None
    assert size is not None
    (block,) = _blocks(volume, str(address.metadata_address))
    _plant(volume, 4096, block, size)
    assert _assert_is_what_icat_gives(volume) == 1


@needs("mkntfs", "ntfscp", "icat", "istat", "fls")
@pytest.mark.parametrize(("streams", "name"), [(0, "named"), (40, "in another MFT entry")])
def test_what_lies_behind_the_initialised_size_of_an_ntfs_stream_is_slack(tmp_path: Path, streams: int, name: str) -> None:
    """Windows and TSK read zeros there, whatever the clusters hold; `icat -s` prints what they hold.

    References: Linux-NTFS project, NTFS Documentation, "Attribute Header", non-resident: initialized size at 0x38.
    """
    volume = ntfs(tmp_path / "ntfs.dd", cluster=2048)
    content = source_file(tmp_path / "src", 20_000, 5)
    # Each takes room in the MFT entry, until attributes go to others.
    for number in range(streams):
        run("ntfscp", "-f", "-N", f"stream {number}", volume, source_file(tmp_path / "src", 2500, 7), "/file.bin")
    if not streams:
        run("ntfscp", "-f", volume, source_file(tmp_path / "src", 10, 1), "/file.bin")
    run("ntfscp", "-f", "-N", name, volume, content, "/file.bin")
    media = bytearray(volume.read_bytes())
    _state_initialised(media, real=20_000, initialised=3_000)
    volume.write_bytes(media)
    address = _address(volume, f"file.bin:{name}")
    told = run("istat", volume, address).decode()
    assert "init_size: 3000" in told
    assert ("$ATTRIBUTE_LIST" in told) == bool(streams)
    with_slack = run("icat", "-s", volume, address)
    with listed(volume) as found:
        assert found.content(found.named(b"file.bin", name).address) == pattern(20_000, 5)[:3000] + bytes(17_000)
        slack = found.named(b"file.bin", f"{name}:slack")
        assert slack.size == len(with_slack) - 3000
        assert found.content(slack.address) == with_slack[3000:]
        assert found.content(slack.address).startswith(pattern(20_000, 5)[3000:])


def _state_initialised(media: bytearray, *, real: int, initialised: int) -> None:
    """Lowers the initialised size in the one attribute of that real size: 8 bytes behind it."""
    wanted = real.to_bytes(8, "little") * 2
    at = media.index(wanted)
    media[at + 8 : at + 16] = initialised.to_bytes(8, "little")
    assert media.find(wanted) == -1
