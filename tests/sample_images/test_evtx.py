"""The event log writer, held against the checksums and sizes of the format, and against a reader that we did not write."""

from __future__ import annotations

import io
import struct
import zlib

from dissect.eventlog.evtx import Evtx
from hypothesis import given
from hypothesis import strategies as st

from sample_images.evtx import Event, event_log
from sample_images.stated import filetime, utc

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=20)
_DATA = st.dictionaries(st.sampled_from(("TargetUserName", "LogonType", "Image")), _TEXT, max_size=3)
_TIME = utc("2024-03-08 20:58:11")


def _event(data: dict[str, str], event_id: int = 4624) -> Event:
    return Event(provider="Provider", event_id=event_id, when=_TIME, channel="Security", computer="HOST", data=data)


@given(st.lists(_DATA, min_size=1, max_size=5))
def test_file_header_chunk_header_and_records_carry_the_checksums_of_the_format(all_data: list[dict[str, str]]) -> None:
    log = event_log([_event(data) for data in all_data])
    chunk = log[4096:]
    assert len(chunk) == 0x10000
    assert struct.unpack_from("<I", log, 124) == (zlib.crc32(log[:120]),)
    assert struct.unpack_from("<I", chunk, 124) == (zlib.crc32(chunk[:120] + chunk[128:512]),)
    last, free, records = struct.unpack_from("<III", chunk, 44)
    assert records == zlib.crc32(chunk[512:free])
    position, seen = 512, []
    while position < free:
        seen.append(position)
        signature, size, number, written = struct.unpack_from("<IIQQ", chunk, position)
        assert (signature, number, written) == (0x2A2A, len(seen), filetime(_TIME))
        assert struct.unpack_from("<I", chunk, position + size - 4) == (size,)
        assert size % 8 == 0
        position += size
    assert (position, seen[-1], len(seen)) == (free, last, len(all_data))


@given(st.lists(_DATA, min_size=1, max_size=5))
def test_another_reader_finds_every_named_value(all_data: list[dict[str, str]]) -> None:
    read = list(Evtx(io.BytesIO(event_log([_event(data) for data in all_data]))))
    assert len(read) == len(all_data)
    for record, data in zip(read, all_data, strict=True):
        found = {str(key): str(value) for key, value in record.items()}
        assert found["EventID"] == "4624"
        assert {name: found[name] for name in data} == data
