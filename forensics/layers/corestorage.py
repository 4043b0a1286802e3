"""FileVault 2 on CoreStorage volumes: those of the common shape read here, others through libfvde. The owner file of libfvde-python.

References:
    libfvde documentation, "FileVault Drive Encryption (FVDE)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyfvde

from forensics.credentials import CredentialKind, of_kind
from forensics.errors import ImageReadError, Problem, Stage, VolumeError
from forensics.layers.base import Derived, Locked, Unfolded
from forensics.layers.filevault import read_filevault
from forensics.layers.library_source import LibrarySource, library_words, tried
from forensics.layers.locking import locked_volume, unreadable_volume
from forensics.names import escape_text
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.layers.filevault import FileVault
    from forensics.source import ByteSource

_NAME = "FileVault 2 (CoreStorage)"
_OPENS = "a passphrase or a recovery key"
_UNLOCKED = "CoreStorage logical volume, unlocked"
_KINDS = (CredentialKind.PASSPHRASE, CredentialKind.RECOVERY_KEY)


class CoreStorage:
    """CoreStorage physical volumes of macOS, each with its logical volumes."""

    name = "corestorage"
    title = _NAME
    consumes = True

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether the volume header is there: its signature at 88, its version and block type at 8."""
        return head[88:90] == b"CS" and head[8:12] == bytes.fromhex("01001000")

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:
        """The logical volumes of each member that open."""
        derived: list[Derived] = []
        locked: list[Locked] = []
        problems: list[Problem] = []
        for member in members:
            usable = of_kind(credentials, member.volume, *_KINDS)
            try:
                volume = read_filevault(member.source)
            except (VolumeError, ImageReadError) as error:
                found = _volumes(member, usable, str(error))
            else:
                found = [_common(member, volume, usable)]
                if volume.fault:
                    problems.append(_damaged(member.volume, volume.fault))
            derived.extend(one for one in found if isinstance(one, Derived))
            locked.extend(one for one in found if isinstance(one, Locked))
        return Unfolded(derived=tuple(derived), locked=tuple(locked), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:
        """The plain bytes, unlocked again as before."""
        (member,) = members
        usable = tuple(one for one in of_kind(credentials, member.volume, *_KINDS) if one.kind == derived.unlocked_with)
        if not derived.key:
            try:
                volume = read_filevault(member.source)
                key = next((key for one in usable if (key := volume.key(one.value))), None)
            except ImageReadError as error:
                message = f"volume {member.volume}: its FileVault metadata cannot be read: {error}"
                raise VolumeError(message) from error
            if key is not None:
                return volume.plain(member.source, key)
        else:
            opened, failed = tried(lambda: _Group(member.source))
            kind = tried(lambda: _unlock(opened.logical(int(derived.key)), usable))[0] if failed is None else None
            if kind is not None:
                return _LogicalSource(opened, int(derived.key), derived)
        message = f"volume {member.volume}: the CoreStorage volume cannot be unlocked again"
        raise VolumeError(message)


def _common(member: Member, volume: FileVault, usable: tuple[Credential, ...]) -> Derived | Locked:
    """A volume of the common shape."""
    if not volume.wrapped_keks:
        return unreadable_volume(member.volume, _NAME, "its metadata hold no key that a passphrase or a recovery key could open")
    try:
        opener = next((one for one in usable if volume.key(one.value) is not None), None)
    except VolumeError as error:
        return unreadable_volume(member.volume, _NAME, str(error))
    if opener is None:
        return locked_volume(member.volume, _NAME, tried=usable, opens=_OPENS)
    return Derived(
        layer=CoreStorage.name,
        parents=(member.volume,),
        key="",
        name=escape_text(volume.name),
        what=_UNLOCKED,
        size=volume.size,
        unlocked_with=str(opener.kind),
    )


def _volumes(member: Member, usable: tuple[Credential, ...], fault: str) -> list[Derived | Locked]:
    """The logical volumes that libfvde finds in a volume of another shape; `fault` is what kept us from reading it."""
    opened, error = tried(lambda: _Group(member.source))
    if error is not None:
        return [unreadable_volume(member.volume, _NAME, escape_text(f"{fault}; libfvde: {library_words(error)}"))]
    return [_volume(member, opened, number, usable) for number in range(opened.count)]


def _volume(member: Member, opened: _Group, number: int, usable: tuple[Credential, ...]) -> Derived | Locked:
    logical = opened.logical(number)
    kind, failure = tried(lambda: _unlock(logical, usable))
    if failure is not None:
        return unreadable_volume(member.volume, _NAME, f"logical volume {number + 1} cannot be read or unlocked ({type(failure).__name__})")
    if kind is None:
        return locked_volume(member.volume, _NAME, tried=usable, opens=_OPENS)
    return Derived(
        layer=CoreStorage.name,
        parents=(member.volume,),
        key=str(number),
        name=escape_text(str(logical.get_name() or "")),
        what=_UNLOCKED if kind else "CoreStorage logical volume",
        size=int(logical.get_size()),
        unlocked_with=kind,
    )


def _damaged(volume: str, fault: str) -> Problem:
    what = f"not all copies of the metadata of volume {volume} are whole; a whole one was used"
    return Problem(stage=Stage.VOLUMES, code="volume-metadata-damaged", what=what, why=escape_text(fault), volume=volume)


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


def _unlock(logical: Any, usable: tuple[Credential, ...]) -> str | None:
    """Kind of the credential that opens the volume; "" where none is needed, None where none fits.

    Raises:
        Exception: none fits, and the library gave out over one of them, so that none can be called wrong.
    """
    if not logical.is_locked():
        return ""
    failure: Exception | None = None
    for credential in usable:
        set_secret = logical.set_password if credential.kind is CredentialKind.PASSPHRASE else logical.set_recovery_password
        set_secret(credential.text)
        opened, error = tried(logical.unlock)
        if error is None and opened and not logical.is_locked():
            return str(credential.kind)
        failure = failure or error
    if failure is not None:
        raise failure
    return None
