"""One sample: an image, packed or not, and what is expected of a run over it.

A sample is a folder with `sample.toml`:

    title = "…"
    files = ["disk.dd.xz"]              the first is the image; .xz and .gz are unpacked elsewhere, the others read in place
    profile = "standard"
    expected = ["entries.jsonl", …]     in the folder `expected`
    problems = { "chunk-checksum" = 1 } how many problems of which code a run records, and no others
    credentials = "credentials.toml"    optional: what opens what is encrypted in it
"""

from __future__ import annotations

import gzip
import lzma
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipelines.expectation import Expectation, ReplayError, read_expectation

if TYPE_CHECKING:
    from collections.abc import Mapping

DESCRIPTION = "sample.toml"
_PACKED = (".xz", ".gz")
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample as its folder describes it; `files` are paths inside the folder, the first is the image."""

    folder: Path
    title: str
    files: tuple[Path, ...]
    profile: str
    expectations: tuple[Expectation, ...]
    problems: Mapping[str, int]
    credentials: Path | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name


def find_samples(folder: Path) -> tuple[Path, ...]:
    """The folders of samples in `folder`, or `folder` itself if it is one, sorted by name.

    Raises:
        ReplayError: there is none, so that a replay of nothing never passes.
    """
    if (folder / DESCRIPTION).is_file():
        return (folder,)
    found = tuple(sorted(path.parent for path in folder.glob(f"*/{DESCRIPTION}")))
    if not found:
        message = f"{folder} holds no sample: no folder in it has a {DESCRIPTION}"
        raise ReplayError(message)
    return found


def read_sample(folder: Path) -> Sample:
    """The sample in the folder, with its expected rows.

    Raises:
        ReplayError: it lacks a file, or its description is not usable.
    """
    path = folder / DESCRIPTION
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        files = tuple(folder / _plain_name(name) for name in told["files"])
        expected = tuple(folder / "expected" / _plain_name(name) for name in told["expected"])
        sample = Sample(
            folder=folder,
            title=str(told["title"]),
            files=files,
            profile=str(told["profile"]),
            expectations=tuple(read_expectation(one) for one in expected),
            problems={str(code): int(count) for code, count in told["problems"].items()},
            credentials=folder / _plain_name(told["credentials"]) if "credentials" in told else None,
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{path}: not a usable description of a sample: {error!r}"
        raise ReplayError(message) from error
    absent = [one.name for one in files if not one.is_file()]
    if absent or not files:
        message = f"{folder}: the image is not whole: {', '.join(absent) or 'no file is named'}"
        raise ReplayError(message)
    return sample


def unpack(sample: Sample, into: Path) -> Path:
    """The path of the image, with packed files decompressed into the folder `into`, blocks of zeros as holes.

    Raises:
        ReplayError: a packed file cannot be decompressed.
    """
    paths = []
    for file in sample.files:
        if file.suffix not in _PACKED:
            paths.append(file)
            continue
        paths.append(into / file.stem)
        try:
            _decompress(file, paths[-1])
        except (OSError, EOFError, lzma.LZMAError) as error:
            message = f"{file}: cannot be decompressed: {error}"
            raise ReplayError(message) from error
    return paths[0]


def _decompress(packed: Path, target: Path) -> None:
    if packed.suffix == ".xz":
        with lzma.open(packed) as source:
            _copy(source, target)
    else:
        with gzip.open(packed) as source:
            _copy(source, target)


def _copy(source: IO[bytes] | gzip.GzipFile, target: Path) -> None:
    with target.open("wb") as file:
        while block := source.read(_BLOCK_BYTES):
            if any(block):
                file.write(block)
            else:
                file.seek(len(block), os.SEEK_CUR)
        file.truncate(file.tell())


def _plain_name(name: str) -> str:
    """The name, which must be that of a file in its folder."""
    if Path(name).name != name:
        message = f"{name!r} is no plain file name"
        raise ValueError(message)
    return name
