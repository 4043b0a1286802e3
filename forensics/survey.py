"""What an image holds, volume by volume, before any file is listed: filesystem, encryption, reader, and what will not be read.

A volume is believed to be encrypted before it is believed to be anything else: BitLocker To Go wears a FAT32 coat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forensics.errors import FilesystemError, ImageReadError, Problem, Stage
from forensics.labels import read_label
from forensics.signatures import HEAD_BYTES, identify
from forensics.sleuthkit import OpenFilesystem, open_filesystem, open_media
from forensics.volumes import Extent, Layout, read_layout

if TYPE_CHECKING:
    from forensics.image import Image

# Partition types, as TSK names them, that hold no filesystem by definition (UEFI specification, Microsoft, GRUB manual).
_WITHOUT_FILESYSTEM = ("Microsoft reserved partition", "BIOS Boot partition", "BIOS boot partition")
RESERVED = "reserved; a partition of this type holds no filesystem"
_ADVICE_UNLOCK = "unlock the volume with a credential, or image it unlocked"
_ADVICE_OTHER_TOOL = "read the volume with a tool that knows this kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVolume:
    """A tile of the image and what was found in it.

    Attributes:
        filesystem: name of the filesystem, or of what the volume's signature says it is; None where nothing is known.
        label: the filesystem's own label; None where it has none.
        block_size: bytes a block or cluster; None where the filesystem is not read.
        encrypted: whether it is encrypted.
        reader: "tsk" where its filesystem is read, else "none".
        reason: why it is not read; empty where it is.
    """

    extent: Extent
    filesystem: str | None
    label: str | None
    block_size: int | None
    encrypted: bool
    reader: str
    reason: str

    @property
    def is_read(self) -> bool:
        """Whether its filesystem is read."""
        return self.reader != "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The tiles of an image in byte order, with the problems met."""

    volumes: tuple[FoundVolume, ...]
    problems: tuple[Problem, ...]


def survey(image: Image) -> Survey:
    """The volumes and gaps of the image, with what is in each."""
    media = open_media(image)
    layout = _layout(image, media)
    found: list[FoundVolume] = []
    problems: list[Problem] = list(layout.problems)
    for extent in layout.extents:
        volume, met = _look(image, media, extent)
        found.append(volume)
        problems.extend(met)
    return Survey(volumes=tuple(found), problems=tuple(problems))


def _layout(image: Image, media: Any) -> Layout:
    try:
        open_filesystem(media, 0)
    except FilesystemError:
        return read_layout(image, media, is_filesystem=identify(_head(image, 0)) is not None)
    return read_layout(image, media, is_filesystem=True)


def _look(image: Image, media: Any, extent: Extent) -> tuple[FoundVolume, list[Problem]]:
    """What is in one tile."""
    if extent.is_gap:
        return _unread(extent, None, "outside every volume"), []
    signature = identify(_head(image, extent.origin_byte))
    if signature is not None and signature.encrypted:
        reason = f"encrypted with {signature.name}; no credential was given"
        problem = _problem(extent, "volume-encrypted", f"volume {extent.volume} is locked", reason, _ADVICE_UNLOCK)
        return _unread(extent, signature.name, reason, encrypted=True), [problem]
    try:
        opened = open_filesystem(media, extent.origin_byte)
    except FilesystemError as error:
        return _not_opened(extent, signature.name if signature else None, str(error))
    volume = FoundVolume(
        extent=extent,
        filesystem=opened.name,
        label=read_label(opened, _head(image, extent.origin_byte)),
        block_size=opened.cluster_size,
        encrypted=opened.encrypted,
        reader="tsk",
        reason="",
    )
    return volume, _too_large(extent, opened)


def _not_opened(extent: Extent, name: str | None, why: str) -> tuple[FoundVolume, list[Problem]]:
    if extent.size_bytes == 0:
        return _unread(extent, name, "none of its bytes are in the image"), []  # the layout has a problem for it
    if name is None and extent.type in _WITHOUT_FILESYSTEM:
        return _unread(extent, name, RESERVED), []
    if name is not None:
        reason = f"{name} is not read by this version"
        what = f"volume {extent.volume} holds {name}; nothing in it was listed"
    elif "ncrypt" in why:
        reason, what = why, f"volume {extent.volume} seems to be encrypted"
    else:
        reason = "no filesystem was recognised"
        what = f"no filesystem was recognised in volume {extent.volume}; nothing in it was listed"
    problem = _problem(extent, "volume-not-read", what, why if name is None else reason, _ADVICE_OTHER_TOOL)
    return _unread(extent, name, reason, encrypted="ncrypt" in why), [problem]


def _too_large(extent: Extent, opened: OpenFilesystem) -> list[Problem]:
    """A problem if the filesystem states more bytes than the volume has: the image is cut, or a segment is missing."""
    stated = opened.block_count * opened.block_size
    if stated <= extent.size_bytes:
        return []
    why = f"{opened.name} states {stated} bytes, the volume has {extent.size_bytes}"
    what = f"the filesystem in volume {extent.volume} is larger than the volume; what lies beyond its end cannot be read"
    return [_problem(extent, "filesystem-cut-off", what, why, "check whether the image is truncated or a segment is missing")]


def _unread(extent: Extent, name: str | None, reason: str, *, encrypted: bool = False) -> FoundVolume:
    return FoundVolume(extent=extent, filesystem=name, label=None, block_size=None, encrypted=encrypted, reader="none", reason=reason)


def _problem(extent: Extent, code: str, what: str, why: str, advice: str) -> Problem:
    return Problem(
        stage=Stage.VOLUMES,
        code=code,
        what=what,
        why=why,
        advice=advice,
        volume=extent.volume,
        start_byte=0,
        size_bytes=extent.size_bytes,
    )


def _head(image: Image, start: int) -> bytes:
    if start >= image.size:
        return b""
    try:
        return image.read_at(start, HEAD_BYTES)
    except ImageReadError:
        return b""
