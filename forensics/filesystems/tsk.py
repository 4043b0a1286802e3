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
from forensics.filesystems.orphans import OrphanBudget
from forensics.filesystems.tsk_kinds import kind_of
from forensics.filesystems.tsk_stream import Attribute, TskStream, attributes_of
from forensics.names import display_path, escape_text
from forensics.sleuthkit import TSK_ERRORS, tsk_reason
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
_MFT_RECORD = b"FILE"  # NTFS documentation (Linux-NTFS project), FILE record, offset 0
_MAXIMUM_DEPTH = 1000
_LONGEST_PATH = 4096  # PATH_MAX of Linux

_DIRECTORY_TYPES = (int(pytsk3.TSK_FS_META_TYPE_DIR), int(pytsk3.TSK_FS_META_TYPE_VIRT_DIR))


@dataclass(frozen=True, slots=True)
class _Named:
    """A name, the file it leads to, and the metadata that belongs to both; None where it is another file's by now."""

    name: Any
    file: Any
    meta: Any


@dataclass(frozen=True, slots=True)
class _Directory:
    address: int
    path: bytes
    depth: int
    orphan: bool


class TskReader:
    """Entries and streams of one filesystem that TSK opened."""

    def __init__(self, filesystem: OpenFilesystem) -> None:
        self._fs = filesystem.handle
        self._orphan_directory = int(self._fs.info.last_inum)
        self.filesystem = filesystem.name
        self._is_ntfs = filesystem.name == "ntfs"
        self._mft: tuple[TskStream, int] | None = None

    def open_stream(self, address: StreamAddress) -> TskStream:
        """The stream at the address.

        Raises:
            StreamReadError: the metadata or the attribute is not there.
        """
        try:
            file = self._fs.open_meta(inode=address.metadata_address)
            for attribute in attributes_of(file):
                if (attribute.type, attribute.id) == (address.attribute_type, address.attribute_id):
                    return TskStream(file, attribute)
        except TSK_ERRORS as error:
            raise StreamReadError(tsk_reason(error)) from error
        message = f"no attribute {address.attribute_type}-{address.attribute_id} at metadata address {address.metadata_address}"
        raise StreamReadError(message)

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every stream of every entry under the root and among the orphans; a Problem for what could not be listed.

        Raises:
            FilesystemError: the root directory cannot be read, so nothing can be listed.
        """
        waiting = [_Directory(int(self._fs.info.root_inum), b"", 0, orphan=False)]
        entered = {waiting[0].address}
        budget = OrphanBudget(limits)
        while waiting:
            directory = waiting.pop()
            try:
                names = self._fs.open_dir(inode=directory.address)
            except TSK_ERRORS as error:
                if not directory.path:
                    message = f"the root directory cannot be read: {tsk_reason(error)}"
                    raise FilesystemError(message) from error
                yield _directory_problem(directory, "directory-unreadable", "a directory cannot be read", tsk_reason(error))
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

    def _record_signature(self, entry: int) -> bytes:
        """The four bytes with which an MFT entry begins; empty where the MFT cannot be read. TSK does not look at them."""
        if self._mft is None:
            file = self._fs.open_meta(inode=0)
            data = next(a for a in attributes_of(file) if a.type == _NTFS_DATA and not a.name)
            self._mft = TskStream(file, data), data.size // self._orphan_directory
        stream, record_size = self._mft
        try:
            return stream.read_at(entry * record_size, len(_MFT_RECORD))
        except StreamReadError:
            return b""

    def _child(self, file: Any, parent: _Directory) -> _Directory | None:
        """The directory to enter for this name; None if it is none, or belongs to somebody else by now."""
        meta = self._with_metadata(file, b"")[1]
        if meta is None or int(meta.type) not in _DIRECTORY_TYPES:
            return None
        # fls's rule: a deleted name whose metadata is allocated again leads to another directory's contents.
        if not int(file.info.name.flags) & _NAME_ALLOCATED and int(meta.flags) & _ALLOCATED:
            return None
        address = int(meta.addr)
        orphan = parent.orphan or address == self._orphan_directory
        return _Directory(address, _join(parent.path, file.info.name.name), parent.depth + 1, orphan)

    def _list_file(self, file: Any, directory: _Directory, budget: OrphanBudget) -> Iterator[Entry | Problem]:
        """One Entry a stream of the file, at least one."""
        path = _join(directory.path, file.info.name.name)
        if directory.orphan and not budget.count():
            return
        name = file.info.name
        file, meta, problem = self._with_metadata(file, path)
        if problem is not None:
            yield problem
        try:
            attributes = attributes_of(file) if meta is not None else []
        except TSK_ERRORS as error:
            attributes = []
            yield _entry_problem_at(
                int(name.meta_addr), path, "metadata-damaged", "the attributes of an entry cannot be read", tsk_reason(error)
            )
        if meta is not None and self._is_ntfs and (seen := self._record_signature(int(name.meta_addr))) not in (b"", _MFT_RECORD):
            why = (
                f"the MFT entry begins with {seen!r}, not {_MFT_RECORD!r}; BAAD is what NTFS writes over an entry it could not write whole"
            )
            yield _entry_problem_at(int(name.meta_addr), path, "metadata-damaged", "what an entry says of its file may be wrong", why)
        if meta is not None and _lacks_content(meta, attributes):
            why = f"its metadata states {int(meta.size)} bytes and names no place where they lie"
            yield _entry_problem_at(int(name.meta_addr), path, "content-not-placed", "the content of an entry could not be read", why)
        yield from self._entries_of(_Named(name, file, meta), path, attributes, budget, orphan=directory.orphan)

    def _with_metadata(self, file: Any, path: bytes) -> tuple[Any, Any, Problem | None]:
        """The file to read, the metadata that belongs to its name, and what is wrong.

        pytsk3 gives no metadata with a deleted NTFS name, because deleting raises the sequence number of the MFT entry by one; it
        is loaded here, and taken where it is still that file's.
        """
        name = file.info.name
        allocated = bool(int(name.flags) & _NAME_ALLOCATED)
        if file.info.meta is not None or not (allocated or int(name.meta_addr)):
            return file, file.info.meta, None
        try:
            loaded = self._fs.open_meta(inode=int(name.meta_addr))
            meta = loaded.info.meta
        except TSK_ERRORS as error:
            damaged = _entry_problem(file, path, "metadata-damaged", "the metadata of an entry cannot be read", tsk_reason(error))
            return file, None, damaged if allocated else None
        if meta is None and allocated:
            return file, None, _entry_problem(file, path, "metadata-damaged", "an entry has no metadata", "TSK gives none")
        if meta is None or not (allocated or self._is_of_deleted(name, meta)):
            return file, None, None
        return loaded, meta, None

    def _is_of_deleted(self, name: Any, meta: Any) -> bool:
        """Whether the metadata that a deleted name leads to is unallocated and still that of the deleted file."""
        if int(meta.flags) & _ALLOCATED:
            return False
        raised = int(meta.seq) - int(name.meta_seq)
        return not self._is_ntfs or raised in (0, 1) or (int(meta.seq), int(name.meta_seq)) == (1, 0xFFFF)

    def _entries_of(
        self, found: _Named, path: bytes, attributes: list[Attribute], budget: OrphanBudget, *, orphan: bool
    ) -> Iterator[Entry]:
        name, meta = found.name, found.meta
        recovery = _recovery(name, meta, orphan=orphan)
        kind = kind_of(name, meta)
        times, name_times = self._times(found, attributes)
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
                link_target=_link_target(found, attribute, kind),
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

    def _times(self, found: _Named, attributes: list[Attribute]) -> tuple[Times, Times | None]:
        """Times of the entry; for NTFS from the attributes themselves, because TSK drops what lies before 1970."""
        file, meta = found.file, found.meta
        if meta is None:
            return Times(), None
        if self._is_ntfs:
            standard = [TskStream(file, a).read_at(0, a.size) for a in attributes if a.type == _NTFS_STANDARD_INFORMATION]
            named = [TskStream(file, a).read_at(0, a.size) for a in attributes if a.type == _NTFS_FILE_NAME]
            if standard:
                return standard_information_times(standard[0]), file_name_times(named, bytes(found.name.name))
        return (
            Times(
                created=from_unix(int(meta.crtime), int(meta.crtime_nano)),
                modified=from_unix(int(meta.mtime), int(meta.mtime_nano)),
                accessed=from_unix(int(meta.atime), int(meta.atime_nano)),
                metadata_changed=from_unix(int(meta.ctime), int(meta.ctime_nano)),
            ),
            None,
        )


def _recovery(name: Any, meta: Any, *, orphan: bool) -> Recovery:
    if orphan:
        return Recovery.ORPHAN
    if int(name.flags) & _NAME_ALLOCATED:
        return Recovery.ALLOCATED
    if meta is None or int(meta.flags) & _ALLOCATED:
        return Recovery.DELETED_NAME
    return Recovery.DELETED


def _content(attribute: Attribute | None, kind: Kind, recovery: Recovery, metadata_address: int) -> Content:
    """Whether the stream has content that belongs to this name."""
    if attribute is None or recovery is Recovery.DELETED_NAME:
        return Content.NONE
    if attribute.type == _NTFS_DATA and (metadata_address, attribute.name) == _BAD_CLUSTERS:
        return Content.NONE
    return Content.READ if attribute.name or kind in (Kind.FILE, Kind.LINK, Kind.VIRTUAL) else Content.NONE


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def _lacks_content(meta: Any, attributes: list[Attribute]) -> bool:
    """Whether a file states a size and TSK knows no attribute to read it from; a link's target may stand in the metadata itself."""
    if int(meta.size) <= 0 or kind_of(None, meta) not in (Kind.FILE, Kind.VIRTUAL):
        return False
    return int(meta.type) not in _DIRECTORY_TYPES and not any(a.type in _CONTENT_TYPES for a in attributes)


def _link_target(found: _Named, attribute: Attribute | None, kind: Kind) -> str | None:
    """Where a symbolic link points; TSK gives it only where it stands in the inode, else it is the link's content."""
    if kind is not Kind.LINK or found.meta is None:
        return None
    raw = bytes(found.meta.link or b"")
    if not raw and attribute is not None and 0 < attribute.size <= _LONGEST_PATH:
        try:
            raw = TskStream(found.file, attribute).read_at(0, attribute.size)
        except StreamReadError:
            return None  # the content is read again as any other, and becomes a problem there
    return escape_text(raw.decode("utf-8", "backslashreplace")) if raw else None


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
    return _entry_problem_at(int(file.info.name.meta_addr), path, code, what, why)


def _entry_problem_at(metadata_address: int, path: bytes, code: str, what: str, why: str) -> Problem:
    return Problem(
        stage=Stage.FILESYSTEM,
        code=code,
        what=what,
        why=why,
        path=display_path(path)[0],
        metadata_address=metadata_address,
    )
