"""Image -> volumes and gaps that tile it.

TSK reads the partition tables; where it finds none, dissect.volume is asked, with sectors of 512 and of 4,096 bytes (TSK does
not look for the latter). A GPT whose first table is damaged is read from its backup, and one whose backup is cut off from its first
table. Where a filesystem begins at the table's first byte, too (a hybrid disc, an older filesystem, a boot sector that looks like a
table), `Layout` says so. Laws: every allocated partition is a volume;
the ranges of volumes and gaps are disjoint and add up to the size of the media. A partition that runs past the end, or over another
one, keeps only the bytes that are there and its own (perhaps none) and stands in the problems; its filesystem is still looked for
where its table says it starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dissect.volume.disk import Disk
from dissect.volume.disk.schemes import APM, GPT
from dissect.volume.exceptions import Error as DissectVolumeError

from forensics.errors import FilesystemError, ForensicsError, ImageReadError, Problem, Stage, VolumeError
from forensics.gpt_tables import GptTable, read_table
from forensics.signatures import HEAD_BYTES, identify
from forensics.sleuthkit import Partition, open_filesystem, open_media, read_partitions
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forensics.source import ByteSource

_LARGE_SECTOR = 4096
# Names at which a boot sector of a filesystem is known: NTFS and exFAT (OEM name), FAT (Microsoft's FAT specification, BS_FilSysType).
_BOOT_SECTORS = ((3, b"NTFS    "), (3, b"EXFAT   "), (54, b"FAT12   "), (54, b"FAT16   "), (82, b"FAT32   "))
_PROTECTIVE = 0xEE  # partition type of a protective MBR (UEFI specification, 5.2.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """One tile of the image: bytes `media[start_byte : start_byte + size_bytes]`; a volume ("v01") or a gap ("g01").

    `origin_byte` is where the partition table starts the volume: `start_byte`, unless partitions overlap. `own_bytes` is how much of it
    is in the image from there on: `size_bytes`, unless partitions overlap.
    """

    volume: str
    is_gap: bool
    scheme: str
    slot: str
    start_byte: int
    size_bytes: int
    origin_byte: int
    own_bytes: int
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The tiles of an image in byte order, what was wrong with its partition table, and whether a filesystem begins at byte 0."""

    extents: tuple[Extent, ...]
    problems: tuple[Problem, ...]
    is_filesystem: bool = False

    @property
    def has_table(self) -> bool:
        """Whether a partition table makes the tiles."""
        return self.extents[0].scheme != "none"

    @property
    def volumes(self) -> tuple[Extent, ...]:
        """The tiles that are volumes."""
        return tuple(e for e in self.extents if not e.is_gap)


def read_layout(source: ByteSource) -> Layout:
    """The volumes and gaps of a disk: of an image, or of a volume that holds a disk.

    Returns:
        One volume over the whole, scheme "none", where there is no partition table.
    """
    media = open_media(source)
    is_filesystem = _begins_like_one(source, media)
    try:
        partitions = read_partitions(media)
    except VolumeError:
        # A table that only dissect sees is not believed there: boot sectors of filesystems look like partition tables.
        partitions = () if is_filesystem else _read_with_dissect(source)
    table = read_table(source) if _may_hide_a_gpt(source, partitions, is_filesystem=is_filesystem) else None
    believed = _without_the_whole(table.partitions if table else partitions, source.size)
    layout = replace(tile(believed, source.size), is_filesystem=is_filesystem)
    if table is None and any(part.scheme == "gpt" for part in partitions):
        table = read_table(source)
    return replace(layout, problems=(*_half_lost(table, source.size), *layout.problems)) if table else layout


def read_nested_layout(source: ByteSource) -> Layout | None:
    """The volumes and gaps of a volume that holds a disk of its own; None where it holds none.

    A table that states nothing but one partition over all of the volume divides nothing, and would be read in it again. Where a
    filesystem begins at byte 0, too, a table is believed only if all that it states fits: boot loaders leave tables in boot sectors.
    """
    layout = read_layout(source)
    is_divided = any(not one.is_gap and (one.origin_byte, one.own_bytes) != (0, source.size) for one in layout.extents)
    return layout if layout.has_table and is_divided and not (layout.is_filesystem and layout.problems) else None


def _without_the_whole(partitions: tuple[Partition, ...], media_size: int) -> tuple[Partition, ...]:
    """Without partitions over all of the media where there are others: a BSD label's "c" names the disk, no part of it (disklabel(5))."""
    others = tuple(part for part in partitions if part.start_byte > 0 or part.size_bytes < media_size)
    return others or partitions


def _begins_like_one(source: ByteSource, media: Any) -> bool:
    """Whether byte 0 is the start of a filesystem, also of one that cannot be opened, or of what has a signature of its own."""
    try:
        head = source.read_at(0, HEAD_BYTES)
    except ForensicsError:
        head = b""
    if identify(head) is not None or any(head[start : start + len(name)] == name for start, name in _BOOT_SECTORS):
        return True
    try:
        open_filesystem(media, 0)
    except FilesystemError:
        return False
    return True


def _may_hide_a_gpt(source: ByteSource, partitions: tuple[Partition, ...], *, is_filesystem: bool) -> bool:
    """Whether nothing was found but a protective MBR, or nothing at all: what a damaged GPT looks like."""
    if not partitions and not is_filesystem:
        return True
    if any(part.scheme != "dos" for part in partitions):
        return False
    try:
        record = source.read_at(0, 512)
    except ImageReadError:
        return False
    return _PROTECTIVE in record[450:512:16]


def _half_lost(table: GptTable, media_size: int) -> tuple[Problem, ...]:
    """That the other table of the two cannot be used, where it cannot."""
    if table.is_backup:
        what = "the first GUID partition table cannot be used; the volumes are those of its backup at the end of the media"
        why = "no header with a right checksum stands behind the protective MBR"
        advice = "find out what damaged it: hiding a disk's contents is one reason"
    elif table.other_byte >= media_size:
        what = "the backup of the GUID partition table is not there; the volumes are those of the first table"
        why = f"it belongs at byte {table.other_byte}, the image has {media_size}"
        advice = "check whether the image is truncated or a segment is missing"
    else:
        return ()
    return (Problem(stage=Stage.VOLUMES, code="partition-table-damaged", what=what, why=why, advice=advice),)


def _read_with_dissect(source: ByteSource) -> tuple[Partition, ...]:
    """Partitions that dissect.volume finds with small or large sectors; empty if it finds no table either way."""
    for sector in (512, _LARGE_SECTOR):
        try:
            disk = Disk(SourceStream(source), sector_size=sector)
        except (DissectVolumeError, EOFError, ImageReadError, ValueError, UnicodeDecodeError):
            continue
        scheme = "gpt" if isinstance(disk.scheme, GPT) else "apm" if isinstance(disk.scheme, APM) else "dos"
        # dissect counts a GPT partition up to the start of its last sector; the entry's last LBA is inclusive (UEFI 5.3.3).
        missing = sector if scheme == "gpt" else 0
        return tuple(
            Partition(
                scheme=scheme,
                slot=f"{part.number:03d}",
                start_byte=part.offset,
                size_bytes=part.size + (missing if hasattr(part.raw, "last_lba") else 0),
                type=str(part.name or part.type),
            )
            for part in disk.partitions
            if part.size > 0
        )
    return ()


def tile(partitions: Iterable[Partition], media_size: int) -> Layout:
    """Volumes and gaps whose sizes add up to `media_size` bytes, whatever the partition table states."""
    extents: list[Extent] = []
    problems: list[Problem] = []
    position = 0
    scheme = "none"
    for number, part in enumerate(sorted(partitions, key=lambda p: (p.start_byte, -p.size_bytes, p.slot)), start=1):
        scheme = part.scheme
        problems.extend(_misfits(part, position, media_size))
        start = min(max(part.start_byte, position), media_size)
        end = max(start, min(part.start_byte + part.size_bytes, media_size))
        if start > position:
            extents.append(_gap(extents, scheme, position, start))
        extents.append(_volume(number, part, start, end, media_size))
        position = end
    if not extents:
        return whole(media_size, "no partition table")
    if position < media_size:
        extents.append(_gap(extents, scheme, position, media_size))
    return Layout(extents=tuple(extents), problems=tuple(problems))


def whole(media_size: int, type_: str) -> Layout:
    """The layout of media without a partition table: one volume over all of it."""
    part = Partition(scheme="none", slot="", start_byte=0, size_bytes=media_size, type=type_)
    return Layout(extents=(_volume(1, part, 0, media_size, media_size),), problems=())


def _volume(number: int, part: Partition, start: int, end: int, media_size: int) -> Extent:
    return Extent(
        volume=f"v{number:02d}",
        is_gap=False,
        scheme=part.scheme,
        slot=part.slot,
        start_byte=start,
        size_bytes=end - start,
        origin_byte=part.start_byte,
        own_bytes=max(0, min(part.start_byte + part.size_bytes, media_size) - part.start_byte),
        type=part.type,
    )


def _gap(before: list[Extent], scheme: str, start: int, end: int) -> Extent:
    return Extent(
        volume=f"g{1 + sum(e.is_gap for e in before):02d}",
        is_gap=True,
        scheme=scheme,
        slot="",
        start_byte=start,
        size_bytes=end - start,
        origin_byte=start,
        own_bytes=end - start,
        type="partition table or unallocated",
    )


def _misfits(part: Partition, position: int, media_size: int) -> list[Problem]:
    """What is wrong with where the partition lies, given that the media is taken up to `position`."""
    end = part.start_byte + part.size_bytes
    found = []
    if end > media_size:
        found.append(
            Problem(
                stage=Stage.VOLUMES,
                code="partition-past-end",
                what=f"partition {part.slot} ({part.type}) runs past the end of the image; what lies beyond cannot be read",
                why=f"it covers bytes {part.start_byte} to {end}, the image has {media_size}",
                advice="check whether the image is truncated or a segment is missing",
                start_byte=part.start_byte,
                size_bytes=end - max(media_size, part.start_byte),
            )
        )
    if part.start_byte < position and part.start_byte < media_size:
        found.append(
            Problem(
                stage=Stage.VOLUMES,
                code="partition-overlap",
                what=f"partition {part.slot} ({part.type}) lies over another partition; both are read where the table starts them",
                why=f"it starts at byte {part.start_byte}, the one before ends at byte {position}",
                advice="look at the partition table with another tool",
                start_byte=part.start_byte,
                size_bytes=min(end, position) - part.start_byte,
            )
        )
    return found
