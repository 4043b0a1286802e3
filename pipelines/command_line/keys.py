"""`evidex keys`: the keys that sign the custody log."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path

import click

from chain_of_custody.identity import Person, create_identity, export_public_key, read_roster
from pipelines.command_line.shared import COMPLETE, PASSPHRASE_FD, stated
from pipelines.passphrase import new_passphrase, read_passphrase


@click.group()
def keys() -> None:
    """Make and show the keys that sign the custody log."""


@keys.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--agency", required=True, help="Name of the agency.")
@click.option("--name", required=True, help="Name of the examiner.")
@click.option("--origin", required=True, help="Name for the agency's logs, e.g. its domain.")
@click.option("--p256", is_flag=True, help="ECDSA P-256 instead of Ed25519.")
@PASSPHRASE_FD
def keys_new(folder: Path, *, agency: str, name: str, origin: str, p256: bool, passphrase_fd: int | None) -> int:
    """Make an identity in FOLDER: root key, examiner's key, processor key, log key and roster."""
    passphrase = new_passphrase(passphrase_fd, stated().key_passphrase)
    people = (
        Person(name=name, role="examiner", p256=p256),
        Person(name=platform.node() or "workstation", role="processor"),
    )
    roster = create_identity(
        folder,
        agency=agency,
        origin_name=origin,
        people=people,
        passphrase=passphrase,
        root_passphrase=passphrase,
        now=datetime.now(UTC),
    )
    click.echo(f"made {folder}. Take {folder / 'root'} off this machine and keep it offline.")
    click.echo(f"root fingerprint, to be told to whoever verifies: {roster.fingerprint}")
    return COMPLETE


@keys.command("show")
@click.argument("roster", type=click.Path(path_type=Path))
def keys_show(roster: Path) -> int:
    """List who may sign what by ROSTER (a roster file, an identity folder or a case)."""
    candidates = (roster, roster / "roster.dsse.json", roster / "custody" / "roster.dsse.json")
    found, _ = read_roster(next((path for path in candidates if path.is_file()), roster))
    click.echo(f"agency            {found.agency}")
    click.echo(f"root fingerprint  {found.fingerprint}")
    for keyid, signer in sorted(found.signers.items()):
        click.echo(f"{keyid}  {signer.role}: {signer.name}, may sign {' '.join(signer.may)}")
    return COMPLETE


@keys.command("export")
@click.argument("key", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@PASSPHRASE_FD
def keys_export(key: Path, target: Path, *, passphrase_fd: int | None) -> int:
    """Write the public key of KEY to TARGET and print its fingerprint."""
    click.echo(export_public_key(key, read_passphrase(key, passphrase_fd, stated().key_passphrase), target))
    return COMPLETE
