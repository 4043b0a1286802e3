"""The tree of a mount: whatever names evidence has, each entry has one name that a folder can hold, and is found by it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.filesystems.base import StreamAddress
from pipelines.errors import PipelineError
from pipelines.mount_tree import DEEPEST, ROOT, MountTree, Node, Shows, shown_name

_FILE = Node(shows=Shows.STREAM, volume="v01", address=StreamAddress(2**64 - 1, -3, 2**40, slack=True), size=2**64)
_BYTES = st.lists(st.sampled_from([b"a", b"..", b".", b"~5", b"/", b"\xff", b"\x1b[31m", b"\xe2\x80\xae", "ü".encode()]), max_size=200)


@given(st.lists(st.tuples(_BYTES.map(b"".join), st.sampled_from(["", "5", "66"])), max_size=30))
def test_every_name_is_one_that_a_folder_can_hold_and_leads_to_its_entry(names: list[tuple[bytes, str]]) -> None:
    """Names in a folder are unique, 1 to 255 bytes, neither "." nor "..", without "/" and control characters (POSIX, 3.170)."""
    with tempfile.TemporaryDirectory() as folder, MountTree(Path(folder)) as tree:
        numbers = [tree.add(ROOT, shown_name(name), _FILE, mark=mark) for name, mark in names]
        listed = list(tree.children(ROOT))
        assert sorted(one.number for one in listed) == sorted(numbers)
        assert len({one.name for one in listed}) == len(names)
        for one in listed:
            assert 1 <= len(one.name.encode()) <= 255
            assert one.name not in (".", "..")
            assert not re.search("[\x00-\x1f\x7f-\x9f/\u202e]", one.name)
            assert tree.find(f"/{one.name}") == one


def test_a_name_that_is_taken_gets_the_address_of_its_entry(tmp_path: Path) -> None:
    with MountTree(tmp_path) as tree:
        for _ in range(3):
            tree.add(ROOT, "x:y", _FILE, mark="77")
        tree.add(ROOT, "ü" * 200, _FILE, mark="78")
        names = [one.name for one in tree.children(ROOT)]
        assert names == ["x:y", "x:y~77", "x:y~77.3", "ü" * 126 + "~78"]


def test_an_entry_comes_back_as_it_was_put_in_but_for_what_a_size_holds(tmp_path: Path) -> None:
    with MountTree(tmp_path) as tree:
        tree.add(ROOT, "a", _FILE)
        tree.complete()
        found = tree.find("/a")
        assert found is not None
        assert found.node.address == _FILE.address
        assert found.node.size == 2**63 - 1
        assert tree.find("/b") is None
        assert tree.find("/a/b") is None


def test_folders_on_the_way_are_made_once_whatever_they_are_called(tmp_path: Path) -> None:
    with MountTree(tmp_path) as tree:
        inner = tree.folder(ROOT, b"a/../\x1b/b")
        assert inner is not None
        assert tree.folder(ROOT, b"x") != inner
        assert tree.folder(ROOT, b"a/../\x1b/b") == inner
        tree.add(inner, "f", _FILE)
        assert tree.find("/a/..~2/\\x1b/b/f") is not None
        assert tree.folder(ROOT, b"") == ROOT


def test_a_file_does_not_become_the_folder_of_its_name(tmp_path: Path) -> None:
    with MountTree(tmp_path) as tree:
        tree.add(ROOT, "a", _FILE)
        folder = tree.folder(ROOT, b"a")
        assert {one.name: one.node.shows for one in tree.children(ROOT)} == {"a": Shows.STREAM, f"a~{folder}": Shows.FOLDER}


def test_paths_without_end_are_not_followed(tmp_path: Path) -> None:
    with MountTree(tmp_path) as tree:
        assert tree.folder(ROOT, b"/".join([b"a"] * DEEPEST)) is not None
        assert tree.folder(ROOT, b"/".join([b"a"] * (DEEPEST + 1))) is None


def test_a_temporary_folder_that_takes_nothing_is_named_as_the_cause(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="temporary folder"):
        MountTree(tmp_path / "nowhere")
