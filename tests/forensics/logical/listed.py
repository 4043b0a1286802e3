"""What an exhibit of files lists, gathered: every entry with its content, every problem; and damage done to a container."""

from __future__ import annotations

import hashlib
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.content import iter_blocks
from forensics.credentials import passphrase_credential
from forensics.errors import ForensicsError, Problem, StreamReadError
from forensics.filesystems.base import Content, ListingLimits
from forensics.image import open_image
from forensics.logical.open_logical import find_logical, open_logical
from forensics.logical.stated import Computed, stated_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Entry, FilesystemReader

LIMITS = ListingLimits(orphans=0, orphan_bytes=0)
_MOST_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Everything that one exhibit gives.

    Attributes:
        filesystem: as it is found.
        entries: in the order listed.
        contents: by path and stream, as bytes; of what could not be read, the message.
        problems: of the listing, and one for each content that is not what the container states.
    """

    filesystem: str
    entries: list[Entry]
    contents: dict[str, bytes | str]
    problems: list[Problem]

    @property
    def codes(self) -> list[str]:
        return [problem.code for problem in self.problems]

    def entry(self, path: str, stream: str = "") -> Entry:
        found = [one for one in self.entries if (one.path.decode("utf-8", "surrogateescape"), one.stream) == (path, stream)]
        assert len(found) == 1, [one.path for one in self.entries]
        return found[0]


def listed(path: Path, *passphrases: str) -> Listed:
    """The exhibit, listed twice by two readers, as two processes do; the second one reads contents before it lists."""
    credentials = tuple(passphrase_credential(one) for one in passphrases)
    with tempfile.TemporaryDirectory() as spool, open_image(path) as image:
        found = find_logical(image)
        first, second = (open_logical(image, image, credentials=credentials, spool=Path(spool), selector=found.selector) for _ in range(2))
        assert first.filesystem == found.filesystem
        entries: list[Entry] = []
        problems: list[Problem] = []
        for one in first.iter_entries(LIMITS):
            (problems if isinstance(one, Problem) else entries).append(one)
        contents = {}
        for entry in entries:
            if entry.content is Content.READ:
                key = entry.path.decode("utf-8", "surrogateescape") + (f":{entry.stream}" if entry.stream else "")
                contents[key], problem = read(second, entry)
                problems += [problem] if problem else []
        again = list(second.iter_entries(LIMITS))
        assert [one for one in again if not isinstance(one, Problem)] == entries
        return Listed(filesystem=found.filesystem, entries=entries, contents=contents, problems=problems)


def read(reader: FilesystemReader, entry: Entry) -> tuple[bytes | str, Problem | None]:
    """The content, in two ways that must agree, and what is wrong with it against what is stated."""
    assert entry.address is not None
    data = bytearray()
    try:
        stream = reader.open_stream(entry.address)
        for block in iter_blocks(stream):
            data += block
            if len(data) > _MOST_BYTES:
                return "too much for a test", None
    except StreamReadError as error:
        return str(error), None
    assert len(data) == stream.size
    middle = len(data) // 3
    whole = hashlib.md5(data), hashlib.sha1(data), hashlib.sha256(data)
    problem = stated_problem(stream, Computed(*(one.hexdigest() for one in whole)))
    assert stream.read_at(middle, 1000) == data[middle : middle + 1000]
    return bytes(data), problem


def damaged(data: bytes, seed: int, times: int) -> Iterator[bytes]:
    """The data cut off, and with bytes changed, in ways that the seed decides."""
    choose = random.Random(seed)
    for _ in range(times):
        yield data[: choose.randrange(1, len(data))]
        changed = bytearray(data)
        for _ in range(choose.randrange(1, 8)):
            changed[choose.randrange(len(changed))] = choose.choice((0, 1, 0x7F, 0x80, 0xFF, choose.randrange(256)))
        yield bytes(changed)


def survives(folder: Path, name: str, data: bytes, *, seed: int = 1, times: int = 60, passphrases: tuple[str, ...] = ()) -> int:
    """Damages the container in many ways and lists each; only errors of ours may come. How many could still be listed."""
    opened = 0
    for index, one in enumerate(damaged(data, seed, times)):
        path = folder / f"{index}-{name}"
        path.write_bytes(one)
        try:
            with tempfile.TemporaryDirectory() as spool, open_image(path) as image:
                opened += _walk(image, Path(spool), passphrases)
        except ForensicsError:
            pass
        path.unlink()
    return opened


def _walk(image, spool: Path, passphrases: tuple[str, ...]) -> int:
    credentials = tuple(passphrase_credential(one) for one in passphrases)
    find_logical(image)
    reader = open_logical(image, image, credentials=credentials, spool=spool)
    for entry in reader.iter_entries(LIMITS):
        if isinstance(entry, Problem) or entry.content is not Content.READ:
            continue
        try:
            stream = reader.open_stream(entry.address)
            stream.read_at(0, min(stream.size, 1 << 16))
            stream.read_at(stream.size // 2, min(stream.size, 1 << 16))
        except StreamReadError:
            continue
        stream.checksum_failure()
    return 1
