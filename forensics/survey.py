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
from forensics.logical.open_logical import LOGICAL_KINDS
from forensics.signatures import HEAD_BYTES, identify
from forensics.sleuthkit import open_filesystem, open_media
from forensics.volume_tree import SHARED_VOLUME, VolumeNode, VolumeTree
from forensics.volumes import Layout, read_layout, whole

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.credentials import Credential
    from forensics.disks import Disks
    from forensics.image import Image
    from forensics.layers.base import Layer, Locked, Member, Unclaimed
    from forensics.signatures import Signature
    from forensics.source import ByteSource

# Partition types, as TSK names them, that hold no filesystem by definition (UEFI specification, Microsoft, GRUB manual).
_WITHOUT_FILESYSTEM = ("Microsoft reserved partition", "BIOS Boot partition", "BIOS boot partition")
RESERVED = "reserved; a partition of this type holds no filesystem; its bytes were read as raw space"
_GAP = "outside every volume; its bytes were read as raw space"
_ADVICE_UNLOCK = "give a credential for it (--credentials), or image the volume unlocked"
_ADVICE_OTHER_TOOL = "read the volume with a tool that knows this kind"
_BOOT_SECTORS = {b"NTFS    ": "NTFS", b"EXFAT   ": "exFAT"}  # what stands at byte 3
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
        if layer.name in OF_WHOLE_DISKS:
            return name in self._disk_names and layer.recognises(_first_bytes(member.source), member)
        return layer.recognises(head, member)

    def _is_plain(self, name: str) -> bool:
        """Whether the volume can hold no layer: a gap, logical evidence, an earlier state (of which later ones are no part), too deep."""
        found = self._found[name]
        if found.is_gap or found.node.snapshot or found.node.size_bytes == 0:
            return True
        return self._disks.images[found.node.disk].container in LOGICAL_KINDS or name.count(".") >= _DEEPEST

    def _unfold(self, layer: Layer, members: list[Member]) -> list[str]:
        """The volumes that the layer makes of its members; records what stays locked."""
        unfolded = layer.unfold(members, self._credentials)
        self._problems.extend(unfolded.problems)
        for locked in unfolded.locked:
            self._lock(locked)
        made = [self._derive(derived, snapshot=derived.created is not None) for derived in unfolded.derived]
        for one in unfolded.unclaimed:
            self._look(one.volume, self._head(one.volume), one)
        for member in members:
            found = self._found[member.volume]
            if layer.consumes and found.node.found is None and not found.reason:
                name = found.filesystem or _layer_word(layer, self._head(member.volume))
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
        )
        self._tree.put(node)
        self._found[name] = FoundVolume(node=node, tile=None, disk_start=above.disk_start, filesystem=found.filesystem if found else None)
        for one in derived.parents:
            self._found[one] = replace(self._found[one], holds=(*self._found[one].holds, name))
        if derived.incomplete:
            what = f"volume {name} ({derived.what}) is not whole; what cannot be had is an error where it is read"
            self._problems.append(
                _problem(name, derived.size, "volume-incomplete", what=what, why=derived.incomplete, advice="find the missing disks")
            )
        return name

    def _lock(self, locked: Locked) -> None:
        found = self._found[locked.volume]
        signature = identify(self._head(locked.volume))
        # What its first bytes say is as exact or more: "BitLocker To Go".
        name = signature.name if signature is not None and signature.name.startswith(locked.name) else locked.name
        self._found[locked.volume] = replace(found, filesystem=name, encrypted=locked.encrypted, reason=f"{name}: {locked.why}")
        what = f"volume {locked.volume} is locked" if locked.encrypted else f"volume {locked.volume} could not be put together"
        self._problems.append(
            _problem(locked.volume, found.node.size_bytes, locked.code, what=f"{what} ({name})", why=locked.why, advice=locked.advice)
        )

    def _look(self, name: str, head: bytes, guess: Unclaimed | None = None) -> None:
        """Looks for filesystems in a volume of its own; else takes it as raw space, and says what a layer tried on it by guess."""
        found = self._found[name]
        if found.node.size_bytes == 0:
            self._found[name] = replace(found, reason="none of its bytes are in the image")  # the layout has a problem for it
            return
        if found.is_gap:
            self._take_as_raw(name, None, _GAP)
            return
        signature = identify(head)
        try:
            filesystems, why = find_filesystems(
                self._tree.source(name),
                head,
                volume=name,
                tsk_media=lambda: self._tree.tsk_media(name),
                image=self._disks.images[found.node.disk],
                credentials=self._credentials,
                forced=self._forced.pop(name, ""),
            )
        except FilesystemError as error:
            filesystems, why = (), str(error)
        if not filesystems:
            self._not_recognised(name, signature, why, guess)
        elif len(filesystems) == 1 and not filesystems[0].created:
            self._take(name, filesystems[0])
        else:
            self._share(name, filesystems)

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

    def _take(self, name: str, filesystem: FoundFilesystem) -> None:
        """Takes the filesystem as the one to list in the volume, or says why it cannot be."""
        found = self._found[name]
        size = found.node.size_bytes
        if filesystem.reason:
            code = "volume-encrypted" if filesystem.encrypted else "volume-not-read"
            advice = _ADVICE_UNLOCK if filesystem.encrypted else _ADVICE_OTHER_TOOL
            state = "locked" if filesystem.encrypted else "not read"
            what = f"volume {name} is {state} ({filesystem.filesystem})"
            self._problems.append(_problem(name, size, code, what=what, why=filesystem.reason, advice=advice))
            reason = f"{filesystem.filesystem}: {filesystem.reason}"
            self._found[name] = replace(found, filesystem=filesystem.filesystem, encrypted=filesystem.encrypted, reason=reason)
            if not filesystem.encrypted and found.tile is not None:  # damaged: what can be carved in it still can
                self._take_as_raw(name, filesystem.filesystem, f"{reason}; its bytes were read as raw space")
            return
        node = replace(found.node, found=filesystem)
        self._tree.put(node)
        self._found[name] = replace(found, node=node, filesystem=filesystem.filesystem, encrypted=filesystem.encrypted)
        if filesystem.total_bytes is not None and filesystem.total_bytes > size:
            why = f"{filesystem.filesystem} states {filesystem.total_bytes} bytes, the volume has {size}"
            what = f"the filesystem in volume {name} is larger than the volume; what lies beyond its end cannot be read"
            advice = "check whether the image is truncated or a segment is missing"
            self._problems.append(_problem(name, size, "filesystem-cut-off", what=what, why=why, advice=advice))

    def _take_as_raw(self, name: str, known_as: str | None, reason: str) -> None:
        found = self._found[name]
        node = replace(found.node, found=FoundFilesystem(reader="raw", filesystem="raw"))
        self._tree.put(node)
        self._found[name] = replace(found, node=node, filesystem=known_as, reason=reason)

    def _not_recognised(self, name: str, signature: Signature | None, why: str, guess: Unclaimed | None) -> None:
        found = self._found[name]
        size = found.node.size_bytes
        known_as = signature.name if signature is not None else None
        if signature is None and found.tile is not None and found.tile.type in _WITHOUT_FILESYSTEM:
            self._take_as_raw(name, None, RESERVED)
            return
        if signature is not None and signature.encrypted:
            reason = f"encrypted with {known_as}; no credential opened it"
            self._problems.append(
                _problem(name, size, "volume-encrypted", what=f"volume {name} is locked", why=reason, advice=_ADVICE_UNLOCK)
            )
            self._found[name] = replace(found, filesystem=known_as, encrypted=True, reason=reason)
            return
        if signature is not None and signature.swap:
            self._take_as_raw(name, known_as, f"{known_as}: memory that was swapped out; its bytes were read as raw space")
            return
        boot_sector, advice = _BOOT_SECTORS.get(self._head(name)[3:11]), _ADVICE_OTHER_TOOL
        if boot_sector is not None:
            reason = (
                f"a boot sector of {boot_sector} is there, and no filesystem behind it that can be opened; its bytes were read as raw space"
            )
            what, cause = f"the {boot_sector} filesystem in volume {name} could not be opened; no file in it was listed", why
        elif known_as is not None:
            reason = f"{known_as} is not read by this version; its bytes were read as raw space"
            what, cause = f"volume {name} holds {known_as}; no file in it was listed", reason
        else:
            # The layer or TSK tells by the entropy of the first bytes; what looks encrypted may only be compressed.
            looks_random = guess is not None or "ncrypt" in why
            told = "; its bytes look random: it may be encrypted in a way that leaves no mark (VeraCrypt), or compressed"
            reason = f"no filesystem was recognised{told if looks_random else ''}; its bytes were read as raw space"
            what, cause = f"no filesystem was recognised in volume {name}; no file in it was listed", reason if looks_random else why
            cause = f"{cause}; {guess.tried}" if guess is not None else cause
            advice = guess.advice if guess is not None else f"if it is encrypted, {_ADVICE_UNLOCK}" if looks_random else advice
        self._problems.append(_problem(name, size, "volume-not-read", what=what, why=cause, advice=advice))
        self._take_as_raw(name, known_as, reason)

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
    media = open_media(image)
    try:
        open_filesystem(media, 0)
    except FilesystemError:
        return read_layout(image, media, is_filesystem=identify(_first_bytes(image)) is not None)
    return read_layout(image, media, is_filesystem=True)


def _first_bytes(source: ByteSource) -> bytes:
    try:
        return source.read_at(0, HEAD_BYTES)
    except (ImageReadError, ForensicsError):
        return b""


def _layer_word(layer: Layer, head: bytes) -> str:
    signature = identify(head)
    return signature.name if signature is not None else layer.name


def _problem(volume: str, size: int, code: str, *, what: str, why: str, advice: str) -> Problem:
    return Problem(stage=Stage.VOLUMES, code=code, what=what, why=why, advice=advice, volume=volume, start_byte=0, size_bytes=size)
