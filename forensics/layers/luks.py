"""LUKS1 and LUKS2: one encrypted volume holds one plain volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.credentials import CredentialKind, of_kind
from forensics.errors import ImageReadError, Problem, Stage, VolumeError
from forensics.layers.base import Derived, Locked, Unfolded
from forensics.layers.locking import counted, locked_volume, unreadable_volume
from forensics.layers.luks_header import HEADER_SIZES, MAGIC, SECOND_MAGIC, read_headers
from forensics.layers.luks_keys import Budget, is_key, open_slot
from forensics.layers.sector_cipher import SectorCipher, parse_spec
from forensics.layers.unit_source import UnitSource, read_exactly
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.layers.luks_header import KeyDigest, KeySlot, LuksHeader, Segment
    from forensics.source import ByteSource

_OPENS = "a passphrase, key file or raw volume key"
_WHOLE = "check whether the image is whole"
_DETACHED = "find the volume or file that its data are on; the header alone holds keys only"


class Luks:
    """Volumes encrypted by Linux."""

    name = "luks"
    title = "LUKS"
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether a first header is there, or the second one of LUKS2 where the first was wiped."""
        return head[:6] == MAGIC or any(head[size : size + 6] == SECOND_MAGIC for size in HEADER_SIZES)

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:
        """The plain volume of each member that opens."""
        derived: list[Derived] = []
        locked: list[Locked] = []
        problems: list[Problem] = []
        for member in members:
            try:
                header, fault = read_headers(member.source)
                if fault:
                    problems.append(_damaged(member.volume, fault))
                made = self._opened(member, header, credentials)
            except (ImageReadError, VolumeError) as error:
                locked.append(unreadable_volume(member.volume, "LUKS", escape_text(str(error)), _WHOLE))
                continue
            (derived if isinstance(made, Derived) else locked).append(made)  # type: ignore[arg-type]
        return Unfolded(derived=tuple(derived), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:
        """The plain bytes, unlocked again as before."""
        (member,) = members
        usable = tuple(one for one in _usable(credentials, member.volume) if one.kind == derived.unlocked_with)
        try:
            header, _ = read_headers(member.source)
            keys = _Keys(member.source, header)
            keys.find(usable)
            return _plain(member.source, header, keys)
        except (ImageReadError, VolumeError) as error:
            message = f"volume {member.volume}: {error}"
            raise VolumeError(message) from error

    def _opened(self, member: Member, header: LuksHeader, credentials: tuple[Credential, ...]) -> Derived | Locked:
        name = f"LUKS{header.version}"
        if header.unread:
            return unreadable_volume(member.volume, name, escape_text(header.unread))
        if not _has_data(header, member.source.size):
            why = "the volume holds the header only; the data it opens are not here"
            return Locked(volume=member.volume, name=name, code="volume-incomplete", why=why, advice=_DETACHED, encrypted=True)
        unknown = _unknown_cipher(header)
        if unknown:
            return unreadable_volume(member.volume, name, unknown)
        usable = _usable(credentials, member.volume)
        keys = _Keys(member.source, header)
        kind = keys.find(usable)
        if kind is None:
            return _still_locked(member.volume, name, keys, usable)
        source = _plain(member.source, header, keys)
        label = escape_text(header.label)
        what = f"{name} volume, unlocked"
        return Derived(layer=self.name, parents=(member.volume,), key="", name=label, what=what, size=source.size, unlocked_with=kind)


class _Keys:
    """The keys of a volume, one for each digest that its segments need; a volume that is being re-encrypted has two."""

    def __init__(self, source: ByteSource, header: LuksHeader) -> None:
        self._source, self._header = source, header
        needed = {one.number for one in header.segments if one.cipher}
        self._missing = [one for one in header.digests if one.segments & needed]
        if needed - {number for one in self._missing for number in one.segments}:
            message = "no digest of its header belongs to its data, so that no key can be known to be right"
            raise VolumeError(message)
        self._found: list[tuple[KeyDigest, bytes]] = []
        self.untried: dict[str, str] = {}

    @property
    def found(self) -> int:
        """How many of the keys were found."""
        return len(self._found)

    @property
    def missing(self) -> int:
        """How many were not."""
        return len(self._missing)

    @property
    def slots(self) -> tuple[KeySlot, ...]:
        """The slots in use that hold a key which is missing."""
        numbers = {number for one in self._missing for number in one.slots}
        return tuple(one for one in self._header.slots if one.number in numbers)

    def find(self, credentials: tuple[Credential, ...]) -> str | None:
        """Tries the credentials; gives the kind of the one that completed the keys, None if keys are missing."""
        budget = Budget()
        for credential in credentials:
            for digest in tuple(self._missing):
                key = self._raw(digest, credential, budget) if credential.kind is CredentialKind.RAW_KEY else None
                if credential.kind is not CredentialKind.RAW_KEY:
                    key = self._by_slot(digest, credential.value, budget)
                if key is not None:
                    self._missing.remove(digest)
                    self._found.append((digest, key))
            if not self._missing:
                return str(credential.kind)
        return None

    def of(self, segment: Segment) -> bytes:
        """The key of a segment."""
        key = next((key for digest, key in self._found if segment.number in digest.segments), None)
        if key is None:
            message = "no credential opens it"
            raise VolumeError(message)
        return key

    def _raw(self, digest: KeyDigest, credential: Credential, budget: Budget) -> bytes | None:
        try:
            return credential.value if is_key(digest, credential.value, budget) else None
        except VolumeError as error:
            self.untried["a raw key"] = str(error)
            return None

    def _by_slot(self, digest: KeyDigest, secret: bytes, budget: Budget) -> bytes | None:
        for slot in self._header.slots:
            if slot.number not in digest.slots:
                continue
            try:
                key = open_slot(self._source, slot, digest, secret, budget)
            except (ImageReadError, VolumeError) as error:
                self.untried[f"slot {slot.number}"] = str(error)
                continue
            if key is not None:
                return key
        return None


def _still_locked(volume: str, name: str, keys: _Keys, usable: tuple[Credential, ...]) -> Locked:
    """The volume that nothing opened. A credential is only called wrong if every way in which it could have been right was tried."""
    states = [] if keys.slots else ["no key slot in use holds its key, so that only the raw volume key can open it"]
    if keys.found and not keys.untried:
        why = f"the credentials given open {keys.found} of the {keys.found + keys.missing} keys that its data are encrypted with"
        advice = "give the credential of the other key too (--credentials)"
        return Locked(volume=volume, name=name, code="volume-encrypted", why=why, advice=advice, encrypted=True)
    states.extend(f"{what} could not be tried: {why}" for what, why in sorted(keys.untried.items()))
    state = escape_text("; ".join(states))
    if keys.untried:
        tried = f"no credential opens what of it could be tried (given: {counted(usable)})"
        return unreadable_volume(volume, name, f"{tried}; {state}")
    triable = tuple(one for one in usable if one.kind is CredentialKind.RAW_KEY or keys.slots)
    return locked_volume(volume, name, tried=triable, opens=_OPENS if keys.slots else "the raw volume key", state=state)


def _unknown_cipher(header: LuksHeader) -> str:
    """Why its data cannot be decrypted, whatever the key; "" if they can."""
    for segment in header.segments:
        try:
            if segment.cipher:
                parse_spec(segment.cipher)
        except VolumeError as error:
            return escape_text(f"whether a credential fits was not tried: {error}")
    return ""


def _usable(credentials: tuple[Credential, ...], volume: str) -> tuple[Credential, ...]:
    return of_kind(credentials, volume, CredentialKind.PASSPHRASE, CredentialKind.KEY_FILE, CredentialKind.RAW_KEY)


def _has_data(header: LuksHeader, size: int) -> bool:
    """Whether the data lie behind the header: one that was kept apart states that they start at the front, or behind its end."""
    starts = [one.start for one in header.segments]
    return all(start < size for start in starts) and not (starts == [0] and header.segments[0].cipher)


def _plain(source: ByteSource, header: LuksHeader, keys: _Keys) -> ByteSource:
    """The plain bytes: the segments one after the other."""
    runs = []
    position = 0
    for segment in header.segments:
        stated = source.size - segment.start if segment.size is None else segment.size
        size = stated - stated % segment.sector_bytes
        cipher = None
        if segment.cipher:
            cipher = SectorCipher(parse_spec(segment.cipher), keys.of(segment), sector_bytes=segment.sector_bytes)
        runs.append(_Run(position, size, segment, cipher))
        position += size

    def read(offset: int, length: int) -> bytes:
        parts = []
        for run in runs:
            start, end = max(offset, run.position), min(offset + length, run.position + run.size)
            if start < end:
                parts.append(run.read(source, start - run.position, end - start))
        return b"".join(parts)

    return UnitSource(read, size=position, alignment=max(one.sector_bytes for one in header.segments))


@dataclass(frozen=True, slots=True)
class _Run:
    """A segment in its place: bytes `plain[position : position + size]`."""

    position: int
    size: int
    segment: Segment
    cipher: SectorCipher | None

    def read(self, source: ByteSource, offset: int, length: int) -> bytes:
        data = read_exactly(source, self.segment.start + offset, length)
        return data if self.cipher is None else self.cipher.decrypt(data, self.segment.first_iv + offset // 512)


def _damaged(volume: str, fault: str) -> Problem:
    return Problem(
        stage=Stage.VOLUMES,
        code="volume-metadata-damaged",
        what=f"one of the two LUKS2 headers of volume {volume} is not whole; the other was used",
        why=escape_text(fault),
        advice="compare both headers: one that was wiped or replaced on purpose looks the same",
        volume=volume,
    )
