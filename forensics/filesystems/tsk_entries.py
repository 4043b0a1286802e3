"""A name with its metadata as The Sleuth Kit has them -> the entries it makes: one a stream, at least one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytsk3

from forensics.errors import StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, Recovery, StreamAddress, Times
from forensics.filesystems.ntfs_times import file_name_times, standard_information_times
from forensics.filesystems.tsk_kinds import kind_of
from forensics.filesystems.tsk_names import META_ALLOCATED, NAME_ALLOCATED
from forensics.filesystems.tsk_stream import Attribute, TskStream
from forensics.names import escape_text
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.orphans import OrphanBudget
    from forensics.filesystems.tsk_names import Named

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
# NTFS attributes without a name of their own that hold what programs put there: as streams they are named after their type.
_NTFS_NAMED_BY_TYPE = {
    int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_EA): "$EA",
    int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_REPARSE): "$REPARSE_POINT",
    int(pytsk3.TSK_FS_ATTR_TYPE_NTFS_OBJID): "$OBJECT_ID",
}
_HFS_EXTENDED = frozenset((int(pytsk3.TSK_FS_ATTR_TYPE_HFS_EXT_ATTR), int(pytsk3.TSK_FS_ATTR_TYPE_HFS_COMP_REC)))
BAD_CLUSTERS = (8, "$Bad")  # NTFS: a map of bad clusters as large as the volume, all holes; not content
_LONGEST_PATH = 4096  # PATH_MAX of Linux
DIRECTORY_TYPES = (int(pytsk3.TSK_FS_META_TYPE_DIR), int(pytsk3.TSK_FS_META_TYPE_VIRT_DIR))


class EntryMaker:
    """Makes entries of one filesystem.

    Args:
        filesystem: its name.
        attributes: whether extended attributes are streams, too.
    """

    def __init__(self, filesystem: str, *, attributes: bool) -> None:
        self._filesystem = filesystem
        self._is_ntfs = filesystem == "ntfs"
        self._attributes = attributes

    def iter_entries(
        self, found: Named, path: bytes, attributes: list[Attribute], budget: OrphanBudget, *, orphan: bool, original_path: str | None
    ) -> Iterator[tuple[Entry, Attribute | None]]:
        """Each stream as an entry, with TSK's attribute of it; None where the entry is but a name, or a folder."""
        name, meta = found.name, found.meta
        recovery = _recovery(name, meta, orphan=orphan)
        kind = kind_of(name, meta)
        times, name_times = self._times(found, attributes)
        for stream, attribute in self._streams(attributes, kind):
            content = _content(stream, attribute, kind, recovery, int(name.meta_addr))
            if content is Content.READ and attribute is not None and orphan and not budget.take(attribute.size):
                content = Content.SKIP
            entry = Entry(
                path=path,
                stream=stream,
                address=StreamAddress(int(meta.addr), attribute.type, attribute.id) if attribute else None,
                metadata_address=int(name.meta_addr) if meta is None else int(meta.addr),
                kind=kind,
                link_target=_link_target(found, attribute, kind),
                name_allocated=None if orphan else bool(int(name.flags) & NAME_ALLOCATED),
                metadata_allocated=None if meta is None else bool(int(meta.flags) & META_ALLOCATED),
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
                original_path=original_path,
            )
            yield entry, attribute

    def _streams(self, attributes: list[Attribute], kind: Kind) -> list[tuple[str, Attribute | None]]:
        """The streams by name, the default one first; it is there for every entry."""
        streams: list[tuple[str, Attribute | None]] = [
            (one.name, one) for one in attributes if one.type in _CONTENT_TYPES or (one.type == _NTFS_INDEX_ROOT and one.name != "$I30")
        ]
        if kind in (Kind.DIRECTORY, Kind.UNKNOWN) or not any(name == "" for name, _ in streams):
            streams = [("", None), *(stream for stream in streams if stream[0])]
        if self._attributes and self._is_ntfs:
            streams += [(_NTFS_NAMED_BY_TYPE[one.type], one) for one in attributes if one.type in _NTFS_NAMED_BY_TYPE]
        elif self._attributes and self._filesystem == "hfs+":
            streams += [(one.name, one) for one in attributes if one.type in _HFS_EXTENDED and one.name]
        return streams

    def _times(self, found: Named, attributes: list[Attribute]) -> tuple[Times, Times | None]:
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


def lacks_content(meta: Any, attributes: list[Attribute]) -> bool:
    """Whether a file states a size and TSK knows no attribute to read it from; a link's target may stand in the metadata itself."""
    if int(meta.size) <= 0 or kind_of(None, meta) not in (Kind.FILE, Kind.VIRTUAL):
        return False
    return int(meta.type) not in DIRECTORY_TYPES and not any(a.type in _CONTENT_TYPES for a in attributes)


def _recovery(name: Any, meta: Any, *, orphan: bool) -> Recovery:
    if orphan:
        return Recovery.ORPHAN
    if int(name.flags) & NAME_ALLOCATED:
        return Recovery.ALLOCATED
    if meta is None or int(meta.flags) & META_ALLOCATED:
        return Recovery.DELETED_NAME
    return Recovery.DELETED


def _content(stream: str, attribute: Attribute | None, kind: Kind, recovery: Recovery, metadata_address: int) -> Content:
    """Whether the stream has content that belongs to this name."""
    if attribute is None or recovery is Recovery.DELETED_NAME:
        return Content.NONE
    if attribute.type == _NTFS_DATA and (metadata_address, attribute.name) == BAD_CLUSTERS:
        return Content.NONE
    return Content.READ if stream or kind in (Kind.FILE, Kind.LINK, Kind.VIRTUAL) else Content.NONE


def _link_target(found: Named, attribute: Attribute | None, kind: Kind) -> str | None:
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
