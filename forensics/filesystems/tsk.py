"""NTFS, FAT12/16/32, exFAT, ext2/3/4, HFS+, ISO 9660, UFS and YAFFS2 through The Sleuth Kit.

Lists what `fls -r` lists, with its rule for deleted directories, and in addition loads the metadata of orphans. Each directory
is entered once, whatever its links say, so that a loop ends; a loop is a problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytsk3

from forensics.errors import FilesystemError, Problem, Stage, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, ListingLimits, Recovery, StreamAddress, Times
from forensics.filesystems.ntfs_times import file_name_times, standard_information_times
from forensics.names import display_path, escape_text
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.sleuthkit import OpenFilesystem

_ALLOCATED = int(pytsk3.TSK_FS_META_FLAG_ALLOC)
_NAME_ALLOCATED = int(pytsk3.TSK_FS_NAME_FLAG_ALLOC)
_NTFS_DATA = int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_DATA)
_NTFS_STANDARD_INFORMATION = int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_SI)
_NTFS_FILE_NAME = int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_FNAME)
# Index roots other than a directory's own hold what no stream does: $Secure's, $ObjId's, $Quota's and $Reparse's records.
_NTFS_INDEX_ROOT = int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_IDXROOT)
# The attributes whose bytes are content, by TSK's types: plain data, NTFS $DATA, HFS+ data and resource fork.
_CONTENT_TYPES = frozenset(
    (
        int(pytsk3.TSK_FS_ATTR_TYPE_DEFAULT),
        _NTFS_DATA,
        int(pytsk3.TSK_FS_ATTR_TYPE_HFS_DATA),
        int(pytsk3.TSK_FS_ATTR_TYPE_HFS_RSRC),
    )
)
_BAD_CLUSTERS = (8, "$Bad")  # NTFS: a map of bad clusters as large as the volume, all holes; not content
_MAXIMUM_DEPTH = 1000

_KIND_OF_META = {
    int(pytsk3.TSK_FS_META_TYPE_REG): Kind.FILE,
    int(pytsk3.TSK_FS_META_TYPE_DIR): Kind.DIRECTORY,
    int(pytsk3.TSK_FS_META_TYPE_FIFO): Kind.FIFO,
    int(pytsk3.TSK_FS_META_TYPE_CHR): Kind.CHARACTER_DEVICE,
    int(pytsk3.TSK_FS_META_TYPE_BLK): Kind.BLOCK_DEVICE,
    int(pytsk3.TSK_FS_META_TYPE_LNK): Kind.LINK,
    int(pytsk3.TSK_FS_META_TYPE_SOCK): Kind.SOCKET,
    int(pytsk3.TSK_FS_META_TYPE_VIRT): Kind.VIRTUAL,
    int(pytsk3.TSK_FS_META_TYPE_VIRT_DIR): Kind.VIRTUAL,
}
_KIND_OF_NAME = {
    int(pytsk3.TSK_FS_NAME_TYPE_REG): Kind.FILE,
    int(pytsk3.TSK_FS_NAME_TYPE_DIR): Kind.DIRECTORY,
    int(pytsk3.TSK_FS_NAME_TYPE_FIFO): Kind.FIFO,
    int(pytsk3.TSK_FS_NAME_TYPE_CHR): Kind.CHARACTER_DEVICE,
    int(pytsk3.TSK_FS_NAME_TYPE_BLK): Kind.BLOCK_DEVICE,
    int(pytsk3.TSK_FS_NAME_TYPE_LNK): Kind.LINK,
    int(pytsk3.TSK_FS_NAME_TYPE_SOCK): Kind.SOCKET,
    int(pytsk3.TSK_FS_NAME_TYPE_VIRT): Kind.VIRTUAL,
    int(pytsk3.TSK_FS_NAME_TYPE_VIRT_DIR): Kind.VIRTUAL,
}
_DIRECTORY_TYPES = (int(pytsk3.TSK_FS_META_TYPE_DIR), int(pytsk3.TSK_FS_META_TYPE_VIRT_DIR))


@dataclass(frozen=True, slots=True)
class _Attribute:
    type: int
    id: int
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class _Directory:
    address: int
    path: bytes
    depth: int
    orphan: bool


class TskStream:
    """One attribute of one file, read through TSK."""

    def __init__(self, file: Any, attribute: _Attribute) -> None:
        self._file = file
        self._attribute = attribute
        self.size = attribute.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: TSK cannot read them.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        try:
            data: bytes = self._file.read_random(offset, length, self._attribute.type, self._attribute.id)
        except OSError as error:
            raise StreamReadError(_reason(error)) from error
        if len(data) < length and not data:
            message = f"TSK gives nothing at byte {offset} of {self.size}"
            raise StreamReadError(message)
        return data


class TskReader:
    """Entries and streams of one filesystem that TSK opened."""

    def __init__(self, filesystem: OpenFilesystem) -> None:
        self._fs = filesystem.handle
        self._orphan_directory = int(self._fs.info.last_inum)
        self.filesystem = filesystem.name
        self._is_ntfs = filesystem.name == "ntfs"

    def open_stream(self, address: StreamAddress) -> TskStream:
        """The stream at the address.

        Raises:
            StreamReadError: the metadata or the attribute is not there.
        """
        try:
            file = self._fs.open_meta(inode=address.metadata_address)
            for attribute in _attributes(file):
                if (attribute.type, attribute.id) == (address.attribute_type, address.attribute_id):
                    return TskStream(file, attribute)
        except OSError as error:
            raise StreamReadError(_reason(error)) from error
        message = f"no attribute {address.attribute_type}-{address.attribute_id} at metadata address {address.metadata_address}"
        raise StreamReadError(message)

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every stream of every entry under the root and among the orphans; a Problem for what could not be listed.

        Raises:
            FilesystemError: the root directory cannot be read, so nothing can be listed.
        """
        waiting = [_Directory(int(self._fs.info.root_inum), b"", 0, orphan=False)]
        entered = {waiting[0].address}
        budget = _OrphanBudget(limits)
        while waiting:
            directory = waiting.pop()
            try:
                names = self._fs.open_dir(inode=directory.address)
            except OSError as error:
                if not directory.path:
                    message = f"the root directory cannot be read: {_reason(error)}"
                    raise FilesystemError(message) from error
                yield _directory_problem(directory, "directory-unreadable", "a directory cannot be read", _reason(error))
                continue
            below = []
            for file in names:
                if file.info.name.name in (b".", b".."):
                    continue
                yield from self._list_file(file, directory, budget)
                child = self._child(file, directory)
                if child is None:
                    continue
                if child.address in entered or child.depth > _MAXIMUM_DEPTH:
                    yield _directory_problem(
                        child, "directory-loop", "a directory is listed under more than one path; it was entered once", "a loop of links"
                    )
                    continue
                entered.add(child.address)
                below.append(child)
            waiting.extend(reversed(below))
        yield from budget.problems()

    def _child(self, file: Any, parent: _Directory) -> _Directory | None:
        """The directory to enter for this name; None if it is none, or belongs to somebody else by now."""
        meta = file.info.meta
        if meta is None or int(meta.type) not in _DIRECTORY_TYPES:
            return None
        # fls's rule: a deleted name whose metadata is allocated again leads to another directory's contents.
        if not int(file.info.name.flags) & _NAME_ALLOCATED and int(meta.flags) & _ALLOCATED:
            return None
        address = int(meta.addr)
        orphan = parent.orphan or address == self._orphan_directory
        return _Directory(address, _join(parent.path, file.info.name.name), parent.depth + 1, orphan)

    def _list_file(self, file: Any, directory: _Directory, budget: _OrphanBudget) -> Iterator[Entry | Problem]:
        """One Entry a stream of the file, at least one."""
        path = _join(directory.path, file.info.name.name)
        if directory.orphan and not budget.count():
            return
        file, problem = self._with_metadata(file, path)
        if problem is not None:
            yield problem
        try:
            attributes = _attributes(file) if file.info.meta is not None else []
        except OSError as error:
            attributes = []
            yield _entry_problem(file, path, "metadata-damaged", "the attributes of an entry cannot be read", _reason(error))
        yield from self._entries_of(file, path, attributes, budget, orphan=directory.orphan)

    def _with_metadata(self, file: Any, path: bytes) -> tuple[Any, Problem | None]:
        """The file with its metadata where the name's address leads to some, else as it is."""
        name = file.info.name
        if file.info.meta is not None or not int(name.flags) & _NAME_ALLOCATED:
            return file, None
        try:
            loaded = self._fs.open_meta(inode=int(name.meta_addr))
        except OSError as error:
            return file, _entry_problem(file, path, "metadata-damaged", "the metadata of an entry cannot be read", _reason(error))
        if loaded.info.meta is None:
            return file, _entry_problem(file, path, "metadata-damaged", "an entry has no metadata", "TSK gives none")
        return file, None

    def _entries_of(
        self, file: Any, path: bytes, attributes: list[_Attribute], budget: _OrphanBudget, *, orphan: bool
    ) -> Iterator[Entry]:
        name, meta = file.info.name, file.info.meta
        recovery = _recovery(name, meta, orphan=orphan)
        kind = _KIND_OF_META.get(int(meta.type)) if meta is not None else None
        kind = kind or _KIND_OF_NAME.get(int(name.type), Kind.UNKNOWN)
        times, name_times = self._times(file, attributes)
        streams = [a for a in attributes if a.type in _CONTENT_TYPES or (a.type == _NTFS_INDEX_ROOT and a.name != "$I30")]
        if kind in (Kind.DIRECTORY, Kind.UNKNOWN) or not any(a.name == "" for a in streams):
            streams = [None, *(a for a in streams if a.name)]  # type: ignore[list-item]
        for attribute in streams:
            content = _content(attribute, kind, recovery, int(name.meta_addr))
            if content is Content.READ and orphan and not budget.take(attribute.size):
                content = Content.SKIP
            yield Entry(
                path=path,
                stream=attribute.name if attribute else "",
                address=StreamAddress(int(meta.addr), attribute.type, attribute.id) if attribute else None,
                metadata_address=int(name.meta_addr) if meta is None else int(meta.addr),
                kind=kind,
                link_target=escape_text(bytes(meta.link).decode("utf-8", "backslashreplace")) if meta is not None and meta.link else None,
                name_allocated=None if orphan else bool(int(name.flags) & _NAME_ALLOCATED),
                metadata_allocated=None if meta is None else bool(int(meta.flags) & _ALLOCATED),
                recovery=recovery,
                content=content,
                size=attribute.size if attribute else None if meta is None else int(meta.size),
                times=times,
                name_times=name_times,
                owner=None if meta is None else int(meta.uid),
                group=None if meta is None else int(meta.gid),
                mode=None if meta is None else int(meta.mode) & 0o7777,
                links=None if meta is None else int(meta.nlink),
                sequence=int(meta.seq) if meta is not None and self._is_ntfs else None,
            )

    def _times(self, file: Any, attributes: list[_Attribute]) -> tuple[Times, Times | None]:
        """Times of the entry; for NTFS from the attributes themselves, because TSK drops what lies before 1970."""
        meta = file.info.meta
        if meta is None:
            return Times(), None
        if self._is_ntfs:
            standard = [TskStream(file, a).read_at(0, a.size) for a in attributes if a.type == _NTFS_STANDARD_INFORMATION]
            named = [TskStream(file, a).read_at(0, a.size) for a in attributes if a.type == _NTFS_FILE_NAME]
            if standard:
                return standard_information_times(standard[0]), file_name_times(named, bytes(file.info.name.name))
        return (
            Times(
                created=from_unix(int(meta.crtime), int(meta.crtime_nano)),
                modified=from_unix(int(meta.mtime), int(meta.mtime_nano)),
                accessed=from_unix(int(meta.atime), int(meta.atime_nano)),
                metadata_changed=from_unix(int(meta.ctime), int(meta.ctime_nano)),
            ),
            None,
        )


class _OrphanBudget:
    """Counts orphans and the bytes of their contents against the limits."""

    def __init__(self, limits: ListingLimits) -> None:
        self._limits = limits
        self._orphans = self._bytes = self._skipped = 0

    def count(self) -> bool:
        """Whether one more orphan may be listed."""
        self._orphans += 1
        return self._orphans <= self._limits.orphans

    def take(self, size: int) -> bool:
        """Whether `size` more bytes of orphan contents may be read."""
        if self._bytes + size > self._limits.orphan_bytes:
            self._skipped += 1
            return False
        self._bytes += size
        return True

    def problems(self) -> Iterator[Problem]:
        """What the limits cut off."""
        if self._orphans > self._limits.orphans:
            yield Problem(
                stage=Stage.FILESYSTEM,
                code="orphan-limit",
                what=f"{self._orphans - self._limits.orphans} orphan entries were not listed",
                why=f"the limit of {self._limits.orphans} orphans was reached; damaged metadata makes them up without end",
                advice="raise the limit if the volume is worth it",
            )
        if self._skipped:
            yield Problem(
                stage=Stage.FILESYSTEM,
                code="orphan-bytes-limit",
                what=f"the contents of {self._skipped} orphan entries were not read; the entries are listed",
                why=f"they would go over the limit of {self._limits.orphan_bytes} bytes of orphan contents",
                advice="raise the limit if the volume is worth it",
            )


def _attributes(file: Any) -> list[_Attribute]:
    """The file's attributes, in TSK's order."""
    return [
        _Attribute(
            int(attribute.info.type),
            int(attribute.info.id),
            escape_text(bytes(attribute.info.name).decode("utf-8", "backslashreplace")) if attribute.info.name else "",
            int(attribute.info.size),
        )
        for attribute in file
    ]


def _recovery(name: Any, meta: Any, *, orphan: bool) -> Recovery:
    if orphan:
        return Recovery.ORPHAN
    if int(name.flags) & _NAME_ALLOCATED:
        return Recovery.ALLOCATED
    if meta is None or int(meta.flags) & _ALLOCATED:
        return Recovery.DELETED_NAME
    return Recovery.DELETED


def _content(attribute: _Attribute | None, kind: Kind, recovery: Recovery, metadata_address: int) -> Content:
    """Whether the stream has content that belongs to this name."""
    if attribute is None or recovery is Recovery.DELETED_NAME:
        return Content.NONE
    if attribute.type == _NTFS_DATA and (metadata_address, attribute.name) == _BAD_CLUSTERS:
        return Content.NONE
    return Content.READ if attribute.name or kind in (Kind.FILE, Kind.LINK, Kind.VIRTUAL) else Content.NONE


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def _directory_problem(directory: _Directory, code: str, what: str, why: str) -> Problem:
    return Problem(
        stage=Stage.FILESYSTEM,
        code=code,
        what=what,
        why=why,
        path=display_path(directory.path)[0],
        metadata_address=directory.address,
    )


def _entry_problem(file: Any, path: bytes, code: str, what: str, why: str) -> Problem:
    return Problem(
        stage=Stage.FILESYSTEM,
        code=code,
        what=what,
        why=why,
        path=display_path(path)[0],
        metadata_address=int(file.info.name.meta_addr),
    )


def _reason(error: OSError) -> str:
    """TSK's own words, without pytsk3's file and line."""
    return str(error).split(") ", 1)[-1].strip()
