"""What a layer is: it recognises volumes that are its own and derives other volumes from them.

A derived volume is found once, by the process that surveys the exhibit, and opened again by each worker from its address: the
layer's name, the identifiers of its parents, and a key that is stable for the same evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.credentials import Credential
    from forensics.errors import Problem
    from forensics.source import ByteSource


@dataclass(frozen=True, slots=True)
class Member:
    """A volume that a layer may build on: its identifier, e.g. "v02", and its bytes."""

    volume: str
    source: ByteSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A volume that a layer makes of others.

    Attributes:
        layer: name of the layer that opens it again, e.g. "luks".
        parents: identifiers of the volumes that it is made of, in the order that `open_derived` needs.
        key: what tells it from its siblings, stable for the same evidence: a logical volume's UUID, a snapshot's identifier; "" where
            there is only one.
        name: what its user or its system calls it; "" where it has no name. Shown to people.
        what: what it is, for people: "BitLocker volume, unlocked", "logical volume", "RAID 5 array", "shadow copy".
        size: bytes.
        unlocked_with: kind of the credential that opened it ("passphrase", "clear key" where none was needed); "" if not encrypted.
        created: when a snapshot was taken, nanoseconds since 1970 UTC; None for what is no snapshot.
        incomplete: why not all of its bytes are there, e.g. a missing disk of an array; "" if they are.
        is_gap: whether it lies outside everything that its parent holds.
        is_copy: whether it is an earlier or separate state of what another volume shows: all of it is listed and read, artifacts are not.
    """

    layer: str
    parents: tuple[str, ...]
    key: str
    name: str
    what: str
    size: int
    unlocked_with: str = ""
    created: int | None = None
    incomplete: str = ""
    is_gap: bool = False
    is_copy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A volume of this layer that was not opened.

    Attributes:
        volume: its identifier.
        name: what encrypts or holds it: "BitLocker", "LUKS2".
        code: "volume-encrypted" (no credential was given), "credential-wrong" (none of those given opens it), "volume-incomplete"
            (members are missing), or "volume-not-read" (damaged, or of a variant that is not read).
        why: the cause, and for a wrong credential how many of which kinds were tried. Never a value.
        advice: what to do next.
        encrypted: whether it is encrypted.
    """

    volume: str
    name: str
    code: str
    why: str
    advice: str
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclaimed:
    """A volume that may be one of this layer, which nothing shows: it is looked at for a filesystem as any other.

    Attributes:
        volume: its identifier.
        tried: what was tried on it, and what was not, as a clause for people. Never a value.
        advice: what to do next.
    """

    volume: str
    tried: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfolded:
    """What a layer found in its members.

    Attributes:
        derived: the volumes made, in an order that is stable for the same evidence.
        locked: members that could not be used.
        problems: what else was wrong, each with `volume` set.
        unclaimed: members that turned out not to be the layer's, or not to be shown to be.
    """

    derived: tuple[Derived, ...] = ()
    locked: tuple[Locked, ...] = ()
    problems: tuple[Problem, ...] = ()
    unclaimed: tuple[Unclaimed, ...] = ()


class Layer(Protocol):
    """One way in which volumes hold other volumes.

    Attributes:
        name: the layer's name, as in Derived.layer.
        title: what a volume of it is called, for people; its first bytes may say more.
        consumes: whether a recognised volume holds nothing but this layer; a shadow copy's volume also has its own filesystem.
    """

    name: str
    title: str
    consumes: bool

    def recognises(self, head: bytes, member: Member) -> bool:
        """Whether the volume, whose first bytes (signatures.HEAD_BYTES, or all if fewer) are `head`, is one of this layer. Never raises."""

    def unfold(self, members: Sequence[Member], credentials: tuple[Credential, ...]) -> Unfolded:
        """What all recognised volumes of the exhibit together hold.

        A damaged or locked member is a Locked or a Problem, never an exception. Never asks anybody anything.
        """

    def open_derived(self, derived: Derived, members: Sequence[Member], credentials: tuple[Credential, ...]) -> ByteSource:
        """The bytes of a derived volume.

        Args:
            derived: what `unfold` gave, in this process or another.
            members: the volumes that `derived.parents` names, in that order.
            credentials: what `unfold` was given.

        Raises:
            VolumeError: it cannot be opened, in the examiner's words.
        """
