from __future__ import annotations

import hashlib
import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics import media
from forensics.digests import DigestCheck, MediaDigests, Verdict, compare_digests, digest_media, parse_expected
from forensics.errors import ForensicsError, ImageReadError
from forensics.exhibit import Container, StatedDigests
from forensics.image import Image, open_image
from forensics.media import Damage, Media, MediaBlock, iter_salvaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# md5sum, sha1sum and sha256sum of the three bytes "abc" (also RFC 1321, A.5, and FIPS 180-4, examples)
MD5 = "900150983cd24fb0d6963f7d28e17f72"
SHA1 = "a9993e364706816aba3e25717850c26c9cd0d89d"
SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
ABC = MediaDigests(md5=MD5, sha1=SHA1, sha256=SHA256, problems=(), damaged_chunks=0)


class Cut:
    """A reader whose blocks are the given bytes."""

    def __init__(self, blocks: list[MediaBlock]) -> None:
        self.blocks = blocks

    def read_at(self, offset: int, length: int) -> bytes:
        return b"".join(block.data for block in self.blocks)[offset : offset + length]

    def iter_blocks(self) -> Iterator[MediaBlock]:
        return iter(self.blocks)


def image_of(path: Path, blocks: list[MediaBlock]) -> Image:
    size = sum(len(block.data) for block in blocks)
    return Image(path, Media(container=Container.RAW, size=size, files=(), reader=Cut(blocks)))


def digested(image: Image) -> MediaDigests:
    return digest_media(image, on_bytes=lambda _: None)


def test_the_digests_of_a_known_text_are_those_of_the_standards(tmp_path: Path) -> None:
    (tmp_path / "d.dd").write_bytes(b"abc")
    with open_image(tmp_path / "d.dd") as image:
        assert digested(image) == ABC


@given(data=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=6))
def test_digests_do_not_depend_on_the_blocks(tmp_path_factory: pytest.TempPathFactory, data: bytes, cuts: list[int]) -> None:
    """Law 5: digests do not depend on how a stream is cut into blocks."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    blocks = [MediaBlock(data[start:end]) for start, end in itertools.pairwise(edges)]
    found = digested(image_of(tmp_path_factory.getbasetemp(), blocks))
    assert found.md5 == hashlib.md5(data).hexdigest()
    assert found.sha1 == hashlib.sha1(data).hexdigest()
    assert found.sha256 == hashlib.sha256(data).hexdigest()


def test_a_raw_image_of_many_blocks_is_digested_whole_and_counted(tmp_path: Path) -> None:
    data = random.Random(3).randbytes(3 * media.BLOCK_BYTES + 512 * 7)
    (tmp_path / "d.dd").write_bytes(data)
    counted: list[int] = []
    with open_image(tmp_path / "d.dd") as image:
        assert digest_media(image, on_bytes=counted.append).sha256 == hashlib.sha256(data).hexdigest()
    assert sum(counted) == len(data)


def test_what_the_counter_raises_ends_the_read(tmp_path: Path) -> None:
    (tmp_path / "d.dd").write_bytes(bytes(5 * media.BLOCK_BYTES))

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with open_image(tmp_path / "d.dd") as image, pytest.raises(KeyboardInterrupt):
        digest_media(image, on_bytes=stop)


def test_contiguous_damage_is_one_problem_across_blocks(tmp_path: Path) -> None:
    def damage(start: int, code: str = "chunk-checksum") -> tuple[Damage, ...]:
        return (Damage(start_byte=start, size_bytes=1024, code=code, why="fails its checksum", chunks=1),)

    blocks = [
        MediaBlock(bytes(1024)),
        MediaBlock(bytes(1024), damage(1024)),
        MediaBlock(bytes(1024), damage(2048)),
        MediaBlock(bytes(1024)),
        MediaBlock(bytes(1024), damage(4096)),
        MediaBlock(bytes(1024), (Damage(start_byte=5120, size_bytes=1024, code="media-read", why="gone"),)),
    ]
    found = digested(image_of(tmp_path, blocks))
    assert [(one.code, one.start_byte, one.size_bytes) for one in found.problems] == [
        ("chunk-checksum", 1024, 2048),
        ("chunk-checksum", 4096, 1024),
        ("media-read", 5120, 1024),
    ]
    assert "Sectors 2 to 5" in found.problems[0].what
    assert found.damaged_chunks == 3


def test_more_damage_than_has_rows_is_summed_up(tmp_path: Path) -> None:
    blocks = []
    for index in range(0, 3000, 2):
        start = index * 512
        blocks += [
            MediaBlock(bytes(512), (Damage(start_byte=start, size_bytes=512, code="media-read", why="gone"),)),
            MediaBlock(bytes(512)),
        ]
    found = digested(image_of(tmp_path, blocks))
    assert len(found.problems) == 1001
    assert (found.problems[-1].code, found.problems[-1].size_bytes) == ("damage-more", 500 * 512)


def test_what_cannot_be_read_is_zeros_in_a_whole_read_and_named() -> None:
    data = bytes([1]) * (3 * media.BLOCK_BYTES)
    gap = range(media.BLOCK_BYTES + 100_000, media.BLOCK_BYTES + 100_010)

    def read_at(offset: int, length: int) -> bytes:
        if offset < gap.stop and offset + length > gap.start:
            message = "the disk says no"
            raise ImageReadError(message)
        return data[offset : offset + length]

    blocks = list(iter_salvaged(read_at, len(data)))
    whole = b"".join(block.data for block in blocks)
    (damage,) = (one for block in blocks for one in block.damage)
    assert (damage.start_byte, damage.size_bytes) == (media.BLOCK_BYTES + media.SALVAGE_BYTES, media.SALVAGE_BYTES)
    end = damage.start_byte + damage.size_bytes
    assert whole == data[: damage.start_byte] + bytes(damage.size_bytes) + data[end:]


@pytest.mark.parametrize(
    ("stated", "expected", "verdict"),
    [
        (StatedDigests(), None, Verdict.NOT_STATED),
        (StatedDigests(md5=MD5), None, Verdict.MATCH),
        (StatedDigests(md5=MD5.upper(), sha1=SHA1), None, Verdict.MATCH),
        (StatedDigests(md5="0" * 32), None, Verdict.MISMATCH),
        (StatedDigests(md5=MD5, sha1="0" * 40), None, Verdict.MISMATCH),
        (StatedDigests(), SHA256, Verdict.MATCH),
        (StatedDigests(md5=MD5), "1" * 64, Verdict.MISMATCH),
        (StatedDigests(md5="0" * 32), SHA256, Verdict.MISMATCH),
    ],
)
def test_one_digest_that_disagrees_is_a_mismatch(stated: StatedDigests, expected: str | None, verdict: Verdict) -> None:
    assert compare_digests(stated, expected, ABC).verdict is verdict


def test_each_check_says_who_states_what() -> None:
    checks = compare_digests(StatedDigests(md5="0" * 32), SHA1, ABC).checks
    assert checks == (
        DigestCheck(by="image", algorithm="md5", stated="0" * 32, computed=MD5),
        DigestCheck(by="examiner", algorithm="sha1", stated=SHA1, computed=SHA1),
    )
    assert [check.agrees for check in checks] == [False, True]


@pytest.mark.parametrize(
    ("text", "algorithm"),
    [
        (MD5, "md5"),
        (f"  {SHA1.upper()}\n", "sha1"),
        (f"SHA256: {SHA256}", "sha256"),
        (f"sha-1={SHA1}", "sha1"),
        (" ".join(MD5[at : at + 4] for at in range(0, 32, 4)), "md5"),
        (":".join(MD5[at : at + 2] for at in range(0, 32, 2)), "md5"),
    ],
)
def test_an_expected_digest_is_told_by_its_length(text: str, algorithm: str) -> None:
    assert parse_expected(text) == (algorithm, {"md5": MD5, "sha1": SHA1, "sha256": SHA256}[algorithm])


@pytest.mark.parametrize("text", ["", "abc", MD5[:-1], MD5 + "0", "g" * 32, "0" * 128, f"sha1:{MD5}", f"md5:{SHA256}"])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ForensicsError, match=r"is no digest|is called"):
        parse_expected(text)
