"""The documentation held to what it says: its commands parse, and print what is shown under them; its links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import cli
from forensics.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_ROOT = Path(__file__).resolve().parents[1]
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


console = _load(_ROOT / "docs" / "console.py")


def commands(page: Path) -> Iterator[str]:
    """Each command line in the page's shell and console blocks, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    yield from (shown.command for shown in console.shown_commands(text))
    for block in console.blocks(text, "shell"):
        joined = "\n".join(text.splitlines()[block]).replace("\\\n", " ")
        yield from (line for line in joined.splitlines() if line.strip())


COMMANDS = sorted({command for page in _PAGES for command in commands(page)})
EVIDEX = [command for command in COMMANDS if command.startswith("evidex ")]
CONSOLE = [page for page in _PAGES if any(shown.words[:1] == ["evidex"] for shown in console.shown_commands(page.read_text()))]


def parsed(arguments: list[str]) -> str:
    """The path of the command that the arguments name, after click has taken every option and value; nothing is run."""
    command: click.Command = cli.evidex
    names: list[str] = []
    while isinstance(command, click.Group):
        name, *arguments = arguments
        if name not in command.commands:
            message = f"no such command: {name}"
            raise click.UsageError(message)
        names.append(name)
        command = command.commands[name]
    command.make_context(" ".join(names), arguments)
    return " ".join(names)


def every_command(group: click.Group, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, f"{prefix}{name} ")
        else:
            yield prefix + name


def sections(page: Path) -> set[str]:
    """The names by which a page's headings are linked."""
    headings = [line.lstrip("# ").lower() for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return {re.sub(r"[^a-z0-9 -]", "", heading).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("command", EVIDEX, ids=lambda command: " ".join(command.split()[1:3]))
def test_every_command_shown_is_one_that_the_command_line_takes(command: str) -> None:
    assert parsed(shlex.split(command, comments=True)[1:])


def test_a_command_that_the_command_line_does_not_take_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        parsed(["process", "disk.dd", "--case", "c", "--exhibit", "1", "--examiner", "n", "--colour"])
    with pytest.raises(click.UsageError):
        parsed(["examine", "disk.dd"])


def test_every_command_is_shown_in_the_readme() -> None:
    readme = _ROOT / "README.md"
    shown = {parsed(shlex.split(command)[1:]) for command in commands(readme) if command.startswith("evidex ")}
    words = {f"{one} " for one in re.findall(r"`evidex ([^`]+)`", readme.read_text(encoding="utf-8"))}
    missing = [name for name in every_command(cli.evidex) if name not in shown and not any(one.startswith(f"{name} ") for one in words)]
    assert missing == []


def test_every_make_target_shown_is_in_the_makefile_and_says_what_it_does() -> None:
    makefile = (_ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    pages = "\n".join(page.read_text(encoding="utf-8") for page in [*_PAGES, _ROOT / ".ci" / "run"])
    shown = set(re.findall(r"(?:`|\$ |^)make ([a-z-]+)", pages, re.MULTILINE))
    assert {"demo", "test", "lint"} <= shown
    assert shown <= targets
    assert shown <= set(re.findall(r'@echo "make ([a-z-]+) ', makefile))


@pytest.mark.parametrize("page", CONSOLE, ids=lambda page: page.name)
def test_commands_print_what_is_shown_under_them(page: Path, tmp_path: Path) -> None:
    """After a change that is meant: make readme."""
    console.prepare(tmp_path)
    for shown in console.shown_commands(page.read_text(encoding="utf-8")):
        if shown.words[:1] == ["evidex"]:
            assert console.plain(console.run(shown, tmp_path)) == console.plain(shown.output), shown.command


def test_the_readme_shows_what_its_commands_print_at_all() -> None:
    assert _ROOT / "README.md" in CONSOLE
    shown = [shown for shown in console.shown_commands((_ROOT / "README.md").read_text()) if shown.words[:1] == ["evidex"]]
    assert all(any(shown.output) for shown in shown)


@pytest.mark.parametrize("page", [*_PAGES, _ROOT / "CHANGELOG.md", _ROOT / "forensics" / "GLOSSARY.md"], ids=lambda page: page.name)
def test_links_lead_to_files_and_sections(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, section = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.is_file(), target
        assert not section or section in sections(linked), target


def test_exit_codes_in_the_readme_are_those_of_the_command_line() -> None:
    rows = re.findall(r"^\| (\d) \|", (_ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == [str(code) for code in (cli.COMPLETE, cli.FATAL, cli.USAGE, cli.WITH_PROBLEMS, cli.FAILED)]


def test_every_table_is_explained_to_the_examiner() -> None:
    page = (_ROOT / "docs" / "examiner.md").read_text(encoding="utf-8")
    assert [table.name for table in TABLES if f"`{table.name}`" not in page] == []
