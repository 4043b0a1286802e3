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

_DRIVE = re.compile(rb"[A-Za-z]:?")


@dataclass(frozen=True, slots=True)
class Collection:
    """How a collection is laid out.

    Attributes:
        tool: what made it: "acquire", "KAPE", "Velociraptor", "UAC", or "files".
        prefix: folder under which the volumes lie, with "/" at its end; b"" for the top.
        drives: whether each folder below the prefix is a volume of Windows, named by its letter.
        encoded: whether names are percent-encoded.
    """

    tool: str
    prefix: bytes
    drives: bool
    encoded: bool = False

    def place(self, path: bytes) -> tuple[str, bytes] | None:
        """The mount point and the path inside it; None for what is no file of the system (logs of the collection, results)."""
        if not path.startswith(self.prefix):
            return None
        rest = path[len(self.prefix) :]
        if self.encoded:
            rest = b"/".join(unquote_to_bytes(part) for part in rest.split(b"/"))
        if not self.drives:
            return "/", rest
        drive, _, inner = rest.partition(b"/")
        if not inner or not _DRIVE.fullmatch(drive):
            return None
        letter = chr(drive[0]).lower()
        return ("sysvol" if letter == "c" else f"{letter}:"), inner


def recognise(paths: Iterable[bytes]) -> Collection:
    """The collection that has files of these paths."""
    tops: set[tuple[bytes, bytes, bytes]] = set()
    for path in paths:
        parts = [*path.split(b"/", 3), b"", b"", b""]
        tops.add((parts[0], parts[1], parts[2]))
    firsts = {first for first, _, _ in tops}
    if b"[root]" in firsts:
        return Collection("UAC", b"[root]/", drives=False)
    if any(first == b"uploads" and second == b"auto" for first, second, _ in tops):
        is_windows = any(re.fullmatch(rb"[A-Za-z]%3A", third) for first, second, third in tops if (first, second) == (b"uploads", b"auto"))
        return Collection("Velociraptor", b"uploads/auto/", drives=is_windows, encoded=True)
    if any(first == b"fs" and re.fullmatch(rb"[A-Za-z]:", second) for first, second, _ in tops):
        return Collection("acquire", b"fs/", drives=True)
    if b"fs" in firsts and any(first == b"fs" and second in (b"$fs$", b"$rootfs$", b"$metadata$") for first, second, _ in tops):
        return Collection("acquire", b"fs/", drives=False)
    if any(_DRIVE.fullmatch(first) and second.lower() in (b"windows", b"users", b"$extend", b"$mft") for first, second, _ in tops):
        return Collection("KAPE", b"", drives=True)
    return Collection("files", b"", drives=False)
