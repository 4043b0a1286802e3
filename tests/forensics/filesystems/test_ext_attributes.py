"""Extended attributes of ext: what debugfs wrote, wherever it put it; and damage to them."""

from __future__ import annotations

import random
import re
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_volumes import ext, listed, needs, pattern, run, source_file

from forensics.errors import StreamReadError
from forensics.filesystems.base import Content, ListingLimits, StreamAddress
from forensics.filesystems.ext_attribute_streams import EXT_ATTRIBUTE_TYPE
from forensics.filesystems.ext_attributes import parse_block, parse_inode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from made_volumes import Listed


def _attributes(found: Listed, path: bytes) -> dict[str, bytes]:
    return {
        e.stream: found.content(e.address)
        for e in found.entries
        if e.path == path and e.address is not None and e.address.attribute_type == EXT_ATTRIBUTE_TYPE
    }


@needs("mkfs.ext4", "debugfs")
@pytest.mark.parametrize(
    "options", [("-I", "256"), ("-I", "128"), ("-I", "256", "-O", "ea_inode")], ids=["inode", "block", "value in an inode"]
)
def test_attributes_are_streams_named_as_getfattr_names_them(tmp_path: Path, options: tuple[str, ...]) -> None:
    """In the inode where it has room, else in a block; with ea_inode a large value is an inode's content."""
    volume = ext(tmp_path / "ext.dd", *options)
    run("debugfs", "-w", "-R", f"write {source_file(tmp_path / 'src', 2000, 1)} file", volume)
    run("debugfs", "-w", "-R", "mkdir folder", volume)
    run("debugfs", "-w", "-R", "symlink link nowhere", volume)
    wanted = {
        b"file": {"user.short": b"value", "user.empty": b"", "trusted.long": pattern(400, 3), "security.selinux": b"system_u:object_r\0"},
        b"folder": {"user.of a folder": b"\x00\xff\x01"},
        b"link": {"trusted.of a link": b"here"},
    }
    if "ea_inode" in options:
        wanted[b"file"]["user.large"] = pattern(1024, 4)  # more than a block of 1024 bytes has room for
    for path, attributes in wanted.items():
        for number, (name, value) in enumerate(attributes.items()):
            value_file = tmp_path / f"value-{number}"
            value_file.write_bytes(value)
            run("debugfs", "-w", "-R", f'ea_set -f {value_file} {path.decode()} "{name}"', volume)
    for path, attributes in wanted.items():
        told = run("debugfs", "-R", f"ea_list {path.decode()}", volume).decode(errors="replace")
        assert all(f"{name} (" in told for name in attributes), "debugfs wrote them"
    with listed(volume) as found:
        assert {path: _attributes(found, path) for path in wanted} == wanted
        of_file = [e for e in found.entries if e.path == b"file"]
        assert [e.content for e in of_file if e.stream] == [Content.READ] * (len(of_file) - 1)
        assert [e.size for e in of_file if e.stream] == [len(found.content(e.address)) for e in of_file if e.stream]
        assert found.problems == []
        file = found.named(b"file").metadata_address
        assert file is not None
        with pytest.raises(StreamReadError, match="no extended attribute 99"):
            found.reader.open_stream(StreamAddress(file, EXT_ATTRIBUTE_TYPE, 99))
    with listed(volume, limits=ListingLimits(orphans=10, orphan_bytes=10)) as found:
        assert {e.stream for e in found.entries} == {""}


@pytest.mark.corpus
@needs("debugfs")
@pytest.mark.parametrize(("identifier", "count"), [("dissect-ext4-sparse", 4), ("raw-tsk-image", 1)])
def test_public_images_have_the_attributes_that_debugfs_lists(
    corpus_image: Callable[[str], Path], tmp_path: Path, identifier: str, count: int
) -> None:
    """Names, sizes and values; debugfs calls the encryption context, which no program sees, by its bare name."""
    path = corpus_image(identifier)
    with listed(path, limits=ListingLimits(orphans=10**6, orphan_bytes=1 << 40, attributes=True)) as found:
        inodes = sorted({e.metadata_address for e in found.entries if e.metadata_address and e.metadata_allocated})
        commands = tmp_path / "commands"
        commands.write_text("".join(f"ea_list <{inode}>\n" for inode in inodes))
        told = re.split(r"^debugfs: ea_list <(\d+)>$", run("debugfs", "-f", commands, path).decode(errors="replace"), flags=re.MULTILINE)
        wanted = {
            (int(inode), name, int(size))
            for inode, text in zip(told[1::2], told[2::2], strict=True)
            for name, size in re.findall(r"^  (\S+) \((\d+)\)", text, re.MULTILINE)
        }
        attributes = {e.address: e for e in found.entries if e.address and e.address.attribute_type == EXT_ATTRIBUTE_TYPE}
        assert {(e.metadata_address, e.stream.removeprefix("encryption."), e.size) for e in attributes.values()} == wanted
        assert len(wanted) >= count
        for number, (address, entry) in enumerate(attributes.items()):
            if not entry.stream.startswith("encryption."):
                value = tmp_path / str(number)
                run("debugfs", "-R", f"ea_get -f {value} <{entry.metadata_address}> {entry.stream}", path)
                assert found.content(address) == value.read_bytes()


def test_a_block_that_begins_otherwise_is_damage() -> None:
    assert parse_block(bytes(1024)).damage
    assert parse_block(b"").damage
    assert parse_inode(bytes(256)).damage == ""


def _block(entries: list[tuple[int, bytes, bytes]], size: int = 1024) -> bytes:
    """Attributes in a block of their own: header, entries from the front, values from the back.

    References: The Linux kernel, Documentation/filesystems/ext4/attributes.rst: ext4_xattr_header, ext4_xattr_entry.
    """
    block = bytearray(struct.pack("<5I12x", 0xEA020000, 1, 1, 0, 0).ljust(size, b"\0"))
    at, end = 32, size
    for index, name, value in entries:
        end -= -(-len(value) // 4) * 4
        block[end : end + len(value)] = value
        entry = struct.pack("<BBHIII", len(name), index, end, 0, len(value), 0) + name
        block[at : at + len(entry)] = entry
        at += -(-len(entry) // 4) * 4
    assert at + 4 <= end
    return bytes(block)


def test_names_of_each_index_are_written_out() -> None:
    found = parse_block(
        _block([(1, b"a", b"1"), (4, b"b", b"22"), (6, b"c", b""), (7, b"d", b"4"), (2, b"", b"acl"), (9, b"c", b"?"), (77, b"z", b"!")])
    )
    assert found.damage == ""
    assert [(one.name, one.value) for one in found.attributes] == [
        ("user.a", b"1"),
        ("trusted.b", b"22"),
        ("security.c", b""),
        ("system.d", b"4"),
        ("system.posix_acl_access", b"acl"),
        ("encryption.c", b"?"),
        ("77.z", b"!"),
    ]


@given(st.binary(max_size=300), st.integers(0, 1023))
def test_any_damage_ends_in_what_could_be_read_and_never_makes_much_of_little(noise: bytes, at: int) -> None:
    """Values never hold more bytes than the area has."""
    whole = _block([(1, b"first", pattern(100)), (1, b"second", pattern(200, 1)), (6, b"third", b"x")])
    damaged = (whole[:at] + noise + whole[at + len(noise) :])[:1024]
    for data in (damaged, damaged[:at], noise):
        for found in (parse_block(data), parse_inode(data)):
            assert sum(len(one.value) for one in found.attributes) <= len(data)


@needs("mkfs.ext4", "debugfs")
def test_a_damaged_block_of_attributes_is_a_problem_of_its_file(tmp_path: Path) -> None:
    volume = ext(tmp_path / "ext.dd", "-I", "128", "-O", "^metadata_csum,^64bit")
    run("debugfs", "-w", "-R", f"write {source_file(tmp_path / 'src', 2000, 1)} file", volume)
    run("debugfs", "-w", "-R", "ea_set file user.name " + "v" * 30, volume)
    data = bytearray(volume.read_bytes())
    at = data.index(b"v" * 30) // 1024 * 1024
    assert struct.unpack_from("<I", data, at) == (0xEA020000,)
    data[at : at + 4] = b"XXXX"
    volume.write_bytes(data)
    with listed(volume) as found:
        problems = [(p.code, p.path) for p in found.problems]
        assert problems == [("attributes-damaged", "file")]
        assert _attributes(found, b"file") == {}
    data[at : at + 1024] = struct.pack("<5I12x", 0xEA020000, 1, 1, 0, 0) + random.Random(1).randbytes(992)
    volume.write_bytes(data)
    with listed(volume) as found:
        assert [(p.code, p.path) for p in found.problems] == [("attributes-damaged", "file")]
