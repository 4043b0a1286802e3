from __future__ import annotations

import gzip
import lzma
from typing import TYPE_CHECKING

import pytest

from pipelines.expectation import ReplayError
from pipelines.sample import find_samples, read_sample, unpack

if TYPE_CHECKING:
    from pathlib import Path

_TOML = 'title = "t"\nfiles = {files}\nprofile = "triage"\nexpected = []\nproblems = {{}}\n'


def _sample(folder: Path, files: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "sample.toml").write_text(_TOML.format(files=files))
    return folder


def test_a_packed_image_is_unpacked_elsewhere_and_the_sample_is_left_as_it_was(tmp_path: Path) -> None:
    media = b"start" + bytes(3 << 20) + b"end"
    for suffix, packed in ((".xz", lzma.compress(media)), (".gz", gzip.compress(media))):
        folder = _sample(tmp_path / f"s{suffix}", f'["disk.dd{suffix}"]')
        (folder / f"disk.dd{suffix}").write_bytes(packed)
        before = sorted(path.name for path in folder.iterdir())
        work = tmp_path / f"work{suffix}"
        work.mkdir()
        image = unpack(read_sample(folder), work)
        assert image == work / "disk.dd"
        assert image.read_bytes() == media
        assert sorted(path.name for path in folder.iterdir()) == before


def test_an_image_ending_in_zeros_keeps_its_size(tmp_path: Path) -> None:
    folder = _sample(tmp_path / "s", '["disk.dd.xz"]')
    (folder / "disk.dd.xz").write_bytes(lzma.compress(bytes((2 << 20) + 17)))
    assert unpack(read_sample(folder), tmp_path).stat().st_size == (2 << 20) + 17


def test_an_image_that_is_not_packed_is_read_where_it_is(tmp_path: Path) -> None:
    folder = _sample(tmp_path / "s", '["disk.E01", "disk.E02"]')
    for name in ("disk.E01", "disk.E02"):
        (folder / name).write_bytes(b"x")
    assert unpack(read_sample(folder), tmp_path) == folder / "disk.E01"


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    folder = _sample(tmp_path / "s", '["disk.E01", "disk.E02"]')
    (folder / "disk.E01").write_bytes(b"x")
    with pytest.raises(ReplayError, match=r"disk\.E02"):
        read_sample(folder)


@pytest.mark.parametrize("files", ["[]", '["../disk.dd"]', '["/etc/passwd"]', "7", '[""]'])
def test_a_description_that_names_no_plain_file_is_refused(tmp_path: Path, files: str) -> None:
    with pytest.raises(ReplayError, match=r"sample\.toml|not whole"):
        read_sample(_sample(tmp_path / "s", files))


def test_a_damaged_packed_image_is_named(tmp_path: Path) -> None:
    folder = _sample(tmp_path / "s", '["disk.dd.xz"]')
    (folder / "disk.dd.xz").write_bytes(lzma.compress(bytes(1 << 16))[:-20])
    with pytest.raises(ReplayError, match=r"disk\.dd\.xz"):
        unpack(read_sample(folder), tmp_path)


def test_a_folder_without_a_sample_is_refused_so_that_nothing_never_passes(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="holds no sample"):
        find_samples(tmp_path)


def test_samples_are_found_in_the_order_of_their_names_and_a_sample_is_found_itself(tmp_path: Path) -> None:
    folders = [_sample(tmp_path / name, '["x"]') for name in ("b", "a")]
    assert find_samples(tmp_path) == (folders[1], folders[0])
    assert find_samples(folders[0]) == (folders[0],)
