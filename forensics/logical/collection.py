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
    """The collection that has files of these paths."""
    tops: set[tuple[bytes, bytes, bytes]] = set()
    for path in paths:
        parts = [*path.split(b"/", 3), b"", b"", b""]
        tops.add((parts[0], parts[1], parts[2]))
    firsts = {first for first, _, _ in tops}
    if b"[root]" in firsts:
        return Collection("UAC", (b"[root]/",), drives=False)
    uploads = [(second, third) for first, second, third in tops if first == b"uploads" and second in _ACCESSORS and third]
    if uploads:
        is_windows = any(_DRIVE.fullmatch(unquote_to_bytes(third)) and b"%3A" in third.upper() for _, third in uploads)
        prefixes = tuple(b"uploads/" + accessor + b"/" for accessor in _ACCESSORS)
        return Collection("Velociraptor", prefixes, drives=is_windows, encoded=True)
    if any(first == b"fs" and re.fullmatch(rb"[A-Za-z]:", second) for first, second, _ in tops):
        return Collection("acquire", (b"fs/",), drives=True)
    if b"fs" in firsts and any(first == b"fs" and second in (b"$fs$", b"$rootfs$", b"$metadata$") for first, second, _ in tops):
        return Collection("acquire", (b"fs/",), drives=False)
    if any(_DRIVE.fullmatch(first) and second.lower() in (b"windows", b"users", b"$extend", b"$mft") for first, second, _ in tops):
        return Collection("KAPE", (b"",), drives=True)
    return Collection("files", (b"",), drives=False)
