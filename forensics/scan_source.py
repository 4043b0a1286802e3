"""A content as the one buffer that YARA scans.

YARA could open a file by itself, but refuses names that are not UTF-8, and a spool folder can have such a name.
"""

from __future__ import annotations

import io
import mmap
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Iterator

    Source = bytes | memoryview | Path

_RESIDENT_BYTES = 64 << 20
_GIVE_BACK_SECONDS = 0.1


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
    with mapped, _given_back(mapped):
        yield mapped


@contextmanager
def _given_back(mapped: mmap.mmap) -> Iterator[None]:
    """Keeps little of a large mapping in memory while it is scanned from its start to its end.

    Pages that a scan has passed stay resident until something else needs the memory, so a file of 100 GB would count as 100 GB of
    this process. The mapping is of a file and only read: what is given back too early is read again, nothing is lost.
    """
    if len(mapped) <= _RESIDENT_BYTES:
        yield
        return
    done = threading.Event()

    def give_back() -> None:
        while not done.wait(_GIVE_BACK_SECONDS):
            mapped.madvise(mmap.MADV_DONTNEED)

    thread = threading.Thread(target=give_back, name="give-back", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
