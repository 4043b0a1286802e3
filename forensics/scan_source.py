"""A content as the one buffer that YARA scans.

YARA could open a file by itself, but refuses names that are not UTF-8, and a spool folder can have such a name.
"""

from __future__ import annotations

import io
import mmap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterator

    Source = bytes | memoryview | Path


@contextmanager
def scan_buffer(source: Source) -> Iterator[bytes | memoryview | mmap.mmap]:
    """The content, without a copy: what is in memory as it is, a file mapped into memory for as long as the scan lasts.

    Raises:
        ScanError: the file cannot be opened or mapped.
    """
    if not isinstance(source, Path):
        yield source
        return
    try:
        with source.open("rb") as stream:
            # An empty file cannot be mapped.
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if stream.seek(0, io.SEEK_END) else None
    except (OSError, ValueError) as error:
        message = f"the content could not be opened for the scan: {error}"
        raise ScanError(message) from error
    if mapped is None:
        yield b""
        return
    with mapped:
        yield mapped
