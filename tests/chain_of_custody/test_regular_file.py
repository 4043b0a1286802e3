"""Files that are written whole, once, and read without being led elsewhere."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from chain_of_custody.errors import FormatError
from chain_of_custody.regular_file import open_folder, read_regular, replace_file, write_once

if TYPE_CHECKING:
    from pathlib import Path


def no_links(*_: object, **__: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_written_once_and_kept_ever_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """Without links: link(2) on exFAT and FAT fails with EPERM."""
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    write_once(tmp_path / "a", b"one")
    write_once(tmp_path / "a", b"one")
    with pytest.raises(FileExistsError):
        write_once(tmp_path / "a", b"two")
    (tmp_path / "b").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        write_once(tmp_path / "b", b"one")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"one")
    replace_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_is_read_up_to_its_limit_and_no_link_is(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"12345")
    (tmp_path / "sub" / "b").symlink_to("a")
    (tmp_path / "link").symlink_to("sub")
    with open_folder(tmp_path, "sub") as folder:
        assert read_regular("a", folder, 5) == b"12345"
        for name, limit, code in (("a", 4, "E_FILE_SIZE"), ("b", 5, "E_FILE_KIND")):
            with pytest.raises(FormatError) as raised:
                read_regular(name, folder, limit)
            assert raised.value.code == code
    with pytest.raises(FormatError), open_folder(tmp_path, "link"):
        pass
