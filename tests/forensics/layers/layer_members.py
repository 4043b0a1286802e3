"""Disks for the layers' tests: bytes in memory, files, and disks that the Linux kernel wrote, stored as what each sector holds.

`md_arrays.json.xz` and `lvm_group.json.xz` were made with Linux 6.1, mdadm 4.2 and LVM 2.03.16 in a virtual machine. Each array and
volume was filled with sectors that repeat their own number as 64 bits, and its SHA-256 taken from the block device. A disk is a list: a
text is a sector in hex, without the zeros at its end; [first, step, count] are `count` sectors that repeat first, first + step, …
"""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.errors import ImageReadError
from forensics.layers.base import Member
from forensics.signatures import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forensics.credentials import Credential
    from forensics.layers.base import Derived, Layer
    from forensics.source import ByteSource

SECTOR = 512


class Bytes:
    """A byte source in memory; what lies in `damaged`, half-open ranges, cannot be read."""

    def __init__(self, data: bytes, damaged: Iterable[tuple[int, int]] = ()) -> None:
        self._data, self._damaged = data, tuple(damaged)
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        if any(first < offset + length and offset < end for first, end in self._damaged):
            message = f"bytes {offset} to {offset + length - 1} are damaged"
            raise ImageReadError(message)
        return self._data[offset : offset + length]


class FileBytes:
    """A file as a byte source."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size = path.stat().st_size

    def read_at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(max(0, min(length, self.size - offset)))

    def close(self) -> None:
        self._file.close()


def members(*sources: ByteSource) -> list[Member]:
    """The sources as v01, v02, …"""
    return [Member(f"v{number:02d}", source) for number, source in enumerate(sources, start=1)]


def recognised(layer: Layer, found: Iterable[Member]) -> list[Member]:
    """Those of the members that the layer takes for its own."""
    return [one for one in found if layer.recognises(one.source.read_at(0, HEAD_BYTES), one)]


def opened(layer: Layer, derived: Derived, found: Iterable[Member], credentials: tuple[Credential, ...] = ()) -> ByteSource:
    """The derived volume, opened as another process would."""
    by_name = {one.volume: one for one in found}
    return layer.open_derived(derived, [by_name[parent] for parent in derived.parents], credentials)


def sha256(source: ByteSource, *, step: int = 100_000) -> str:
    """SHA-256 of all bytes, read in steps that fit no sector."""
    digest = hashlib.sha256()
    for offset in range(0, source.size, step):
        digest.update(source.read_at(offset, step))
    return digest.hexdigest()


def kernel_made(name: str) -> Any:
    """What `name`.json.xz holds."""
    return json.loads(lzma.decompress(Path(__file__).with_name(f"{name}.json.xz").read_bytes()))


def disk(stored: list[str | list[int]]) -> bytes:
    """The bytes of a stored disk."""
    parts = []
    for item in stored:
        if isinstance(item, str):
            parts.append(bytes.fromhex(item).ljust(SECTOR, b"\0"))
        else:
            first, step, count = item
            parts.extend((first + step * index).to_bytes(8, "little") * (SECTOR // 8) for index in range(count))
    return b"".join(parts)
