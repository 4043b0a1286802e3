"""FAT12, FAT16 and FAT32 through dissect.fat: what it lists, to be held against TSK, or where TSK refuses one.

FAT has no inodes: the number of an entry is the place of its 8.3 entry in the volume, in units of the 32 bytes that each takes; 0 is the
root directory, for the boot sector stands there. Address of a stream: that number, 0, 0. What is deleted is not listed.
Known of dissect, and left as it is: it ignores the flags that make an 8.3 name lower case, and takes the volume label for a file.

References: Microsoft, FAT: General Overview of On-Disk Format, 1.03, "FAT Directory Structure", "FAT Long Directory Entries".
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from dissect.fat.exceptions import EmptyDirectoryError, LastEmptyDirectoryError
from dissect.fat.fat import FATFS, DirectoryEntry

from forensics.boundary import attempt
from forensics.errors import StreamReadError
from forensics.filesystems.base import Kind, StreamAddress, Times
from forensics.filesystems.bounded_stream import BoundedContent, BoundedStream, counted
from forensics.filesystems.tree import Inode, InodeAddress, InodeStream, Name
from forensics.names import escape_text
from forensics.timestamps import from_dos

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Stream
    from forensics.source import ByteSource

_ROOT = 0
_ENTRY_BYTES = 32
_TENTH = 10_000_000  # nanoseconds in a hundredth of a second, of which DIR_CrtTimeTenth counts up to 199
_RESERVED_CLUSTERS = 2


class FatDissectTree:
    """The directory entries of a FAT filesystem."""

    filesystem = "fat"

    def __init__(self, source: ByteSource) -> None:
        """Opens the filesystem; raises anything where it is damaged."""
        self._disk = BoundedStream(source)
        self._fs = FATFS(self._disk)
        self._bound_chains()
        self.root = InodeAddress(_ROOT)
        self.block_size = int(self._fs.cluster_size)
        self.size = int(self._fs.total_sectors) * int(self._fs.sector_size)

    def read_inode(self, inode: InodeAddress) -> Inode:
        """What the directory entry says."""
        entry = self._entry(inode.number)
        if inode.number == _ROOT:
            return Inode(kind=Kind.DIRECTORY)
        stored = entry.dirent
        kind = Kind.DIRECTORY if entry.is_directory() else Kind.FILE
        size = int(stored.DIR_FileSize)
        created = from_dos(int(stored.DIR_CrtDate) << 16 | int(stored.DIR_CrtTime))
        if isinstance(created, int):
            created += int(stored.DIR_CrtTimeTenth) * _TENTH
        return Inode(
            kind=kind,
            size=size if kind is Kind.FILE else None,
            times=Times(
                created=created,
                modified=from_dos(int(stored.DIR_WrtDate) << 16 | int(stored.DIR_WrtTime)),
                accessed=from_dos(int(stored.DIR_LstAccDate) << 16),
            ),
            streams=(InodeStream(name="", address=StreamAddress(inode.number, 0, 0), size=size),) if kind is Kind.FILE else (),
        )

    def iter_names(self, directory: InodeAddress) -> Iterator[Name | str]:
        """The names in a directory; a text for one that dissect cannot read."""
        parent = self._entry(directory.number)
        names, runs = parent.open(), self._runs(parent)
        for _ in counted(iter(int, 1)):
            self._renew()
            before = int(names.tell())
            read: list[Any] = []
            try:
                failure = attempt(
                    lambda: read.append(DirectoryEntry(self._fs, names, parent)),  # noqa: B023 - called before the next turn
                    passing=(EmptyDirectoryError, LastEmptyDirectoryError, EOFError),
                )
            except EmptyDirectoryError:
                continue
            except (LastEmptyDirectoryError, EOFError):
                return
            if failure is not None:
                if isinstance(failure, StreamReadError):
                    raise failure
                yield f"the entry at byte {before} of the directory cannot be read: {escape_text(str(failure))[:200]}"
                names.seek(before + _ENTRY_BYTES)
            for entry in read:
                place = _place(runs, int(names.tell()) - _ENTRY_BYTES)
                yield Name(str(entry.name).encode("utf-8", "surrogatepass"), InodeAddress(place // _ENTRY_BYTES))

    def iter_unnamed(self, named: set[InodeAddress]) -> Iterator[InodeAddress]:
        """None: a file of FAT is its name."""
        del named
        return iter(())

    def open_stream(self, address: StreamAddress) -> Stream:
        """The stream at the address."""
        entry = self._entry(address.metadata_address)
        if entry.is_directory():
            message = f"the entry at byte {address.metadata_address * _ENTRY_BYTES} of the volume is no file's"
            raise StreamReadError(message)
        first_byte = int(self._fs.first_data_sector) * int(self._fs.sector_size)
        return BoundedContent(self._disk, entry.open(), int(entry.size), first_byte)

    def _entry(self, number: int) -> Any:
        self._renew()
        if number == _ROOT:
            return self._fs.root
        self._disk.seek(number * _ENTRY_BYTES)
        return DirectoryEntry(self._fs, io.BytesIO(self._disk.read(_ENTRY_BYTES)))

    def _runs(self, directory: Any) -> list[tuple[int, int]]:
        """Where a directory lies in the volume: (byte, length) each."""
        cluster = self.block_size
        first = int(self._fs.first_data_sector) * int(self._fs.sector_size)
        if directory is self._fs.root and not directory.cluster:
            length = int(directory.size)  # FAT12 and FAT16: the sectors before the first cluster
            return [(first - -(-length // int(self._fs.sector_size)) * int(self._fs.sector_size), length)]
        return [(first + int(start) * cluster, int(count) * cluster) for start, count in directory.dataruns()]

    def _renew(self) -> None:
        self._disk.renew()
        self._steps_left = int(self._fs.fat.entry_count) + _RESERVED_CLUSTERS

    def _bound_chains(self) -> None:
        """Makes the library stop at chains of clusters that are longer than the table, which it would follow for ever."""
        look_up = self._fs.fat.get

        def next_cluster(cluster: int) -> Any:
            self._steps_left -= 1
            if self._steps_left < 0:
                message = "its chain of clusters leads back into itself"
                raise StreamReadError(message)
            return look_up(cluster)

        self._fs.fat.get = next_cluster


def _place(runs: list[tuple[int, int]], offset: int) -> int:
    """Where the byte of a directory lies in the volume."""
    for start, length in runs:
        if offset < length:
            return start + offset
        offset -= length
    message = "an entry stands behind the end of its directory"
    raise StreamReadError(message)
