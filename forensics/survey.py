"""What an exhibit holds, volume by volume, before any file is listed: filesystem, encryption, reader, and what will not be read.

A volume is believed to be a layer's (encrypted, a part of an array or a volume group) before it is believed to hold a filesystem:
BitLocker To Go wears a FAT32 coat. What a layer makes of volumes is looked at in turn. A volume in which nothing is known is read as
raw space; one that is locked is not, because nothing is to be found in it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forensics.errors import FilesystemError, ForensicsError, ImageReadError, Problem, Stage
from forensics.filesystems.found import FoundFilesystem
from forensics.filesystems.readers import find_filesystems
from forensics.found_volume import FoundVolume, Survey
from forensics.layers.all_layers import ALL_LAYERS, OF_WHOLE_DISKS
from forensics.layers.base import Derived
from forensics.layers.partitions import Partitions
from forensics.logical.open_logical import LOGICAL_KINDS
from forensics.signatures import HEAD_BYTES, name_more_exactly
from forensics.unrecognised import ADVICE_OTHER_TOOL, ADVICE_UNLOCK, judge, second_choice, volume_problem
from forensics.volume_tree import SHARED_VOLUME, UNDER_TABLE, VolumeNode, VolumeTree
from forensics.volumes import Layout, read_layout, whole

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.credentials import Credential
    from forensics.disks import Disks
    from forensics.image import Image
    from forensics.layers.base import Layer, Locked, Member, Unclaimed
    from forensics.source import ByteSource

_GAP = "outside every volume; its bytes were read as raw space"
_DEEPEST = 8  # layers upon layers; no real disk has more than four


def survey(disks: Disks, *, spool: Path, credentials: tuple[Credential, ...] = (), forced: tuple[tuple[str, str], ...] = ()) -> Survey:
    """The volumes and gaps of the exhibit, with what is in each.

    Args:
        disks: the exhibit's media.
        spool: a folder for temporary files.
        credentials: what may be tried on locked volumes.
        forced: (volume, reader) that the examiner asked for.
    """
    return _Surveyor(disks, spool, credentials, dict(forced)).survey()


class _Surveyor:
    def __init__(self, disks: Disks, spool: Path, credentials: tuple[Credential, ...], forced: dict[str, str]) -> None:
        self._disks, self._credentials, self._forced = disks, credentials, forced
        self._tree = VolumeTree(disks, credentials, spool)
        self._found: dict[str, FoundVolume] = {}
        self._problems: list[Problem] = []
        self._counted: dict[str, int] = {}
        self._disk_names: set[str] = set()

    def survey(self) -> Survey:
        """Looks at the tiles, then at what is derived from them, until nothing new comes."""
        waiting = self._tiles()
        while waiting:
            waiting = [made for layer, members in self._sort(waiting) for made in self._unfold(layer, members)]
        self._name_unused_forcing()
        return Survey(volumes=tuple(sorted(self._found.values(), key=self._place)), problems=tuple(self._problems))

    def _tiles(self) -> list[str]:
        """Cuts each disk into volumes and gaps; volumes are numbered through over all disks."""
        names = []
        volumes = gaps = 0
        for number, (image, start) in enumerate(zip(self._disks.images, self._disks.starts, strict=True)):
            layout = _layout(image)
            largest = max(layout.volumes, key=lambda one: one.own_bytes, default=None)
            renamed = {}
            for extent in layout.extents:
                volumes, gaps = volumes + (not extent.is_gap), gaps + extent.is_gap
                name = f"g{gaps:02d}" if extent.is_gap else f"v{volumes:02d}"
                renamed[extent.volume] = name
                if extent is largest:
                    self._disk_names.add(name)
                tile = replace(extent, volume=name)
                node = VolumeNode(volume=name, disk=number, start_byte=tile.origin_byte, size_bytes=tile.own_bytes)
                self._tree.put(node)
                self._found[name] = FoundVolume(node=node, tile=tile, disk_start=start, filesystem=None)
                names.append(name)
            self._problems.extend(replace(one, volume=renamed.get(one.volume, one.volume)) for one in layout.problems)
            if layout.is_filesystem and layout.has_table and layout.extents[0].is_gap:
                self._look_under_table(renamed[layout.extents[0].volume], UNDER_TABLE, image)
        return names

    def _sort(self, names: list[str]) -> list[tuple[Layer, list[Member]]]:
        """Gives each volume to the layers that recognise it; looks for filesystems in what no layer takes as a whole."""
        taken: dict[str, list[Member]] = {}
        for name in names:
            head = self._head(name)
            layers = [] if self._is_plain(name) else [layer for layer in ALL_LAYERS if self._recognises(layer, name, head)]
            consuming = next((layer for layer in layers if layer.consumes), None)
            for layer in layers if consuming is None else [consuming]:
                taken.setdefault(layer.name, []).append(self._tree.member(name, layer.name))
            if consuming is None:
                self._look(name, head)
        return [(layer, taken[layer.name]) for layer in ALL_LAYERS if layer.name in taken]

    def _recognises(self, layer: Layer, name: str, head: bytes) -> bool:
        member = self._tree.member(name, layer.name)
        found = self._found[name]
        if layer.name == Partitions.name and found.tile is not None and found.tile.scheme == "none":
            return False  # a whole disk, on which no table was found
        # Disks of an array and of a volume group are put together from the present only: an earlier state has the same identifiers.
        if found.node.snapshot and layer.name != Partitions.name:
            return False
        if layer.name in OF_WHOLE_DISKS:
            return name in self._disk_names and layer.recognises(_first_bytes(member.source), member)
        return layer.recognises(head, member)

    def _is_plain(self, name: str) -> bool:
        """Whether the volume can hold no layer: a gap, logical evidence, none of its bytes there, too deep."""
        found = self._found[name]
        if found.is_gap or found.node.size_bytes == 0:
            return True
        return self._disks.images[found.node.disk].container in LOGICAL_KINDS or name.count(".") >= _DEEPEST

    def _unfold(self, layer: Layer, members: list[Member]) -> list[str]:
        """The volumes that the layer makes of its members; records what stays locked."""
        unfolded = layer.unfold(members, self._credentials)
        self._problems.extend(unfolded.problems)
        made = [self._derive(derived, snapshot=derived.created is not None) for derived in unfolded.derived]
        for derived in unfolded.derived:
            if derived.is_gap and derived.key.startswith("0:"):
                self._look_under_table(derived.parents[0], SHARED_VOLUME, self._tree.source(derived.parents[0]))
        for locked in unfolded.locked:
            self._lock(locked)
        for one in unfolded.unclaimed:
            self._look(one.volume, self._head(one.volume), one)
        for member in members:
            found = self._found[member.volume]
            if layer.consumes and found.node.found is None and not found.reason:
                name = found.filesystem or name_more_exactly(layer.title, self._head(member.volume))
                why = f"{name}: what it holds is listed as {', '.join(found.holds)}" if found.holds else f"{name} that holds nothing"
                self._found[member.volume] = replace(found, filesystem=name, reason=why)
        return made

    def _derive(self, derived: Derived, *, snapshot: bool, found: FoundFilesystem | None = None) -> str:
        parent = derived.parents[0]
        number = self._counted[parent] = self._counted.get(parent, 0) + 1
        name = f"{parent}.{number}"
        above = self._found[parent]
        node = VolumeNode(
            volume=name,
            disk=above.node.disk,
            start_byte=0,
            size_bytes=derived.size,
            derived=derived,
            found=found,
            snapshot=snapshot or above.node.snapshot,
            is_copy=derived.is_copy or above.node.is_copy,
        )
        self._tree.put(node)
        self._found[name] = FoundVolume(node=node, tile=None, disk_start=above.disk_start, filesystem=found.filesystem if found else None)
        for one in derived.parents:
            self._found[one] = replace(self._found[one], holds=(*self._found[one].holds, name))
        if derived.incomplete:
            what = f"volume {name} ({derived.what}) is not whole; what cannot be had is an error where it is read"
            self._problems.append(
                volume_problem(name, derived.size, "volume-incomplete", what=what, why=derived.incomplete, advice="find the missing disks")
            )
        return name

    def _lock(self, locked: Locked) -> None:
        found = self._found[locked.volume]
        name = name_more_exactly(locked.name, self._head(locked.volume))
        reason = f"{name}: {locked.why}"
        self._found[locked.volume] = replace(found, filesystem=name, encrypted=locked.encrypted, reason=reason)
        if not locked.encrypted and not found.holds:  # in the clear: what can be carved in it still can
            self._take_as_raw(locked.volume, name, f"{reason}; its bytes were read as raw space")
        what = f"volume {locked.volume} is locked" if locked.encrypted else f"volume {locked.volume} could not be put together"
        self._problems.append(
            volume_problem(locked.volume, found.node.size_bytes, locked.code, what=f"{what} ({name})", why=locked.why, advice=locked.advice)
        )

    def _look_under_table(self, parent: str, layer: str, source: ByteSource) -> None:
        """Lists a filesystem that begins where the partition table does: of a hybrid disc, or one from before there was a table.

        Args:
            parent: the volume that holds the table, or of a disk the gap with which it begins.
            layer: SHARED_VOLUME or UNDER_TABLE, accordingly.
            source: the whole disk.
        """
        filesystems, _ = self._find(source, _first_bytes(source), parent, "")
        for one in filesystems:
            if one.reason or one.encrypted:
                continue
            what = f"{one.filesystem} filesystem under the partition table"
            derived = Derived(layer=layer, parents=(parent,), key=one.selector, name=one.label or "", what=what, size=source.size)
            name = self._derive(derived, snapshot=False)
            self._take(name, one)
            told = (
                f"a filesystem ({one.filesystem}) begins at byte 0, under the partition table; it is listed as {name} beside the partitions"
            )
            why = "a disc made to start from a USB stick, too, has both; else one of the two is older and partly overwritten"
            advice = "compare the times in both before drawing a conclusion from one"
            self._problems.append(volume_problem(name, source.size, "filesystem-under-table", what=told, why=why, advice=advice))

    def _look(self, name: str, head: bytes, guess: Unclaimed | None = None) -> None:
        """Looks for filesystems in a volume of its own; else takes it as raw space, and says what a layer tried on it by guess."""
        found = self._found[name]
        if found.node.size_bytes == 0:
            self._found[name] = replace(found, reason="none of its bytes are in the image")  # the layout has a problem for it
            return
        if found.is_gap:
            self._take_as_raw(name, None, _GAP)
            return
        filesystems, why = self._find(self._tree.source(name), head, name, self._forced.pop(name, ""))
        if not filesystems:
            self._not_recognised(name, head, why, guess)
        elif len(filesystems) == 1 and not filesystems[0].created:
            self._take(name, filesystems[0])
            if why and not filesystems[0].reason:
                self._problems.append(second_choice(name, found.node.size_bytes, filesystems[0], why))
        else:
            self._share(name, filesystems)

    def _find(self, source: ByteSource, head: bytes, name: str, forced: str) -> tuple[tuple[FoundFilesystem, ...], str]:
        """The filesystems in a volume, and why the engine that is asked first found none."""
        try:
            return find_filesystems(
                source,
                head,
                volume=name,
                tsk_media=lambda: self._tree.tsk_media(name),
                image=self._disks.images[self._found[name].node.disk],
                credentials=self._credentials,
                forced=forced,
            )
        except FilesystemError as error:
            return (), str(error)

    def _share(self, name: str, filesystems: tuple[FoundFilesystem, ...]) -> None:
        """Makes a volume of each of several filesystems, or states of one, that share the bytes of one volume."""
        size = self._found[name].node.size_bytes
        for one in filesystems:
            what = f"{one.filesystem} snapshot" if one.created is not None else f"{one.filesystem} filesystem"
            derived = Derived(
                layer=SHARED_VOLUME,
                parents=(name,),
                key=one.selector,
                name=one.label or "",
                what=what,
                size=size,
                unlocked_with=one.unlocked_with,
                created=one.created,
            )
            self._take(self._derive(derived, snapshot=one.created is not None), one)
        holds = self._found[name].holds
        kinds = ", ".join(sorted({one.filesystem for one in filesystems}))
        self._found[name] = replace(self._found[name], filesystem=kinds, reason=f"{kinds}: what it holds is listed as {', '.join(holds)}")
        if any(one.reason and not one.encrypted and one.created is None for one in filesystems):
            self._take_as_raw(
                name, kinds, f"{self._found[name].reason}; not all of that could be read, so its bytes were read as raw space, too"
            )

    def _take(self, name: str, filesystem: FoundFilesystem) -> None:
        """Takes the filesystem as the one to list in the volume, or says why it cannot be."""
        found = self._found[name]
        size = found.node.size_bytes
        if filesystem.reason:
            code = "volume-encrypted" if filesystem.encrypted else "volume-not-read"
            advice = ADVICE_UNLOCK if filesystem.encrypted else ADVICE_OTHER_TOOL
            state = "locked" if filesystem.encrypted else "not read"
            what = f"volume {name} is {state} ({filesystem.filesystem})"
            self._problems.append(volume_problem(name, size, code, what=what, why=filesystem.reason, advice=advice))
            reason = f"{filesystem.filesystem}: {filesystem.reason}"
            self._found[name] = replace(found, filesystem=filesystem.filesystem, encrypted=filesystem.encrypted, reason=reason)
            if not filesystem.encrypted and not _shares_bytes(found):  # damaged: what can be carved in it still can
                self._take_as_raw(name, filesystem.filesystem, f"{reason}; its bytes were read as raw space")
            return
        node = replace(found.node, found=filesystem)
        self._tree.put(node)
        self._found[name] = replace(found, node=node, filesystem=filesystem.filesystem, encrypted=filesystem.encrypted)
        if filesystem.total_bytes is not None and filesystem.total_bytes > size:
            why = f"{filesystem.filesystem} states {filesystem.total_bytes} bytes, the volume has {size}"
            what = f"the filesystem in volume {name} is larger than the volume; what lies beyond its end cannot be read"
            advice = "check whether the image is truncated or a segment is missing"
            self._problems.append(volume_problem(name, size, "filesystem-cut-off", what=what, why=why, advice=advice))

    def _take_as_raw(self, name: str, known_as: str | None, reason: str) -> None:
        found = self._found[name]
        node = replace(found.node, found=FoundFilesystem(reader="raw", filesystem="raw"))
        self._tree.put(node)
        self._found[name] = replace(found, node=node, filesystem=known_as, reason=reason)

    def _not_recognised(self, name: str, head: bytes, why: str, guess: Unclaimed | None) -> None:
        found = self._found[name]
        judged = judge(name, found.node.size_bytes, head, partition_type=_partition_type(found), why=why, guess=guess)
        if judged.problem is not None:
            self._problems.append(judged.problem)
        if judged.encrypted:
            self._found[name] = replace(found, filesystem=judged.filesystem, encrypted=True, reason=judged.reason)
        else:
            self._take_as_raw(name, judged.filesystem, judged.reason)

    def _name_unused_forcing(self) -> None:
        for volume, reader in self._forced.items():
            what = f"the reader {reader} was asked for in volume {volume}, which was not looked at for a filesystem"
            why = "there is no such volume, or it is a gap, or it holds other volumes"
            self._problems.append(Problem(stage=Stage.VOLUMES, code="reader-not-used", what=what, why=why, advice="see `evidex info`"))

    def _place(self, found: FoundVolume) -> tuple[int, str, tuple[int, ...]]:
        """Order: tiles by byte, each followed by what is derived from it."""
        root, *numbers = found.volume.split(".")
        tile = self._found[root].tile
        assert tile is not None, "what is derived is named after a tile"
        return self._found[root].disk_start + tile.start_byte, root, tuple(map(int, numbers))

    def _head(self, name: str) -> bytes:
        try:
            return _first_bytes(self._tree.source(name))
        except ForensicsError:
            return b""


def _layout(image: Image) -> Layout:
    if image.container in LOGICAL_KINDS:
        return whole(image.size, f"logical evidence ({image.container})")
    return read_layout(image)


def _shares_bytes(found: FoundVolume) -> bool:
    """Whether its bytes are those of the volume that it is derived from, which is read as raw space where need be."""
    return found.node.derived is not None and found.node.derived.layer == SHARED_VOLUME


def _partition_type(found: FoundVolume) -> str:
    if found.tile is not None:
        return found.tile.type
    derived = found.node.derived
    return derived.name if derived is not None and derived.layer == Partitions.name else ""


def _first_bytes(source: ByteSource) -> bytes:
    try:
        return source.read_at(0, HEAD_BYTES)
    except (ImageReadError, ForensicsError):
        return b""
