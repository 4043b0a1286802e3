"""AD1: the public image; the same cut into segments; images built here after pcbje/pyad1's description."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from listed import listed, survives

from forensics.errors import FilesystemError, ImageError, SegmentMissingError
from forensics.filesystems.base import Kind, Recovery
from forensics.image import open_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEGMENT = struct.Struct("<16s4IQI")
HEADER_BYTES = 512
CHUNK = 64


def segment_header(number: int, count: int, size: int = 1500 << 20) -> bytes:
    return SEGMENT.pack(b"ADSEGMENTEDFILE\0", 1, 2, number, count, size, HEADER_BYTES).ljust(HEADER_BYTES, b"\0")


def segments_of(payload: bytes, cuts: tuple[int, ...]) -> list[bytes]:
    ends = [*cuts, len(payload)]
    parts = [payload[start:end] for start, end in zip([0, *cuts], ends, strict=True)]
    size = HEADER_BYTES + len(parts[0])
    return [segment_header(number, len(parts), size) + part for number, part in enumerate(parts, start=1)]


def laid_segments(folder: Path, payload: bytes, *cuts: int, name: str = "case.ad{}") -> list[Path]:
    paths = []
    for number, data in enumerate(segments_of(payload, cuts), start=1):
        paths.append(folder / name.format(number))
        paths[-1].write_bytes(data)
    return paths


class Builder:
    """An AD1 of version 4, item by item; offsets count from the image header."""

    def __init__(self, name: bytes = b"C:\\case", *, chunk: int = CHUNK, version: int = 4) -> None:
        self._name_at = {3: 48, 4: 92}[version]
        self.data = bytearray(self._name_at + len(name))
        self.data[self._name_at :] = name
        self._header = (b"ADLOGICALIMAGE\0", version, 1, chunk, 0)
        self._name, self._chunk = name, chunk
        self.first = 0

    def add(self, name: bytes, kind: int = 0, content: bytes = b"", metas: tuple[tuple[int, bytes], ...] = ()) -> int:
        at = len(self.data)
        self.data += struct.pack("<5Q2I", 0, 0, 0, 0, len(content), kind, len(name)) + name
        if content:
            places = [len(content[start : start + self._chunk]) for start in range(0, len(content), self._chunk)]
            self.put(at, 3, len(self.data))
            table = len(self.data)
            self.data += struct.pack("<Q", len(places)) + bytes(8 * len(places))
            for index in range(len(places)):
                struct.pack_into("<Q", self.data, table + 8 + 8 * index, len(self.data))
                self.data += zlib.compress(content[index * self._chunk : (index + 1) * self._chunk])
        before = at + 16
        for kind_of, value in metas:
            struct.pack_into("<Q", self.data, before, len(self.data))
            before = len(self.data)
            self.data += struct.pack("<Q3I", 0, 0, kind_of, len(value)) + value
        if not metas and content:
            self.put(at, 2, 0)
        return at

    def put(self, item: int, index: int, value: int) -> None:
        """Field `index` of an item: 0 the next one, 1 the first inside it, 2 metadata, 3 table of chunks, 4 size."""
        struct.pack_into("<Q", self.data, item + 8 * index, value)

    def payload(self) -> bytes:
        head = struct.pack("<16s3I2QI", *self._header, self.first, len(self._name))
        self.data[: len(head)] = head
        return bytes(self.data)


def digests(content: bytes) -> tuple[tuple[int, bytes], ...]:
    return (0x5001, hashlib.md5(content).hexdigest().encode()), (0x5002, hashlib.sha1(content).hexdigest().encode())


def sample() -> tuple[Builder, dict[str, int]]:
    text = b"first line\n" * 30
    image = Builder()
    folder = image.add(b"docs", 5)
    items = {
        "docs": folder,
        "a": image.add(b"a.txt", 0, text, ((9, b"20170331T180249.722616"), *digests(text))),
        "b": image.add(b"gone.txt", 2, b"deleted", digests(b"deleted")),
        "empty": image.add(b"empty", 0, b"", digests(b"")),
    }
    image.first = folder
    image.put(folder, 1, items["a"])
    image.put(items["a"], 0, items["b"])
    image.put(items["b"], 0, items["empty"])
    return image, items


def lone(folder: Path, image: Builder) -> Path:
    return laid_segments(folder, image.payload())[0]


@pytest.mark.corpus
def test_the_public_image_lists_the_contents_of_the_truth(corpus: Path, corpus_image: Callable[[str], Path]) -> None:
    truth = [json.loads(line) for line in (corpus / "open" / "truth" / "ad1-test.jsonl").read_text().splitlines()]
    found = listed(corpus_image("ad1-test"))
    assert found.problems == []
    assert {entry.path.decode() for entry in found.entries} == {row["path"] for row in truth}
    for row in truth:
        if row["sha256"]:
            assert hashlib.sha256(found.contents[row["path"]]).hexdigest() == row["sha256"]
            assert found.entry(row["path"]).size == row["size"]


@pytest.mark.corpus
@pytest.mark.parametrize("cuts", [(700,), (134, 1000), (1, 2, 3, 1751)])
def test_the_public_image_cut_into_segments_lists_the_same(
    tmp_path: Path, corpus_image: Callable[[str], Path], cuts: tuple[int, ...]
) -> None:
    whole = corpus_image("ad1-test")
    payload = whole.read_bytes()[HEADER_BYTES:]
    expected = listed(whole)
    for path in laid_segments(tmp_path, payload, *cuts):
        with open_image(path) as image:
            assert [segment.name for segment in image.segments] == [f"case.ad{number}" for number in range(1, len(cuts) + 2)]
        found = listed(path)
        assert found.entries == expected.entries
        assert found.contents == expected.contents


def test_an_image_of_many_segments_is_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    image, _ = sample()
    payload = image.payload()
    paths = laid_segments(tmp_path, payload, *range(200, 200 + 11 * 20, 20), name="CASE.AD{}")
    assert len(paths) == 12
    found = listed(paths[0])
    assert found.problems == []
    assert found.contents["C:/case/docs/a.txt"] == b"first line\n" * 30


def test_items_come_with_their_kinds_times_and_digests(tmp_path: Path) -> None:
    image, _ = sample()
    found = listed(lone(tmp_path, image))
    assert found.problems == []
    assert [(one.path.decode(), one.kind, one.size) for one in found.entries] == [
        ("C:", Kind.DIRECTORY, None),
        ("C:/case", Kind.DIRECTORY, None),
        ("C:/case/docs", Kind.DIRECTORY, None),
        ("C:/case/docs/a.txt", Kind.FILE, 330),
        ("C:/case/docs/gone.txt", Kind.FILE, 7),
        ("C:/case/docs/empty", Kind.FILE, 0),
    ]
    assert found.contents == {
        "C:/case/docs/a.txt": b"first line\n" * 30,
        "C:/case/docs/gone.txt": b"deleted",
        "C:/case/docs/empty": b"",
    }
    # 2017-03-31 18:02:49 UTC
    assert found.entry("C:/case/docs/a.txt").times.modified == 1490983369722616000
    assert found.entry("C:/case/docs/gone.txt").recovery is Recovery.DELETED


def test_version_3_has_its_name_elsewhere(tmp_path: Path) -> None:
    image = Builder(b"/srv/files", version=3)
    image.first = image.add(b"one", 0, b"content")
    assert listed(lone(tmp_path, image)).contents == {"/srv/files/one": b"content"}


def test_the_roots_of_an_image_of_several_folders_are_paths(tmp_path: Path) -> None:
    image = Builder(b"Custom Content Image([Multi])")
    first, second = image.add(b"E:\\one", 5), image.add(b"E:\\two", 5)
    image.first = first
    image.put(first, 0, second)
    image.put(second, 1, image.add(b"f", 0, b"x"))
    assert [entry.path for entry in listed(lone(tmp_path, image)).entries] == [b"E:/one", b"E:/two", b"E:/two/f"]


def test_a_symbolic_link_says_where_it_leads(tmp_path: Path) -> None:
    target, shown = "\\??\\C:\\target".encode("utf-16-le"), "C:\\target".encode("utf-16-le")
    data = struct.pack("<4HI", 0, len(target), len(target), len(shown), 0) + target + shown
    image = Builder()
    image.first = image.add(b"link", 0, struct.pack("<IHH", 0xA000000C, len(data), 0) + data, ((2, b"11"),))
    entry = listed(lone(tmp_path, image)).entry("C:/case/link")
    assert (entry.kind, entry.link_target) == (Kind.LINK, "\\??\\C:\\target")


def test_a_content_that_is_not_what_the_image_states_is_a_problem(tmp_path: Path) -> None:
    image = Builder()
    image.first = image.add(b"f", 0, b"changed", digests(b"original"))
    found = listed(lone(tmp_path, image))
    assert found.contents == {"C:/case/f": b"changed"}
    assert found.codes == ["stated-digest-mismatch"]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_segment_that_is_missing_is_named(tmp_path: Path, missing: int) -> None:
    paths = laid_segments(tmp_path, sample()[0].payload(), 200, 300)
    paths[missing - 1].unlink()
    named = paths[0] if missing > 1 else paths[1]
    with pytest.raises(SegmentMissingError, match=rf"case\.ad{missing}\b.* is missing"):
        open_image(named)


def test_a_segment_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    paths = laid_segments(tmp_path, sample()[0].payload(), 200, 300)
    first, second = paths[1].read_bytes(), paths[2].read_bytes()
    paths[1].write_bytes(second)
    paths[2].write_bytes(first)
    with pytest.raises(SegmentMissingError, match=r"case\.ad2: is segment 3 by its header"):
        open_image(paths[0])


def test_a_segment_of_an_image_of_another_number_of_segments_is_refused(tmp_path: Path) -> None:
    paths = laid_segments(tmp_path, sample()[0].payload(), 200)
    paths[1].write_bytes(segment_header(2, 5) + bytes(100))
    with pytest.raises(ImageError, match=r"case\.ad2: belongs to another image"):
        open_image(paths[0])


def test_a_segment_behind_the_last_one_is_ignored_and_said(tmp_path: Path) -> None:
    path = lone(tmp_path, sample()[0])
    (tmp_path / "case.ad2").write_bytes(segment_header(2, 2) + bytes(100))
    with open_image(path) as image:
        assert [problem.code for problem in image.problems()] == ["segment-ignored"]
        assert len(image.segments) == 1


def test_a_segment_that_is_cut_off_is_said(tmp_path: Path) -> None:
    paths = laid_segments(tmp_path, sample()[0].payload(), 300, 600)
    paths[1].write_bytes(paths[1].read_bytes()[:-50])
    with open_image(paths[0]) as image:
        assert [(problem.code, problem.path) for problem in image.problems()] == [("segment-size", "case.ad2")]


def test_chains_that_lead_back_end(tmp_path: Path) -> None:
    image, items = sample()
    image.put(items["empty"], 0, items["docs"])
    image.put(items["empty"], 1, items["a"])
    found = listed(lone(tmp_path, image))
    assert found.codes == ["listing-damaged", "listing-damaged"]
    assert len(found.contents) == 3


def test_metadata_without_end_are_said(tmp_path: Path) -> None:
    image, items = sample()
    meta = struct.unpack_from("<Q", image.data, items["a"] + 16)[0]
    struct.pack_into("<Q", image.data, meta, meta)
    found = listed(lone(tmp_path, image))
    assert found.codes == ["metadata-damaged"]
    assert found.contents["C:/case/docs/a.txt"] == b"first line\n" * 30


def test_folders_in_each_other_whose_paths_would_fill_memory_are_given_up(tmp_path: Path) -> None:
    image = Builder()
    above = image.first = image.add(b"n" * 60000, 5)
    for _ in range(5):
        inner = image.add(b"n" * 60000, 5)
        image.put(above, 1, inner)
        above = inner
    found = listed(lone(tmp_path, image))
    assert found.codes == ["listing-damaged"]
    assert len(found.entries) == 3


@pytest.mark.parametrize("size", [0, 1 << 31])
def test_chunks_of_a_size_that_cannot_be_are_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(FilesystemError, match=f"chunks of {size} bytes"):
        listed(lone(tmp_path, Builder(chunk=size)))


def test_a_size_of_2_to_the_63_is_an_error_where_it_is_read(tmp_path: Path) -> None:
    image, items = sample()
    image.put(items["a"], 4, 1 << 63)
    found = listed(lone(tmp_path, image))
    assert "chunk 0 of the content is damaged" in found.contents["C:/case/docs/a.txt"]
    assert found.contents["C:/case/docs/gone.txt"] == b"deleted"


def test_a_flipped_bit_in_a_chunk_is_an_error_and_no_other_bytes(tmp_path: Path) -> None:
    image = Builder()
    image.first = image.add(b"f", 0, b"content" * 5)
    data = bytearray(image.payload())
    data[-1] ^= 1  # of the chunk's Adler-32
    found = listed(laid_segments(tmp_path, bytes(data))[0])
    assert "damaged" in found.contents["C:/case/f"]


def test_damaged_images_give_errors_of_ours_only(tmp_path: Path) -> None:
    data = segments_of(sample()[0].payload(), ())[0]
    assert survives(tmp_path, "x.ad1", data, times=150) > 50
