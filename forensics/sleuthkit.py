"""The Sleuth Kit over bytes of ours: the media it reads, the partitions it finds, the filesystems it opens.

One of the owner files of pytsk3; the others, filesystems/tsk*.py, walk what is opened here. A raw image in one file is read by TSK
natively; everything else goes through `TskMedia`, so that TSK works on any container that forensics.image opens and on any volume
that was unlocked or put together.
"""

from __future__ import annotations

import re
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytsk3

from forensics.errors import FilesystemError, ImageReadError, VolumeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from forensics.source import ByteSource

# pytsk3 raises OSError for what TSK refuses, and RuntimeError where a read of ours failed underneath.
TSK_ERRORS = (OSError, RuntimeError)
_OURS = re.compile(r"""OSError\((['"])(.*?)\1\)""", re.DOTALL)  # how pytsk3 hands on what TskMedia.read raised

_SECTOR = 512
_CACHE_BYTES = 65536  # TSK_IMG_INFO_CACHE_LEN
_REASONS_SHOWN = 8

_SCHEMES = {
    int(pytsk3.TSK_VS_TYPE_DOS): "dos",
    int(pytsk3.TSK_VS_TYPE_GPT): "gpt",
    int(pytsk3.TSK_VS_TYPE_MAC): "apm",
    int(pytsk3.TSK_VS_TYPE_BSD): "bsd",
    int(pytsk3.TSK_VS_TYPE_SUN): "sun",
}
_FILESYSTEMS = {
    int(pytsk3.TSK_FS_TYPE_NTFS): "ntfs",
    int(pytsk3.TSK_FS_TYPE_FAT12): "fat12",
    int(pytsk3.TSK_FS_TYPE_FAT16): "fat16",
    int(pytsk3.TSK_FS_TYPE_FAT32): "fat32",
    int(pytsk3.TSK_FS_TYPE_EXFAT): "exfat",
    int(pytsk3.TSK_FS_TYPE_EXT2): "ext2",
    int(pytsk3.TSK_FS_TYPE_EXT3): "ext3",
    int(pytsk3.TSK_FS_TYPE_EXT4): "ext4",
    int(pytsk3.TSK_FS_TYPE_HFS): "hfs+",
    int(pytsk3.TSK_FS_TYPE_ISO9660): "iso9660",
    int(pytsk3.TSK_FS_TYPE_FFS1): "ufs1",
    int(pytsk3.TSK_FS_TYPE_FFS1B): "ufs1b",
    int(pytsk3.TSK_FS_TYPE_FFS2): "ufs2",
    int(pytsk3.TSK_FS_TYPE_YAFFS2): "yaffs2",
}


class TskMedia(pytsk3.Img_Info):
    """The bytes of a source, as TSK asks for them.

    TSK fills a cache with 64 KiB at a time, and asks for exactly what it needs where that fails (tsk/img/img_io.cpp). Damage in what
    it does not need must not be felt: a failure of the first is said to TSK alone, and one of the second is raised through pytsk3.

    Attributes:
        source: the bytes.
        lost: why reads failed that TSK needed, each reason once, while `tolerate` is entered; None else, and such a read raises.
        zeros: whether such a read gives zeros meanwhile.
    """

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.lost: list[str] | None = None
        self.zeros = False
        self._refused: tuple[int, int] | None = None
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes of the media from `offset`, fewer at its end; for TSK alone, to which nothing means that they cannot be read."""
        refused, self._refused = self._refused, None
        try:
            return self.source.read_at(offset, size)
        except ImageReadError as error:
            fills_cache = offset % _SECTOR == 0 and (size == _CACHE_BYTES or (size < _CACHE_BYTES and offset + size == self.source.size))
            if fills_cache and refused != (offset, size):
                self._refused = offset, size  # the very next call asks for what is needed, even if it asks for the same
                return b""
            if self.lost is None:
                raise OSError(str(error)) from error
            if str(error) not in self.lost:
                self.lost.append(str(error))
            return bytes(min(size, self.source.size - offset)) if self.zeros else b""

    def get_size(self) -> int:
        """Size of the media in bytes."""
        return self.source.size


@contextmanager
def tolerate(media: Any, lost: list[str], *, zeros: bool = False) -> Iterator[None]:
    """Leaves it to TSK meanwhile what becomes of a read that fails; `lost` takes why they failed, each reason once.

    pytsk3 lets no call succeed in which one of our reads raised, although TSK gets over many: it looks for filesystems of ten kinds in
    turn, and walks on behind metadata that it cannot read. Contents are never read in this way.

    With `zeros` TSK is given zeros for what cannot be read. Only for what it does not keep: its cache of the media takes nothing from
    such reads, those of some filesystems would.
    """
    if not isinstance(media, TskMedia):  # TSK reads the file itself, and gets over what it can
        yield
        return
    before = media.lost, media.zeros
    media.lost, media.zeros = lost, zeros
    try:
        yield
    finally:
        media.lost, media.zeros = before


def open_media(source: ByteSource) -> Any:
    """The bytes as TSK reads them: natively where they are an image in one raw file, else through `TskMedia`."""
    native_path: Path | None = getattr(source, "native_path", None)  # only an Image has one
    if native_path is None:
        return TskMedia(source)
    try:
        media = pytsk3.Img_Info(str(native_path), type=pytsk3.TSK_IMG_TYPE_RAW)
    except (OSError, UnicodeError):
        return TskMedia(source)  # a name that TSK cannot take
    # TSK joins files whose names look like segments of one set; which files belong to the exhibit is ours to say.
    return media if media.get_size() == source.size else TskMedia(source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One allocated partition: bytes `media[start_byte : start_byte + size_bytes]`, as its table states it."""

    scheme: str
    slot: str
    start_byte: int
    size_bytes: int
    type: str


def read_partitions(media: Any) -> tuple[Partition, ...]:
    """The allocated partitions that TSK finds, with extended partitions flattened, in the order of the tables.

    Raises:
        VolumeError: TSK finds no partition table.
    """
    lost: list[str] = []
    with tolerate(media, lost):
        try:
            found = pytsk3.Volume_Info(media)
        except TSK_ERRORS as error:
            raise VolumeError(_with_damage(error, lost)) from error
    scheme = _SCHEMES.get(int(found.info.vstype), "unknown")
    sector = int(found.info.block_size)
    return tuple(
        Partition(
            scheme=scheme,
            slot=_slot(part),
            start_byte=int(part.start) * sector,
            size_bytes=int(part.len) * sector,
            type=bytes(part.desc).decode("utf-8", "replace"),
        )
        for part in found
        if int(part.flags) & int(pytsk3.TSK_VS_PART_FLAG_ALLOC)
    )


def _slot(part: Any) -> str:
    """The slot as mmls writes it: `table:slot` where tables nest, else the slot alone."""
    if int(part.table_num) < 0:
        return f"{int(part.slot_num):03d}"
    return f"{int(part.table_num):03d}:{int(part.slot_num):03d}"


class VolumeBytes:
    """The bytes of a volume from its first to its end or the media's, as TSK's media gives them: a ByteSource."""

    def __init__(self, media: Any, start_byte: int, size_bytes: int | None) -> None:
        self._media, self._start = media, start_byte
        there = max(0, int(media.get_size()) - start_byte)
        self.size = there if size_bytes is None else min(there, size_bytes)

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `volume[offset : offset + length]`, short only at the end.

        Raises:
            ImageReadError: some of them cannot be read.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        if isinstance(self._media, TskMedia):
            return self._media.source.read_at(self._start + offset, length)
        try:
            return bytes(self._media.read(self._start + offset, length))
        except TSK_ERRORS as error:
            raise ImageReadError(tsk_reason(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFilesystem:
    """A filesystem that TSK opened.

    Attributes:
        handle: TSK's own object.
        media: what TSK reads it from.
        name: what it is: "ntfs", "fat32", …
        block_size: bytes of what TSK counts in.
        cluster_size: bytes of what the filesystem allocates.
        block_count: how many blocks it has.
        encrypted: whether TSK takes it for encrypted.
        volume: the bytes of its volume, as far as they are there.
        volume_bytes: size of the volume, where it was given.
        first_block_byte: where in the volume TSK's block 0 lies; not 0 for HFS+ wrapped in HFS.
        lost: why reads failed that opening it needed, and TSK got over.
    """

    handle: Any
    media: Any
    name: str
    block_size: int
    cluster_size: int
    block_count: int
    encrypted: bool
    volume: VolumeBytes
    volume_bytes: int | None
    first_block_byte: int
    lost: tuple[str, ...] = ()


def open_filesystem(media: Any, start_byte: int, size_bytes: int | None = None) -> OpenFilesystem:
    """The filesystem that starts at `start_byte` of the media.

    Args:
        media: what open_media gave.
        start_byte: where the volume starts in it.
        size_bytes: the volume's size; what lies behind the filesystem in its volume is found only where it is given.

    Raises:
        FilesystemError: TSK recognises none there, or one that it cannot read.
    """
    handle, lost = _open(media, start_byte, int(pytsk3.TSK_FS_TYPE_DETECT))
    if lost:  # by looking for any kind of filesystem; what this one needs is less
        handle, lost = _open(media, start_byte, int(handle.info.ftype))
    info = handle.info
    name = _FILESYSTEMS.get(int(info.ftype))
    if name is None:
        message = f"TSK opens it as filesystem type {int(info.ftype)}, which Evidex does not read"
        raise FilesystemError(message)
    volume = VolumeBytes(media, start_byte, size_bytes)
    try:
        cluster_size = _cluster_size(volume, name, int(info.block_size))
        first_block_byte = _hfs_wrapper(volume) if name == "hfs+" else 0
    except ImageReadError as error:
        raise FilesystemError(str(error)) from error
    return OpenFilesystem(
        handle=handle,
        media=media,
        name=name,
        block_size=int(info.block_size),
        cluster_size=cluster_size,
        block_count=int(info.block_count),
        encrypted=bool(int(info.flags) & int(pytsk3.TSK_FS_INFO_FLAG_ENCRYPTED)),
        volume=volume,
        volume_bytes=size_bytes,
        first_block_byte=first_block_byte,
        lost=lost,
    )


def _open(media: Any, start_byte: int, kind: int) -> tuple[Any, tuple[str, ...]]:
    """TSK's filesystem, and why reads failed meanwhile."""
    lost: list[str] = []
    with tolerate(media, lost):
        try:
            return pytsk3.FS_Info(media, offset=start_byte, type=kind), tuple(lost)
        except TSK_ERRORS as error:
            raise FilesystemError(_with_damage(error, lost)) from error


def _with_damage(error: Exception, lost: Sequence[str]) -> str:
    return "; ".join(filter(None, (tsk_reason(error), damage(lost))))


def damage(lost: Sequence[str]) -> str:
    """Why reads failed, in one line; of many reasons, the first and how many more there are."""
    shown = lost[:_REASONS_SHOWN]
    return "; ".join((*shown, f"and {len(lost) - len(shown)} more") if len(lost) > len(shown) else shown)


def _hfs_wrapper(volume: VolumeBytes) -> int:
    """Where an HFS+ volume begins inside the HFS volume that wraps it; 0 where none does.

    References:
        Apple, Technical Note TN1150, "HFS Wrapper": drSigWord, drAlBlkSiz, drAlBlSt, drEmbedSigWord, drEmbedExtent.
    """
    signature, block_size, first, embedded, start = struct.unpack(">2s18xI4xH94x2sH", volume.read_at(1024, 128).ljust(128, b"\0"))
    if (signature, embedded) != (b"BD", b"H+"):
        return 0
    return int(first) * 512 + int(start) * int(block_size)


def _cluster_size(volume: VolumeBytes, name: str, block_size: int) -> int:
    """Bytes a cluster: TSK counts FAT and exFAT in sectors, and their boot sectors say how many make a cluster.

    References:
        Microsoft's FAT specification, section 3.1: BPB_BytsPerSec at 11, BPB_SecPerClus at 13.
        Microsoft's exFAT specification, sections 3.1.14 and 3.1.15: the two as powers of 2, at 108 and 109.
    """
    if name == "exfat":
        sector_shift, cluster_shift = volume.read_at(108, 2)
        return 1 << int(sector_shift + cluster_shift)
    if name.startswith("fat"):
        low, high, sectors = volume.read_at(11, 3)
        return int(low | high << 8) * int(sectors)
    return block_size


def tsk_reason(error: Exception) -> str:
    """Why a read of ours failed underneath, else TSK's own words without pytsk3's file and line."""
    ours = _OURS.search(str(error))
    if ours is not None:
        return ours[2]
    return " ".join(str(error).split(") ", 1)[-1].split())


def read_attribute(filesystem: OpenFilesystem, metadata_address: int, attribute_type: int) -> bytes:
    """The bytes of the first attribute of that type; empty where there is none or it cannot be read."""
    try:
        file = filesystem.handle.open_meta(inode=metadata_address)
        for attribute in file:
            if int(attribute.info.type) == attribute_type:
                size = int(attribute.info.size)
                return bytes(file.read_random(0, size, attribute_type, int(attribute.info.id))) if size else b""
    except TSK_ERRORS:
        return b""
    return b""
