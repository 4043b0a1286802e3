"""A key's passphrase: from a file descriptor, from the environment, or from the person at the terminal. Never from an argument."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forensics.credentials import passphrase_credential
from pipelines.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

    from forensics.credentials import Credential


def read_passphrase(key: Path | None, descriptor: int | None, stated: str | None) -> bytes | None:
    """The passphrase of a private key; None for a key without one, or where there is nobody to ask.

    Args:
        key: the key file; None for no key.
        descriptor: where to read it from.
        stated: what the environment said; the caller has taken it out of there, so that no worker inherits it.
    """
    if key is None:
        return None
    given = _given(descriptor, stated)
    if given is None and "ENCRYPTED" in _first_line(key) and sys.stdin.isatty():
        return getpass.getpass("passphrase: ").encode()
    return given


def new_passphrase(descriptor: int | None, stated: str | None) -> bytes | None:
    """A passphrase for new keys, asked for twice where it is typed; None leaves the keys without one.

    Raises:
        PipelineError: the two differ.
    """
    given = _given(descriptor, stated)
    if given is not None or not sys.stdin.isatty():
        return given
    first = getpass.getpass("new passphrase: ")
    if first != getpass.getpass("again: "):
        message = "the two passphrases differ"
        raise PipelineError(message)
    return first.encode() or None


def _given(descriptor: int | None, stated: str | None) -> bytes | None:
    if descriptor is not None:
        with os.fdopen(descriptor, "rb") as stream:
            return stream.readline().rstrip(b"\r\n")
    return stated.encode() if stated is not None else None


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.readline()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedSecrets:
    """What the environment stated when the program was started: the passphrase of a signing key, and one for locked volumes."""

    key_passphrase: str | None = field(default=None, repr=False)
    credentials: tuple[Credential, ...] = field(default=(), repr=False)


def take_secrets(environment: MutableMapping[str, str]) -> StatedSecrets:
    """The secrets in the environment, taken out of it, so that no process started later inherits them."""
    volumes = environment.pop("EVIDEX_VOLUME_PASSPHRASE", None)
    return StatedSecrets(
        key_passphrase=environment.pop("EVIDEX_PASSPHRASE", None),
        credentials=() if volumes is None else (passphrase_credential(volumes),),
    )
