"""Times as filesystems store them -> nanoseconds since 1970-01-01 UTC.

Arrow's timestamp[ns] holds 1677-09-21 to 2262-04-11. A stored 0 means "never set" (FILETIME counts from 1601, Unix from 1970):
it gives None. What is set and does not fit gives OutOfRange, so that the caller can record the raw value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

_EPOCH_AS_FILETIME = 116_444_736_000_000_000  # 1970-01-01 in units of 100 ns since 1601-01-01 (MS-DTYP 2.3.3)
_LIMIT = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """A stored time that no nanosecond timestamp can hold; `raw` is the value with its unit, as text."""

    raw: str


def from_filetime(value: int) -> int | OutOfRange | None:
    """Nanoseconds since 1970 of a FILETIME: 100 ns units since 1601-01-01 UTC (MS-DTYP 2.3.3)."""
    if value == 0:
        return None
    nanoseconds = (value - _EPOCH_AS_FILETIME) * 100
    return nanoseconds if abs(nanoseconds) <= _LIMIT else OutOfRange(f"FILETIME {value}")


def from_unix(seconds: int, nanoseconds: int) -> int | OutOfRange | None:
    """Nanoseconds since 1970 of a Unix time of whole seconds and a fraction in nanoseconds."""
    if seconds == 0 and nanoseconds == 0:
        return None
    total = seconds * 1_000_000_000 + nanoseconds
    return total if abs(total) <= _LIMIT else OutOfRange(f"Unix time {seconds}.{nanoseconds:09d}")


def from_dos(value: int) -> int | OutOfRange | None:
    """Nanoseconds since 1970 of an MS-DOS date (upper 16 bits) and time (lower 16 bits): even seconds, no zone, here taken as UTC.

    Bits of the date: 15-9 years since 1980, 8-5 month, 4-0 day; of the time: 15-11 hour, 10-5 minute, 4-0 half seconds
    (Microsoft Extensible Firmware Initiative FAT32 specification 1.03, "Date and Time Formats").
    """
    if value >> 16 == 0:
        return None
    date, time = value >> 16, value & 0xFFFF
    try:
        moment = datetime(1980 + (date >> 9), date >> 5 & 0xF, date & 0x1F, time >> 11, time >> 5 & 0x3F, (time & 0x1F) * 2, tzinfo=UTC)
    except ValueError:
        return OutOfRange(f"MS-DOS date and time {value:#010x}")
    return int(moment.timestamp()) * 1_000_000_000
