"""The filesystems that The Sleuth Kit does not read: which of them a volume holds, and a reader of it.

XFS, Btrfs, JFFS2 and UDF are read by modules of ours ("evidex"), the rest through dissect. A kind that TSK reads, too, is looked for only
when asked: where TSK refused it, or to hold the two against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import FilesystemError
from forensics.filesystems.apfs_kind import find_apfs, open_apfs
from forensics.filesystems.single_kinds import ALSO_OF_TSK, OWN, find_single, open_single

if TYPE_CHECKING:
    from forensics.credentials import Credential
    from forensics.filesystems.base import FilesystemReader
    from forensics.filesystems.found import FoundFilesystem
    from forensics.source import ByteSource

_APFS = "apfs"


def find_filesystems(
    source: ByteSource, head: bytes, *, volume: str, credentials: tuple[Credential, ...], also_tsk_kinds: bool = False
) -> tuple[FoundFilesystem, ...]:
    """The filesystems in a volume that are read here, also those that cannot be, with the reason; empty where none is recognised.

    Args:
        source: the volume's bytes.
        head: its first bytes, signatures.HEAD_BYTES of them or all.
        volume: its identifier, for the credentials' patterns.
        credentials: what may be tried.
        also_tsk_kinds: whether ext, NTFS, FAT and UFS are looked for, too; never exFAT, whose contents dissect reads wrong.
    """
    found = find_apfs(source, head, volume, credentials)
    if not found:
        found = find_single(source, head, (*OWN, *ALSO_OF_TSK) if also_tsk_kinds else OWN)
    return found


def open_reader(source: ByteSource, found: FoundFilesystem, *, volume: str, credentials: tuple[Credential, ...]) -> FilesystemReader:
    """The reader of a filesystem that find_filesystems found, here or in another process.

    Raises:
        FilesystemError: it cannot be opened.
    """
    if found.reason:
        message = f"{found.filesystem}: {found.reason}"
        raise FilesystemError(message)
    if found.filesystem == _APFS:
        return open_apfs(source, found, volume, credentials)
    return open_single(source, found)
