"""Volume Shadow Copies: earlier states of an NTFS volume, through libvshadow. The owner file of libvshadow-python.

References:
    libvshadow documentation, "Volume Shadow Snapshot (VSS) format", section 2: the volume header at 0x1e00.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyvshadow

from forensics.errors import Problem, Stage, VolumeError
from forensics.layers.base import Derived, Unfolded
from forensics.layers.library_source import LibrarySource, library_words, tried
from forensics.names import escape_text
from forensics.source import SourceStream
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.layers.base import Member
    from forensics.source import ByteSource

_HEADER = 0x1E00
_IDENTIFIER = bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")  # {3808876b-c176-4e48-b7ae-04046e6cc752}
_MOST_STORES = 512  # Windows keeps 64 at the most
_ADVICE = "read the volume with another tool; what is live in it does not depend on this"


class ShadowCopies:
    """The shadow copies of a volume; the volume has its own filesystem, too."""

    name = "shadow copy"
    title = "volume with shadow copies"
    consumes = False

    def recognises(self, head: bytes, member: Member) -> bool:  # noqa: ARG002 - the layer's shape
        """Whether the volume's header of shadow copies is there, and leads to a catalogue."""
        return head[_HEADER : _HEADER + 16] == _IDENTIFIER and any(head[_HEADER + 48 : _HEADER + 56])

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:  # noqa: ARG002
        """A volume a shadow copy, the oldest first."""
        derived: list[Derived] = []
        problems: list[Problem] = []
        for member in members:
            stores, error = tried(lambda member=member: _stores(member.source))  # type: ignore[misc]
            if error is not None:
                problems.append(_problem(member.volume, "the shadow copies of a volume could not be opened", error))
                continue
            for number, store in enumerate(stores, start=1):
                made, failure = tried(lambda number=number, store=store, member=member: _derived(member.volume, number, store))  # type: ignore[misc]
                if failure is not None:
                    problems.append(_problem(member.volume, f"shadow copy {number} of a volume could not be opened", failure))
                elif made is None:
                    why = ValueError("its data are not in this volume")
                    problems.append(_problem(member.volume, f"shadow copy {number} of a volume cannot be read", why))
                else:
                    derived.append(made)
        return Unfolded(derived=tuple(derived), problems=tuple(problems))

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:  # noqa: ARG002
        """The volume as it was."""
        (member,) = members
        stores, error = tried(lambda: _stores(member.source))
        if error is not None:
            message = f"the shadow copies of volume {member.volume} cannot be opened: {library_words(error)}"
            raise VolumeError(message) from error
        store = next((one for one in stores if str(one.get_identifier()) == derived.key), None)
        if store is None:
            message = f"volume {member.volume} has no shadow copy {derived.key}"
            raise VolumeError(message)
        return _StoreSource(stores, store, derived)


class _StoreSource(LibrarySource):
    """A store; it keeps the volume that it belongs to."""

    def __init__(self, volume: Any, store: Any, derived: Derived) -> None:
        super().__init__(store, derived.size, derived.name)
        self._volume = volume


def _stores(source: ByteSource) -> list[Any]:
    volume = pyvshadow.volume()
    volume.open_file_object(SourceStream(source))
    count = min(int(volume.get_number_of_stores()), _MOST_STORES)
    return _Stores(volume, [volume.get_store(number) for number in range(count)])


class _Stores(list[Any]):
    """The stores of a volume, which must live as long as they do."""

    def __init__(self, volume: Any, stores: list[Any]) -> None:
        super().__init__(stores)
        self._volume = volume


def _derived(volume: str, number: int, store: Any) -> Derived | None:
    if not store.has_in_volume_data():
        return None
    created = from_filetime(int(store.get_creation_time_as_integer()))
    return Derived(
        layer=ShadowCopies.name,
        parents=(volume,),
        key=str(store.get_identifier()),
        name=f"shadow copy {number}",
        what="shadow copy",
        size=int(store.get_volume_size()),
        created=created if isinstance(created, int) else 0,
    )


def _problem(volume: str, what: str, error: Exception) -> Problem:
    return Problem(
        stage=Stage.VOLUMES, code="shadow-copy-unreadable", what=what, why=escape_text(library_words(error)), advice=_ADVICE, volume=volume
    )
