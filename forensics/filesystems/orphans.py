"""A bound on orphans: damaged metadata makes up files without end (sleuthkit issue 821: 140 TB of them from one image)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import Problem, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import ListingLimits


class OrphanBudget:
    """Counts orphans and the bytes of their contents against the limits."""

    def __init__(self, limits: ListingLimits) -> None:
        self._limits = limits
        self._orphans = self._bytes = self._skipped = 0

    def count(self) -> bool:
        """Whether one more orphan may be listed."""
        self._orphans += 1
        return self._orphans <= self._limits.orphans

    def take(self, size: int) -> bool:
        """Whether `size` more bytes of orphan contents may be read."""
        if self._bytes + size > self._limits.orphan_bytes:
            self._skipped += 1
            return False
        self._bytes += size
        return True

    def problems(self) -> Iterator[Problem]:
        """What the limits cut off."""
        if self._orphans > self._limits.orphans:
            yield Problem(
                stage=Stage.FILESYSTEM,
                code="orphan-limit",
                what=f"{self._orphans - self._limits.orphans} orphan entries were not listed",
                why=f"the limit of {self._limits.orphans} orphans was reached; damaged metadata makes them up without end",
                advice="raise the limit if the volume is worth it",
            )
        if self._skipped:
            yield Problem(
                stage=Stage.FILESYSTEM,
                code="orphan-bytes-limit",
                what=f"the contents of {self._skipped} orphan entries were not read; the entries are listed",
                why=f"they would go over the limit of {self._limits.orphan_bytes} bytes of orphan contents",
                advice="raise the limit if the volume is worth it",
            )
