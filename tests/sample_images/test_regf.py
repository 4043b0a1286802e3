"""The hive writer, held against the layout in the format's specification and against a reader that we did not write."""

from __future__ import annotations

import io
import struct

from dissect.regf import RegistryHive
from hypothesis import given
from hypothesis import strategies as st

from sample_images.regf import Key, hive

_NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\\"), min_size=1, max_size=20)
_VALUES = st.dictionaries(_NAMES, st.binary(max_size=40) | st.integers(0, 2**32 - 1), max_size=4)


def test_the_base_block_has_its_signature_its_size_and_its_checksum() -> None:
    data = hive(Key().set(a=1), name="SYSTEM")
    words = struct.unpack("<128I", data[:512])
    checksum = 0
    for word in words[:127]:
        checksum ^= word
    assert data[:4] == b"regf"
    assert words[127] == checksum
    assert words[10] == len(data) - 4096
    assert data[4096:4100] == b"hbin"
    assert struct.unpack_from("<I", data, 4096 + 8) == (len(data) - 4096,)


def test_the_cells_fill_the_bin_without_gaps() -> None:
    root = Key()
    root.key("A\\B").set(x="text", y=b"12345", z=7)
    data = hive(root, name="x")[4096:]
    position = 32
    while position < len(data):
        (size,) = struct.unpack_from("<i", data, position)
        assert size
        assert abs(size) % 8 == 0
        position += abs(size)
    assert position == len(data)


@given(st.dictionaries(_NAMES.filter(lambda name: name.upper() == name), _VALUES, max_size=6))
def test_another_reader_finds_every_key_and_every_value(keys: dict[str, dict[str, bytes | int]]) -> None:
    root = Key()
    for name, values in keys.items():
        root.key(name).put(values.items())
    read = RegistryHive(io.BytesIO(hive(root, name="x")))
    found = {key.name: {value.name: value.value for value in key.values()} for key in read.root().subkeys()}
    assert found == keys
