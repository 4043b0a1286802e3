"""What a walk through a container gives, gathered; and rooms in which an opener must hold out."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.credentials import passphrase_credential
from forensics.errors import ArchiveError, Problem
from forensics.expansion.bounds import Bounds, ExpansionLimitError
from forensics.expansion.walk import Content, expand
from forensics.filetype import HEAD_BYTES, detect
from forensics.names import display_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.expansion.walk import Item


@dataclass(frozen=True)
class Got:
    """One member that the walk gave, and its content as far as it could be read."""

    item: Item
    content: bytes | None
    failure: str

    @property
    def path(self) -> str:
        return self.item.path.decode("utf-8", "surrogateescape")


def content_of(data: bytes, name: str) -> Content:
    head = data[:HEAD_BYTES]
    return Content(file=io.BytesIO(data), size=len(data), head=head, mime_type=detect(head).mime_type, name=name)


def walk(
    data: bytes, name: str = "exhibit", passphrases: tuple[str, ...] = (), bounds: Bounds | None = None
) -> tuple[list[Got], list[Problem]]:
    """All members of a container, at any depth, and the problems."""
    got: list[Got] = []

    def consume(item: Item) -> Content | None:
        if item.blocks is None:
            got.append(Got(item, None, ""))
            return None
        parts, failure = [], ""
        try:
            parts.extend(item.blocks)
        except ExpansionLimitError:
            failure = "limit"
        except ArchiveError as error:
            failure = str(error)
        content = b"".join(parts)
        got.append(Got(item, content, failure))
        return content_of(content, display_path(item.steps[-1].path)[0].rpartition("/")[2])

    credentials = tuple(passphrase_credential(one) for one in passphrases)
    problems = list(expand(content_of(data, name), consume, bounds=bounds or Bounds(), credentials=credentials))
    return got, problems


def contents(got: list[Got]) -> dict[str, bytes | None]:
    """Path and content of each member."""
    return {one.path: one.content for one in got}


def damaged(data: bytes, seed: int, times: int) -> Iterator[bytes]:
    """The data cut off, and with bytes changed, in ways that the seed decides."""
    choose = random.Random(seed)
    for _ in range(times):
        yield data[: choose.randrange(len(data))]
        changed = bytearray(data)
        for _ in range(choose.randrange(1, 8)):
            changed[choose.randrange(len(changed))] = choose.randrange(256)
        yield bytes(changed)
