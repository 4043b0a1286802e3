"""Which tool made a collection of files, by its layout, and which of its folders stand for volumes of the system it came from. Pure.

References:
    acquire (fox-it), output of a collection; KAPE documentation, "Targets"; Velociraptor documentation, "Offline collections";
    UAC documentation, "Output".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

_DRIVE = re.compile(rb"(?:\\\\[.?]\\)?([A-Za-z]):?")  # Velociraptor's accessors of NTFS name the device: \\.\C:
_FILES = "files"
_BEFORE = re.compile(rb"^(?:\.?/)+")
# What Velociraptor opened the file with; files from shadow copies (ntfs_vss) are not those of the live system.
_ACCESSORS = (b"auto", b"ntfs", b"lazy_ntfs", b"mft", b"file")


@dataclass(frozen=True, slots=True)
class Collection:
    """How a collection is laid out.

    Attributes:
        tool: what made it: "acquire", "KAPE", "Velociraptor", "UAC", or "files".
        prefixes: folders under which the volumes lie, each with "/" at its end; b"" for the top.
        drives: whether each folder below them is a volume of Windows, named by its letter.
        encoded: whether names are percent-encoded.
    """

    tool: str
    prefixes: tuple[bytes, ...]
    drives: bool
    encoded: bool = False

    def place(self, path: bytes) -> tuple[str, bytes] | None:
        """The mount point and the path inside it; None for what is no file of the system (logs of the collection, results)."""
        path = _plain(path)
        prefix = next((one for one in self.prefixes if path.startswith(one)), None)
        if prefix is None:
            return None
        rest = path[len(prefix) :]
        if not self.drives:
            return "/", self._decoded(rest)
        drive, _, inner = rest.partition(b"/")
        found = _DRIVE.fullmatch(self._decoded(drive))
        if not inner or found is None:
            return None
        letter, inner = found[1].decode("ascii").lower(), self._decoded(inner)
        return ("sysvol" if letter == "c" else f"{letter}:"), inner

    def _decoded(self, path: bytes) -> bytes:
        return b"/".join(unquote_to_bytes(part) for part in path.split(b"/")) if self.encoded else path


def recognise(paths: Iterable[bytes]) -> Collection:
    """The collection that has files of these paths; they may all lie in one folder more than the tool makes."""
    tops: set[tuple[bytes, ...]] = set()
    for path in paths:
        parts = _plain(path).split(b"/", 4)[:4]
        if parts not in ([b""], [b"."]):  # a tar's own folder
            tops.add((*parts, *[b""] * (4 - len(parts))))
    found = _of_tops({top[:3] for top in tops}, b"")
    firsts = {top[0] for top in tops}
    if found.tool == _FILES and len(firsts) == 1:
        inner = _of_tops({top[1:] for top in tops}, *(first + b"/" for first in firsts))
        return found if inner.tool == _FILES else inner
    return found


def _of_tops(tops: set[tuple[bytes, ...]], above: bytes) -> Collection:
    """By the first three names of each path."""
    firsts = {first for first, _, _ in tops}
    if b"[root]" in firsts:
        return Collection("UAC", (above + b"[root]/",), drives=False)
    uploads = [(second, third) for first, second, third in tops if first == b"uploads" and second in _ACCESSORS and third]
    if uploads:
        is_windows = any(_DRIVE.fullmatch(unquote_to_bytes(third)) and b"%3A" in third.upper() for _, third in uploads)
        prefixes = tuple(above + b"uploads/" + accessor + b"/" for accessor in _ACCESSORS)
        return Collection("Velociraptor", prefixes, drives=is_windows, encoded=True)
    acquired = {second for first, second, _ in tops if first == b"fs"}
    has_drives = any(re.fullmatch(rb"[A-Za-z]:", second) for second in acquired)
    if has_drives or acquired & {b"$rootfs$", b"$fs$", b"$metadata$"}:
        root = b"$rootfs$/" if b"$rootfs$" in acquired and not has_drives else b""
        return Collection("acquire", (above + b"fs/" + root,), drives=has_drives)
    if any(_DRIVE.fullmatch(first) and second.lower() in (b"windows", b"users", b"$extend", b"$mft") for first, second, _ in tops):
        return Collection("KAPE", (above,), drives=True)
    return Collection(_FILES, (b"",), drives=False)


def _plain(path: bytes) -> bytes:
    """A path without what archives put before it: "/" and "./"."""
    return _BEFORE.sub(b"", path)
