"""How a run tells what it is doing. The run calls a Reporter; what a person or a log collector sees is the command line's business."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Hears of a run's progress. Calls come from one thread, in order; a stage ends when the next begins."""

    def stage(self, name: str, *, items: int | None = None, size_bytes: int | None = None) -> None:
        """A stage begins; how many items and bytes it has, where that is known."""

    def advance(self, *, items: int = 0, size_bytes: int = 0) -> None:
        """So much more of the stage is done."""

    def note(self, text: str) -> None:
        """One line worth a person's attention."""


class Silent:
    """A reporter that tells nobody."""

    def stage(self, name: str, *, items: int | None = None, size_bytes: int | None = None) -> None:
        """Nothing."""

    def advance(self, *, items: int = 0, size_bytes: int = 0) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
