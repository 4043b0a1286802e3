"""What the examiner knows that opens locked volumes and archives: read from a file or the environment, and never shown.

    [[credential]]
    kind = "passphrase"          # passphrase, recovery-key, key-file or raw-key
    value = "correct horse"      # of key-file: the path of the file, beside this one unless absolute; of raw-key: hex
    volume = "v02*"              # optional: only for volumes whose identifier fits this pattern

A credential's value never reaches a table, a log, a report, a traceback or a command line; `repr` shows its kind only. What is
recorded is *that* one of which kind opened a volume.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from forensics.errors import CredentialError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_KEY_FILE_BYTES = 16 << 20
_KEYS = {"kind", "value", "volume"}


class CredentialKind(StrEnum):
    """What a credential is."""

    PASSPHRASE = "passphrase"  # noqa: S105 - the name of a kind
    RECOVERY_KEY = "recovery-key"
    KEY_FILE = "key-file"
    RAW_KEY = "raw-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One secret.

    Attributes:
        kind: what it is.
        value: passphrase and recovery key as UTF-8, a key file's content, or a raw key's bytes. Never shown.
        volume: pattern of the volumes that it may open, e.g. "v02*".
    """

    kind: CredentialKind
    value: bytes = field(repr=False)
    volume: str = "*"

    @property
    def text(self) -> str:
        """The value as text. Never to be shown."""
        return self.value.decode("utf-8", "surrogateescape")

    def fits(self, volume: str) -> bool:
        """Whether it may be tried on the volume."""
        return fnmatchcase(volume, self.volume)


def of_kind(credentials: tuple[Credential, ...], volume: str, *kinds: CredentialKind) -> tuple[Credential, ...]:
    """The credentials of these kinds that may be tried on the volume, in the order in which they were given."""
    return tuple(one for one in credentials if one.kind in kinds and one.fits(volume))


def read_credentials(path: Path) -> tuple[Credential, ...]:
    """The credentials that the file states.

    Raises:
        CredentialError: it cannot be read or is not of the form above; the message never quotes a value.
    """
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path}: the credentials cannot be read: {error.strerror}"
        raise CredentialError(message) from error
    except ValueError:  # the parser's own message may quote the line
        message = f"{path}: is not TOML; write one [[credential]] table a secret, with kind and value"
        raise CredentialError(message) from None
    tables = stored.get("credential")
    if set(stored) - {"credential"} or not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        message = f"{path}: holds something else than [[credential]] tables"
        raise CredentialError(message)
    return tuple(_credential(one, number, path) for number, one in enumerate(tables, start=1))


def passphrase_credential(text: str) -> Credential:
    """A passphrase that the environment states, for every volume."""
    return Credential(kind=CredentialKind.PASSPHRASE, value=text.encode("utf-8", "surrogateescape"))


def _credential(stored: dict[str, Any], number: int, path: Path) -> Credential:
    where = f"{path}: credential {number}"
    if set(stored) - _KEYS or not isinstance(stored.get("value"), str) or not isinstance(stored.get("volume", ""), str):
        message = f"{where} must have kind and value, may have volume, each as text, and nothing else"
        raise CredentialError(message)
    if not isinstance(stored.get("kind"), str) or stored["kind"] not in set(CredentialKind):
        message = f"{where}: kind must be one of {', '.join(CredentialKind)}"
        raise CredentialError(message)
    kind = CredentialKind(stored["kind"])
    return Credential(kind=kind, value=_value(kind, stored["value"], where, path), volume=stored.get("volume") or "*")


def _value(kind: CredentialKind, stated: str, where: str, path: Path) -> bytes:
    if kind is CredentialKind.KEY_FILE:
        try:
            with (path.parent / stated).open("rb") as file:
                return file.read(_MAX_KEY_FILE_BYTES)
        except (OSError, ValueError) as error:
            message = f"{where}: the key file cannot be read: {getattr(error, 'strerror', None) or 'its name cannot be used'}"
            raise CredentialError(message) from error
    if kind is CredentialKind.RAW_KEY:
        try:
            return bytes.fromhex(stated)
        except ValueError:
            message = f"{where}: a raw-key is written as hex digits"
            raise CredentialError(message) from None
    return stated.encode("utf-8", "surrogateescape")
