"""Times as filesystems store them -> nanoseconds since 1970-01-01 UTC.

Arrow's timestamp[ns] holds 1677-09-21 to 2262-04-11. A stored 0 means "never set" (FILETIME counts from 1601, Unix from 1970):
it gives None. What is set and does not fit gives OutOfRange, so that the caller can record the raw value.
"""

from __future__ import annotations

from dataclasses import dataclass

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
