r"""Manifests: the digests of every file of a run, in the form that `sha256sum --check --strict` reads.

One line a file, sorted by the bytes of the name: 64 hex digits, two spaces, the path relative to CASE/runs/<run>/ with `/`. As coreutils
does, a name with a backslash, LF or CR has them written as `\\`, `\n` and `\r`, and its line begins with a backslash.

A run's folder holds regular files and folders only. A link, FIFO, socket or device is refused when sealing and found when checking;
nothing is followed, and nothing blocks.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chain_of_custody.encoding import sha256_hex
from chain_of_custody.errors import FormatError, ManifestError
from chain_of_custody.regular_file import digest_regular, open_folder, open_subfolder, write_once
from chain_of_custody.statement import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
MAX_MANIFEST_BYTES = 1 << 28
_LINE = re.compile(rb"(\\?)([0-9a-f]{64})  ([^\n\r\x00]+)")
_ESCAPE = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r"}
_UNESCAPE = {value: key for key, value in _ESCAPE.items()}
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which a run's folder is not what its manifest says.

    Attributes:
        code: E_TABLE_MISSING, E_TABLE_CHANGED, E_TABLE_UNLISTED or E_TABLE_KIND.
        file: path relative to the case, for display only.
        why: one sentence.
    """

    code: str
    file: str
    why: str


def manifest_name(run: str) -> str:
    """The path of a run's manifest relative to the case: what process.end names."""
    return f"custody/manifests/{run}.sha256"


def write_manifest(case: Path, run: str) -> Subject:
    """Seals CASE/runs/<run>: writes the manifest and returns it as the subject of process.end.

    Raises:
        ManifestError: the run's name will not do, the folder is empty or holds a link or special file, or there is another manifest.
    """
    if not RUN_NAME.fullmatch(run):
        message = f"a run's name is letters, digits and . _ -, not {run!r}"
        raise ManifestError(message)
    try:
        data = _to_manifest(case, run)
        path = case / manifest_name(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_once(path, data)
    except FileExistsError as error:
        message = f"the run {run} is sealed already, with other results"
        raise ManifestError(message) from error
    except (OSError, FormatError) as error:
        message = f"the run {run} cannot be sealed: {error}"
        raise ManifestError(message) from error
    return Subject(name=manifest_name(run), sha256=sha256_hex(data))


def parse_manifest(data: bytes) -> dict[bytes, str]:
    """SHA-256 by name, from a manifest.

    Raises:
        FormatError: E_MANIFEST: a line that sha256sum would not take, a name twice or out of order, or a name that leads elsewhere.
    """
    lines = data.split(b"\n")
    if lines.pop() != b"" or not lines:
        raise FormatError(code="E_MANIFEST", why="the manifest is empty or does not end its last line")
    listed: dict[bytes, str] = {}
    previous = b""
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise FormatError(code="E_MANIFEST", why="a line of the manifest is not digest, two spaces and name")
        name = _unescape(match[3]) if match[1] else match[3]
        if name.startswith(b"/") or not set(name.split(b"/")).isdisjoint((b"", b".", b"..")) or _to_line(match[2].decode(), name) != line:
            raise FormatError(code="E_MANIFEST", why="a name of the manifest leads out of the run's folder or is not in its one form")
        if name <= previous:
            raise FormatError(code="E_MANIFEST", why="the manifest's names are not sorted, or one is there twice")
        listed[name] = match[2].decode("ascii")
        previous = name
    return listed


def differences(case: Path, run: str, listed: dict[bytes, str]) -> Iterator[Difference]:
    """Every way in which CASE/runs/<run> differs from the digests listed; none if it is exactly that."""
    missing = dict(listed)
    try:
        with open_folder(case, "runs", run) as folder:
            for name, kind, parent in _walk(folder, b"", 0):
                shown = f"runs/{run}/{os.fsdecode(name)}"
                expected = missing.pop(name, None)
                if not stat.S_ISREG(kind):
                    yield Difference(code="E_TABLE_KIND", file=shown, why="is a link or special file where only a regular file may be")
                elif expected is None:
                    yield Difference(
                        code="E_TABLE_UNLISTED", file=shown, why="is not in the manifest: it was added after the run was sealed"
                    )
                elif _digest(name, parent) != expected:
                    yield Difference(code="E_TABLE_CHANGED", file=shown, why="is not the file that was sealed: its SHA-256 differs")
    except FileNotFoundError:
        yield Difference(code="E_TABLE_MISSING", file=f"runs/{run}", why="the run's folder is gone")
        return
    except FormatError as error:
        yield Difference(code="E_TABLE_KIND", file=f"runs/{run}", why=str(error))
        return
    for name in missing:
        yield Difference(code="E_TABLE_MISSING", file=f"runs/{run}/{os.fsdecode(name)}", why="was sealed and is gone")


def _to_manifest(case: Path, run: str) -> bytes:
    lines: dict[bytes, bytes] = {}
    with open_folder(case, "runs", run) as folder:
        for name, kind, parent in _walk(folder, b"", 0):
            if not stat.S_ISREG(kind):
                raise FormatError(code="E_TABLE_KIND", why=f"{os.fsdecode(name)!r} is a link or special file")
            lines[name] = _to_line(digest_regular(name.rpartition(b"/")[2], parent), name)
    if not lines:
        raise FormatError(code="E_MANIFEST", why="the folder is empty")
    return b"".join(lines[name] + b"\n" for name in sorted(lines))


def _digest(name: bytes, parent: int) -> str | None:
    """The file's SHA-256, or None if it cannot be read as the regular file that it was a moment ago."""
    try:
        return digest_regular(name.rpartition(b"/")[2], parent)
    except (OSError, FormatError):
        return None


def _walk(folder: int, prefix: bytes, depth: int) -> Iterator[tuple[bytes, int, int]]:
    """Everything below an open folder that is no folder: (relative name, file type, descriptor of its folder)."""
    if depth > _MAX_DEPTH:
        raise FormatError(code="E_TABLE_KIND", why=f"folders nested more than {_MAX_DEPTH} deep")
    # scandir on a descriptor gives str names; fsencode turns them back into the bytes they are.
    with os.scandir(folder) as entries:
        names = sorted(os.fsencode(entry.name) for entry in entries)
    for name in names:
        kind = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if not stat.S_ISDIR(kind):
            yield prefix + name, kind, folder
            continue
        deeper = open_subfolder(name, folder)
        try:
            yield from _walk(deeper, prefix + name + b"/", depth + 1)
        finally:
            os.close(deeper)


def _to_line(digest: str, name: bytes) -> bytes:
    escaped = re.sub(rb"[\\\n\r]", lambda match: _ESCAPE[match[0]], name)
    return (b"\\" if escaped != name else b"") + digest.encode("ascii") + b"  " + escaped


def _unescape(name: bytes) -> bytes:
    try:
        return re.sub(rb"\\.?", lambda match: _UNESCAPE[match[0]], name)
    except KeyError as error:
        raise FormatError(code="E_MANIFEST", why="a name of the manifest has an escape that is none") from error
