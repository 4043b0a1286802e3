"""The console blocks of the documentation, run: what they show is what the commands print.

    python docs/console.py FILE.md...    runs the commands of the files and writes what they print into the blocks

A block starts with ```console. A line `$ evidex …` is a command, the lines up to the next `$` its standard output; a last line `…`
stands for the rest of it. All blocks of a file run in order in one folder that has `sample_images`, and the demonstration's image
where `make demo` puts it. Commands of other programs are shown, not run. A block that starts with ```shell is not run either.
"""

from __future__ import annotations

import lzma
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO_IMAGE = Path("build/demo/windows.dd")
_PROMPT = "$ "
_REST = "…"
_FROM_MAKE = "Open the report: "  # what `make demo` says after the commands
# What differs from run to run, longest first: digests, roots of the log's tree, its random name, times of the run.
_VOLATILE = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "<SHA-256>"),
    (re.compile(r"[A-Za-z0-9+/]{43}="), "<root>"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "<name>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "<time>"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A command in a document, the output that is shown under it, and the lines of the file where that output stands."""

    command: str
    output: tuple[str, ...]
    lines: slice

    @property
    def words(self) -> list[str]:
        """The command as the shell splits it."""
        return shlex.split(self.command, comments=True)


def blocks(text: str, language: str) -> list[slice]:
    """The lines inside each fenced block of that language, as `text.splitlines()[block]`."""
    lines = text.splitlines()
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    return [slice(start + 1, end) for start, end in zip(fences[::2], fences[1::2], strict=True) if lines[start] == f"```{language}"]


def shown_commands(text: str) -> list[Shown]:
    """Every command in the console blocks of the text, in order."""
    lines = text.splitlines()
    found = []
    for block in blocks(text, "console"):
        starts = [number for number in range(block.start, block.stop) if lines[number].startswith(_PROMPT)]
        stops = [number for number in range(block.start, block.stop) if lines[number].startswith((_PROMPT, _FROM_MAKE))]
        for start in starts:
            end = next((number for number in stops if number > start), block.stop)
            output = slice(start + 1, end)
            found.append(Shown(command=lines[start].removeprefix(_PROMPT), output=tuple(lines[output]), lines=output))
    return found


def prepare(folder: Path) -> None:
    """Makes the folder one in which the documentation's commands run."""
    (folder / "sample_images").symlink_to(ROOT / "sample_images")
    image = folder / DEMO_IMAGE
    image.parent.mkdir(parents=True)
    image.write_bytes(lzma.decompress((ROOT / "sample_images" / "windows" / "windows.dd.xz").read_bytes()))


def run(shown: Shown, folder: Path) -> list[str]:
    """What the command prints on standard output, shortened where the document shortens it; blank lines at the end as there."""
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    command = [sys.executable, "-c", "import cli; cli.main()", *shown.words[1:]]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
    )
    printed = done.stdout.splitlines()
    if done.returncode in (1, 2):
        printed.append(f"!! code {done.returncode}: {done.stderr}")
    kept = [line for line in shown.output if line]
    if kept and kept[-1] == _REST and len(printed) >= len(kept):
        printed = [*printed[: len(kept) - 1], _REST]
    blank = next((n for n, line in enumerate(reversed(shown.output)) if line), len(shown.output))
    return printed + [""] * blank


def plain(lines: list[str] | tuple[str, ...]) -> list[str]:
    """The lines without what differs from run to run."""
    found = []
    for line in lines:
        shortened = line
        for pattern, name in _VOLATILE:
            shortened = pattern.sub(name, shortened)
        found.append(shortened)
    return found


def refresh(document: Path) -> None:
    """Writes into the document what its commands print, unless it says so already but for what differs from run to run."""
    text = document.read_text(encoding="utf-8")
    lines = text.splitlines()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        printed = [(shown, run(shown, Path(folder))) for shown in shown_commands(text) if shown.words[:1] == ["evidex"]]
    if all(plain(shown.output) == plain(now) for shown, now in printed):
        return
    for shown, now in reversed(printed):
        lines[shown.lines] = now
    document.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        refresh(Path(name))
