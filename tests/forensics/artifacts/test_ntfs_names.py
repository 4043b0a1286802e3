from __future__ import annotations

import pytest
from dissect.ntfs.exceptions import Error as NtfsError
from dissect.ntfs.mft import Mft
from dissect.ntfs.ntfs import NTFS
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.artifacts.ntfs_names import FolderNames
from forensics.image import open_image
from forensics.source import SourceStream

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def mft(corpus_image):
    return NTFS(SourceStream(open_image(corpus_image("ntfs-colinfinck")))).mft


@pytest.fixture(scope="module")
def paths(mft):
    """All paths of the filesystem."""
    found = []

    def walk(folder, prefix):
        for entry in folder.iterdir(ignore_dos=False):
            name = entry.attribute.file_name
            path = f"{prefix}\\{name}"
            if name == "." or len(found) > 3000:
                continue
            found.append(path)
            record = entry.dereference()
            if record.is_dir():
                walk(record, path)

    walk(mft.root, "")
    return found


def answer(lookup, path):
    """Number of the record that a path leads to, or the name of the error."""
    try:
        return lookup(path).segment
    except NtfsError as error:
        return type(error).__name__


def test_every_path_leads_to_the_record_that_dissect_finds_in_any_case(mft, paths):
    names = FolderNames(mft)
    assert len(paths) > 100
    for path in [*paths, *(one.swapcase() for one in paths), *(one.replace("\\", "/") for one in paths)]:
        assert answer(names.get_path, path) == answer(lambda one: Mft._get_path(mft, one), path)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_path_with_any_change_has_the_answer_of_dissect(mft, paths, data):
    """The answers are dissect's own, for names that are there and names that are not."""
    path = data.draw(st.sampled_from(paths))
    at = data.draw(st.integers(0, len(path)))
    changed = path[:at] + data.draw(st.text(st.characters(codec="utf-16"), max_size=3)) + path[at + data.draw(st.integers(0, 2)) :]
    names = FolderNames(mft)
    expected = answer(lambda one: Mft._get_path(mft, one), changed)
    assert [answer(names.get_path, changed) for _ in range(3)] == [expected] * 3


def test_absent_names_are_refused_without_a_search_once_a_folder_is_known(mft, monkeypatch):
    names = FolderNames(mft)
    for number in range(2000):
        assert answer(names.get_path, f"\\absent {number}") == "FileNotFoundError"
    monkeypatch.setattr("dissect.ntfs.index.Index.search", None)
    assert answer(names.get_path, "\\absent again") == "FileNotFoundError"
