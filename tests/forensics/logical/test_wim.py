"""WIM: images made by wimlib and 7z beside the tree they were made of; the public image; structures that cannot be."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listed import listed, survives

from forensics.errors import FilesystemError
from forensics.exhibit import SourceFile
from forensics.filesystems.base import Kind
from forensics.logical.reparse import parse_reparse_buffer
from forensics.logical.wim_huffman import DamagedChunkError
from forensics.logical.wim_lzx import unpack_lzx
from forensics.logical.wim_structure import Wim, root_at
from forensics.logical.wim_xpress import unpack_xpress

if TYPE_CHECKING:
    from collections.abc import Callable

needs_wimlib = pytest.mark.skipif(
    shutil.which("wimlib-imagex") is None and not os.environ.get("CI"), reason="wimlib-imagex is not installed"
)
needs_7z = pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7z is not installed")

RNG = random.Random(1)
FILES = {
    "text": b"".join(b"line %d of a text, %d\n" % (n, n * n) for n in range(8000)),
    "noise": RNG.randbytes(100_000),
    # chunks that shrink beside chunks that are stored because they do not
    "mixed": b"abc" * 30_000 + RNG.randbytes(70_000) + b"xyz" * 30_000,
    "zeros": bytes(32768 * 3),
    "one chunk": b"exactly " * 4096,
    "few": bytes(RNG.choices(b"acgt", k=50_000)),
    # machine code: LZX translates the targets of calls
    "code": Path(sys.executable).resolve().read_bytes()[:300_000],
    "calls": b"".join(b"\xe8" + struct.pack("<i", RNG.randrange(-70_000, 13_000_000)) for _ in range(20_000)),
    "sub/empty": b"",
    "sub/\u00fc\u65e5": b"x",
}
METHODS = ["none", "XPRESS", "XPRESS:4096", "LZX", "LZX:8", "LZX:100"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wim") / "tree"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    os.utime(folder / "text", ns=(1_500_000_000_123_456_700, 1_500_000_000_123_456_700))
    (folder / "link").symlink_to("sub/empty")
    return folder


def captured(tree: Path, target: Path, *options: str) -> Path:
    subprocess.run(["wimlib-imagex", "capture", tree, target, *options], check=True, capture_output=True)
    return target


def inside(contents: dict[str, bytes | str], image: int = 1) -> dict[str, bytes | str]:
    return {path.removeprefix(f"{image}/"): content for path, content in contents.items() if path.startswith(f"{image}/")}


@needs_wimlib
@pytest.mark.parametrize("method", METHODS)
def test_an_image_of_wimlib_has_the_contents_of_its_tree(tree: Path, tmp_path: Path, method: str) -> None:
    found = listed(captured(tree, tmp_path / "x.wim", f"--compress={method}"))
    assert (found.filesystem, found.problems) == ("wim", [])
    contents = inside(found.contents)
    link = contents.pop("link")
    assert contents == FILES
    assert isinstance(link, bytes)
    entry = found.entry("1/link")
    assert (entry.kind, entry.link_target) == (Kind.LINK, "sub\\empty" if "\\" in (entry.link_target or "") else "sub/empty")
    assert found.entry("1/sub").kind is Kind.DIRECTORY
    assert found.entry("1/text").times.modified == 1_500_000_000_123_456_700


@needs_wimlib
@pytest.mark.parametrize("size", ["4K", "64K", "256K", "2M"])
def test_chunks_of_other_sizes_are_read(tree: Path, tmp_path: Path, size: str) -> None:
    methods = ["LZX", "XPRESS"] if size in ("4K", "64K") else ["LZX"]
    for method in methods:
        if (method, size) == ("LZX", "4K"):
            continue  # wimlib makes LZX of 32 KiB and more
        found = listed(captured(tree, tmp_path / f"{method}.wim", f"--compress={method}", f"--chunk-size={size}"))
        contents = inside(found.contents)
        contents.pop("link")
        assert (contents, found.problems) == (FILES, [])


@needs_wimlib
def test_several_images_are_folders_and_share_contents(tree: Path, tmp_path: Path) -> None:
    path = captured(tree, tmp_path / "x.wim", "first")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "copy").write_bytes(FILES["text"])
    subprocess.run(["wimlib-imagex", "append", tmp_path / "other", path, "second"], check=True, capture_output=True)
    found = listed(path)
    assert found.problems == []
    assert inside(found.contents, 2) == {"copy": FILES["text"]}
    assert inside(found.contents)["text"] == FILES["text"]


@needs_wimlib
@pytest.mark.parametrize("options", [("--solid",), ("--compress=LZMS",)])
def test_what_is_solid_or_lzms_is_refused_by_name(tree: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    with pytest.raises(FilesystemError, match=r"solid or compressed with LZMS .*, which is not read"):
        listed(captured(tree, tmp_path / "x.wim", *options))


@needs_wimlib
def test_a_part_of_a_set_is_refused_by_name(tree: Path, tmp_path: Path) -> None:
    path = captured(tree, tmp_path / "x.wim")
    subprocess.run(["wimlib-imagex", "split", path, tmp_path / "p.swm", "0.05"], check=True, capture_output=True)
    with pytest.raises(FilesystemError, match=r"is part 1 of \d+; join them"):
        listed(tmp_path / "p.swm")


@needs_7z
def test_an_image_of_7z_has_the_contents_of_its_tree(tree: Path, tmp_path: Path) -> None:
    names = [*(name for name in FILES if "/" not in name), "sub"]
    subprocess.run(["7z", "a", "-twim", tmp_path / "x.wim", *names], cwd=tree, check=True, capture_output=True)
    found = listed(tmp_path / "x.wim")
    assert (inside(found.contents), found.problems) == (FILES, [])


@pytest.mark.corpus
def test_the_public_image_has_the_contents_that_it_states(corpus_image: Callable[[str], Path]) -> None:
    found = listed(corpus_image("wim-basic"))
    assert found.problems == []
    names = ("ads.txt", "file.txt", "link.txt", "dir", "dir/another.txt")
    assert {entry.path.decode() for entry in found.entries} == {"1", *(f"1/{name}" for name in names)}
    # the SHA-1 of its table, which `7z l -slt` shows too
    assert hashlib.sha1(found.contents["1/ads.txt:spookystream"]).hexdigest() == "0fb3109183dc351670bec54bebe6406ad016315e"
    assert hashlib.sha1(found.contents["1/file.txt"]).hexdigest() == "0aaa8266648364d68b67be77c53f708a77fda84c"
    assert found.entry("1/link.txt").link_target == "\\??\\C:\\dir\\another.txt"


@needs_7z
@pytest.mark.corpus
def test_7z_extracts_the_same_of_the_public_image(corpus_image: Callable[[str], Path]) -> None:
    path = corpus_image("wim-basic")
    found = listed(path)
    for name in ("file.txt", "dir/another.txt"):
        data = subprocess.run(["7z", "x", "-so", path, name.replace("/", os.sep)], check=True, capture_output=True).stdout
        assert found.contents[f"1/{name}"] == data


def small(tmp_path: Path, *options: str) -> bytes:
    folder = tmp_path / "small"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "text").write_bytes(FILES["text"][:40_000])
    (folder / "b").write_bytes(b"b" * 100)
    return captured(folder, tmp_path / "small.wim", *options).read_bytes()


@needs_wimlib
@pytest.mark.parametrize("method", ["none", "XPRESS", "LZX"])
def test_damaged_images_give_errors_of_ours_only(tmp_path: Path, method: str) -> None:
    data = small(tmp_path, f"--compress={method}")
    assert survives(tmp_path, "x.wim", data, times=40) > 5


@needs_wimlib
@pytest.mark.parametrize("method", ["XPRESS", "LZX"])
def test_a_flipped_bit_in_a_chunk_is_an_error_or_fails_its_digest(tmp_path: Path, method: str) -> None:
    data = small(tmp_path, f"--compress={method}")
    path = tmp_path / "flipped.wim"
    for at in range(260, 2500, 160):
        changed = bytearray(data)
        changed[at] ^= 4
        path.write_bytes(changed)
        found = listed(path)
        content = found.contents["1/a/text"]
        assert content == FILES["text"][:40_000] or isinstance(content, str) or "stated-digest-mismatch" in found.codes


@needs_wimlib
@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (12, 0x0000FFFF, "is of version 0xffff"),
        (20, 3, "chunks of 3 bytes"),
        (20, 1 << 31, "chunks of 2147483648 bytes"),
        (56, 0xFFFFFFFF, "a table of the WIM"),
        (64, 0xFFFFFFFF, "a table of the WIM states"),
    ],
)
def test_headers_that_cannot_be_are_refused(tmp_path: Path, offset: int, value: int, message: str) -> None:
    data = bytearray(small(tmp_path))
    struct.pack_into("<I", data, offset, value)
    path = tmp_path / "x.wim"
    path.write_bytes(data)
    with pytest.raises(FilesystemError, match=message):
        listed(path)


@needs_wimlib
@pytest.mark.parametrize("inside_of", ["itself", "nowhere"])
def test_folders_that_lead_astray_end(tmp_path: Path, inside_of: str) -> None:
    data = bytearray(small(tmp_path, "--compress=none"))
    path = tmp_path / "x.wim"
    path.write_bytes(data)
    wim = Wim(SourceFile(path))
    start, metadata = wim.images[0].at, wim.metadata(wim.images[0])
    inside = struct.unpack_from("<Q", metadata, root_at(metadata) + 16)[0]
    at = start + inside  # of the first entry in the root, the folder
    struct.pack_into("<Q", data, at + 16, inside if inside_of == "itself" else 1 << 60)
    path.write_bytes(data)
    found = listed(path)
    assert found.codes == ["directory-loop" if inside_of == "itself" else "listing-damaged"]
    assert found.contents["1/b"] == b"b" * 100


@given(data=st.binary(max_size=2000), size=st.integers(1, 5000))
def test_any_bytes_unpack_to_the_stated_size_or_are_damaged(data: bytes, size: int) -> None:
    for unpack in (unpack_xpress, lambda stored, length: unpack_lzx(stored, length, 32768)):
        with contextlib.suppress(DamagedChunkError):
            assert len(unpack(data, size)) == size


@given(data=st.binary(max_size=60))
def test_any_reparse_buffer_has_a_target_or_none(data: bytes) -> None:
    assert parse_reparse_buffer(struct.pack("<IHH", 0xA000000C, len(data), 0) + data) is None or len(data) >= 12
