"""Contents that do not lie in blocks, and where TSK gives zeros or a name of its own: links and small files in the inode."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from made_volumes import MEBIBYTE, listed, needs, patterned, run

from forensics.errors import StreamReadError
from forensics.filesystems.base import Content, Kind

if TYPE_CHECKING:
    from pathlib import Path

_LENGTHS = (1, 12, 59, 60, 61, 500, 1023)


def _made(folder: Path, volume: Path, *options: str) -> Path:
    """An ext filesystem over the pattern with what is in the folder."""
    patterned(volume, 4 * MEBIBYTE)
    run("mke2fs", "-q", "-F", "-b", 1024, "-E", "nodiscard,lazy_itable_init=0", *options, "-d", folder, volume)
    return volume


@needs("mke2fs")
@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4", "ext4 with small files in the inode"])
def test_the_content_of_a_symbolic_link_is_its_target(tmp_path: Path, kind: str) -> None:
    """Up to 59 bytes stand in the inode, more in a block; icat and TSK give zeros for the former. Truth: readlink."""
    folder = tmp_path / "files"
    folder.mkdir()
    for length in _LENGTHS:
        (folder / f"{length:04}").symlink_to(("to/" * length)[: length - 1] + "x")
    options = ("-O", "inline_data") if "inode" in kind else ()
    with listed(_made(folder, tmp_path / "volume.dd", "-t", kind[:4], *options)) as found:
        links = {entry.path.decode(): entry for entry in found.entries if entry.kind is Kind.LINK}
        targets = {one.name: str(one.readlink()) for one in folder.iterdir()}
        assert {len(target) for target in targets.values()} == set(_LENGTHS)
        assert {name: entry.link_target for name, entry in links.items()} == targets
        assert {name: found.content(entry.address).decode() for name, entry in links.items()} == targets
        for entry in links.values():
            assert entry.address is not None
            stream = found.reader.open_stream(entry.address)
            target = os.fsencode(entry.link_target or "")
            assert [stream.read_at(at, 5) for at in range(len(target) + 2)] == [target[at : at + 5] for at in range(len(target) + 2)]


@needs("mke2fs")
def test_a_link_whose_target_has_a_zero_byte_is_an_error_and_no_zeros(tmp_path: Path) -> None:
    """No system makes such a link; the inode states 10 bytes, and the fifth is zero."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "link").symlink_to("abcd/efghi")
    volume = _made(folder, tmp_path / "volume.dd", "-t", "ext4")
    data = volume.read_bytes()
    assert data.count(b"abcd/efghi") == 1
    volume.write_bytes(data.replace(b"abcd/efghi", b"abcd\0efghi"))
    with listed(volume) as found, pytest.raises(StreamReadError, match="states a target of 10 bytes, and TSK finds 4"):
        found.content(found.named(b"link").address)


@needs("mke2fs")
def test_small_files_in_the_inode_are_plain_files(tmp_path: Path) -> None:
    """Up to 60 bytes stand where the numbers of blocks do, more behind the fields of the inode. Truth: what was put in."""
    folder = tmp_path / "files"
    (folder / "folder").mkdir(parents=True)
    sizes = (0, 1, 59, 60, 61, 120, 150, 5000)
    contents = {f"file {size:04}": random.Random(size).randbytes(size) for size in sizes}
    contents["folder/below"] = b"below"
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    volume = _made(folder, tmp_path / "volume.dd", "-t", "ext4", "-O", "inline_data", "-I", "256")
    with listed(volume) as found:
        files = [entry for entry in found.entries if entry.kind is Kind.FILE]
        assert {(entry.path.decode(), entry.stream) for entry in files} == {(name, "") for name in contents}
        for entry in files:
            name = entry.path.decode()
            assert entry.size == len(contents[name])
            if not entry.size:  # TSK has nothing to read of it
                assert entry.content is Content.NONE
                continue
            assert found.content(entry.address) == contents[name]
        assert [entry.stream for entry in found.entries if entry.path == b"folder"] == [""]
        assert found.problems == []


@needs("mke2fs")
def test_a_file_that_is_all_holes_reads_as_zeros(tmp_path: Path) -> None:
    """Icat of TSK 4.11.1 fails on such a file of ext4."""
    folder = tmp_path / "files"
    folder.mkdir()
    with (folder / "holes").open("wb") as file:
        file.truncate(100_000)
    with (folder / "some").open("wb") as file:
        file.seek(50_000)
        file.write(b"in the middle")
        file.truncate(100_000)
    with listed(_made(folder, tmp_path / "volume.dd", "-t", "ext4")) as found:
        for name in ("holes", "some"):
            assert found.content(found.named(name.encode()).address) == (folder / name).read_bytes()
