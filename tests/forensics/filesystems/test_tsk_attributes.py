"""Attributes that The Sleuth Kit gives beside contents: NTFS $EA and reparse points, HFS+ resource forks and extended attributes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from made_volumes import listed, needs, ntfs, run, source_file

from forensics.filesystems.base import Content, ListingLimits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _full_ea(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """FILE_FULL_EA_INFORMATION records as NTFS keeps them (MS-FSCC 2.4.16): offset of the next, flags, lengths, name, value."""
    records = b""
    for name, value in pairs:
        body = struct.pack("<BBH", 0, len(name), len(value)) + name + b"\0" + value
        length = -(-(4 + len(body)) // 4) * 4
        records += (struct.pack("<I", length) + body).ljust(length, b"\0")
    return records


@needs("mkntfs", "ntfscp", "icat", "fls")
@pytest.mark.parametrize("size", [20, 3000], ids=["resident", "in clusters"])
def test_ntfs_extended_attributes_are_a_stream_with_the_bytes_that_were_written(tmp_path: Path, size: int) -> None:
    volume = ntfs(tmp_path / "ntfs.dd")
    run("ntfscp", "-f", volume, source_file(tmp_path / "src", 3000, 1), "/file.bin")
    attribute = _full_ea([(b"LXMOD", struct.pack("<I", 0o100644)), (b"HIDDEN", b"x" * size)])
    (tmp_path / "ea").write_bytes(attribute)
    run("ntfscp", "-f", "-a", "0xe0", volume, tmp_path / "ea", "/file.bin")
    with listed(volume) as found:
        entry = found.named(b"file.bin", "$EA")
        assert (entry.content, entry.size) == (Content.READ, len(attribute))
        assert found.content(entry.address) == attribute
        assert entry.address is not None
        spec = f"{entry.address.metadata_address}-{entry.address.attribute_type}-{entry.address.attribute_id}"
        assert run("icat", volume, spec) == attribute
    with listed(volume, limits=ListingLimits(orphans=10, orphan_bytes=10)) as found:
        assert [e.stream for e in found.entries if e.path == b"file.bin"] == [""]


@pytest.mark.corpus
@needs("icat")
def test_what_the_linux_driver_keeps_in_extended_attributes_is_as_icat_prints_it(corpus_image: Callable[[str], Path]) -> None:
    """ntfs-dfir-ntfs3 was written by ntfs3, which keeps owner and mode in $LXUID, $LXGID and $LXMOD."""
    path = corpus_image("ntfs-dfir-ntfs3")
    with listed(path) as found:
        attributes = [e for e in found.entries if e.stream == "$EA"]
        assert attributes
        for entry in attributes:
            assert entry.address is not None
            content = found.content(entry.address)
            assert content == run("icat", path, f"{entry.address.metadata_address}-224-{entry.address.attribute_id}")
            assert b"$LX" in content


@pytest.mark.corpus
@needs("icat")
def test_hfs_resource_forks_and_extended_attributes(corpus_image: Callable[[str], Path]) -> None:
    path = corpus_image("hfsplus-dfvfs")
    with listed(path) as found:
        fork = [e for e in found.entries if e.path == b"a_directory/a_resourcefork" and e.address and e.address.attribute_type == 4353]
        assert [e.content for e in fork] == [Content.READ]
        named = [e for e in found.entries if e.address and e.address.attribute_type in (4353, 4354)]
        for entry in named:
            assert entry.address is not None
            spec = f"{entry.address.metadata_address}-{entry.address.attribute_type}-{entry.address.attribute_id}"
            assert found.content(entry.address) == run("icat", path, spec)
        assert any(e.address and e.address.attribute_type == 4354 for e in named)
