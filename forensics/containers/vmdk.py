"""VMDK: one sparse file with its descriptor inside, or a descriptor file with extents beside it; and the disk it is a snapshot of.

An extent's name is taken only if it is a plain file name. A parent is taken by the last component of the path that the snapshot states
for it, or, where VirtualBox stated an identifier instead, by that. The content identifier (CID) says only whether the parent was written
to since the snapshot was made; a disk of the stated name and size with another one is opened and a problem says so, because seized
machines whose snapshots were copied or repaired have it often, and with nothing opened the examiner would know less. A disk that
differs in both, or in VirtualBox's identifier, is another disk and refused.

References: VMware Virtual Disk Format 1.1, "The descriptor", "Hosted sparse extent header".
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from forensics.containers.beside import Reference
from forensics.containers.kinds import identify
from forensics.containers.lineage import Underlay, size_problems
from forensics.containers.vmdk_descriptor import MAX_DESCRIPTOR_BYTES, names_in_descriptor, read_descriptor
from forensics.containers.vmdk_extents import FLAT, SPARSE, ZERO, ExtentReader, ZeroReader, extent_reader, sparse_header, sparse_reader
from forensics.errors import ImageError, Problem, Stage, UnsupportedImageError
from forensics.exhibit import Container, shown
from forensics.media import Media
from forensics.names import escape_text
from forensics.source import SourceSlice

if TYPE_CHECKING:
    from forensics.containers.lineage import Lineage
    from forensics.containers.vmdk_descriptor import Descriptor
    from forensics.exhibit import SourceFile
    from forensics.media import MediaReader


def open_disk(file: SourceFile, lineage: Lineage) -> Media:
    """The media of a VMDK whose extents are this file, or lie beside it.

    Raises:
        SegmentMissingError: an extent or its parent does not lie beside it; the message names it.
        UnsupportedImageError: it is one extent of several, or names an extent that is not opened or not read.
        ImageError: descriptor, header or extents are damaged or cut off, or what lies beside it is not its parent.
    """
    if _is_descriptor(file):
        return _open_extents(file, read_descriptor(file, 0, file.size), lineage)
    header = sparse_header(file)
    descriptor = read_descriptor(file, header.descriptor_at, header.descriptor_size)
    if len(descriptor.extents) != 1:  # none where there is no descriptor inside, or where QEMU left its room empty
        # Without its descriptor nobody knows whether what it does not hold is zeros, or lies in a parent or in the other extents.
        message = f"{shown(file.path)}: is one extent of a larger VMDK, not a disk by itself; {_whole_of(file, lineage)}"
        raise UnsupportedImageError(message)
    parent = _open_parent(file, descriptor, header.size, lineage)
    underlay = Underlay(parent, header.size) if parent else None
    return Media(
        container=Container.VMDK,
        size=header.size,
        files=(file, *(parent.files if parent else ())),
        reader=sparse_reader(file, header, underlay, lineage.cache_bytes),
        problems=_problems(file, descriptor, header.size, parent),
    )


def _whole_of(file: SourceFile, lineage: Lineage) -> str:
    """What to give instead of one extent: the descriptor beside it that lists it, by its name."""

    def lists(other: SourceFile) -> bool:
        return other.size <= MAX_DESCRIPTOR_BYTES and file.path.name in names_in_descriptor(other.read_at(0, other.size))

    try:
        found = lineage.beside.find(Reference(by=file, role="descriptor", names=(file.path.name,)), lists)
    except ImageError:
        return "give the descriptor file that lists it (text, *.vmdk), which does not lie beside it"
    return f"give the descriptor file that lists it: {found.name}"


def _is_descriptor(file: SourceFile) -> bool:
    return file.read_at(0, 1) == b"#"


def _descriptor_of(file: SourceFile) -> Descriptor:
    if _is_descriptor(file):
        return read_descriptor(file, 0, file.size)
    header = sparse_header(file)
    return read_descriptor(file, header.descriptor_at, header.descriptor_size)


def _open_extents(file: SourceFile, descriptor: Descriptor, lineage: Lineage) -> Media:
    if not descriptor.extents:
        message = f"{shown(file.path)}: the VMDK descriptor lists no extent"
        raise ImageError(message)
    sizes = [extent.size for extent in descriptor.extents]
    starts = accumulate(sizes, initial=0)
    parent = _open_parent(file, descriptor, sum(sizes), lineage)
    underlay = Underlay(parent, sum(sizes)) if parent else None
    files: list[SourceFile] = [file]
    readers: list[MediaReader] = []
    for extent, start in zip(descriptor.extents, starts, strict=False):
        if extent.kind in ZERO:
            readers.append(ZeroReader(extent.size))
            continue
        if extent.kind not in (*FLAT, *SPARSE):
            message = f"{shown(file.path)}: has an extent of the kind {escape_text(extent.kind)}, which is not read"
            raise UnsupportedImageError(message)
        opened = lineage.beside.open_plain(Reference(by=file, role="extent", names=(extent.name,)))
        if all(opened.identity != other.identity for other in files):
            files.append(opened)
        below = SourceSlice(underlay, start, extent.size) if underlay else None
        readers.append(extent_reader(opened, extent, below, lineage.cache_bytes))
    if parent:
        files.extend(parent.files)
    return Media(
        container=Container.VMDK,
        size=sum(sizes),
        files=tuple(files),
        reader=ExtentReader(readers, sizes),
        problems=_problems(file, descriptor, sum(sizes), parent),
    )


def _open_parent(file: SourceFile, descriptor: Descriptor, size: int, lineage: Lineage) -> Media | None:
    if descriptor.parent_content is None and not descriptor.parent_identifier:
        return None

    def mismatch(other: SourceFile) -> str:
        if identify(other) is not Container.VMDK:
            return "it is no VMDK"
        found = _descriptor_of(other).identifier
        if found and descriptor.parent_identifier and found != descriptor.parent_identifier:
            return f"its identifier is {escape_text(found)}, the one stated is {escape_text(descriptor.parent_identifier)}"
        return ""

    if descriptor.parent_name:
        opened = lineage.beside.open_known(Reference(by=file, role="parent", names=(descriptor.parent_name,)), mismatch)
    elif descriptor.parent_identifier:
        reference = Reference(by=file, role="parent with the identifier", names=(descriptor.parent_identifier,))
        opened = lineage.beside.find(reference, lambda other: _is_identified(other, descriptor.parent_identifier))
    else:
        message = f"{shown(file.path)}: is a snapshot and does not name its parent; give a merged image"
        raise ImageError(message)
    media = lineage.open(Container.VMDK, opened)
    if media.size != size and not _is_unchanged(descriptor, opened):
        message = (
            f"{shown(file.path)}: needs the parent '{escape_text(descriptor.parent_name)}'; {opened.name} beside it is another disk: "
            f"it has {media.size} bytes where the snapshot has {size}, and another content identifier than the one stated"
        )
        raise ImageError(message)
    return media


def _is_identified(file: SourceFile, identifier: str) -> bool:
    try:
        return identify(file) is Container.VMDK and _descriptor_of(file).identifier == identifier
    except ImageError:  # a damaged file beside it is not the disk that is sought
        return False


def _is_unchanged(descriptor: Descriptor, parent: SourceFile) -> bool:
    return descriptor.parent_content is None or _descriptor_of(parent).content == descriptor.parent_content


def _problems(file: SourceFile, descriptor: Descriptor, size: int, parent: Media | None) -> tuple[Problem, ...]:
    if parent is None:
        return ()
    own = size_problems(file, size, parent)
    if not _is_unchanged(descriptor, parent.files[0]):
        content = _descriptor_of(parent.files[0]).content
        changed = Problem(
            stage=Stage.IMAGE,
            code="parent-changed",
            what=f"The parent {parent.files[0].name} is not in the state over which {file.name} was made; the disk may be inconsistent.",
            why=f"the snapshot states its content identifier {descriptor.parent_content:08x}, the parent has "
            + ("none" if content is None else f"{content:08x}"),
            advice="Look for the state of the parent that belongs to the snapshot.",
            path=file.name,
        )
        own = (changed, *own)
    return (*own, *parent.problems)
