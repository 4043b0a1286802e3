"""A run's progress as a person or a log collector sees it: a live bar, plain lines, or JSON events. The owner file of rich."""

from __future__ import annotations

import json
import time
from typing import IO, TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipelines.progress import Reporter

if TYPE_CHECKING:
    from rich.progress import TaskID

_LINE_SECONDS = 10.0


def reporter_for(stream: IO[str], *, as_json: bool) -> LiveBar | Lines:
    """A live bar where the stream is a terminal, JSON events where asked for, else plain lines."""
    if not as_json and stream.isatty():
        return LiveBar(Console(file=stream))
    return Lines(stream, as_json=as_json)


class LiveBar(Reporter):
    """A bar with items, bytes, rate and time left of the current stage."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<32}"),
            BarColumn(),
            TextColumn("{task.fields[counts]:>38}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID | None = None
        self._stage = _Stage("", None, None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, name: str, *, items: int | None = None, size_bytes: int | None = None) -> None:
        """Begins a bar; the one before is filled."""
        if self._task is not None:
            self._progress.update(self._task, total=1, completed=1)
        self._stage = _Stage(name, items, size_bytes)
        self._task = self._progress.add_task(name, total=self._stage.total, counts="")

    def advance(self, *, items: int = 0, size_bytes: int = 0) -> None:
        """Moves the bar."""
        self._stage.advance(items, size_bytes)
        if self._task is not None:
            self._progress.update(self._task, completed=self._stage.completed, counts=self._stage.counts())

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)


class Lines(Reporter):
    """A line when a stage begins and every ten seconds within it; as text, or as one JSON object a line."""

    def __init__(self, stream: IO[str], *, as_json: bool) -> None:
        self._stream, self._as_json = stream, as_json
        self._stage = _Stage("", None, None)
        self._last = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def stage(self, name: str, *, items: int | None = None, size_bytes: int | None = None) -> None:
        """Says which stage begins."""
        self._stage = _Stage(name, items, size_bytes)
        self._last = time.monotonic()
        self._say("stage", f"{name} …", stage=name, items=items, bytes=size_bytes)

    def advance(self, *, items: int = 0, size_bytes: int = 0) -> None:
        """Says how far the stage is, now and then."""
        stage = self._stage
        stage.advance(items, size_bytes)
        if time.monotonic() - self._last < _LINE_SECONDS:
            return
        self._last = time.monotonic()
        left = stage.seconds_left()
        text = f"{stage.name}: {stage.counts()}" + (f", about {left:.0f} s left" if left is not None else "")
        self._say(
            "progress", text, stage=stage.name, items=stage.items, bytes=stage.bytes, seconds_left=None if left is None else round(left)
        )

    def note(self, text: str) -> None:
        """One line."""
        self._say("note", text, text=text)

    def _say(self, event: str, text: str, /, **values: object) -> None:
        line = json.dumps({"event": event, **values}) if self._as_json else text
        self._stream.write(line + "\n")
        self._stream.flush()


class _Stage:
    """How far a stage is."""

    def __init__(self, name: str, items: int | None, size_bytes: int | None) -> None:
        self.name = name
        self.items = self.bytes = 0
        self._all_items, self._all_bytes = items, size_bytes
        self._started = time.monotonic()

    @property
    def total(self) -> float | None:
        """What there is to do, half of it items and half bytes where both are known; None where neither is."""
        return 1.0 if self._all_items or self._all_bytes else None

    @property
    def completed(self) -> float:
        """The share that is done, 0 to 1."""
        known = [min(done / of, 1) for done, of in ((self.items, self._all_items), (self.bytes, self._all_bytes)) if of]
        return sum(known) / len(known) if known else 0

    def advance(self, items: int, size_bytes: int) -> None:
        """So much more is done."""
        self.items += items
        self.bytes += size_bytes

    def counts(self) -> str:
        """Items, bytes and rate as text."""
        seconds = max(time.monotonic() - self._started, 0.001)
        parts = [f"{self.items}/{self._all_items}" if self._all_items else ""]
        if self.bytes:
            parts.append(f"{self.bytes / 1e6:,.0f} MB, {self.bytes / 1e6 / seconds:,.0f} MB/s")
        return "  ".join(part for part in parts if part)

    def seconds_left(self) -> float | None:
        """An estimate from the share that is done; None where there is nothing to go by."""
        done = self.completed
        seconds = time.monotonic() - self._started
        return seconds * (1 - done) / done if done else None
