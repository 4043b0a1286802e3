"""A folder of the examiner's disk as logical evidence: what lies in it, as lstat(2) states it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from forensics.containers.folder import FolderFile
from forensics.errors import StreamReadError
from forensics.filesystems.base import Kind, Times
from forensics.logical.member import Member
from forensics.logical.pieces import PieceStream, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.containers.folder import FolderEntry, FolderListing
    from forensics.errors import Problem
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.LINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFSOCK: Kind.SOCKET,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
}


class FolderReader:
    """Lists a folder. An entry's metadata address is its number in the byte order of the paths, from 1."""

    filesystem = "folder"

    def __init__(self, listing: FolderListing) -> None:
        self._listing = listing

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Everything in the folder; a Problem for each folder in it that could not be listed."""
        del limits  # they are for orphans
        for number, found in enumerate(self._listing.entries, start=1):
            member = _member(number, found)
            yield member.entry()
            if found.failure:
                what = "a folder was not looked into; nothing in it was listed"
                yield member.problem(
                    "directory-unreadable", what, found.failure, "give it as an exhibit of its own, with the right to read"
                )

    def open_stream(self, address: StreamAddress) -> PieceStream:
        """The content of the file of that number.

        Raises:
            StreamReadError: it is no regular file.
        """
        number = address.metadata_address
        found = self._listing.entries[number - 1] if 0 < number <= len(self._listing.entries) else None
        if found is None or not found.is_file:
            message = f"entry {number} of the folder is no file with content"
            raise StreamReadError(message)
        file = FolderFile(self._listing.root, found)
        return whole(file, 0, file.size)


def _member(number: int, found: FolderEntry) -> Member:
    status = found.status
    return Member(
        number=number,
        path=found.path,
        kind=_KINDS.get(stat.S_IFMT(status.st_mode), Kind.UNKNOWN),
        size=status.st_size if found.is_file else None,
        # As they are: a file of 1970-01-01 00:00:00 has that time, since a system call gives no other word for "never set".
        times=Times(modified=status.st_mtime_ns, accessed=status.st_atime_ns, metadata_changed=status.st_ctime_ns),
        link_target=found.link_target,
        owner=status.st_uid,
        group=status.st_gid,
        mode=stat.S_IMODE(status.st_mode),
        links=status.st_nlink,
        has_content=found.is_file,
    )
