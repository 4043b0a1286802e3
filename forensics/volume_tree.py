"""The volumes of an exhibit by their addresses: any process that has the exhibit's files opens any of them again from these.

A node is a tile of a disk (v01, g01), or is derived from other nodes (v02.1): unlocked, assembled, a snapshot, or one of several
filesystems that share a volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forensics.errors import VolumeError
from forensics.filesystems.readers import open_reader
from forensics.layers.all_layers import ALL_LAYERS, OF_WHOLE_DISKS
from forensics.layers.base import Member
from forensics.sleuthkit import open_media
from forensics.source import SourceSlice

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from forensics.credentials import Credential
    from forensics.disks import Disks
    from forensics.filesystems.base import FilesystemReader
    from forensics.filesystems.found import FoundFilesystem
    from forensics.layers.base import Derived
    from forensics.source import ByteSource

SHARED_VOLUME = "filesystem"
"""Layer of a node that is one of several filesystems in its parent: it has its parent's bytes."""
UNDER_TABLE = "under the partition table"
"""Layer of a node that is a filesystem which begins where its disk does, under the partition table: it has the bytes of its whole disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeNode:
    """Address of one volume or gap.

    Attributes:
        volume: identifier: "v01", "g01", "v01.2".
        disk: number of the disk that holds a tile, from 0; of a derived volume, that of its first parent.
        start_byte: where a tile starts on its disk; 0 for a derived volume.
        size_bytes: its length.
        derived: how it is made of others; None for a tile.
        found: the filesystem to list in it, also raw space; None if nothing is.
        snapshot: whether it shows an earlier state of another volume.
        is_copy: whether it lies in a volume that is one by Derived.is_copy.
    """

    volume: str
    disk: int
    start_byte: int
    size_bytes: int
    derived: Derived | None = None
    found: FoundFilesystem | None = None
    snapshot: bool = False
    is_copy: bool = False


class VolumeTree:
    """The nodes of an exhibit, each opened on first use and kept open."""

    def __init__(self, disks: Disks, credentials: tuple[Credential, ...], spool: Path, nodes: Iterable[VolumeNode] = ()) -> None:
        """`spool` is a folder for what must be unpacked before it can be read in any order."""
        self._disks, self._credentials, self._spool = disks, credentials, spool
        self._nodes = {node.volume: node for node in nodes}
        self._sources: dict[str, ByteSource] = {}
        self._media: dict[str, Any] = {}
        self._readers: dict[str, FilesystemReader] = {}

    def put(self, node: VolumeNode) -> None:
        """Takes a node, also in place of one that was known by less."""
        self._nodes[node.volume] = node

    def node(self, volume: str) -> VolumeNode:
        """The node of that identifier."""
        return self._nodes[volume]

    def source(self, volume: str) -> ByteSource:
        """The bytes of a volume.

        Raises:
            VolumeError: it cannot be opened here.
        """
        if volume not in self._sources:
            node = self._nodes[volume]
            self._sources[volume] = self._tile(node) if node.derived is None else self._derived(node.derived)
        return self._sources[volume]

    def tsk_media(self, volume: str) -> tuple[Any, int]:
        """What TSK reads the volume from, and where in it the volume starts: its whole disk natively, where that can be."""
        node = self._nodes[volume]
        if node.derived is not None:
            if node.derived.layer == SHARED_VOLUME:
                return self.tsk_media(node.derived.parents[0])
            if volume not in self._media:
                self._media[volume] = open_media(self.source(volume))
            return self._media[volume], 0
        key = f"disk {node.disk}"
        if key not in self._media:
            self._media[key] = open_media(self._disks.images[node.disk])
        return self._media[key], node.start_byte

    def reader(self, volume: str) -> FilesystemReader:
        """The reader of the volume's filesystem.

        Raises:
            FilesystemError: it cannot be opened.
            VolumeError: the volume cannot be.
        """
        if volume not in self._readers:
            node = self._nodes[volume]
            if node.found is None:
                message = f"nothing was found in volume {volume} that could be listed"
                raise VolumeError(message)
            self._readers[volume] = open_reader(
                self.source(volume),
                node.found,
                volume=volume,
                tsk_media=lambda: self.tsk_media(volume),
                image=self._disks.images[node.disk],
                credentials=self._credentials,
                spool=self._spool,
            )
        return self._readers[volume]

    def _tile(self, node: VolumeNode) -> ByteSource:
        return SourceSlice(self._disks.images[node.disk], node.start_byte, node.size_bytes)

    def member(self, volume: str, layer: str) -> Member:
        """The volume as a member of that layer: its bytes, or those of its whole disk.

        Raises:
            VolumeError: it cannot be opened here.
        """
        whole = layer in OF_WHOLE_DISKS or layer == UNDER_TABLE
        return Member(volume, self._disks.images[self._nodes[volume].disk] if whole else self.source(volume))

    def _derived(self, derived: Derived) -> ByteSource:
        members = [self.member(parent, derived.layer) for parent in derived.parents]
        if derived.layer in (SHARED_VOLUME, UNDER_TABLE):
            return members[0].source
        layer = next((one for one in ALL_LAYERS if one.name == derived.layer), None)
        if layer is None:
            message = f"volume {derived.parents[0]}: the layer {derived.layer} is not known to this version"
            raise VolumeError(message)
        return layer.open_derived(derived, members, self._credentials)
