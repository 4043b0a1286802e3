"""A folder of files as an exhibit: trees laid here. What the superuser cannot be kept from reading is not tried here."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from listed import LIMITS, listed

from forensics.digests import digest_media
from forensics.errors import FilesystemError, ImageError, ImageReadError, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind
from forensics.image import open_image
from forensics.logical.open_logical import find_logical, open_logical


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "sub").mkdir(parents=True)
    (folder / "plain.txt").write_bytes(b"plain\n")
    (folder / "sub" / "empty").write_bytes(b"")
    (folder / "sub" / "noise").write_bytes(os.urandom(5000))
    return folder


def test_the_media_is_what_find_and_cat_give(tree: Path) -> None:
    (tree / "Sub").mkdir()
    (tree / "Sub" / "sub.txt").write_bytes(b"after")
    (tree / "sub.txt").write_bytes(b"beside")
    command = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat"
    expected = subprocess.run(["sh", "-c", command], cwd=tree, check=True, capture_output=True).stdout
    with open_image(tree) as image:
        assert image.container == "folder"
        assert image.read_at(0, image.size) == expected
        assert digest_media(image, on_bytes=lambda _: None).sha256 == hashlib.sha256(expected).hexdigest()


def test_everything_in_it_is_listed_as_lstat_states_it(tree: Path) -> None:
    (tree / "link").symlink_to("sub/noise")
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tree / "s"))
        found = listed(tree)
    assert (found.filesystem, found.problems) == ("folder", [])
    assert [(entry.path.decode(), entry.kind) for entry in found.entries] == [
        ("fifo", Kind.FIFO),
        ("link", Kind.LINK),
        ("plain.txt", Kind.FILE),
        ("s", Kind.SOCKET),
        ("sub", Kind.DIRECTORY),
        ("sub/empty", Kind.FILE),
        ("sub/noise", Kind.FILE),
    ]
    assert found.contents == {"plain.txt": b"plain\n", "sub/empty": b"", "sub/noise": (tree / "sub" / "noise").read_bytes()}
    status = (tree / "plain.txt").lstat()
    entry = found.entry("plain.txt")
    assert (entry.size, entry.mode, entry.owner, entry.links) == (6, status.st_mode & 0o7777, status.st_uid, 1)
    assert (entry.times.modified, entry.times.metadata_changed) == (status.st_mtime_ns, status.st_ctime_ns)


def test_a_link_that_leads_out_is_listed_and_never_followed(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"not evidence")
    (tree / "file").symlink_to(outside / "secret")
    (tree / "folder").symlink_to(outside)
    (tree / "sub" / "up").symlink_to("..")
    found = listed(tree)
    assert found.entry("file").link_target == str(outside / "secret")
    assert [(found.entry(name).kind, found.entry(name).content) for name in ("file", "folder", "sub/up")] == [(Kind.LINK, Content.NONE)] * 3
    assert b"not evidence" not in found.contents.values()
    assert not any(entry.path.startswith((b"folder/", b"sub/up/")) for entry in found.entries)
    with open_image(tree) as image:
        assert b"not evidence" not in image.read_at(0, image.size)


def test_a_link_that_takes_the_place_of_a_file_or_folder_is_not_followed(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "noise").write_bytes((tree / "sub" / "noise").read_bytes())
    with open_image(tree) as image:
        (tree / "sub").rename(tmp_path / "moved")
        (tree / "sub").symlink_to(outside)
        with pytest.raises(ImageReadError, match=r"noise: bytes .* cannot be read"):
            image.read_at(6, 5000)
        (tree / "plain.txt").unlink()
        (tree / "plain.txt").symlink_to("/etc/passwd")
        with pytest.raises(ImageReadError, match=r"plain\.txt: bytes .* cannot be read"):
            image.read_at(0, 6)


def test_a_fifo_that_takes_the_place_of_a_file_does_not_block(tree: Path) -> None:
    with open_image(tree) as image:
        (tree / "plain.txt").unlink()
        os.mkfifo(tree / "plain.txt")
        with pytest.raises(ImageReadError, match="another file has taken its place"):
            image.read_at(0, 6)


def test_a_file_that_changes_while_it_is_read_is_an_error(tree: Path, tmp_path: Path) -> None:
    with open_image(tree) as image, tempfile.TemporaryDirectory(dir=tmp_path) as spool:
        reader = open_logical(image, image, credentials=(), spool=Path(spool))
        (entry,) = (one for one in reader.iter_entries(LIMITS) if isinstance(one, Entry) and one.path == b"sub/noise")
        assert entry.address is not None
        stream = reader.open_stream(entry.address)
        assert len(stream.read_at(0, 100)) == 100
        os.truncate(tree / "sub" / "noise", 3000)
        for start in (0, 4000):
            with pytest.raises(StreamReadError, match="was changed since the folder was looked through"):
                stream.read_at(start, 100)
        (tree / "sub" / "noise").write_bytes(os.urandom(6000))
        with pytest.raises(StreamReadError, match="was changed since the folder was looked through"):
            reader.open_stream(entry.address).read_at(0, 100)


def test_a_folder_that_was_changed_since_it_was_found_is_refused(tree: Path, tmp_path: Path) -> None:
    with open_image(tree) as image:
        selector = find_logical(image).selector
        open_logical(image, image, credentials=(), spool=tmp_path, selector=selector)
        (tree / "new").write_bytes(b"x")
        with pytest.raises(FilesystemError, match="was changed since it was looked through"):
            open_logical(image, image, credentials=(), spool=tmp_path, selector=selector)


def test_names_that_are_not_utf_8_are_kept_as_bytes(tree: Path) -> None:
    name = os.fsdecode(b"caf\xe9\x1b[2J\n")
    (tree / name).write_bytes(b"x")
    (tree / os.fsdecode(b"\xff")).mkdir()
    found = listed(tree)
    assert b"caf\xe9\x1b[2J\n" in [entry.path for entry in found.entries]
    assert found.contents[name] == b"x"
    with open_image(tree) as image:
        assert r"caf\xe9\x1b[2J\x0a" in [segment.name for segment in image.segments]


def test_a_folder_without_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for _ in range(2):
        with pytest.raises(ImageError, match="no file in this folder has any content"):
            open_image(tmp_path / "tree")
        (tmp_path / "tree" / "empty").write_bytes(b"")


def test_a_deep_folder_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "file").write_bytes(b"x")
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(300):  # the whole path is longer than a path may be
        os.mkdir("n" * 20, dir_fd=descriptor)
        below = os.open("n" * 20, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    with open(os.open("deep", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor), "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(b"deep")
    os.close(descriptor)
    try:
        found = listed(folder)
        assert len(found.entries) == 302
        assert found.contents[("n" * 20 + "/") * 300 + "deep"] == b"deep"
        assert found.problems == []
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)
