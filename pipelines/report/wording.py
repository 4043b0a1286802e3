"""Numbers and times as a reader expects them: grouped digits, sizes in decimal units beside the exact bytes, UTC times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_NS: Final = 1_000_000_000
_EPOCH: Final = date(1970, 1, 1)
MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def count(number: int | None) -> str:
    """1234567 -> "1,234,567"; None -> "not recorded"."""
    return "not recorded" if number is None else f"{number:,}"


def counted(number: int, one: str, many: str = "") -> str:
    """1 file, 2 files: the number and the noun that goes with it."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: int | None) -> str:
    """Bytes in the decimal unit that fits, two or three figures: 1610612736 -> "1.61 GB"."""
    if number is None:
        return "not recorded"
    value = float(number)
    for unit in _UNITS[:-1]:
        if abs(value) < _STEP:
            return f"{number} bytes" if unit == "bytes" else f"{value:.3g} {unit}"
        value /= _STEP
    return f"{value:,.3g} {_UNITS[-1]}"


def exact_size(number: int | None) -> str:
    """Bytes in words and to the byte: "1.61 GB (1,610,612,736 bytes)"."""
    if number is None or number < _STEP:
        return size(number)
    return f"{size(number)} ({number:,} bytes)"


def share(part: int, whole: int) -> str:
    """The part in percent of the whole; never 100 % or 0 % by rounding."""
    if whole <= 0:
        return "no share"
    if part == whole:
        return "100 %"
    tenths = max(1, min(999, round(1000 * part / whole))) if part else 0
    return f"{tenths / 10:.1f} %"


def time_text(nanoseconds: int) -> str:
    """Nanoseconds since 1970 in UTC -> "2021-03-04 10:11:12.1234567", with as many decimals as it has."""
    seconds, fraction = divmod(nanoseconds, _NS)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{decimals}"


def day_text(day: int) -> str:
    """Days since 1970 -> "4 March 2021"."""
    moment = _EPOCH + timedelta(days=day)
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
