"""What goes into an image: names, bytes and times, before any filesystem has seen them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    """The time that `text` ("2024-03-01 09:30:00") names in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def filetime(when: datetime) -> int:
    """100 ns units since 1601-01-01 UTC (MS-DTYP 2.3.3)."""
    delta = when - _FILETIME_EPOCH
    return (delta.days * 86_400 + delta.seconds) * 10_000_000 + delta.microseconds * 10


# mkntfs leaves the four times of $MFT at 0, which means "never set" (MS-DTYP 2.3.3 counts from 1601).
NEVER_SET: dict[bytes, dict[str, Any]] = {b"$MFT": dict.fromkeys(("created", "modified", "accessed", "metadata_changed"))}
DEFAULT_TIME = utc("2024-03-01 09:30:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedFile:
    """One file of a sample.

    Attributes:
        path: path inside the volume as bytes, "/" between names, no leading "/".
        content: bytes of the default data.
        streams: NTFS named streams, by name.
        modified: modification and access time; on NTFS also creation and metadata change, unless `created` is given.
        created: creation time, where the filesystem can be told.
    """

    path: bytes
    content: bytes
    streams: Mapping[str, bytes] = field(default_factory=dict)
    modified: datetime = DEFAULT_TIME
    created: datetime | None = None


def stated(path: str | bytes, content: str | bytes, *, at: str = "", born: str = "", **streams: str) -> StatedFile:
    """A file from text or bytes; `at` and `born` are times in UTC as text, further keywords are named streams."""
    return StatedFile(
        path=path.encode() if isinstance(path, str) else path,
        content=content.encode() if isinstance(content, str) else content,
        streams={name: text.encode() for name, text in streams.items()},
        modified=utc(at) if at else DEFAULT_TIME,
        created=utc(born) if born else None,
    )


def noise(seed: str, size: int) -> bytes:
    """`size` bytes that do not compress, the same for the same seed: SHA-256 in counter mode."""
    blocks = (hashlib.sha256(f"{seed}:{i}".encode()).digest() for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def letter(seed: str, size: int) -> bytes:
    """`size` bytes of numbered lines of text, which compress well and are the same for the same seed."""
    lines = "".join(f"{seed} line {i:06d}: nothing of interest happened on this day\n" for i in range(size // 48 + 1))
    return lines.encode()[:size]
