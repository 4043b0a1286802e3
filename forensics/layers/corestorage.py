"""FileVault 2 on CoreStorage volumes through libfvde. The owner file of libfvde-python.

References:
    libfvde documentation, "FileVault Drive Encryption (FVDE)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyfvde

from forensics.credentials import CredentialKind, of_kind
from forensics.errors import VolumeError
from forensics.layers.base import Derived, Locked, Unfolded
from forensics.layers.library_source import LibrarySource, tried
from forensics.layers.locking import locked_volume, unreadable_volume
from forensics.names import escape_text
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.source import ByteSource

_NAME = "FileVault 2 (CoreStorage)"
_OPENS = "a passphrase or a recovery key"
_KINDS = (CredentialKind.PASSPHRASE, CredentialKind.RECOVERY_KEY)


class CoreStorage:
    """CoreStorage physical volumes of macOS, each with its logical volumes."""

    name = "corestorage"
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether the volume header is there: its signature at 88, its version and block type at 8."""
        return head[88:90] == b"CS" and head[8:12] == bytes.fromhex("01001000")

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:
        """The logical volumes of each member that open."""
        derived: list[Derived] = []
        locked: list[Locked] = []
        for member in members:
            for found in _volumes(member, of_kind(credentials, member.volume, *_KINDS)):
                (derived if isinstance(found, Derived) else locked).append(found)  # type: ignore[arg-type]
        return Unfolded(derived=tuple(derived), locked=tuple(locked))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:
        """The plain bytes, unlocked again as before."""
        (member,) = members
        usable = tuple(one for one in of_kind(credentials, member.volume, *_KINDS) if one.kind == derived.unlocked_with)
        opened, error = tried(lambda: _group(member.source))
        if error is None:
            kind, error = tried(lambda: _unlock(opened.logical(int(derived.key)), usable))
            if error is None and kind is not None:
                return _LogicalSource(opened, int(derived.key), derived)
        message = f"volume {member.volume}: the CoreStorage volume cannot be unlocked again"
        raise VolumeError(message) from None


def _volumes(member: Member, usable: tuple[Credential, ...]) -> list[Derived | Locked]:
    opened, error = tried(lambda: _group(member.source))
    if error is not None:
        return [unreadable_volume(member.volume, _NAME, f"libfvde cannot open it: {error}")]
    return [_volume(member, opened, number, usable) for number in range(opened.count)]


def _volume(member: Member, opened: _Group, number: int, usable: tuple[Credential, ...]) -> Derived | Locked:
    logical = opened.logical(number)
    kind, failure = tried(lambda: _unlock(logical, usable))
    if failure is not None:
        return unreadable_volume(member.volume, _NAME, f"logical volume {number + 1} cannot be read ({type(failure).__name__})")
    if kind is None:
        return locked_volume(member.volume, _NAME, tried=usable, opens=_OPENS)
    return Derived(
        layer=CoreStorage.name,
        parents=(member.volume,),
        key=str(number),
        name=escape_text(str(logical.get_name() or "")),
        what="CoreStorage logical volume, unlocked" if kind else "CoreStorage logical volume",
        size=int(logical.get_size()),
        unlocked_with=kind,
    )


class _Group:
    """An open physical volume and its logical volumes, which must live as long as each other."""

    def __init__(self, source: ByteSource) -> None:
        self._stream = SourceStream(source)
        self._volume = pyfvde.volume()
        self._volume.open_file_object(self._stream)
        self._volume.open_physical_volume_files_as_file_objects([self._stream])
        self._logical_group = self._volume.get_volume_group()
        self.count = int(self._logical_group.get_number_of_logical_volumes())
        self._logical = [self._logical_group.get_logical_volume(number) for number in range(self.count)]

    def logical(self, number: int) -> Any:
        """A logical volume."""
        return self._logical[number]


class _LogicalSource(LibrarySource):
    def __init__(self, group: _Group, number: int, derived: Derived) -> None:
        super().__init__(group.logical(number), derived.size, derived.what)
        self._group = group


def _group(source: ByteSource) -> _Group:
    return _Group(source)


def _unlock(logical: Any, usable: tuple[Credential, ...]) -> str | None:
    """Kind of the credential that opens the volume; "" where none is needed, None where none fits."""
    if not logical.is_locked():
        return ""
    for credential in usable:
        set_secret = logical.set_password if credential.kind is CredentialKind.PASSPHRASE else logical.set_recovery_password
        set_secret(credential.text)
        opened, error = tried(logical.unlock)
        if error is None and opened and not logical.is_locked():
            return str(credential.kind)
    return None
