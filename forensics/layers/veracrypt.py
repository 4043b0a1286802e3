"""VeraCrypt and TrueCrypt volumes, outer and hidden: nothing tells them from random bytes until a passphrase opens them.

So a volume is only a candidate here, and stays what it is for the survey if nothing opens it. Trying a passphrase takes some seconds on
each candidate. The copies of the headers at the end of a volume are tried only with credentials that the examiner gave for certain volumes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.credentials import CredentialKind, of_kind
from forensics.entropy import ByteCounts
from forensics.errors import ImageReadError, VolumeError
from forensics.layers.base import Derived, Unfolded
from forensics.layers.sector_cipher import SectorCipher, parse_spec
from forensics.layers.unit_source import UnitSource, read_exactly
from forensics.layers.veracrypt_header import DERIVATIONS, HEADER_BYTES, SALT_BYTES, header_places, open_header, with_key_files
from forensics.signatures import identify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.layers.veracrypt_header import KeyDerivation, OpenedHeader
    from forensics.source import ByteSource

_SECTOR_BYTES = 512
# Of random bytes, 64 KiB have 7.997 bits a byte and 512 bytes 7.6; a compressed file's header or a filesystem's tables less.
_LEAST_ENTROPY = 7.99
_JUDGED_BYTES = 64 * 1024
_ANY_VOLUME = "*"
_COPY = " copy"


class VeraCrypt:
    """Volumes of VeraCrypt and TrueCrypt."""

    name = "veracrypt"
    consumes = False

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether the volume begins with bytes that look random: it may be one."""
        counts = ByteCounts()
        counts.add(head[:_JUDGED_BYTES])
        entropy = counts.entropy()
        return len(head) >= _JUDGED_BYTES and entropy is not None and entropy >= _LEAST_ENTROPY and identify(head) is None

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:
        """The volumes that a passphrase or key files open; nothing is said of members that none opens."""
        derived = []
        for member in members:
            found: set[str] = set()
            for kind, secret, is_meant in _secrets(credentials, member.volume):
                places = [one for one in header_places(member.source.size) if is_meant or not one[0].endswith(_COPY)]
                headers = [(name, _read_header(member.source, at)) for name, at in places if name.removesuffix(_COPY) not in found]
                opened = _first(headers, secret, member.source.size)
                if opened is not None:
                    found.add(opened[0].removesuffix(_COPY))
                    derived.append(_derived(member.volume, *opened, kind))
        return Unfolded(derived=tuple(sorted(derived, key=lambda one: (one.parents, one.key))))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:
        """The plain bytes, unlocked again as before."""
        (member,) = members
        place, _, name = derived.key.partition(":")
        offset = dict(header_places(member.source.size)).get(place)
        derivation = next((one for one in DERIVATIONS if one.name == name), None)
        if offset is not None and derivation is not None:
            header = _read_header(member.source, offset)
            for kind, secret, _ in _secrets(credentials, member.volume):
                opened = _open(header, derivation, secret, member.source.size) if kind == derived.unlocked_with else None
                if opened is not None:
                    return _plain(member.source, opened)
        message = f"volume {member.volume}: the {derived.unlocked_with} that opened it before does not any more"
        raise VolumeError(message)


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


def _first(headers: list[tuple[str, bytes]], secret: bytes, size: int) -> tuple[str, KeyDerivation, OpenedHeader] | None:
    """The header that the secret opens, by the cheapest derivation that does; no secret opens two volumes, which VeraCrypt rules out."""
    for derivation in DERIVATIONS:
        for place, header in headers:
            opened = _open(header, derivation, secret, size)
            if opened is not None:
                return place, derivation, opened
    return None


def _read_header(source: ByteSource, offset: int) -> bytes:
    try:
        return read_exactly(source, offset, HEADER_BYTES)
    except ImageReadError:
        return b""


def _open(header: bytes, derivation: KeyDerivation, secret: bytes, size: int) -> OpenedHeader | None:
    if len(header) != HEADER_BYTES:
        return None
    try:
        key = derivation.key(secret, header[:SALT_BYTES], 0)
    except (ValueError, VolumeError):  # a hash that this build of Python does not have, or memory that is not there
        return None
    opened = open_header(header, key, derivation.magic, size)
    return opened if opened is not None and opened.start + opened.size <= size else None


def _derived(volume: str, place: str, derivation: KeyDerivation, opened: OpenedHeader, kind: str) -> Derived:
    hidden = "hidden " if place.startswith("hidden") else ""
    return Derived(
        layer=VeraCrypt.name,
        parents=(volume,),
        key=f"{place}:{derivation.name}",
        name="",
        what=f"{hidden}{derivation.name.partition(' ')[0]} volume, unlocked",
        size=opened.size,
        unlocked_with=kind,
    )


def _plain(source: ByteSource, opened: OpenedHeader) -> ByteSource:
    cipher = SectorCipher(parse_spec("aes-xts-plain64"), opened.key)

    def read(offset: int, length: int) -> bytes:
        start = opened.start + offset
        return cipher.decrypt(read_exactly(source, start, length), start // _SECTOR_BYTES)

    return UnitSource(read, size=opened.size)
