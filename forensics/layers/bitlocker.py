"""BitLocker and BitLocker To Go: one encrypted volume holds one plain volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.credentials import CredentialKind, of_kind
from forensics.errors import ImageReadError, Problem, Stage, VolumeError
from forensics.layers.base import Derived, Unfolded
from forensics.layers.bitlocker_volume import BitLockerVolume, recovery_key
from forensics.layers.locking import counted, locked_volume, unreadable_volume
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Locked, Member
    from forensics.source import ByteSource

_NAME = "BitLocker"
# libbde documentation, volume header: the name in the boot sector, and the identifier that a volume To Go carries instead.
_SIGNATURES = ((3, b"-FVE-FS-"), (424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")))
_CLEAR_KEY = "clear key"
_ADVICE = "check whether the image is whole; if it is, read the volume with another tool"
_OPENER = {
    CredentialKind.PASSPHRASE: "passphrase",
    CredentialKind.RECOVERY_KEY: "recovery key",
    CredentialKind.KEY_FILE: "startup key file (.BEK)",
    CredentialKind.RAW_KEY: "raw key",
}


class BitLocker:
    """Volumes encrypted by Windows."""

    name = "bitlocker"
    title = _NAME
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether the boot sector is BitLocker's."""
        return any(head[offset : offset + len(magic)] == magic for offset, magic in _SIGNATURES)

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:
        """The plain volume of each member that opens."""
        derived: list[Derived] = []
        locked: list[Locked] = []
        problems: list[Problem] = []
        for member in members:
            usable = _usable(credentials, member.volume)
            try:
                volume, kind = _opened(member, usable)
                source = volume.open() if kind is not None else None
            except (ImageReadError, VolumeError) as error:
                locked.append(unreadable_volume(member.volume, _NAME, escape_text(str(error)), _ADVICE))
                continue
            if kind is None or source is None:
                locked.append(_still_locked(member.volume, volume, usable))
                continue
            if volume.is_altered:
                problems.append(_altered(member.volume))
            what = _what(volume, kind)
            derived.append(
                Derived(layer=self.name, parents=(member.volume,), key="", name="", what=what, size=source.size, unlocked_with=kind)
            )
        return Unfolded(derived=tuple(derived), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:
        """The plain bytes, unlocked again as before."""
        (member,) = members
        kind = derived.unlocked_with
        usable = tuple(one for one in _usable(credentials, member.volume) if one.kind == kind)
        try:
            volume, kind_now = _opened(member, usable)
        except ImageReadError as error:
            message = f"volume {member.volume}: its BitLocker metadata cannot be read: {error}"
            raise VolumeError(message) from error
        if kind_now is None:
            message = f"volume {member.volume}: the {kind} that opened it before is not among the credentials"
            raise VolumeError(message)
        return volume.open()


def _usable(credentials: tuple[Credential, ...], volume: str) -> tuple[Credential, ...]:
    return of_kind(credentials, volume, *CredentialKind)


def _opened(member: Member, credentials: tuple[Credential, ...]) -> tuple[BitLockerVolume, str | None]:
    """The volume, and the kind of what opened it: "" if it is not encrypted any more, None if it is locked."""
    volume = BitLockerVolume(member.source)
    if volume.is_decrypted:
        return volume, ""
    if volume.has_clear_key() and volume.unlock_with_clear_key():
        return volume, _CLEAR_KEY
    opener = next((one for one in credentials if volume.unlock(one)), None)
    return volume, None if opener is None else str(opener.kind)


def _what(volume: BitLockerVolume, kind: str) -> str:
    state = "decrypted" if volume.is_decrypted else "unlocked"
    changing = ", partly encrypted" if volume.is_changing else ""
    suspended = ", protection suspended" if kind == _CLEAR_KEY else ""
    return f"BitLocker volume, {state}{changing}{suspended}"


def _still_locked(volume: str, bitlocker: BitLockerVolume, given: tuple[Credential, ...]) -> Locked:
    """The volume that nothing opened. What its metadata hold no protector for cannot have been tried, and is not called wrong."""
    protectors = bitlocker.protectors()
    opens = [name for kind, name in _OPENER.items() if kind is CredentialKind.RAW_KEY or not protectors or _has(protectors, name)]
    tried = tuple(one for one in given if _OPENER[one.kind] in opens)
    untried = tuple(one for one in given if _OPENER[one.kind] not in opens)
    states = [f"what opens it: {', '.join(protectors)}"] if protectors else []
    if untried:
        states.append(f"nothing to try on it: {counted(untried)}")
    misshapen = sum(one.kind is CredentialKind.RECOVERY_KEY and recovery_key(one.text) is None for one in tried)
    if misshapen:
        states.append(f"{misshapen} of the recovery keys given has not the eight groups of six digits of BitLocker's")
    if bitlocker.failures:
        states.append(f"not all could be tried, because its metadata or the library gave out ({', '.join(sorted(bitlocker.failures))})")
        return unreadable_volume(
            volume, _NAME, f"no credential that could be tried opens it (given: {counted(given)}); {'; '.join(states)}"
        )
    return locked_volume(volume, _NAME, tried=tried, opens=f"a {' or '.join(opens)}", state="; ".join(states))


def _has(protectors: tuple[str, ...], name: str) -> bool:
    return any(one.partition(" {")[0] == name for one in protectors)


def _altered(volume: str) -> Problem:
    return Problem(
        stage=Stage.VOLUMES,
        code="volume-metadata-altered",
        what=f"the BitLocker metadata of volume {volume} is not what Windows wrote; the volume was opened all the same",
        why="its SHA-256 differs from the one that is stored encrypted beside it",
        advice="look at the metadata with another tool before relying on the volume's contents",
        volume=volume,
    )
