"""Volumes of which some sectors cannot be read: what The Sleuth Kit lists all the same, and that nothing falls away unsaid."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from made_volumes import EVERYTHING, MEBIBYTE, needs, run

from forensics.errors import ImageReadError, Problem, StreamReadError
from forensics.filesystems.base import Content, Entry, Recovery
from forensics.filesystems.tsk import TskReader
from forensics.sleuthkit import open_filesystem, open_media

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 32768  # what an E01 refuses together


class _Damaged:
    """An image of which one chunk fails its checksum."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._start = data, start
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        if self._start < offset + length and offset < self._start + _CHUNK:
            message = f"sectors {self._start // 512} to {(self._start + _CHUNK) // 512 - 1} are damaged"
            raise ImageReadError(message)
        return self._data[offset : offset + length]


def _listed(source: _Damaged) -> tuple[TskReader, list[Entry], list[Problem]]:
    reader = TskReader(open_filesystem(open_media(source), 0, source.size))
    found = list(reader.iter_entries(EVERYTHING))
    return reader, [one for one in found if isinstance(one, Entry)], [one for one in found if isinstance(one, Problem)]


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """NTFS with files in three folders, and one that was deleted."""
    folder = tmp_path_factory.mktemp("damaged")
    image = folder / "a.img"
    image.write_bytes(bytes(8 * MEBIBYTE))
    run("mkntfs", "-q", "-Q", "-F", "-s", 512, "-c", 4096, "-p", 0, "-H", 16, "-S", 63, image)
    for number in range(20):
        content = folder / f"f{number}"
        content.write_bytes(b"content %d " % number * 3000)
        run("ntfscp", image, content, content.name)
    return image.read_bytes()


@needs("mkntfs", "ntfscp", "fls", "icat")
@pytest.mark.parametrize("chunk", range(2, 12))
def test_files_whose_bytes_can_be_read_are_listed_and_read_as_fls_and_icat_do(volume: bytes, tmp_path: Path, chunk: int) -> None:
    """The truth is what the two give of the same volume with zeros for the chunk, which is how libewf hands it to them."""
    start = chunk * _CHUNK
    zeroed = tmp_path / "a.img"
    zeroed.write_bytes(volume[:start] + bytes(_CHUNK) + volume[start + _CHUNK :])
    names = {line.split("\t")[1] for line in run("fls", "-p", "-F", zeroed).decode().splitlines() if "\tf" in line}
    reader, entries, problems = _listed(_Damaged(volume, start))
    listed = {one.path.decode(): one for one in entries if one.path.startswith(b"f") and not one.stream}
    assert names <= listed.keys()
    for name in names:
        entry = listed[name]
        icat = subprocess.run(["icat", zeroed, str(entry.metadata_address)], capture_output=True, check=False)
        # A file that lies in the chunk, or whose metadata do, is an error to us: zeros are no content of it.
        is_lost = icat.returncode != 0 or icat.stdout != b"content %d " % int(name[1:]) * 3000
        if entry.address is None:  # its metadata lie in the chunk
            assert is_lost
            continue
        try:
            stream = reader.open_stream(entry.address)
            content = stream.read_at(0, stream.size)
        except StreamReadError:
            assert is_lost
        else:
            assert (content, is_lost) == (icat.stdout, False)
    if len(listed) < 20:
        assert any("damaged" in problem.why for problem in problems)


@needs("mkfs.ext4", "fls")
def test_a_damaged_chunk_near_the_start_does_not_take_free_space_and_deleted_files_away(tmp_path: Path) -> None:
    image = tmp_path / "a.img"
    image.write_bytes(bytes(16 * MEBIBYTE))
    run("mkfs.ext4", "-q", "-F", "-b", 1024, image)
    _, entries, _ = _listed(_Damaged(image.read_bytes(), _CHUNK))
    recovered = {one.recovery for one in entries if one.content is Content.READ}
    assert {Recovery.UNALLOCATED, Recovery.UNOWNED} <= recovered
    assert b"lost+found" in {one.path for one in entries}
