"""The volumes of an APFS container and their snapshots, each a filesystem of its own.

A volume's selector is its UUID; a snapshot's is that, "@" and the number of its transaction.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from forensics.errors import FilesystemError
from forensics.filesystems.allocation.apfs_space import ApfsSpace
from forensics.filesystems.allocation.unallocated_runs import Allocation
from forensics.filesystems.apfs_container import MAGIC, ApfsContainer, identifier_of, name_of
from forensics.filesystems.apfs_tree import ApfsTree
from forensics.filesystems.found import FoundFilesystem
from forensics.filesystems.tree_reader import TreeReader, opened
from forensics.filesystems.tree_space import TreeSpace
from forensics.filesystems.unallocated import UnallocatedSpace, VolumeBlocks
from forensics.names import escape_text
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from forensics.credentials import Credential
    from forensics.source import ByteSource

_SEPARATOR = "@"


def find_apfs(source: ByteSource, head: bytes, volume: str, credentials: tuple[Credential, ...]) -> tuple[FoundFilesystem, ...]:
    """Volumes in the container's order, each followed by its snapshots, oldest first; empty where there is no container."""
    if head[32:36] != MAGIC:
        return ()
    try:
        container = ApfsContainer(source)
    except FilesystemError as error:
        return (FoundFilesystem(reader="dissect", filesystem="apfs", reason=str(error)),)
    found: list[FoundFilesystem] = []
    for one in container.volumes:
        found.extend(_found(container, one, volume, credentials))
    if not found:
        return (FoundFilesystem(reader="dissect", filesystem="apfs", reason="the container holds no volume"),)
    return tuple(found)


def open_apfs(source: ByteSource, found: FoundFilesystem, volume: str, credentials: tuple[Credential, ...]) -> TreeReader:
    """The reader of a volume or snapshot.

    Raises:
        FilesystemError: it is not there, is damaged, or no credential opens it.
    """
    container = ApfsContainer(source)
    identifier, _, transaction = found.selector.partition(_SEPARATOR)
    first = ""  # the first volume that is not locked: the container's free blocks are listed with it
    for one in container.volumes:
        _, locked = container.unlock(one, volume, credentials)
        first = first or ("" if locked else identifier_of(one))
        if identifier_of(one) == identifier:
            if locked:
                raise FilesystemError(locked)
            state = container.open(one, int(transaction) if transaction else None)
            free = partial(_free_space, source, container) if identifier == first and not transaction else None
            return TreeReader(opened("apfs", partial(ApfsTree, source, state)), TreeSpace(volume=source, begin_free=free))
    message = f"the container has no volume {identifier}"
    raise FilesystemError(message)


def _free_space(source: ByteSource, container: ApfsContainer) -> UnallocatedSpace:
    blocks = VolumeBlocks(
        volume=source, volume_bytes=source.size, block_size=container.block_size, block_count=container.size // container.block_size
    )
    return UnallocatedSpace(blocks, Allocation(ApfsSpace(container)))


def _found(container: ApfsContainer, one: Any, volume: str, credentials: tuple[Credential, ...]) -> list[FoundFilesystem]:
    identifier, name = identifier_of(one), escape_text(name_of(one))
    unlocked_with, locked = container.unlock(one, volume, credentials)
    live = FoundFilesystem(
        reader="dissect",
        filesystem="apfs",
        selector=identifier,
        label=name or None,
        block_size=container.block_size,
        total_bytes=container.size,
        encrypted=bool(locked),
        unlocked_with=unlocked_with,
        reason=locked,
    )
    if locked:
        return [live]
    try:
        snapshots = container.snapshots(one)
    except FilesystemError as error:
        # The live state is whole; that its past cannot be listed must be said, and a filesystem that cannot be listed says so.
        return [live, _snapshot(live, f"{identifier}{_SEPARATOR}?", f"{name}: snapshots", None, reason=str(error))]
    found = [live]
    for snapshot in snapshots:
        created = from_unix(*divmod(int(snapshot.value.create_time), 1_000_000_000))
        label = f"{name}: {escape_text(bytes(snapshot.value.name).rstrip(bytes(1)).decode('utf-8', 'backslashreplace'))}"
        selector = f"{identifier}{_SEPARATOR}{int(snapshot.xid)}"
        found.append(_snapshot(live, selector, label, created if isinstance(created, int) else 0))
    return found


def _snapshot(live: FoundFilesystem, selector: str, label: str, created: int | None, *, reason: str = "") -> FoundFilesystem:
    return FoundFilesystem(
        reader=live.reader,
        filesystem=live.filesystem,
        selector=selector,
        label=label,
        block_size=live.block_size,
        total_bytes=live.total_bytes,
        unlocked_with=live.unlocked_with,
        created=created,
        reason=reason,
    )
