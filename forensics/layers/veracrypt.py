"""VeraCrypt and TrueCrypt volumes, outer and hidden: nothing tells them from random bytes until a passphrase opens them.

So a volume is only a candidate here, and goes back to the survey with what was tried if nothing opens it. Trying a passphrase in vain takes
some ten seconds for each header. The copies of the headers at the end of a volume are tried only with credentials that the examiner
gave for certain volumes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.credentials import CredentialKind, of_kind
from forensics.entropy import ByteCounts
from forensics.errors import ImageReadError, Problem, Stage, VolumeError
from forensics.layers.base import Derived, Unclaimed, Unfolded
from forensics.layers.locking import counted
from forensics.layers.unit_source import UnitSource, read_exactly
from forensics.layers.veracrypt_header import ATTEMPTS, HEADER_BYTES, UNTRIED, header_places, open_header, with_key_files
from forensics.signatures import identify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.layers.veracrypt_header import Attempt, OpenedHeader
    from forensics.source import ByteSource

_SECTOR_BYTES = 512
# Of random bytes, 64 KiB have 7.997 bits a byte and 512 bytes 7.6; a compressed file's header or a filesystem's tables less.
_LEAST_ENTROPY = 7.99
_JUDGED_BYTES = 64 * 1024
_ANY_VOLUME = "*"
_COPY = " copy"
_HIDDEN = "hidden"
_KINDS = (CredentialKind.PASSPHRASE, CredentialKind.KEY_FILE)
_NAMES = "VeraCrypt or TrueCrypt"
_ADVICE_GIVE = "if it is encrypted, give a passphrase or key file for it (--credentials), or image the volume unlocked"
_ADVICE_CHECK = (
    "if it is encrypted, check the passphrase and key files; where one of what was not tried may be in use, image the volume unlocked"
)
_UNREADABLE = "a header that cannot be read"


class VeraCrypt:
    """Volumes of VeraCrypt and TrueCrypt."""

    name = "VeraCrypt"
    title = "VeraCrypt"
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether the volume begins with bytes that look random: it may be one."""
        return looks_random(head)

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:
        """The volumes that a passphrase or key files open; members that none opens go back with what was tried on them."""
        derived: list[Derived] = []
        unclaimed: list[Unclaimed] = []
        problems: list[Problem] = []
        for member in members:
            made, untried = _opened(member, credentials)
            derived.extend(made)
            if not made:
                unclaimed.append(_unclaimed(member.volume, credentials, untried))
            elif all(one.key.startswith(_HIDDEN) for one in made):
                problems.append(_outer_locked(member))
        return Unfolded(
            derived=tuple(sorted(derived, key=lambda one: (one.parents, one.key))), problems=tuple(problems), unclaimed=tuple(unclaimed)
        )

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:
        """The plain bytes, unlocked again as before."""
        (member,) = members
        place, _, name = derived.key.partition(":")
        offset = dict(header_places(member.source.size)).get(place)
        attempt = next((one for one in ATTEMPTS if _name(one) == name), None)
        if offset is not None and attempt is not None:
            header = _read_header(member.source, offset)
            for kind, secret, _ in _secrets(credentials, member.volume):
                opened = _open(header, attempt, secret, member.source.size, set()) if kind == derived.unlocked_with else None
                if opened is not None:
                    return _plain(member.source, opened)
        message = f"volume {member.volume}: the {derived.unlocked_with} that opened it before does not any more"
        raise VolumeError(message)


def looks_random(head: bytes) -> bool:
    """Whether the first bytes of something may be a VeraCrypt header: of no kind that is known, and each byte as likely as any other."""
    counts = ByteCounts()
    counts.add(head[:_JUDGED_BYTES])
    entropy = counts.entropy()
    return len(head) >= _JUDGED_BYTES and entropy is not None and entropy >= _LEAST_ENTROPY and identify(head) is None


def secrets_for(credentials: tuple[Credential, ...], volume: str) -> int:
    """How many secrets would be tried on the volume."""
    return sum(1 for _ in _secrets(credentials, volume))


def _secrets(credentials: tuple[Credential, ...], volume: str) -> Iterator[tuple[str, bytes, bool]]:
    """What may be tried: each passphrase alone, and with all key files; these alone. Each with its kind, and whether it names a volume."""
    files = of_kind(credentials, volume, CredentialKind.KEY_FILE)
    contents = [one.value for one in files]
    passphrases = of_kind(credentials, volume, CredentialKind.PASSPHRASE)
    for one in passphrases:
        yield str(one.kind), one.value, one.volume != _ANY_VOLUME
    if files:
        are_meant = any(one.volume != _ANY_VOLUME for one in files)
        for value in (*(one.value for one in passphrases), b""):
            yield str(CredentialKind.KEY_FILE), with_key_files(value, contents), are_meant


def _opened(member: Member, credentials: tuple[Credential, ...]) -> tuple[list[Derived], set[str]]:
    """The volumes that open, and the derivations that could not be tried here."""
    derived: list[Derived] = []
    found: set[str] = set()
    untried: set[str] = set()
    size = member.source.size
    for kind, secret, is_meant in _secrets(credentials, member.volume):
        places = [one for one in header_places(size) if is_meant or not one[0].endswith(_COPY)]
        headers = [(name, _read_header(member.source, at)) for name, at in places if name.removesuffix(_COPY) not in found]
        made = _first(headers, secret, size, untried)
        if made is not None:
            found.add(made[0].removesuffix(_COPY))
            derived.append(_derived(member.volume, *made, kind))
    return derived, untried


def _first(headers: list[tuple[str, bytes]], secret: bytes, size: int, untried: set[str]) -> tuple[str, Attempt, OpenedHeader] | None:
    """The header that the secret opens, by the cheapest attempt that does; no secret opens two volumes, which VeraCrypt rules out."""
    for attempt in ATTEMPTS:
        for place, header in headers:
            opened = _open(header, attempt, secret, size, untried)
            if opened is not None:
                return place, attempt, opened
    return None


def _read_header(source: ByteSource, offset: int) -> bytes:
    try:
        return read_exactly(source, offset, HEADER_BYTES)
    except ImageReadError:
        return b""


def _open(header: bytes, attempt: Attempt, secret: bytes, size: int, untried: set[str]) -> OpenedHeader | None:
    if len(header) != HEADER_BYTES:
        untried.add(_UNREADABLE)
        return None
    try:
        return open_header(header, attempt, secret, size)
    except (ValueError, VolumeError):  # a hash that this build of Python does not have, or memory that is not there
        untried.add(attempt.derivation.name)
        return None


def _unclaimed(volume: str, credentials: tuple[Credential, ...], untried: set[str]) -> Unclaimed:
    """What was tried on a volume that nothing opened, and what was not."""
    usable = of_kind(credentials, volume, *_KINDS)
    if not usable:
        return Unclaimed(volume=volume, tried=f"no passphrase or key file was given to try it as a {_NAMES} volume", advice=_ADVICE_GIVE)
    copies = (
        [] if any(one.volume != _ANY_VOLUME for one in usable) else ["the header copies at its end (name the volume in the credential)"]
    )
    named = "; ".join([UNTRIED, *copies, *sorted(untried)])
    tried = f"nothing given opens it as a {_NAMES} volume (tried: {counted(usable)}; not tried: {named})"
    return Unclaimed(volume=volume, tried=tried, advice=_ADVICE_CHECK)


def _outer_locked(member: Member) -> Problem:
    return Problem(
        stage=Stage.VOLUMES,
        code="volume-encrypted",
        what=f"only the hidden volume in volume {member.volume} was opened; the outer one around it stays locked",
        why="no credential that was given opens the outer header",
        advice="give the passphrase of the outer volume too (--credentials)",
        volume=member.volume,
        start_byte=0,
        size_bytes=member.source.size,
    )


def _name(attempt: Attempt) -> str:
    """What tells attempts apart; cascades are tried apart from single ciphers."""
    return f"{attempt.derivation.name} {attempt.key_bytes}"


def _derived(volume: str, place: str, attempt: Attempt, opened: OpenedHeader, kind: str) -> Derived:
    hidden = "hidden " if place.startswith(_HIDDEN) else ""
    return Derived(
        layer=VeraCrypt.name,
        parents=(volume,),
        key=f"{place}:{_name(attempt)}",
        name="",
        what=f"{hidden}{attempt.derivation.name.partition(' ')[0]} volume, unlocked",
        size=opened.size,
        unlocked_with=kind,
    )


def _plain(source: ByteSource, opened: OpenedHeader) -> ByteSource:
    cipher = opened.encryption.with_key(opened.key)

    def read(offset: int, length: int) -> bytes:
        start = opened.start + offset
        return cipher.decrypt(read_exactly(source, start, length), start // _SECTOR_BYTES)

    return UnitSource(read, size=opened.size)
