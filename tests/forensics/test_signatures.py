from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.signatures import HEAD_BYTES, SIGNATURES, identify

if TYPE_CHECKING:
    from collections.abc import Callable


def _head(path: object) -> bytes:
    with open(str(path), "rb") as file:  # noqa: PTH123 - any path
        return file.read(HEAD_BYTES)


# What blkid (util-linux), file(1) or the image's own project calls it; see the corpus's manifest.
@pytest.mark.corpus
@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("bitlk-aes-xts-128", "BitLocker"),
        ("bitlk-togo-aes-xts-128", "BitLocker To Go"),
        ("luks2-ext4-derived", "LUKS"),
        ("ul-images-fs-luks1", "LUKS"),
        ("fvault2-small", "FileVault 2 (CoreStorage)"),
        ("ul-images-fs-btrfs", "Btrfs"),
        ("ul-images-fs-f2fs", "F2FS"),
        ("ul-images-fs-hfs", "HFS (classic)"),
        ("ul-images-fs-lvm2", "LVM2 physical volume"),
        ("ul-images-fs-reiser3", "ReiserFS"),
        ("ul-images-fs-swap1", "Linux swap"),
        ("dissect-squashfs-xz", "SquashFS"),
        ("dissect-jffs2-zlib", "JFFS2"),
        ("dissect-qnx4", "QNX4"),
        ("xfuse-xfs-4kn", "XFS"),
        ("ul-images-fs-zfs", "ZFS"),
    ],
)
def test_a_volume_is_called_what_it_is(corpus_image: Callable[[str], object], identifier: str, name: str) -> None:
    found = identify(_head(corpus_image(identifier)))
    assert found is not None
    assert found.name == name
    assert found.encrypted == (name in ("BitLocker", "BitLocker To Go", "LUKS", "FileVault 2 (CoreStorage)"))


@given(st.binary(max_size=2000))
def test_any_bytes_are_taken(head: bytes) -> None:
    identify(head)


def test_random_bytes_are_next_to_never_something() -> None:
    """A signature of one byte would name one random volume in 256; three bytes are the least that is worth believing."""
    chance = random.Random(1)
    named = sum(identify(chance.randbytes(8192)) is not None for _ in range(5000))
    assert named <= 2


def test_every_signature_lies_in_the_head() -> None:
    for signature in SIGNATURES:
        assert len(signature.magic) + len(signature.also[1]) > 2
        assert signature.offset + len(signature.magic) <= HEAD_BYTES
