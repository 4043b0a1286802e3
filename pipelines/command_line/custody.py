"""`evidex custody`: the chain-of-custody log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from chain_of_custody.show import iter_entries, iter_text
from pipelines.command_line.shared import CASE, COMPLETE, JSON, print_all

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def custody() -> None:
    """Read the chain-of-custody log."""


@custody.command("show")
@CASE
@JSON
def custody_show(case: Path, *, as_json: bool) -> int:
    """Print the log of CASE as a person reads it."""
    print_all(map(json.dumps, iter_entries(case)) if as_json else iter_text(case))
    return COMPLETE
