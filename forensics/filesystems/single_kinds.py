"""Kinds of filesystems of which a volume holds one: how each is recognised and opened.

Adding one is a tree, a line in OWN, and a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forensics.errors import FilesystemError, ImageReadError
from forensics.filesystems.btrfs_chunks import MAGIC as BTRFS
from forensics.filesystems.btrfs_chunks import SUPERBLOCK_PLACE
from forensics.filesystems.btrfs_tree import BtrfsTree
from forensics.filesystems.ext_dissect_tree import ExtDissectTree
from forensics.filesystems.fat_dissect_tree import FatDissectTree
from forensics.filesystems.found import FoundFilesystem
from forensics.filesystems.jffs2_nodes import byte_order
from forensics.filesystems.jffs2_tree import Jffs2Tree
from forensics.filesystems.ntfs_dissect_tree import NtfsDissectTree
from forensics.filesystems.qnx4_tree import Qnx4Tree, is_qnx4
from forensics.filesystems.squashfs_tree import SquashFsTree
from forensics.filesystems.tree_reader import TreeReader, opened
from forensics.filesystems.tree_space import TreeSpace
from forensics.filesystems.udf_tree import UdfTree
from forensics.filesystems.udf_volume import is_udf
from forensics.filesystems.ufs_dissect_tree import UfsDissectTree
from forensics.filesystems.vmfs_tree import VmfsTree
from forensics.filesystems.xfs_layout import MAGIC as XFS
from forensics.filesystems.xfs_tree import XfsTree
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.filesystems.tree import InodeTree
    from forensics.source import ByteSource

_FFS = (b"\x54\x19\x01\x00", b"\x19\x01\x54\x19", b"\x00\x01\x19\x54", b"\x19\x54\x01\x19")
_SECTOR_BYTES = 512
_VMFS = b"\x0d\xd0\x01\xc0"  # the volume manager's magic number, as dissect.vmfs has it


@dataclass(frozen=True, slots=True)
class SingleKind:
    """A kind of filesystem.

    Attributes:
        name: its name.
        reader: engine that reads it.
        is_in: whether the first bytes of a volume are those of one.
        far: what says so farther behind: first byte, and the bytes there.
        begin: opens it; may raise anything.
        describe: what its superblock says: label, bytes a block, bytes in all; each None if it does not.
    """

    name: str
    reader: str
    is_in: Callable[[bytes], bool]
    begin: Callable[[ByteSource], InodeTree]
    describe: Callable[[Any], tuple[str | None, int | None, int | None]]
    far: tuple[int, bytes] | None = None

    def is_at(self, source: ByteSource, head: bytes) -> bool:
        """Whether a volume of these bytes holds one."""
        if self.is_in(head):
            return True
        return self.far is not None and _read(source, self.far[0], len(self.far[1])) == self.far[1]


def _says_nothing(tree: Any) -> tuple[None, None, None]:
    del tree
    return None, None, None


def _says_sizes(tree: Any) -> tuple[None, int, int]:
    return None, tree.block_size, tree.size


def _says_all(tree: Any) -> tuple[str, int, int]:
    return tree.label, tree.block_size, tree.size


def _is_ffs(head: bytes) -> bool:
    """Whether a superblock of UFS 1 or 2 stands where they may (FreeBSD, sys/ufs/ffs/fs.h)."""
    return any(head[place + 1372 : place + 1376] in _FFS for place in (65536, 8192, 0))


def _is_fat(head: bytes) -> bool:
    """Whether a BIOS parameter block of FAT begins the volume (Microsoft, FAT specification, 3.1)."""
    sector, cluster, reserved, copies = (int.from_bytes(head[a:b], "little") for a, b in ((11, 13), (13, 14), (14, 16), (16, 17)))
    is_power = cluster and not cluster & (cluster - 1)
    return bool(head[510:512] == b"\x55\xaa" and sector in (512, 1024, 2048, 4096) and is_power and reserved and copies in (1, 2))


def _read(source: ByteSource, offset: int, length: int) -> bytes:
    try:
        return source.read_at(offset, length) if offset < source.size else b""
    except ImageReadError:
        return b""


OWN: tuple[SingleKind, ...] = (
    SingleKind(
        "xfs",
        "evidex",
        lambda head: head[:4] == XFS,
        XfsTree,
        lambda tree: (tree.geometry.label, tree.geometry.block_size, tree.geometry.block_size * tree.geometry.blocks),
    ),
    SingleKind(
        "btrfs",
        "evidex",
        lambda head: head[SUPERBLOCK_PLACE + 64 : SUPERBLOCK_PLACE + 72] == BTRFS,
        BtrfsTree,
        lambda tree: (tree.superblock.label, tree.superblock.sector_size, tree.superblock.device_bytes),
    ),
    SingleKind("jffs2", "evidex", lambda head: byte_order(head[:16]) is not None, Jffs2Tree, _says_nothing),
    SingleKind("udf", "evidex", is_udf, UdfTree, lambda tree: (tree.volume.label, tree.volume.block_size, tree.volume.size)),
    SingleKind("qnx4", "evidex", is_qnx4, Qnx4Tree, _says_nothing),
    SingleKind("squashfs", "dissect", lambda head: head[:4] == b"hsqs", SquashFsTree, lambda tree: (None, tree.block_size, tree.size)),
    SingleKind("vmfs", "dissect", lambda _: False, VmfsTree, _says_all, far=(1 << 20, _VMFS)),
)
ALSO_OF_TSK: tuple[SingleKind, ...] = (
    SingleKind("ntfs", "dissect", lambda head: head[3:11] == b"NTFS    ", NtfsDissectTree, _says_sizes),
    SingleKind("ext", "dissect", lambda head: head[0x438:0x43A] == b"\x53\xef", ExtDissectTree, _says_all),
    SingleKind("ufs", "dissect", _is_ffs, UfsDissectTree, _says_all),
    SingleKind("fat", "dissect", _is_fat, FatDissectTree, _says_sizes),
)


def find_single(source: ByteSource, head: bytes, kinds: tuple[SingleKind, ...]) -> tuple[FoundFilesystem, ...]:
    """The filesystem that the volume holds, with the reason if it cannot be opened; empty where it is of none of the kinds."""
    for kind in kinds:
        if kind.is_at(source, head):
            try:
                tree = _begin(kind, source)
                label, block_size, total = kind.describe(tree)
                _check_listable(TreeReader(tree))
            except FilesystemError as error:
                return (FoundFilesystem(reader=kind.reader, filesystem=kind.name, reason=str(error)),)
            return (
                FoundFilesystem(
                    reader=kind.reader,
                    filesystem=kind.name,
                    label=escape_text(label) if label else None,
                    block_size=block_size,
                    total_bytes=total,
                ),
            )
    return ()


def open_single(source: ByteSource, found: FoundFilesystem) -> TreeReader:
    """The reader of a filesystem that find_single found.

    Raises:
        FilesystemError: it cannot be opened.
    """
    for kind in (*OWN, *ALSO_OF_TSK):
        if (kind.name, kind.reader) == (found.filesystem, found.reader):
            # Clusters of FAT do not begin at multiples of their size.
            unit = found.block_size if found.block_size and kind.name != "fat" else _SECTOR_BYTES
            return TreeReader(_begin(kind, source), TreeSpace(volume=source, unit_bytes=unit))
    message = f"the reader {found.reader} does not know {found.filesystem}"
    raise FilesystemError(message)


def _check_listable(reader: TreeReader) -> None:
    """Nothing, where something can be listed.

    Raises:
        FilesystemError: not one name in the root directory can be read, and nothing without a name.
    """
    failure = reader.root_failure()
    if failure and not reader.has_unnamed():
        raise FilesystemError(failure)


def _begin(kind: SingleKind, source: ByteSource) -> InodeTree:
    return opened(kind.name, lambda: kind.begin(source))
