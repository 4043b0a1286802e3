from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

import pytest

from forensics.errors import ImageError, ImageNotFoundError, ImageReadError
from forensics.exhibit import SourceFile, read_state


def written(path: Path, data: bytes = b"some bytes of evidence") -> Path:
    path.write_bytes(data)
    return path


def is_one_harmless_line(message: str) -> bool:
    return message.isprintable()


def test_a_file_is_opened_for_reading_only(tmp_path: Path) -> None:
    file = SourceFile(written(tmp_path / "a.dd"))
    flags = fcntl.fcntl(file._descriptor, fcntl.F_GETFL)
    file.release()
    assert flags & os.O_ACCMODE == os.O_RDONLY


def test_a_read_is_short_only_at_the_end(tmp_path: Path) -> None:
    file = SourceFile(written(tmp_path / "a.dd", b"0123456789"))
    assert file.read_at(3, 4) == b"3456"
    assert file.read_at(8, 100) == b"89"
    assert file.read_at(10, 1) == b""
    assert file.read_at(10**15, 1) == b""
    file.release()


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundError, match="there is no such file"):
        SourceFile(tmp_path / "no.dd")


def test_a_path_through_a_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundError, match="no folder"):
        SourceFile(written(tmp_path / "a.dd") / "b.dd")


def test_a_symbolic_link_to_nothing_is_said_to_be_one(tmp_path: Path) -> None:
    link = tmp_path / "link.dd"
    link.symlink_to(tmp_path / "gone.dd")
    with pytest.raises(ImageNotFoundError, match="symbolic link to nothing"):
        SourceFile(link)


def test_a_symbolic_link_to_itself_is_an_error(tmp_path: Path) -> None:
    link = tmp_path / "link.dd"
    link.symlink_to(link)
    with pytest.raises(ImageError, match="cannot be looked at"):
        SourceFile(link)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "dir.E01"
    folder.mkdir()
    with pytest.raises(ImageError, match="is a folder"):
        SourceFile(folder)


@pytest.mark.timeout(10)
def test_a_fifo_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.dd")
    with pytest.raises(ImageError, match="is a FIFO"):
        SourceFile(tmp_path / "fifo.dd")


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(ImageError, match="is a socket"):
            SourceFile(tmp_path / "s")


def test_a_device_is_refused() -> None:
    with pytest.raises(ImageError, match="is a character device"):
        SourceFile(Path("/dev/null"))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"is empty \(0 bytes\)"):
        SourceFile(written(tmp_path / "a.dd", b""))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dd")
    path.chmod(0)
    with pytest.raises(ImageError, match="Permission denied"):
        SourceFile(path)


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        SourceFile(tmp_path / "a\0b.dd")
    assert is_one_harmless_line(str(caught.value))


@pytest.mark.parametrize("name", [b"two\nlines.dd", b"not\xff\xfeutf8.dd", b"esc\x1b[31m.dd", "bidi\u202e.dd".encode(), b"x" * 250])
def test_odd_names_are_opened_and_shown_as_one_harmless_line(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    with pytest.raises(ImageNotFoundError) as caught:
        SourceFile(path)
    assert is_one_harmless_line(str(caught.value))
    file = SourceFile(written(path, b"abc"))
    assert file.read_at(0, 3) == b"abc"
    assert is_one_harmless_line(file.name)
    file.release()


def test_a_name_too_long_for_the_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="File name too long"):
        SourceFile(tmp_path / ("x" * 300))


def test_a_file_that_becomes_shorter_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dd", bytes(1000))
    file = SourceFile(path)
    os.truncate(path, 500)
    with pytest.raises(ImageReadError, match="ends at byte 500; it became shorter"):
        file.read_at(0, 1000)
    file.release()


def test_a_released_file_is_read_again_and_another_in_its_place_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dd", b"first")
    file = SourceFile(path)
    file.release()
    assert file.read_at(0, 5) == b"first"
    other = written(tmp_path / "other", b"other")
    other.replace(path)
    with pytest.raises(ImageReadError, match="another file has taken its place"):
        file.read_at(0, 5)


def test_reading_leaves_the_state_and_writing_changes_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dd")
    before = read_state((path,))
    file = SourceFile(path)
    file.read_at(0, 5)
    file.release()
    assert read_state((path,)) == before
    os.utime(path, ns=(1, 2))
    assert read_state((path,)) != before
