from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from forensics.filesystems.base import Times
from forensics.filesystems.ntfs_times import file_name_times, standard_information_times
from forensics.timestamps import OutOfRange

# MS-DTYP 2.3.3: 100 ns since 1601-01-01; 2024-02-28T17:45:12Z is Unix 1709142312 (date -u -d @1709142312).
_FILETIME = 116_444_736_000_000_000 + 1_709_142_312 * 10**7
_UNIX = 1_709_142_312 * 10**9


def _file_name(name: str, namespace: int, first: int) -> bytes:
    """A $FILE_NAME attribute (Linux-NTFS documentation): parent, four times, sizes, flags, name length and namespace, name."""
    times = struct.pack("<4Q", *(_FILETIME + first + n for n in range(4)))
    return bytes(8) + times + bytes(24) + struct.pack("<BB", len(name.encode("utf-16-le")) // 2, namespace) + name.encode("utf-16-le")


def test_the_four_times_of_standard_information_stand_in_their_places() -> None:
    """Linux-NTFS documentation: created, modified, MFT changed, accessed."""
    attribute = struct.pack("<4Q", *(_FILETIME + n for n in range(4))) + bytes(40)
    assert standard_information_times(attribute) == Times(
        created=_UNIX, modified=_UNIX + 100, metadata_changed=_UNIX + 200, accessed=_UNIX + 300
    )


def test_a_time_never_set_is_none_and_one_of_1601_is_out_of_range() -> None:
    times = standard_information_times(struct.pack("<4Q", 0, 1, _FILETIME, 2**64 - 1))
    assert times.created is None
    assert times.modified == OutOfRange("FILETIME 1")
    assert times.accessed == OutOfRange(f"FILETIME {2**64 - 1}")


def test_the_times_are_those_of_the_name_that_was_listed() -> None:
    attributes = [_file_name("LONGNA~1.TXT", 2, 10), _file_name("long name.txt", 1, 20), _file_name("second.txt", 1, 30)]
    assert file_name_times(attributes, b"second.txt") == file_name_times(attributes[2:], b"")
    assert file_name_times(attributes, b"LONGNA~1.TXT") == file_name_times(attributes[:1], b"")


def test_a_name_that_is_not_there_gives_the_first_that_is_no_alias() -> None:
    attributes = [_file_name("LONGNA~1.TXT", 2, 10), _file_name("long name.txt", 1, 20)]
    assert file_name_times(attributes, b"renamed.txt") == file_name_times(attributes[1:], b"")


def test_an_alias_alone_is_better_than_none() -> None:
    assert file_name_times([_file_name("A~1", 2, 0)], b"x") is not None


@given(st.lists(st.binary(max_size=120), max_size=4), st.binary(max_size=20))
def test_damaged_attributes_never_raise(attributes: list[bytes], name: bytes) -> None:
    file_name_times(attributes, name)
    for attribute in attributes:
        standard_information_times(attribute)


def test_too_short_an_attribute_has_no_times() -> None:
    assert standard_information_times(bytes(31)) == Times()
    assert file_name_times([bytes(65)], b"x") is None
