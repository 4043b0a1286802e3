from __future__ import annotations

import io
import json
import os

import pytest
from rich.console import Console

from pipelines.progress_display import Lines, LiveBar, reporter_for


def _use(reporter: Lines | LiveBar) -> None:
    with reporter:
        reporter.stage("hash the media", size_bytes=1000)
        reporter.advance(size_bytes=500)
        reporter.stage("read contents", items=2, size_bytes=0)
        reporter.advance(items=1)
        reporter.note("a [bold]note[/bold]")


def test_what_is_no_terminal_gets_one_line_a_stage() -> None:
    stream = io.StringIO()
    _use(reporter_for(stream, as_json=False))  # type: ignore[arg-type]
    assert stream.getvalue() == "hash the media …\nread contents …\na [bold]note[/bold]\n"


def test_each_json_event_is_one_object_a_line() -> None:
    stream = io.StringIO()
    _use(reporter_for(stream, as_json=True))  # type: ignore[arg-type]
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["stage", "stage", "note"]
    assert events[0] == {"event": "stage", "stage": "hash the media", "items": None, "bytes": 1000}
    assert events[2]["text"] == "a [bold]note[/bold]"


def test_json_goes_to_a_terminal_as_json_too() -> None:
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        assert isinstance(reporter_for(stream, as_json=True), Lines)
        assert isinstance(reporter_for(stream, as_json=False), LiveBar)
    os.close(controller)


def test_a_long_stage_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    stream = io.StringIO()
    reporter = Lines(stream, as_json=True)
    reporter.stage("read", items=4, size_bytes=100)
    reporter.advance(items=1, size_bytes=25)
    event = json.loads(stream.getvalue().splitlines()[-1])
    assert (event["event"], event["items"], event["bytes"]) == ("progress", 1, 25)
    assert event["seconds_left"] > 0


@pytest.mark.parametrize(("items", "size"), [(None, None), (0, 0), (3, None), (None, 10), (3, 10)])
def test_the_bar_takes_any_stage_and_does_not_read_markup(items: int | None, size: int | None) -> None:
    stream = io.StringIO()
    bar = LiveBar(Console(file=stream, force_terminal=True, width=120))
    with bar:
        bar.stage("one", items=items, size_bytes=size)
        bar.advance(items=5, size_bytes=20)
        bar.note("[red]as it is[/red]")
    assert "[red]as it is[/red]" in stream.getvalue()
