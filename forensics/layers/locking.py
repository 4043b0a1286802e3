"""What is said of a volume that stays locked. Never a credential's value."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from forensics.layers.base import Locked

if TYPE_CHECKING:
    from forensics.credentials import Credential

_ADVICE_WRONG = "check the credential and its kind, and ask for others, e.g. a recovery key"


def counted(credentials: tuple[Credential, ...]) -> str:
    """How many of which kinds, e.g. "2 passphrase, 1 recovery-key"."""
    return ", ".join(f"{number} {kind}" for kind, number in sorted(Counter(str(one.kind) for one in credentials).items()))


def locked_volume(volume: str, name: str, *, tried: tuple[Credential, ...], opens: str, state: str = "") -> Locked:
    """The volume, encrypted and not opened.

    Args:
        volume: its identifier.
        name: what encrypts it.
        tried: the credentials that were tried on it in vain.
        opens: what would open it, for people, e.g. "a passphrase or a key file".
        state: what else hinders, as a sentence; "" if nothing.
    """
    if tried:
        why = f"none of the credentials given for it opens it (tried: {counted(tried)})"
        return _locked(volume, name, "credential-wrong", f"{why}; {state}" if state else why, _ADVICE_WRONG)
    why = "no credential of a kind that opens it was given"
    return _locked(volume, name, "volume-encrypted", f"{why}; {state}" if state else why, f"give {opens} for it (--credentials)")


def unreadable_volume(volume: str, name: str, why: str, advice: str = "read the volume with a tool that knows this kind") -> Locked:
    """The volume, encrypted, and damaged or of a variant that is not read."""
    return _locked(volume, name, "volume-not-read", why, advice)


def _locked(volume: str, name: str, code: str, why: str, advice: str) -> Locked:
    return Locked(volume=volume, name=name, code=code, why=why, advice=advice, encrypted=True)
