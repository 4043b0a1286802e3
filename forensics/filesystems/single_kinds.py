"""Kinds of filesystems of which a volume holds one: how each is recognised and opened.

Adding one is a tree, a line in OWN, and a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forensics.errors import FilesystemError
from forensics.filesystems.btrfs_chunks import MAGIC as BTRFS
from forensics.filesystems.btrfs_chunks import SUPERBLOCK_PLACE
from forensics.filesystems.btrfs_tree import BtrfsTree
from forensics.filesystems.found import FoundFilesystem
from forensics.filesystems.jffs2_nodes import byte_order
from forensics.filesystems.jffs2_tree import Jffs2Tree
from forensics.filesystems.qnx4_tree import Qnx4Tree, is_qnx4
from forensics.filesystems.squashfs_tree import SquashFsTree
from forensics.filesystems.tree_reader import TreeReader, opened
from forensics.filesystems.udf_tree import UdfTree
from forensics.filesystems.udf_volume import is_udf
from forensics.filesystems.xfs_layout import MAGIC as XFS
from forensics.filesystems.xfs_tree import XfsTree
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.filesystems.tree import InodeTree
    from forensics.source import ByteSource


@dataclass(frozen=True, slots=True)
class SingleKind:
    """A kind of filesystem.

    Attributes:
        name: its name.
        reader: engine that reads it.
        is_in: whether the first bytes of a volume are those of one.
        begin: opens it; may raise anything.
        describe: what its superblock says: label, bytes a block, bytes in all; each None if it does not.
    """

    name: str
    reader: str
    is_in: Callable[[bytes], bool]
    begin: Callable[[ByteSource], InodeTree]
    describe: Callable[[Any], tuple[str | None, int | None, int | None]]


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
    SingleKind("jffs2", "evidex", lambda head: byte_order(head[:16]) is not None, Jffs2Tree, lambda _: (None, None, None)),
    SingleKind("udf", "evidex", is_udf, UdfTree, lambda tree: (tree.volume.label, tree.volume.block_size, tree.volume.size)),
    SingleKind("qnx4", "evidex", is_qnx4, Qnx4Tree, lambda _: (None, None, None)),
    SingleKind("squashfs", "dissect", lambda head: head[:4] == b"hsqs", SquashFsTree, lambda tree: (None, tree.block_size, tree.size)),
)
ALSO_OF_TSK: tuple[SingleKind, ...] = ()


def find_single(source: ByteSource, head: bytes, kinds: tuple[SingleKind, ...]) -> tuple[FoundFilesystem, ...]:
    """The filesystem that the volume holds, with the reason if it cannot be opened; empty where it is of none of the kinds."""
    for kind in kinds:
        if kind.is_in(head):
            try:
                label, block_size, total = kind.describe(_begin(kind, source))
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
            return TreeReader(_begin(kind, source))
    message = f"the reader {found.reader} does not know {found.filesystem}"
    raise FilesystemError(message)


def _begin(kind: SingleKind, source: ByteSource) -> InodeTree:
    return opened(kind.name, lambda: kind.begin(source))
